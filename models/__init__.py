"""Nouns: the tables and the frozen values that the rest of Dianwu speaks about. No engine, no I/O."""

import importlib
import pkgutil


def all_tables() -> None:
    """Have every table declared, by importing every module of this package."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
