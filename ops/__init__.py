"""Running it: the `dianwu` command, the local stack, the demonstration, the worker type."""

import gc

gc.set_threshold(
    50_000, 10, 10
)  # what a process imports stays; looking again and again for garbage in it is a sixth of a start
