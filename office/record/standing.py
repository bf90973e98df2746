"""Standing: what somebody may do is what was last recorded about them, whatever their row in the database says.

Every enrolment, dismissal and substitution writes the whole standing into the person's audit chain, whose end is sealed
with a key that the database does not hold. Before a role, a code or a substitution counts, the row is compared with it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any

from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.audit import AGAIN, AuditEntry, AuditHead
from models.base import Frozen
from models.reviews import Staff
from office.base.db import Tx, prepared
from office.base.vault import CannotUnseal, keyed_hash, opened, opened_json
from office.record import alerts, audit, seen

REFUSAL = "工号的登记信息与留存记录不一致,已停止受理并已通知主管;请联系主管核实后重新登记"


class Standing(Frozen):
    """What was recorded. ``None`` is what earlier versions did not record."""

    roles: tuple[str, ...] = ()
    active: bool = False
    key: str | None = None
    """A keyed hash of the secret their codes are made from."""
    substitute: tuple[str, str] | None = None
    """Who stands in for them, and until when; two empty words for nobody."""
    contact: str | None = None
    """A keyed hash of where they alone hear what is recorded in their name; empty for nowhere."""


def of_row(person: Staff) -> Standing:
    """What the row says. Raises ``CannotUnseal``."""
    secret, contacts = opened(person, "totp_sealed"), opened_json(person, "contact_sealed")
    until = person.away_until.isoformat() if person.away_until else ""
    return Standing(
        roles=tuple(sorted(person.roles)),
        active=person.active,
        substitute=(person.substitute_id or "", until),
        key=keyed_hash(f"staff/{person.id}/totp|{secret}")[:32] if secret else "",
        contact=keyed_hash(f"staff/{person.id}/contact|{json.dumps(contacts)}")[:32] if contacts else "",
    )


def note(tx: Tx, person: Staff, action: str, text: str, **detail: Any) -> None:
    """Record what has become of somebody, with their whole standing from now on."""
    audit.record(tx, f"staff/{person.id}", action, text=text, standing=of_row(person).model_dump(mode="json"), **detail)


def doubt(tx: Tx, person: Staff) -> str | None:
    """What contradicts the record, in a word or two of Chinese; ``None`` when nothing does."""
    return doubts(tx, [person])[person.id]


def doubts(tx: Tx, people: Sequence[Staff]) -> dict[str, str | None]:
    """The same of many: the ends of all their chains are read together, however many people there are."""
    ends = _ends(tx, [person.id for person in people])
    return {person.id: _against(person, _recorded(tx, ends.get(person.id)).standing) for person in people}


def _against(person: Staff, recorded: Standing | None) -> str | None:
    if recorded is None:
        return "没有可信的登记记录"
    try:
        here = of_row(person)
    except CannotUnseal:
        return "动态口令密钥或本人联系方式"
    wrong = [
        word
        for word, mine, noted in (
            ("岗位", here.roles, recorded.roles),
            ("在岗状态", here.active, recorded.active),
            ("动态口令密钥", here.key, recorded.key),
            ("代班人", here.substitute, recorded.substitute),
            ("本人联系方式", here.contact, recorded.contact),
        )
        if noted is not None and mine != noted
    ]
    return "、".join(wrong) or None


def refusal(tx: Tx, person: Staff) -> str | None:
    """Why nothing this person does can be taken now; it is recorded and the supervisor told, once per finding."""
    found = doubt(tx, person)
    if found is None:
        return None
    row = f"{person.roles}|{person.active}|{person.totp_sealed}|{person.substitute_id}|{person.away_until}|{person.contact_sealed}"
    told = alerts.tell(
        tx,
        f"standing/{person.id}/{found}/{hashlib.sha256(row.encode()).hexdigest()[:24]}",
        where=f"员工 {person.id}",
        finding=f"{person.name}({person.id})的{found}与登记时留存的记录不一致:有人绕过系统改动了数据库。",
        consequence="该工号的答复、认领与审批一律不受理。请核实本人后由另一位主管用 dianwu staff enrol --rotate 重新登记,并排查谁改动了数据库。",
    )
    if told:
        audit.record(tx, f"staff/{person.id}", "staff.doubted", text=f"{found}与登记记录不一致,停止受理")
    return REFUSAL


def noted(tx: Tx, staff_id: str) -> str:
    """Which line of their chain says last what they are: another after every change."""
    head = _ends(tx, [staff_id]).get(staff_id)
    return f"{head.stream}/{head.seq}" if head else ""


def key_since(tx: Tx, staff_id: str) -> datetime | None:
    """Since when the record lets somebody prove themselves by the secret they have; nothing for one that need not rest."""
    return _recorded(tx, _ends(tx, [staff_id]).get(staff_id)).key_since


def check(tx: Tx) -> None:
    """Compare everybody, so that a change is heard of before it is used."""
    for stream in remember(tx):
        alerts.altered(
            tx,
            f"gone/{stream}/{tx.now:%Y-%m-%d}",
            where=f"审计链 {stream}",
            finding=f"审计链 {stream} 已被整条删去",
            done="其后的记录另起一条",
        )
    audit.look_after_common(tx)
    for staff_id, stream in gaps(tx):
        alerts.tell(
            tx,
            f"gap/{stream}/{tx.now:%Y-%m-%d}",
            where=f"员工 {staff_id} 的审计链",
            finding=f"审计链 {stream} 已被人从数据库中删去,而其后的记录还在:有人绕过系统改动了数据库。",
            consequence=f"{staff_id} 仍以最后的留存记录为准;不被受理的,请核实本人后由另一位主管用 dianwu staff enrol --rotate 重新登记。"
            "请立即排查谁改动了数据库。",
        )
    for person in tx.exec(select(Staff).order_by(col(Staff.id))):
        refusal(tx, person)


def gaps(tx: Tx) -> list[tuple[str, str]]:
    """People of whose record a part was taken away that later ones follow, each with the first such part's name."""
    found: dict[str, set[int]] = {}
    for stream in tx.exec(select(AuditHead.stream).where(col(AuditHead.stream).like(f"staff/%{AGAIN}%"))):
        staff_id, _, number = stream.removeprefix("staff/").partition(AGAIN)
        found.setdefault(staff_id, set()).add(int(number))
    return [
        (staff_id, f"staff/{staff_id}{AGAIN}{missing}")
        for staff_id, numbers in sorted(found.items())
        for missing in [min({*range(2, max(numbers))} - numbers, default=None)]
        if missing
    ]


def remember(tx: Tx) -> list[str]:
    """Have this machine remember how far everybody's chain goes by now, and the common ones; before anything is written in the
    transaction. Returns which common ones are gone, if the people are those that were seen before: it is this database's."""
    ends = _ends(tx, list(tx.exec(select(Staff.id))))
    read = {staff_id: (head, _of_chain(tx, head)) for staff_id, head in ends.items() if audit.sealed(head)}
    before = {one: seen.far(one) for one in read}
    known = any(far is not None and far[2] == read[one][1].born for one, far in before.items())
    gone = audit.common_gone(tx) if known else []
    people = {one: audit.far(head, said.born) for one, (head, said) in read.items() if said.born}
    seen.note(people | audit.common_ends(tx))
    return gone


def bound(person: Staff, *parts: str) -> str:
    """What ties a session to its person's roles and key as they are, and to itself: nobody writes one for a colleague, as
    the database does not hold the key of it."""
    return keyed_hash(f"session|{json.dumps([person.id, *sorted(person.roles), person.totp_sealed, *parts])}")


# ── the record ───────────────────────────────────────────────────────────────


class Recorded(Frozen):
    """What a person's chain says of them."""

    standing: Standing | None = None
    key_since: datetime | None = None
    held: frozenset[str] = frozenset()
    """Keys, sessions and invitations that were given to them, and of whose end nothing is said."""
    born: str = ""
    """The hash of the very first line about them; empty where the chain is not whole."""


GIVEN = {
    "passkey.invited": "invitation",
    "passkey.enrolled": "credential",
    "desk.opened": "session",
    "session.opened": "session",
}
ENDED = {
    "passkey.enrolling": "invitation",
    "passkey.ended": "credential",
    "desk.closed": "session",
    "session.closed": "session",
}
"""Which lines begin and end what somebody holds, and where they name it."""

_read: dict[tuple[str, str], Recorded] = {}
"""What chains say that were read already, by their sealed end. An end that is the same says the same."""
_KEPT = 1000


def holds(tx: Tx, staff_id: str, what: str) -> bool:
    """Whether the record says that this key, session or invitation was given to this person and has not been ended: no
    row that SQL wrote, or opened again, counts."""
    return what in _recorded(tx, _ends(tx, [staff_id]).get(staff_id)).held


def stands(tx: Tx, person: Staff, what: str) -> bool:
    """Both at once: nothing contradicts the record of this person, and it knows this key, session or invitation as theirs."""
    recorded = _recorded(tx, _ends(tx, [person.id]).get(person.id))
    return _against(person, recorded.standing) is None and what in recorded.held


def tell_revived(tx: Tx, staff_id: str, what: str, named: str) -> None:
    """Somebody used what the record says has ended or was never given; the supervisor is told, once."""
    alerts.tell(
        tx,
        f"revived/{what}",
        where=f"员工 {staff_id}",
        finding=f"{staff_id} 的{named}在数据库中是有效的,而留存记录中已结束或从未登记:有人绕过系统改动了数据库。",
        consequence="未予采信。请核实本人,并排查谁改动了数据库。",
    )


def _ends(tx: Tx, staff_ids: Sequence[str]) -> dict[str, AuditHead]:
    """The end of each one's chain, or of the last in which it goes on because it was broken: one that was taken away from
    between keeps nobody out."""
    found: dict[str, AuditHead] = {}
    names = {f"staff/{staff_id}": staff_id for staff_id in staff_ids}
    going_on = list(staff_ids)
    for start in count(2, audit.AHEAD):
        numbers = range(start, start + audit.AHEAD)
        names |= {f"staff/{staff_id}{AGAIN}{number}": staff_id for staff_id in going_on for number in numbers}
        heads = list(_heads(tx, list(names)))
        for head in sorted(heads, key=lambda head: audit.far(head, "")[0]):
            found[names[head.stream]] = head
        going_on, names = sorted({names[head.stream] for head in heads if AGAIN in head.stream}), {}
        if not going_on:
            return found
    raise AssertionError("unreachable")


@prepared
def _heads(streams: Sequence[str]) -> SelectOfScalar[AuditHead]:
    return select(AuditHead).where(col(AuditHead.stream).in_(streams))


def _recorded(tx: Tx, head: AuditHead | None) -> Recorded:
    """What was last recorded in a chain that is whole and sealed; nothing when there is none to rely on."""
    if head is None or not audit.sealed(head):
        return Recorded()
    found = _of_chain(tx, head)
    return Recorded() if seen.behind(audit.remembered_as(head.stream), audit.far(head, found.born)) else found


def _of_chain(tx: Tx, head: AuditHead) -> Recorded:
    end = (head.stream, head.seal)
    if end not in _read:
        if len(_read) >= _KEPT:
            _read.clear()
        lines = audit.whole(tx, head.stream) or []
        _read[end] = _told_by(lines).model_copy(update={"born": audit.born(tx, head.stream) if lines else ""})
    return _read[end]


def _told_by(lines: Sequence[AuditEntry]) -> Recorded:
    found: Standing | None = None
    since: datetime | None = None
    held: set[str] = set()
    for line in lines:
        before, found = found, _after(found, line)
        if found is not None and _another_key(before, found):
            since = line.at if line.detail.get("rests", True) else None
        if name := GIVEN.get(line.action):
            held.add(str(line.detail.get(name)))
        if name := ENDED.get(line.action):
            held.discard(str(line.detail.get(name)))
    return Recorded(standing=found, key_since=since, held=frozenset(held))


def _another_key(before: Standing | None, after: Standing) -> bool:
    """Whether somebody may prove themselves by what they could not before; earlier versions noted no secret."""
    if before is None or not before.active:
        return after.active
    return before.key is not None and after.key != before.key


def _after(before: Standing | None, line: AuditEntry) -> Standing | None:
    """The standing after a line; earlier versions wrote only what a line was about."""
    if "standing" in line.detail:
        return Standing.model_validate(line.detail["standing"])
    match line.action:
        case "staff.enrolled":
            return Standing(roles=tuple(sorted(line.detail["roles"])), active=True)
        case "staff.active" if before is not None:
            return before.model_copy(update={"active": bool(line.detail["active"])})
        case _:
            return before
