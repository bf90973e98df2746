"""Nouns: the tables and the frozen values that the rest of Dianwu speaks about. No engine, no I/O."""
