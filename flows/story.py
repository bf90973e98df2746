"""What every story shares: a run begins by looking whether the case still needs it, and a pause ends the run.

``@story(...)`` makes a Prefect flow of a function of a case id. Played without Prefect (in a test), the same
function runs as plain Python and ends with :class:`Resting` where Prefect would suspend the run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from prefect import Flow
from prefect.context import FlowRunContext
from pydantic import Field

from models.cases import Case, CaseKind
from office.base.db import Tx, in_transaction, reading
from office.cases import alarms
from office.cases.effects import remembered
from office.cases.locks import lock_case
from office.runs import shown_forms, strays
from tasks.processes import open_office


def shown_as(title: str, description: str) -> Any:
    """What a parameter is called where operators start a run; Prefect overwrites a field's own title and description."""
    return Field(json_schema_extra={"title": title, "description": description})


CaseId = Annotated[str, shown_as("案件编号", "例如 CLS-261122-7K3QM9；由系统填写，请勿手工发起")]
Story = Callable[[str], None]
"""Tells a case to its end. What that end was stands with the case and is told nowhere a second time."""


class Resting(BaseException):
    """The case waits, and nothing is left to run. Like Prefect's own Pause, no error and not to be caught as one."""


def story(kind: CaseKind, description: str) -> Callable[[Story], Flow[[str], str]]:
    """Make a story a flow named after its kind; ``description`` is what operators read in the Prefect UI."""

    def decorate(tell: Story) -> Flow[[str], str]:
        def run(case_id: CaseId) -> str:
            open_office()
            if ended := _begin(case_id, kind):
                if elsewhere := _own_run(case_id):
                    strays.collect(elsewhere, case_id)
                return ended
            try:
                with remembered(case_id):
                    tell(case_id)
            finally:
                if FlowRunContext.get() is not None:
                    shown_forms.clear_judged(case_id)
            return _ending(case_id)

        run.__module__, run.__qualname__, run.__name__ = tell.__module__, tell.__qualname__, tell.__name__
        run.__doc__ = tell.__doc__
        return Flow(run, name=kind.value, description=description, persist_result=False)

    return decorate


def _own_run(case_id: str) -> str | None:
    """This run, if the case is carried by another one: what was answered here must not be lost in silence."""
    context = FlowRunContext.get()
    run_id = str(context.flow_run.id) if context and context.flow_run else None
    with reading() as tx:
        case = tx.get(Case, case_id)
    return run_id if run_id and (case is None or case.run_id != run_id) else None


def _ending(case_id: str) -> str:
    """How the case ended: what the run reports. A story that ends before its case is a bug."""
    with reading() as tx:
        case = tx.get_one(Case, case_id)
    if case.outcome is None:
        raise RuntimeError(f"{case_id}: the story has ended and its case has not")
    return case.outcome


def _begin(case_id: str, kind: CaseKind) -> str | None:
    """Note that this run carries the case now; the reason to stop at once if it should not.

    Whoever reaches Prefect's API can start any story for any case: another kind's is not told.
    """
    context = FlowRunContext.get()
    run_id = str(context.flow_run.id) if context and context.flow_run else None

    def work(tx: Tx) -> str | None:
        case = lock_case(tx, case_id)
        if case.kind is not kind:
            alarms.raise_alarm(
                tx,
                "run.wrong_story",
                f"有人以「{kind.label}」的流程去办一件{case.kind.label}案件，未予执行",
                kind="wrong-story",
                matter=f"案件 {case_id}",
                done="若非本团队操作，说明有人能使用 Prefect 接口，请核实并更换其口令。",
                case=case,
            )
            return f"{case_id} 不是{kind.label}案件"
        if case.concluded_at is not None:
            return f"案件已办结：{case.outcome}"
        if run_id and case.run_id and case.run_id != run_id:
            return f"案件由另一次运行承载：{case.run_id}"
        if run_id and case.run_id is None:
            case.run_id, case.run_attempt = run_id, max(case.run_attempt, 1)
        case.run_seen_at = tx.now
        tx.add(case)
        return None

    return in_transaction(work)
