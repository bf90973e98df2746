"""What the record says has become of a case's questions and answers: no row that SQL wrote withdraws, forgets or lifts anything.

The rows are what the office works with. Before one of them makes a difference (a question that counts as taken back, an
answer that waits, an objection that is gone) it is compared with the lines of the case's chain, as far as that is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from models.audit import AuditEntry
from models.cases import Case
from models.confirmations import Confirmation
from models.reviews import Review, ReviewState
from office.base.db import Tx
from office.cases.gates import OBJECTED, OPEN
from office.record import alerts, audit, decision_seals

BECAME = {
    "review.opened": ReviewState.PENDING,
    "review.forged": ReviewState.PENDING,
    "review.decided": ReviewState.DECIDED,
    "review.withdrawn": ReviewState.WITHDRAWN,
    "review.overtaken": ReviewState.SUPERSEDED,
}
"""Which lines about a question say what it is from then on."""
ENDED = "case.concluded"
TAKEN_BACK = "case.withdrawal"


def lines(tx: Tx, case: Case) -> list[AuditEntry]:
    """The case's lines, oldest first, of those of its chains that are whole."""
    return audit.found_whole(tx, case.id)


def became(said: Iterable[AuditEntry], review_id: str) -> tuple[ReviewState | None, AuditEntry | None]:
    """What a question is by these lines, and by which of them; nothing where none is about it."""
    state, by = None, None
    for line in said:
        if line.action in BECAME and line.detail.get("review") == review_id:
            state, by = BECAME[line.action], line
        elif line.action == ENDED and state in OPEN:
            state = ReviewState.WITHDRAWN
    return state, by


def objected(tx: Tx, case: Case, said: Sequence[AuditEntry] | None = None) -> AuditEntry | None:
    """The objection to a decision that counts already, over which no supervisor has let the case go on."""
    found, ended = None, False
    for line in lines(tx, case) if said is None else said:
        match line.action:
            case "case.concluded":
                ended = True
            case "case.state":
                ended = False
            case "case.retried":
                found = None
            case "review.disputed" if not ended and not line.detail.get("held"):
                found = line
    return found


def contrary(tx: Tx, case: Case) -> bool:
    """Whether an act was about to be done that somebody said no to, and nobody has let the case go on since."""
    found = False
    for line in lines(tx, case):
        found = line.action == "case.contrary" or (found and line.action != "case.retried")
    return found


def waits(tx: Tx, case: Case, held: Confirmation) -> bool:
    """Whether the record knows this answer as one that waits to be confirmed, and of no end of it."""
    open_ = False
    for line in lines(tx, case):
        about = line.detail.get("confirmation") == held.id
        if line.action == "review.held" and about:
            open_ = True
        elif (line.action in {"review.dropped", "review.decided"} and about) or (
            line.action == "review.disputed" and line.detail.get("held") and line.detail.get("review") == held.review_id
        ):
            open_ = False
    return open_


def as_opened(tx: Tx, case: Case, said: Sequence[AuditEntry]) -> None:
    """Have the case be that of the shop, and go by the rules and the time, that it was opened for; the supervisor hears of a
    difference."""
    opened = next((line.detail for line in said if line.action == "case.opened"), {})
    if "policy" not in opened or "received_at" not in opened:
        return
    was = {"policy_version": opened["policy"], "received_at": datetime.fromisoformat(opened["received_at"])}
    was |= {"shop_id": opened["shop"]} if "shop" in opened else {}  # which earlier versions did not record
    if wrong := [name for name, value in was.items() if getattr(case, name) != value]:
        tx.add(case.sqlmodel_update(was))
        tx.flush()
        alerts.altered(
            tx,
            f"opened/{case.id}/{tx.now.isoformat()}",
            where=f"案件 {case.id}",
            finding=f"案件在数据库中的{'、'.join(wrong)}与立案时留存的记录不符",
            done="已按留存记录恢复,并以此办理",
        )


def put_right(tx: Tx, case: Case, review: Review) -> None:
    """Have the case and its question be what the record says of them; the supervisor hears of it.

    A decision that was taken out of its row is put back, if the question is still the one it was given to; otherwise it
    is asked again. One that was written in is not looked at here: it lacks its seal.
    """
    said = lines(tx, case)
    as_opened(tx, case, said)
    if case.withdrawn_at is not None and said and not any(line.action == TAKEN_BACK for line in said):
        case.withdrawn_at = None
        tx.add(case)
        alerts.altered(
            tx,
            f"withdrawal/{case.id}/{tx.now.isoformat()}",
            where=f"案件 {case.id}",
            finding="案件在数据库中被写成商家已撤回,而留存记录中没有撤回",
            done="未予采信,案件继续",
        )
    state, by = became(said, review.id)
    if (
        review.state is ReviewState.DECIDED
        or review.state is state
        or (review.state in OPEN and (state or OPEN[0]) in OPEN)
    ):
        return
    if state is ReviewState.DECIDED and by is not None:
        _decided_again(tx, review, by)
    else:
        review.state = state or ReviewState.PENDING
        review.claimed_by = review.claimed_at = None
    tx.add(review)
    tx.flush()
    decision_seals.tell_changed(tx, case, review, "状态")


def _decided_again(tx: Tx, review: Review, by: AuditEntry) -> None:
    said = by.detail
    same = (said.get("revision"), said.get("shown_sha256")) == (review.revision, review.dossier_sha256)
    if not same or not decision_seals.question_holds(review):
        review.state = ReviewState.PENDING
        decision_seals.say(tx, review, decision_seals.NOTICE, review.unaccepted)
        return
    review.state, review.decided_by, review.decided_at = ReviewState.DECIDED, by.actor.removeprefix("staff/"), by.at
    review.verdict, review.reason, review.answer = said["verdict"], said["reason"], said["answer"]
    decision_seals.put(tx, review)


def check(rows: Sequence[tuple[str, str, str]], said: Sequence[AuditEntry]) -> Iterable[str]:
    """Questions (case, id, state) that are not what these lines say of them, a sentence each."""
    of_case: dict[str, list[AuditEntry]] = {}
    for line in said:
        of_case.setdefault(line.stream, []).append(line)
    for case_id, review_id, word in rows:
        state = ReviewState(word)
        recorded, _ = became(of_case.get(case_id, ()), review_id)
        if recorded is not state and not (state in OPEN and recorded in OPEN):
            yield f"{case_id}: question {review_id}: the row says {state}, the record {recorded or 'nothing of it'}"


def objection(line: AuditEntry) -> str:
    """Why an objection halts a case, as it stands with the case."""
    return f"{line.actor} 对本案{OBJECTED}"
