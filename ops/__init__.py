"""Running it: the `dianwu` command, the local stack, the demonstration, the worker type."""
