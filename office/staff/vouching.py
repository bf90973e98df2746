"""Vouching: who is given a key of their own to decide with, or given it back, is another supervisor's word, proved by a code.

Whoever has our shell and nobody's word enrols nobody. The first of all is a supervisor, whom nobody could vouch for; when no
other supervisor is left who can, a key is given without, and proves nothing weighty for a while (``staff.key_rest_hours``):
time and everybody's eyes stand in for the second person. Whatever is done is told: to whom it is about, over the channel of
their own, and to all supervisors.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from models.audit import AuditHead, Installation
from models.base import Frozen
from models.messages import Channel
from models.reviews import Role, Staff
from notifications.review import StaffChanged
from office.base.db import Tx
from office.record import outbox, standing
from office.staff import staff
from office.staff.staff import Enrolment, Proof

FOUNDED = "founded"
NO_WORD = "须由另一位主管核准:请用 --by 给出主管的工号,并输入其动态口令"
FIRST = "第一位登记的员工须有主管岗位:其他人由其核准登记"
OWN = "不能由本人核准自己,请由另一位主管核准"
STILL_OTHERS = "还有其他主管可以核准,请由其核准:"


class Word(Frozen):
    """On whose word something is done to somebody."""

    by: str = ""
    """A supervisor's id; empty where there was nobody to ask."""
    code: str = ""
    alone: bool = False
    """That no other supervisor is left is said on purpose."""


def enrol(tx: Tx, staff_id: str, name: str, roles: Sequence[Role], word: Word) -> tuple[Enrolment | None, str]:
    """What the person scans and no sentence, or nothing and why not; commit in either case."""
    known = tx.get(Staff, staff_id) is not None
    founds = _nobody_yet(tx)
    if founds and Role.SUPERVISOR not in roles:
        return None, FIRST
    if founds and not _founded(tx, staff_id):
        return None, NO_WORD
    if not founds and (sentence := _not_given(tx, staff_id, word)):
        return None, sentence
    enrolled = staff.enrol(tx, staff_id, name, list(roles), actor=_actor(word), rests=not founds)
    what = f"{'换发了验证器密钥' if known else '登记为员工'}({'、'.join(role.label for role in roles)})"
    _tell(tx, staff_id, what, word)
    return enrolled, ""


def restore(tx: Tx, staff_id: str, word: Word) -> str:
    """Take somebody back who was dismissed; the sentence why not."""
    if sentence := _not_given(tx, staff_id, word):
        return sentence
    staff.set_active(tx, staff_id, True, actor=_actor(word))
    _tell(tx, staff_id, "停用后恢复在岗", word)
    return ""


def dismiss(tx: Tx, staff_id: str, word: Word) -> str:
    """Let nobody act under this id any more: at once and on nobody's word, but for a supervisor's, on whom others' keys rest."""
    supervises = Role.SUPERVISOR in staff.find(tx, staff_id).roles
    if (supervises or word.by) and (sentence := _not_given(tx, staff_id, word)):
        return sentence
    staff.set_active(tx, staff_id, False, actor=_actor(word))
    _tell(tx, staff_id, "停用", word)
    return ""


def substitute(tx: Tx, staff_id: str, by_staff_id: str, until: datetime, word: Word) -> str:
    """Let a colleague answer what somebody who is away has claimed; the sentence why not."""
    if sentence := _not_given(tx, staff_id, word):
        return sentence
    staff.set_substitute(tx, staff_id, by_staff_id, until, actor=_actor(word))
    _tell(tx, staff_id, f"外出,由 {staff.find(tx, by_staff_id).name}({by_staff_id})代班", word)
    return ""


def _not_given(tx: Tx, staff_id: str, word: Word) -> str:
    """Why the word does not count."""
    if not word.by:
        others = [one.id for one in staff.with_role(tx, Role.SUPERVISOR) if one.id != staff_id]
        if not word.alone:
            return (
                NO_WORD if others else f"{NO_WORD};没有其他在岗的主管时,可加 --alone:新密钥要过一段时间才能办理重要事项"
            )
        return f"{STILL_OTHERS}{'、'.join(others)}" if others else ""
    if word.by == staff_id:
        return OWN
    proof: Proof = staff.prove(tx, word.by, word.code)
    if not proof.ok:
        return proof.sentence
    return "" if Role.SUPERVISOR in staff.find(tx, word.by).roles else "只有主管可以核准员工的登记、恢复与代班"


def _nobody_yet(tx: Tx) -> bool:
    """Whether nobody has ever been enrolled here, by row, by record or by our own note."""
    if tx.get(Installation, FOUNDED) is not None or tx.exec(select(Staff.id).limit(1)).first() is not None:
        return False
    return tx.exec(select(AuditHead.stream).where(col(AuditHead.stream).startswith("staff/")).limit(1)).first() is None


def _founded(tx: Tx, staff_id: str) -> bool:
    """Note that this is the first of all; ``False`` when somebody else became so at the same moment."""
    try:
        with tx.begin_nested():
            tx.add(Installation(key=FOUNDED, value=staff_id))
    except IntegrityError:
        return False
    return True


def _actor(word: Word) -> str:
    return f"staff/{word.by}" if word.by else "system"


def _tell(tx: Tx, staff_id: str, what: str, word: Word) -> None:
    person = staff.find(tx, staff_id)
    counts_from = staff.rested_at(tx, person.id) if person.active else None
    tell(tx, person, what, word.by, counts_from, others=() if word.by else _everybody(tx))


def tell(
    tx: Tx,
    person: Staff,
    what: str,
    by: str,
    counts_from: datetime | None = None,
    *,
    key: str = "动态口令",
    others: Sequence[str] = (),
) -> None:
    """Whom it is about and all supervisors hear what has become of somebody's keys or of where they are told things; ``by``
    is whose word it was, and ``key`` what counts from then on."""
    vouched = tx.get(Staff, by) if by else None
    told = StaffChanged(
        staff_id=person.id,
        staff_name=person.name,
        what=what,
        at=tx.now,
        key=key,
        counts_from=counts_from,
        by=f"{vouched.name}({vouched.id})" if vouched else "无人核准(命令行)",
    )
    people = {person.id, *(one.id for one in staff.with_role(tx, Role.SUPERVISOR)), *others}
    for audience in [Role.SUPERVISOR.value, *sorted(f"{outbox.PERSON}{one}" for one in people)]:
        name = f"staff:changed/{person.id}/{standing.noted(tx, person.id)}/{audience}"
        outbox.put(tx, name, Channel.STAFF, told.name, told.model_dump(mode="json"), audience=audience)


def _everybody(tx: Tx) -> list[str]:
    return list(tx.exec(select(Staff.id).where(col(Staff.active).is_(True))))
