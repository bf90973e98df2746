"""Releasing what was drafted for every shop of a month or a half: the charts, the shops held out, what the second person reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from models.base import Frozen, Labelled
from models.cases import Case
from models.dossier import Block, Code, Items, Quote, Table, Text
from models.money import yuan
from models.reviews import Review
from models.text import shortened, unfit_reason
from office.base import bulk
from office.base.db import Tx, breathe, in_transaction, reading
from office.cases.gates import Answer, Dossier
from office.cases.reviews import decided
from office.record import audit
from office.record.decision_seals import DecisionForged
from office.staff import people

BAR = 24
"""Characters of the longest bar in a chart."""


class SecondRelease(Labelled):
    CONFIRM = "CONFIRM", "复核放行"
    REDRAFT = "REDRAFT", "重新起草"


class Page(Frozen):
    """A page in Markdown, under the key by which Prefect lists its versions."""

    key: str
    title: str
    markdown: str


# ── drafting in chunks ───────────────────────────────────────────────────────


def over_shops(cursor: str, draft_chunk: Callable[[Tx], int]) -> Iterator[tuple[int, int]]:
    """Draft chunk by chunk, on from the shop ``cursor``; yields how many shops are done and how many there are, before the
    first chunk and after each."""
    with reading() as tx:
        of = int(tx.execute(bulk.sql("SELECT COUNT(*) FROM shop")).scalar_one())
        until = {"cursor": cursor}
        done = int(tx.execute(bulk.sql("SELECT COUNT(*) FROM shop WHERE id <= :cursor"), until).scalar_one())
    yield done, of
    while shops := in_transaction(draft_chunk):
        done += shops
        yield done, max(of, done)
        breathe()


# ── what finance reads ───────────────────────────────────────────────────────


def bars(rows: Sequence[tuple[str, int, int]]) -> Table:
    """A bar chart in text, which every face of a case can show: a line for each label, its amount, and the last one's."""
    most = max((abs(fen) for _, fen, _ in rows), default=0) or 1
    lines = [
        (
            label,
            yuan(fen),
            yuan(before),
            f"{'▼' if fen < 0 else ''}{'█' * max(round(abs(fen) / most * BAR), 1 if fen else 0)}",
        )
        for label, fen, before in rows
    ]
    return Table.of(("项目", "金额", "上期", "图示"), lines, sums=(1, 2))


def change(now: int, before: int) -> str:
    """``+12.3%`` against the last one; a dash without one."""
    return f"{(now - before) / before * 100:+.1f}%" if before else "—"


def movers(rows: Sequence[tuple[str, str, int, int]], now: str) -> Table | Text:
    """The shops (id, name) whose amounts changed most; ``now`` is what this one's amount is called."""
    lines = [(f"{name}({shop})", yuan(fen), yuan(before), change(fen, before)) for shop, name, fen, before in rows]
    return Table.of(("店铺", now, "上期", "变化"), lines, sums=(1, 2, 3)) if lines else Text.of("(无)")


def anomalies_part(rows: Sequence[tuple[str, str, str]], counted: str, command: str) -> list[Block]:
    """What is odd (kind, shop, sentence), how often each kind, and the command that lists all."""
    if not rows:
        return [Text.of("没有发现异常。")]
    return [
        Text.of(f"{counted}(下表按金额最多列 50 项)"),
        Table.of(("异常", "店铺", "说明"), rows),
        Text.of("完整清单:", Code(text=command)),
    ]


def with_first(tx: Tx, case: Case, review: Review, base: Dossier, gate: str) -> Dossier:
    """What the second person reads besides: what the first said at ``gate`` and whom they held out."""
    first = decided(tx, case.id, gate, review.round)
    if first is None:
        return base
    held = [f"{shop}:{reason}" for shop, reason in read_holds(str(first.answer.get("hold", ""))).items()]
    said: list[Block] = [
        Quote.of(first.reason, f"{first.decided_by}:放行。"),
        Text.of("暂缓的店铺:"),
        Items.of(held) if held else Text.of("(无)"),
    ]
    return base.model_copy(update={"sheet": base.sheet.with_part("第一位放行人意见", *said)})


# ── shops held out ───────────────────────────────────────────────────────────


TOTALS = "totals_sha256"
"""Under which name the line that ends a draft says what its control totals are."""


def digest(totals: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(totals, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def as_drafted(tx: Tx, case: Case, totals: Mapping[str, Any]) -> None:
    """Raises ``DecisionForged`` where the totals are not those that were drafted last, or the case is stopped: what is paid in
    chunks stops with the next one."""
    if case.halted:
        raise DecisionForged(case.halted)
    said = [line.detail[TOTALS] for line in audit.found_whole(tx, case.id) if TOTALS in line.detail]
    if said and said[-1] != digest(totals):
        raise DecisionForged(f"{case.id}:控制总数不是起草时的总数")


def enough(case: Case, given: list[Review], eyes: int) -> list[Review]:
    """These decisions, if as many people as it takes have released; raises ``DecisionForged``."""
    if len(given) < eyes:
        raise DecisionForged(f"{case.id}:须由 {eyes} 人放行,只有 {len(given)} 人")
    return given


def lapsed(tx: Tx, case: Case, given: list[Review], clause: str) -> bool:
    """Whether somebody who released may not release any more: then it is drafted, and released, anew."""
    gone = people.lost(tx, given)
    if gone:
        text = "放行人已停用或不再有此岗位,重新起草后再放行"
        audit.record(tx, case.id, "release.lapsed", text=text, clause=clause, reviews=[review.id for review in gone])
    return bool(gone)


def hold_field(what: str, then: str) -> dict[str, Any]:
    """The field of the form in which shops are held out: ``what`` of them is put off, ``then`` says what becomes of it."""
    return {
        "hold": {
            "title": f"暂缓{what}的店铺",
            "type": "string",
            "maxLength": 20_000,
            "default": "",
            "format": "textarea",
            "description": f"每行一家,格式「店铺编号:理由」;其余照常{what},{then}",
        }
    }


def read_holds(text: str) -> dict[str, str]:
    """Shop → reason, from lines ``shop-1:理由``; a line without a reason has an empty one.

    A shop's id may hold colons, so the first full-width one divides, and without one the last of the others.
    """
    held = {}
    for line in text.splitlines():
        shop_id, _, reason = line.partition("\uff1a") if "\uff1a" in line else _at_last_colon(line)
        if shop_id.strip():
            held[shop_id.strip()] = reason.strip()
    return held


def _at_last_colon(line: str) -> tuple[str, str, str]:
    return line.rpartition(":") if ":" in line else (line, "", "")


def wrong_hold(given: Answer, drafted: Callable[[str], bool], what: str) -> str | None:
    """Why the shops held out are not right: each must have a draft and a reason."""
    for shop_id, reason in read_holds(str(given.extra.get("hold", ""))).items():
        shop = shortened(shop_id, 64)
        if sentence := unfit_reason(reason, f"暂缓店铺 {shop} 须写明理由,格式:店铺编号:理由"):
            return sentence if shop in sentence else f"暂缓店铺 {shop}:{sentence}"
        if not drafted(shop_id):
            return f"店铺 {shop} 本期没有可暂缓的{what}"
    return None
