"""Effects: a verb that changes something becomes one Prefect task, one transaction and one key.

``effect = effects_of("closures")`` says under which name a module keeps its effects, and ``@effect("关闭店铺能力")`` turns
``def disable(tx, case, capability) -> None`` into ``disable(case_id, capability)``. The key is the case, that name, the
function's and the arguments. The name is declared and not the file's, since rows under it outlive every move. The row
that says "done" and what was returned is written in the transaction of the effect. Run again, by a replay, another
run or another machine, it returns what it returned and changes nothing. Outside a Prefect run (stories played in a
test, an operator's command) there is no task around it, and everything else is the same.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, get_type_hints

from pydantic import TypeAdapter
from sqlmodel import select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case, Effect
from office.base.db import Tx, in_transaction, prepared, reading
from office.cases.locks import lock_case
from office.record.decision_seals import DecisionForged, stop

if TYPE_CHECKING:
    from prefect import Task

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAYS: list[float] = [1, 5, 15]
"""Seconds before a fault (not contention, which is retried at once) is tried again by Prefect."""


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


class Effects(Protocol):
    """What ``effects_of`` gives: a decorator for the verbs of one module, each with the title people read in a run."""

    def __call__(
        self, title: str, *, kept_as: str = ""
    ) -> Callable[[Callable[Concatenate[Tx, Case, P], R]], Callable[Concatenate[str, P], R]]: ...


def effects_of(owner: str) -> Effects:
    """The decorator whose effects are kept under ``owner``: a name for good, in the database and in tests/names.txt.

    A verb that was renamed says what it is ``kept_as``.
    """

    def effect(
        title: str, *, kept_as: str = ""
    ) -> Callable[[Callable[Concatenate[Tx, Case, P], R]], Callable[Concatenate[str, P], R]]:
        return lambda verb: _effect(f"{owner}.{kept_as or verb.__name__}", title, verb)

    return effect


def insisting(case_id: str, title: str, work: Callable[[], R]) -> R:
    """Do what rests on decisions; where they do not say so, the case is stopped and the supervisor told."""
    try:
        return work()
    except DecisionForged as forged:
        said = str(forged)
        in_transaction(lambda tx: stop(tx, lock_case(tx, case_id), title, said))
        raise


def _effect(name: str, title: str, verb: Callable[Concatenate[Tx, Case, P], R]) -> Callable[Concatenate[str, P], R]:
    """Make a verb happen once per case and arguments. Arguments must be ids, numbers or enum members."""
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
        return insisting(case_id, title, lambda: in_transaction(lambda tx: once(tx, case_id, args)))

    @functools.cache
    def task() -> Task[..., Any]:
        from prefect import Task
        from prefect.cache_policies import NO_CACHE

        return Task(
            fn=run,
            name=title,
            retries=len(RETRY_DELAYS),
            retry_delay_seconds=RETRY_DELAYS,
            cache_policy=NO_CACHE,
            persist_result=False,
            log_prints=False,
        )

    @functools.wraps(verb)
    def call(case_id: str, *args: P.args, **kwargs: P.kwargs) -> R:
        bound = signature.bind(None, None, *args, **kwargs)
        bound.apply_defaults()
        plain = tuple(bound.arguments.values())[2:]
        key = effect_key(case_id, name, *plain)
        if key in (kept := _kept.get()):
            return returned().validate_python(kept[key])
        if not in_a_run():
            return run(case_id, *plain)
        done = in_transaction(lambda tx: tx.get(Effect, key))
        if done is not None:
            return returned().validate_python(done.result)
        result: R = task()(case_id, *plain)  # type: ignore[assignment]
        return result

    call.effect_name = name  # type: ignore[attr-defined]
    return call


_kept: ContextVar[Mapping[str, Any]] = ContextVar("kept", default=MappingProxyType({}))
"""What effects returned that had been done when the telling of the story began, by their keys."""


@contextmanager
def remembered(case_id: str) -> Iterator[None]:
    """A story told again from the top: what it did before is read at once, and not effect by effect."""
    with reading() as tx:
        kept = {row.key: row.result for row in _done(tx, case_id)}
    token = _kept.set(kept)
    try:
        yield
    finally:
        _kept.reset(token)


@prepared
def _done(case_id: str) -> SelectOfScalar[Effect]:
    return select(Effect).where(Effect.case_id == case_id)


def happened(tx: Tx, case_id: str, verb: Callable[..., Any], *args: Any) -> bool:
    """Whether this effect has been done for the case, with exactly these arguments."""
    return tx.get(Effect, effect_key(case_id, verb.effect_name, *args)) is not None  # type: ignore[attr-defined]
