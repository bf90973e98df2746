"""What still stands open when clearing has dragged on: two people may write it off, as far as both have seen (CLS-9, ambiguity 22)."""

from __future__ import annotations

from models.base import Labelled
from models.cases import Case, Finding
from models.dossier import Findings, Quote, Rows
from models.invoicing import ExitObligation
from models.reviews import Review, Role
from office.base.calendar import work_calendar
from office.base.db import Tx, reading
from office.cases import approvals, cases, deadlines, dossier
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.gates import Dossier, Gate
from office.cases.merchants import shop_of
from office.cases.reviews import decided, last_decider
from office.record import audit
from policies.approvals import Seen
from policies.deadlines import reckon
from policies.obstacles import NEVER_WRITTEN_OFF, Obstacle, forgiven_of
from tasks.closure.request import ClosureAsked
from tasks.closure.steps import CLEARING, remaining
from tasks.invoicing import exit_invoices
from tasks.shops.questions import shop_part

effect = effects_of("closures")


class StuckVerdict(Labelled):
    WAIT = "WAIT", "继续等待"
    WRITE_OFF = "WRITE_OFF", "核销未完事项"


class StuckSecondVerdict(Labelled):
    CONFIRM = "CONFIRM", "确认核销"
    REJECT = "REJECT", "不予核销,继续等待"


def stuck(tx: Tx, case: Case) -> list[Finding]:
    """What keeps the shop from being CLOSED and could be written off."""
    return [finding for finding in remaining(tx, case) if finding.code not in NEVER_WRITTEN_OFF]


def drags(case_id: str, turn: int) -> bool:
    """Whether clearing has lasted so many times the policy's window, and something stands open that could be written off."""
    with reading() as tx:
        case, clearing = cases.get(tx, case_id), deadlines.find(tx, case_id, CLEARING)
        if case.concluded_at is not None or case.withdrawn_at is not None or clearing is None:
            return False
        since = clearing.started_at
        for _ in range(turn):
            since = reckon(since, rules(case).closure.write_off_after, "CLS-9", work_calendar()).due
        return tx.now >= since and bool(stuck(tx, case))


@effect("核销清算未完事项")
def write_off(tx: Tx, case: Case, round: int) -> bool:
    """Written off is what both have seen, as far as it stands now; ``False`` when one has not seen it (ambiguity 23).

    Exit invoices are waived by it, as a supervisor alone may at any time: so it counts at the refund, too (CLS-8, REF-8).
    """
    given = approvals.insist(
        tx, case, round, (STUCK, StuckVerdict.WRITE_OFF), (STUCK_SECOND, StuckSecondVerdict.CONFIRM)
    )
    found = stuck(tx, case)
    if len(given) < 2 or not approvals.stand(tx, given, _seen(tx, case, found)):
        return False
    forgiven = {one.code: forgiven_of(one) for one in found}
    if Obstacle.EXIT_INVOICES in forgiven and tx.get(ExitObligation, case.id) is not None:
        exit_invoices.let_go(tx, case, str(given[-1].decided_by), given[-1].reason)
        del forgiven[Obstacle.EXIT_INVOICES]
    case.request = {**case.request, "written_off": {**ClosureAsked.of(case).extents, **forgiven}}
    tx.add(case)
    named = "、".join(Obstacle(one.code).label for one in found)
    audit.record(
        tx,
        case.id,
        "closure.written_off",
        clause="CLS-9",
        public=True,
        text=f"清算未完事项已由两人核销:{named}",
        written_off=forgiven,
        people=[str(review.decided_by) for review in given],
    )
    return True


def _seen(tx: Tx, case: Case, found: list[Finding]) -> Seen:
    return Seen.of({"shop": shop_of(tx, case).state}, found)


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, found = shop_of(tx, case), stuck(tx, case)
    clearing = deadlines.find(tx, case.id, CLEARING)
    first = decided(tx, case.id, STUCK.name, review.round) if review.gate == STUCK_SECOND.name else None
    said = Quote.of(first.reason, f"{first.decided_by}:核销未完事项。理由:") if first else None
    others = [finding for finding in remaining(tx, case) if finding.code in NEVER_WRITTEN_OFF]
    now = _seen(tx, case, found)
    return dossier.of(
        f"清算未完事项 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, {"shop": "店铺状态"})),
        ("可以核销的未完事项", Findings.of(found)),
        ("不能核销的事项", Findings.of(others) if others else None),
        ("清算", Rows.of({"开始时间": dossier.when(clearing.started_at if clearing else None)})),
        ("店铺", shop_part(tx, shop)),
        ("审核员意见", said),
        facts=now.terms,
        blocking=now.blocking,
    )


STUCK = Gate(
    name="clearing-stuck",
    title="清算未完事项处理",
    roles=(Role.CLOSURE_REVIEWER,),
    verdicts=StuckVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).closure.review_sla,
    clause="CLS-9",
    reason_required=frozenset({StuckVerdict.WRITE_OFF}),
    consequences={
        "WAIT": "不核销,清算继续等待其办结;仍未办结的,期满后再次询问",
        "WRITE_OFF": "由主管复核;核销后上列事项不再阻止关店完成,以所列数量和金额为限",
    },
)

STUCK_SECOND = Gate(
    name="clearing-stuck-second",
    title="清算核销复核",
    roles=(Role.SUPERVISOR,),
    verdicts=StuckSecondVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).closure.review_sla,
    clause="CLS-9",
    reason_required=frozenset(StuckSecondVerdict),
    consequences={"CONFIRM": "上列事项不再阻止关店完成,以所列数量和金额为限", "REJECT": "不核销,清算继续等待"},
    excluded=lambda tx, case: last_decider(tx, case, STUCK.name),
    rests_on=STUCK.name,
)
