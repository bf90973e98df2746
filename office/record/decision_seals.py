"""Seals on questions and decisions: what was asked, of whom, and what they decided, counts as it was written by us.

The seals are made with a key that the database does not hold, where we ask and in the update that decides. Whoever writes a
decision into the table, or lets themselves answer what they may not, cannot make them; then the question is asked anew, and
the supervisor hears of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from models.cases import Case
from models.reviews import Review, ReviewState
from office.base.db import Tx
from office.base.vault import keyed_hash, same
from office.record import alerts, audit

NOTICE = "此前记录的决定没有可信的来源,已作废并通知主管;请核对材料后重新决定"
ASKED_ANEW = "本任务的内容或处理资格在数据库中被绕过系统改动,已恢复并通知主管;请核对以下内容后重新决定"
REFUSAL = "本任务在数据库中被绕过系统改动,恢复之前不受理;请稍后再试"


class DecisionForged(RuntimeError):
    """A decision that is relied on is not the one that was made, or not the one it is taken for; the case goes no further."""


def seal(
    review_id: str, by: str | None, verdict: str | None, reason: str, answer: dict[str, Any], revision: int
) -> str:
    """Over everything that follows from a decision."""
    return keyed_hash(
        json.dumps([review_id, by, verdict, reason, answer, revision], ensure_ascii=False, sort_keys=True)
    )


def put(tx: Tx, review: Review) -> None:
    """Seal what was decided just now, as the database gives it back."""
    review.decision_seal = _seal_of(review)
    tx.add(review)


def holds(review: Review) -> bool:
    """Whether the decision in this row was made by the judge of answers on what we asked, and is as it was made."""
    return question_holds(review) and same(review.decision_seal, _seal_of(review))


def _seal_of(review: Review) -> str:
    return seal(review.id, review.decided_by, review.verdict, review.reason, review.answer, review.revision)


def question_seal(
    review_id: str,
    case_id: str,
    gate: str,
    round: int,
    seat: int,
    roles: Sequence[str],
    excluded: Sequence[str],
    verdicts: Sequence[str],
    appointed: Sequence[str] | None,
    revision: int,
    dossier_sha256: str,
    facts_sha256: str,
    seen: dict[str, Any] | None,
) -> str:
    """Over what is asked, who may answer it with which verdicts, and what they are shown."""
    parts = [
        review_id, case_id, gate, round, seat, list(roles), list(excluded), list(verdicts), appointed and list(appointed),
        revision, dossier_sha256, facts_sha256, seen,
    ]  # fmt: skip
    return keyed_hash(f"question|{json.dumps(parts, ensure_ascii=False, sort_keys=True)}")


def put_question(tx: Tx, review: Review) -> None:
    """Seal what is asked, as it stands in the row."""
    review.question_seal = _question_of(review)
    tx.add(review)


def question_holds(review: Review) -> bool:
    """Whether what is asked, of whom and on what facts, and what is said above it, is what we wrote; the text itself:
    :func:`text_holds`. Earlier versions sealed nothing of what is said above."""
    return same(review.question_seal, _question_of(review)) or same(review.question_seal, _without_notice(review))


def say(tx: Tx, review: Review, notice: str, unaccepted: dict[str, Any] | None) -> None:
    """Put above the question why it is asked again, and what was filled in; one that SQL has changed stays to be put right."""
    ours = question_holds(review)
    review.notice, review.unaccepted = notice, unaccepted
    tx.add(review)
    if ours:
        put_question(tx, review)


def once_decided(review: Review) -> str:
    """The seal of a question from which what was said above it is taken, because it is decided."""
    return _noticed(_without_notice(review), "", None)


def text_holds(review: Review) -> bool:
    """Whether the dossier in the row is the one that was put there."""
    return hashlib.sha256(review.dossier.encode()).hexdigest() == review.dossier_sha256


def _question_of(review: Review) -> str:
    return _noticed(_without_notice(review), review.notice, review.unaccepted)


def _noticed(question: str, notice: str, unaccepted: dict[str, Any] | None) -> str:
    return keyed_hash(f"noticed|{question}|{json.dumps([notice, unaccepted], ensure_ascii=False, sort_keys=True)}")


def _without_notice(review: Review) -> str:
    return question_seal(
        review.id,
        review.case_id,
        review.gate,
        review.round,
        review.seat,
        review.roles,
        review.excluded,
        review.verdicts,
        review.appointed,
        review.revision,
        review.dossier_sha256,
        review.facts_sha256,
        review.seen,
    )


def tell_changed(tx: Tx, case: Case, review: Review, what: str) -> None:
    """Somebody has changed a question in the database: on the record, and to the supervisor."""
    audit.record(
        tx,
        case.id,
        "review.tampered",
        text=f"库中的审核任务({what})不是本系统所写,已恢复并重新展示",
        review=review.id,
        revision=review.revision,
    )
    alerts.altered(
        tx,
        f"question/{review.id}/{review.revision}",
        where=f"案件 {case.id} 的审核任务",
        finding=f"审核任务 {review.id} 的{what}在数据库中与系统所写不一致",
        done="任务已按规则恢复并重新展示,此前的任命与认领已失效",
    )


def insist(review: Review) -> Review:
    if not holds(review):
        raise DecisionForged(f"{review.id}: the decision is not the one that was recorded")
    return review


def stop(tx: Tx, case: Case, act: str, said: str) -> None:
    """An act was about to be done that nobody has decided so: the case goes no further until a supervisor has looked."""
    case.halted = said
    tx.add(case)
    audit.record(tx, case.id, "case.contrary", text=f"未执行「{act}」,案件已停止:{said}")
    alerts.tell(
        tx,
        f"contrary/{case.id}/{act}/{tx.now.isoformat()}",
        where=f"案件 {case.id} 的决定",
        finding=f"将要执行「{act}」,而留存的决定与之不符({said}):可能有人绕过系统改动了数据库。",
        consequence=f"没有执行,案件已停止;请立即排查谁改动了数据库,查清后用 dianwu cases retry {case.id} 继续。",
    )


def reopen(tx: Tx, case: Case, review: Review) -> None:
    """Nobody has decided this: ask again, and tell."""
    said = f"{review.decided_by}:{review.verdict}"
    say(tx, review, NOTICE, None)
    review.state, review.decided_by, review.verdict, review.decided_at = ReviewState.PENDING, None, None, None
    review.reason, review.answer, review.decision_seal = "", {}, None
    review.claimed_by = review.claimed_at = None
    tx.flush()
    audit.record(tx, case.id, "review.forged", text=f"库中的决定({said})没有封印,不予采信,重新提问", review=review.id)
    alerts.altered(
        tx,
        f"decision/{review.id}/{tx.now.isoformat()}",
        where=f"案件 {case.id} 的决定",
        finding=f"审核任务 {review.id} 在数据库中被写成已决定({said}),但没有本系统的封印",
        done="该决定不予采信,任务已重新打开等待处理",
    )
