"""Effects: a verb that changes something becomes one Prefect task, one transaction and one key.

``@effect("关闭店铺能力")`` turns ``def disable(tx, case, capability) -> None`` into ``disable(case_id, capability)``.
The key is the case, the function and the arguments; the row that says "done" and what was returned is written in
the transaction of the effect. Run again, by a replay, another run or another machine, it returns what it returned
and changes nothing. Outside a Prefect run (stories played in a test, an operator's command) there is no task
around it, and everything else is the same.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, get_type_hints

from pydantic import TypeAdapter
from sqlmodel import select

from models.cases import Case, Effect
from tasks.db import Tx, in_transaction

if TYPE_CHECKING:
    from prefect import Task

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS: list[float] = [1, 5, 15]
"""Seconds before a fault (not contention, which is retried at once) is tried again by Prefect."""


class UnknownCase(LookupError):
    """No case has this id."""


def lock_case(tx: Tx, case_id: str) -> Case:
    """The case, locked until the transaction ends: one change at a time to one case.

    Read anew under the lock, whatever this transaction may have seen of it before.
    """
    query = select(Case).where(Case.id == case_id).execution_options(populate_existing=True)
    case = tx.exec(query.with_for_update() if tx.postgres else query).first()
    if case is None:
        raise UnknownCase(case_id)
    return case


def in_a_run() -> bool:
    """Whether a Prefect run plays the story. Whoever has not imported Prefect is in none: commands start without it."""
    if "prefect" not in sys.modules:
        return False
    from prefect.context import FlowRunContext

    return FlowRunContext.get() is not None


def effect_key(case_id: str, name: str, *args: Any) -> str:
    """The key under which an effect is done once. A long text among the arguments stands in it by its hash."""
    words = [str(getattr(arg, "value", arg)) for arg in args]
    short = [word if len(word) <= 40 else hashlib.sha256(word.encode()).hexdigest()[:24] for word in words]
    return "/".join([case_id, name, *short])


def effect(title: str) -> Callable[[Callable[Concatenate[Tx, Case, P], R]], Callable[Concatenate[str, P], R]]:
    """Make a verb happen once per case and arguments. Arguments must be ids, numbers or enum members."""

    def decorate(verb: Callable[Concatenate[Tx, Case, P], R]) -> Callable[Concatenate[str, P], R]:
        name = f"{verb.__module__.rpartition('.')[2]}.{verb.__name__}"
        signature = inspect.signature(verb)
        adapter: list[TypeAdapter[Any]] = []

        def returned() -> TypeAdapter[Any]:
            if not adapter:  # hints are resolved at first use: the module may still be loading now
                adapter.append(TypeAdapter(get_type_hints(verb).get("return", Any)))
            return adapter[0]

        def once(tx: Tx, case_id: str, args: tuple[Any, ...]) -> Any:
            key = effect_key(case_id, name, *args)
            if tx.get(Effect, key) is None:
                case = lock_case(tx, case_id)
                if tx.get(Effect, key) is None:
                    result = verb(tx, case, *args)  # type: ignore[call-arg]
                    kept = returned().dump_python(result, mode="json")
                    tx.add(Effect(key=key, case_id=case_id, at=tx.now, result=kept))
                    tx.flush()
                    return result
            row = tx.get(Effect, key)
            return returned().validate_python(row.result if row else None)

        def run(case_id: str, *args: Any) -> Any:
            return in_transaction(lambda tx: once(tx, case_id, args))

        @functools.cache
        def task() -> Task[..., Any]:
            from prefect import Task
            from prefect.cache_policies import NO_CACHE

            return Task(
                fn=run, name=title, retries=len(RETRY_DELAYS), retry_delay_seconds=RETRY_DELAYS,
                cache_policy=NO_CACHE, persist_result=False, log_prints=False,
            )  # fmt: skip

        @functools.wraps(verb)
        def call(case_id: str, *args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(None, None, *args, **kwargs)
            bound.apply_defaults()
            plain = tuple(bound.arguments.values())[2:]
            if not in_a_run():
                return run(case_id, *plain)
            done = in_transaction(lambda tx: tx.get(Effect, effect_key(case_id, name, *plain)))
            if done is not None:
                return returned().validate_python(done.result)
            result: R = task()(case_id, *plain)  # type: ignore[assignment]
            return result

        call.effect_name = name  # type: ignore[attr-defined]
        return call

    return decorate


def happened(tx: Tx, case_id: str, verb: Callable[..., Any], *args: Any) -> bool:
    """Whether this effect has been done for the case, with exactly these arguments."""
    return tx.get(Effect, effect_key(case_id, verb.effect_name, *args)) is not None  # type: ignore[attr-defined]
