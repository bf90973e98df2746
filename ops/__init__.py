"""Running it: the `dianwu` command, the local stack, the demonstration, the worker type."""

import gc

# What a process imports stays: looking again and again for rubbish in it is a sixth of a start, a fifth of a command's wait.
gc.set_threshold(50_000, 10, 10)
