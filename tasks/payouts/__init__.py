"""Money to a bank: permit, instruction, answer, and answers that contradict each other."""
