"""The outbox: what must reach somebody, written with the change that causes it, delivered at least once."""

from __future__ import annotations

import hashlib
import re
import uuid
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, Update, bindparam, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from models.cases import Case
from models.messages import Channel, OutboxMessage, OutboxState
from office.base.db import Tx, prepared
from office.record import audit, envelopes

RUN, TAGS = "run", "tags"
"""What is told of a case's run: to start or wake up, to show anew whose question it is."""
TO_MERCHANT, COPY = "merchant:", "platform:message/"
"""How the keys of one message to a merchant begin: of what goes to them, and of its copy for their platform inbox."""
PERSON = "@"
"""How the audience of a message to one person begins, over a channel of their own."""
_WIRE_ID = re.compile(r"[A-Za-z0-9._:/-]{1,200}")
"""What the key of an event is made of: it leaves as its ``webhook-id``, and receivers refuse any other."""
MADE_WHEN_SENT = ""
"""What lies sealed in a bulk message: nothing. ``tasks.outbox_words`` makes its words from the statement as it leaves."""
HELD = "决定被提出异议,案件停止期间扣住不发"
PLANTED = "staff:integrity/planted/"
"""How the keys of alarms begin that say that a message was there, or went elsewhere, by somebody else's hand."""


def body(row: OutboxMessage) -> Any:
    """What lies sealed in a row; raises ``CannotUnseal``."""
    return envelopes.opened(row.key, row.payload_sealed)[0]


def written(tx: Tx, key: str) -> bool:
    """Whether a message of this key is there and it was we who wrote it: nobody keeps it from being written beforehand."""
    row = tx.exec(select(OutboxMessage).where(OutboxMessage.key == key)).first()
    return row is not None and envelopes.ours(row)


def put(
    tx: Tx,
    key: str,
    channel: Channel,
    topic: str,
    payload: Any,
    *,
    case: Case | None = None,
    shop_id: str | None = None,
    audience: str = "",
    not_before: datetime | None = None,
    wakes: bool = False,
    bundled: str = "",
) -> bool:
    """Write one message; ``False`` if it is there already (then nothing is written). One that is there and is not ours was
    put there to silence it: it is written in its place.

    ``wakes`` has the case's run woken when the message has left. ``bundled`` says with what it leaves: by itself it
    does not.
    """
    if channel is Channel.EVENT and not _WIRE_ID.fullmatch(key):
        raise ValueError(f"{key!r} cannot be a webhook-id: letters, digits and . _ : / - only")
    to: dict[str, Any] = {
        "channel": channel, "topic": topic, "audience": audience, "case_id": case.id if case else None,
        "shop_id": shop_id or (case.shop_id if case else None),
    }  # fmt: skip
    row: dict[str, Any] = {
        "key": key, **to, "payload_sealed": envelopes.sealed(key, payload, to, not_before or tx.now),
        "created_at": tx.now, "state": OutboxState.NEW, "attempts": 0, "next_at": not_before or tx.now, "note": "",
        "reached": [], "wakes": case.id if case and wakes else None, "closing_seal": None,
    }  # fmt: skip
    if bundled:
        row |= closed(tx, key, OutboxState.SKIPPED, bundled)
    tx.flush()
    if tx.connection().execute(_written_once(tx.postgres), row).first() is not None:
        return True
    if channel is Channel.RUN or written(tx, key):
        return False
    tx.execute(update(OutboxMessage).where(col(OutboxMessage.key) == key).values(row | {"leased_until": None}))
    tell_planted(tx, key, topic)
    return True


TABLE: Any = OutboxMessage.__table__  # type: ignore[attr-defined]
THIS = TABLE.c.key == bindparam("which")


@cache
def _written_once(postgres: bool) -> Executable:
    insert = (postgres_insert if postgres else sqlite_insert)(TABLE)
    return insert.on_conflict_do_nothing(index_elements=["key"]).returning(TABLE.c.id)


def tell_planted(tx: Tx, key: str, topic: str) -> None:
    """The supervisor hears that a message was there which we had not written; of an alarm of this kind, no further one."""
    from office.record import alerts  # an alarm is a message in the outbox

    if not key.startswith(PLANTED):
        alerts.tell(
            tx,
            f"planted/{hashlib.sha256(key.encode()).hexdigest()[:24]}/{tx.now.isoformat()}",
            where="发件箱",
            finding=f"消息「{topic}」({key})在写入之前已被人以同一编号写入数据库,内容或去向不是本系统所写。",
            consequence="已改为系统应发的内容,照常发送;请立即排查谁改动了数据库。",
        )


def wake(tx: Tx, case: Case) -> None:
    """Have the case's run started or woken. A wake-up not yet picked up serves for this one too."""
    if _not_picked_up(tx, case.id).first() is None:
        put(tx, f"run/{case.id}/{uuid.uuid4().hex}", Channel.RUN, RUN, {}, case=case)


@prepared
def _not_picked_up(case_id: str) -> SelectOfScalar[str]:
    return select(OutboxMessage.key).where(
        OutboxMessage.case_id == case_id,
        OutboxMessage.channel == Channel.RUN,
        OutboxMessage.topic == RUN,
        OutboxMessage.state == OutboxState.NEW,
        OutboxMessage.attempts == 0,
    )


def retag(tx: Tx, case: Case) -> None:
    """Have the run list show anew whose question the case is."""
    put(tx, f"tags/{case.id}/{uuid.uuid4().hex}", Channel.RUN, TAGS, {}, case=case)


CHANGED: Update = update(TABLE).where(THIS)


def closed(tx: Tx, key: str, state: OutboxState, note: str) -> dict[str, Any]:
    """What stands in the row of a message that has left, or will not."""
    return {"state": state, "closed_at": tx.now, "note": note, "closing_seal": envelopes.closing(key, state)}


def anew(tx: Tx) -> dict[str, Any]:
    """What stands in the row of a message that is to leave, from its first attempt on."""
    return {
        "state": OutboxState.NEW, "attempts": 0, "next_at": tx.now, "closed_at": None, "note": "", "closing_seal": None,
    }  # fmt: skip


def drop(tx: Tx, prefix: str, why: str) -> None:
    """Skip what has not left yet and whose key begins so: what it says is no longer true."""
    _skip(tx, why, col(OutboxMessage.key).startswith(prefix, autoescape=True))


def hold(tx: Tx, case: Case) -> None:
    """Keep back what the case says and orders to the outside and that has not left yet, until :func:`let_go`."""
    outside = col(OutboxMessage.channel).in_([Channel.EVENT, Channel.MERCHANT])
    _skip(tx, HELD, col(OutboxMessage.case_id) == case.id, outside)


def _skip(tx: Tx, why: str, *which: ColumnElement[bool]) -> None:
    waiting = col(OutboxMessage.state) == OutboxState.NEW, col(OutboxMessage.leased_until).is_(None)
    keys = list(tx.exec(select(OutboxMessage.key).where(*which, *waiting).with_for_update()))
    if keys:
        rows = [{"which": key, **closed(tx, key, OutboxState.SKIPPED, why)} for key in keys]
        tx.connection().execute(CHANGED, rows)


def let_go(tx: Tx, case: Case) -> None:
    """Have what was kept back leave, in the order in which it was written."""
    kept = col(OutboxMessage.case_id) == case.id, col(OutboxMessage.note) == HELD
    tx.execute(update(OutboxMessage).where(*kept).values(**anew(tx)))


def drop_reminders(tx: Tx, case_id: str, deadline: str, why: str) -> None:
    """Skip the merchant's reminders of a deadline that have not left yet: to their contacts, and to the platform."""
    for to in (TO_MERCHANT, COPY):
        drop(tx, f"{to}{case_id}/{deadline}/remind/", why)


def resend(tx: Tx, key: str, actor: str = "system") -> str:
    """Send a dead or skipped message again, from the first attempt; the sentence if it may not be.

    What an objection keeps back leaves when a supervisor lets the case go on, and not before.
    """
    row = tx.exec(select(OutboxMessage).where(OutboxMessage.key == key)).first()
    if row is None:
        return f"没有键为 {key} 的消息"
    if row.state not in {OutboxState.DEAD, OutboxState.SKIPPED}:
        return f"该消息的状态是「{row.state.label}」,只有投递失败或已跳过的消息可以重发"
    case = tx.get(Case, row.case_id) if row.case_id else None
    if row.note == HELD or (case is not None and case.halted):
        return f"案件 {row.case_id} 已停止,其消息不予重发;核实后执行 dianwu cases retry {row.case_id},扣住的随之发出"
    tx.add(row.sqlmodel_update(anew(tx)))
    audit.record(tx, row.case_id or "system", "outbox.resent", actor=actor, text=f"重新投递:{row.topic}", key=key)
    return ""
