"""What was recorded, received and sent, line by line, as our people may read it."""

from __future__ import annotations

from datetime import UTC

from models.audit import AuditEntry
from models.messages import Channel, InboxMessage, OutboxMessage
from models.reviews import Role
from models.wire import INBOUND, OUTBOUND
from notifications.catalogue import MESSAGES, restore
from notifications.rendering import render
from office.base.db import Tx
from office.cases import bundles, merchants
from office.record import audit, outbox
from tasks.sight.merchant import staff_name
from tasks.sight.shown import AuditShown, MessageShown, ReceivedShown


def message_shown(row: OutboxMessage) -> MessageShown:
    """One outbox row as our people may read it: words are opened, an event's body (it may name a payee) is not."""
    subject, text, to = row.topic, "", row.audience
    match row.channel:
        case Channel.MERCHANT | Channel.STAFF:
            if row.topic in MESSAGES:  # an earlier version may have sent what this one has no words for
                words = render(restore(row.topic, outbox.body(row)), merchants.context())
                subject, text = words.subject, words.text
            to = _staff_audience(row.audience) if row.channel is Channel.STAFF else "商家"
        case Channel.EVENT:
            model = OUTBOUND.get(row.topic)
            subject, to = model.title() if model else row.topic, _ACTORS.get(to, to)
        case Channel.RUN:
            subject, to = "启动或唤醒案件运行", "Prefect"
    return MessageShown(
        key=row.key,
        channel=row.channel.label,
        to=to,
        to_merchant=row.channel is Channel.MERCHANT,
        topic=row.topic,
        subject=subject,
        text=text,
        state=row.state.label,
        attempts=row.attempts,
        created_at=row.created_at,
        closed_at=row.closed_at,
        note=bundles.shown(row.note),
    )


def _staff_audience(audience: str) -> str:
    if audience.startswith(outbox.PERSON):
        return f"本人（{audience.removeprefix(outbox.PERSON)}）"
    return Role(audience).label


def received_shown(row: InboxMessage) -> ReceivedShown:
    """One inbox row without its body."""
    model = INBOUND.get(row.type)
    return ReceivedShown(
        source=row.source,
        message_id=row.message_id,
        type=row.type,
        title=model.title() if model else row.type,
        received_at=row.received_at,
        sha256=row.body_sha256,
        state=row.state.label,
        note=row.note,
    )


def audit_lines(tx: Tx, stream: str) -> tuple[AuditShown, ...]:
    """A stream's lines, oldest first, with the people's names."""
    return tuple(shown_line(tx, line) for line in audit.timeline(tx, stream))


def shown_line(tx: Tx, line: AuditEntry) -> AuditShown:
    return AuditShown(
        seq=line.seq,
        at=line.at.astimezone(UTC),
        actor=line.actor,
        who=_who(tx, line),
        action=line.action,
        clause=line.clause,
        text=line.text,
        detail=line.detail,
        public=line.public,
        prev_hash=line.prev_hash,
        hash=line.hash,
    )


_ACTORS = {
    "system": "系统",
    "platform": "平台",
    "bank": "银行",
    "merchant": "商家",
    "terminal": "终端",
    "unproved": "未证明身份",
}


def _who(tx: Tx, line: AuditEntry) -> str:
    kind, _, who = line.actor.partition("/")
    if kind == "staff":
        return staff_name(tx, who)
    word = _ACTORS.get(kind, kind)
    return f"{word}({who})" if who else word
