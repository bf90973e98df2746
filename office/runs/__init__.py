"""Runs of the engine: started, woken, compared with the cases, replaced."""
