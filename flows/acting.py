"""Acting on what the platform says: an effect that decides about money waits until the facts are new enough for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

from flows.waiting import wait_until
from tasks.shops import facts

R = TypeVar("R")
Args = TypeVarTuple("Args")


def on_fresh_facts(verb: Callable[[str, *Args], R], case_id: str, *args: *Args) -> R:
    """Do it as soon as the shop's facts are not older than the policy's hours (ambiguity 27). Done before, it waits for
    nothing; taken back meanwhile, the verb itself says so."""
    wait_until(case_id, lambda: facts.fresh_for(case_id, verb, *args))
    return verb(case_id, *args)
