"""What people look at: queue, case, dispute file, proof and examination. It writes nothing of a process."""
