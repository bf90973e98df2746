"""Self-examination: the record, the books and the people are looked at by themselves, and the supervisor hears of it.

Every sweep looks at who may do what and at the audit lines written since the last; every night at all chains, a piece in
each sweep, and at the books. ``dianwu doctor`` runs beside the door. What was told once is not told again while it lasts.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from itertools import islice

from models.audit import Installation
from models.base import Frozen
from office.base.db import Tx, in_transaction, reading
from office.base.vault import keyed_hash, same
from office.record import alerts, chain_proof, counted, standing, unsent
from policies.policy import SHANGHAI
from tasks import agreement
from tasks.invoicing import freeze_proof
from tasks.payouts import contradictions
from tasks.shops import states
from tasks.sight import proof

logger = logging.getLogger("dianwu.examination")

LINES = 2_000
"""Fresh audit lines looked at in one sweep; more wait for the next."""
NIGHTLY_LINES = 20_000
"""Audit lines looked at in one sweep of the night's round."""
NIGHT = timedelta(hours=2)
"""After midnight in Shanghai: when the round begins."""
TOLD = 20
"""Findings named in one message; how many more there are is said."""

SHOPS, ALL = 200, "all"
"""Shops of earlier versions of which one sweep tells the record what they are; that the round is over."""
KEPT = 1_000
"""Findings kept of one round; a database with more of them needs no further one."""

CHAINS = "审计链"
BOOKS = "账簿"
_SUSPECT = "可能有人绕过系统改动了数据库。请运行 dianwu audit verify 查看全部，并与外部锚点核对（dianwu audit verify --against）。"
_WRONG = "请运行 dianwu books check 查看全部；查清之前不要手工改账。"


def examine() -> dict[str, int]:
    """What a sweep looks at; returns how much. Run twice it tells nothing twice.

    Each part by itself: whoever makes a row unreadable for one of them keeps no other from being looked at.
    """
    done: dict[str, int] = {}
    faults: list[Exception] = []
    for name, part in PARTS.items():
        try:
            done[name] = part() or 0
        except Exception as fault:  # raised below, when the others have had their turn
            logger.exception("%s could not be looked at", name)
            faults.append(fault)
    if faults:
        raise ExceptionGroup("parts of the self-examination failed", faults)
    return done


def _shops_of_before(tx: Tx) -> None:
    """A piece of the one round in which the record is told what shops of earlier versions are."""
    after = kept(tx, "shops_found")
    if after != ALL:
        after = states.note_found(tx, (after or ".").removeprefix("."), SHOPS)
        keep(tx, "shops_found", ALL if after is None else f".{after}")


def report(tx: Tx, area: str, where: str, found: Mapping[str, str], consequence: str) -> bool:
    """Tell the supervisor what is wrong in an area, unless it is the same that was told last; ``found`` by what names it.

    What is told next is compared with a keyed hash: whoever only has the database cannot make us think that it was told.
    """
    said = keyed_hash(f"{area}|{json.dumps(sorted(found))}") if found else ""
    row = tx.get(Installation, f"findings/{area}") or Installation(key=f"findings/{area}", value="")
    if row.value == said:
        return False
    row.value = said
    tx.add(row)
    if not found:
        return False
    lines = [f"- {sentence}" for sentence in islice(found.values(), TOLD)]
    more = [f"- 另有 {len(found) - TOLD} 处"] if len(found) > TOLD else []
    return alerts.tell(
        tx,
        f"{area}/{said[:16]}/{tx.now.isoformat()}",
        where=where,
        finding="\n".join(lines + more),
        consequence=consequence,
    )


def _report_chains(tx: Tx, area: str, sentences: Iterable[str]) -> None:
    report(tx, area, CHAINS, {sentence: sentence for sentence in sentences}, _SUSPECT)


def _fresh_lines(tx: Tx) -> int:
    """The lines written since the last look: each as it was written, and on the end of its chain."""
    before = int(kept(tx, "examined") or 0)
    last, looked, found = chain_proof.look_at(tx, after=before, limit=LINES)
    if looked:
        keep(tx, "examined", str(last))
        _report_chains(tx, "audit/fresh", [*found, *agreement.codes_used_twice(tx, before - LINES)])
    return looked


def _counts() -> int:
    """How many lines there are since the last night, and whether any is gone that was there a minute ago."""
    with reading() as tx:
        if (lately := counted.lately(tx)) is not None:
            return lately
        gone, at = counted.gone_since(tx)
        since = counted.recount(tx)
    if gone or since is None:

        def told(tx: Tx) -> counted.Since | None:
            if not (gone and counted.found_elsewhere(tx, gone)):
                counted.count(tx, gone, at)
                _report_chains(tx, "audit/counted", counted.said(gone, at))
            return counted.recount(tx)

        since = in_transaction(told)
    if since:
        counted.remember(since)
    return since.until[-1][1] if since else 0


def kept(tx: Tx, key: str) -> str | None:
    """How far we have come, if it was we who wrote it: nobody has us pass over anything by a row of theirs."""
    row = tx.get(Installation, key)
    value, _, seal = row.value.rpartition("|") if row else ("", "", "")
    return value if value and same(seal, keyed_hash(f"{key}|{value}")) else None


def keep(tx: Tx, key: str, value: str) -> None:
    row = tx.get(Installation, key) or Installation(key=key, value="")
    row.value = f"{value}|{keyed_hash(f'{key}|{value}')}"
    tx.add(row)


# ── the night's round ────────────────────────────────────────────────────────


class Round(Frozen):
    """How far the night's round has come."""

    day: date
    after: str = ""
    found: tuple[str, ...] = ()
    done: bool = False


def _nightly() -> int:
    """A piece of the night's round, where it is due: all chains in pieces, then the books."""
    with reading() as tx:
        today = (tx.now.astimezone(SHANGHAI) - NIGHT).date()
        value = kept(tx, "night")
        last = Round.model_validate_json(value) if value else None
        so_far = last if last and last.day == today else Round(day=today)
        if so_far.done:
            return 0
        found, after, looked = chain_proof.verify_part(tx, so_far.after, NIGHTLY_LINES)
        books = list(islice(_books(tx), KEPT)) if after is None else []
        told = {*counted.found_by_day(tx)} if after is None else set()
        rows = [one for one in islice(agreement.check(tx), KEPT) if one not in told] if after is None else []
    if after is None:
        unsent.look(unsent.OF_A_NIGHT)
    sentences = (*so_far.found, *found, *rows)[:KEPT]

    def ended(tx: Tx) -> None:
        if after is None:
            state = Round(day=today, done=True)
            _report_chains(tx, "audit", sentences)
            report(tx, "books", BOOKS, {sentence: sentence for sentence in books}, _WRONG)
            counted.count(tx)
        else:
            state = Round(day=today, after=after, found=sentences)
        keep(tx, "night", state.model_dump_json())

    in_transaction(ended)
    return looked


def _books(tx: Tx) -> Iterable[str]:
    yield from proof.check(tx)
    yield from freeze_proof.check(tx)


PARTS: Mapping[str, Callable[[], int | None]] = {
    "unsent": unsent.look,
    "alerts": lambda: in_transaction(alerts.told_again),
    "people": lambda: in_transaction(standing.check),
    "shops": lambda: in_transaction(_shops_of_before),
    "contradictions": lambda: in_transaction(contradictions.put_right),
    "lines": lambda: in_transaction(_fresh_lines),
    "counted": _counts,
    "nightly": _nightly,
}
"""Whatever makes itself heard comes first."""
