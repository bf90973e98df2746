"""Seen: how far this machine has seen people's and the common chains go, in a file beside the settings that no database holds.

A chain that is whole and sealed may yet be one of last week, put back by SQL to bring a dismissed clerk back, or to have it
forgotten that the supervisor was told something. Whoever only
has the database cannot change what is remembered here. After a backup was restored on purpose the file is to be removed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from office.base.settings import settings
from office.base.whole import whole

logger = logging.getLogger("dianwu.seen")

Far = tuple[int, int, str]
"""The number of a chain in which the record goes on (1 for the first), its last line, and the hash of the very first line: by
it another database's people are told apart."""


def file() -> Path:
    return settings().home / "people-seen.json"


def far(staff_id: str) -> Far | None:
    """How far somebody's chain has been seen to go."""
    return _kept().get(staff_id)


def behind(staff_id: str, now: Far) -> bool:
    """Whether the chain ends before where it has been seen to end."""
    number, line, born = now
    seen_number, seen_line, seen_born = far(staff_id) or (0, 0, born)
    if born != seen_born:
        return number > 1
    return (number, line) < (seen_number, seen_line)


def note(found: Mapping[str, Far]) -> None:
    """Remember how far these go; whatever is remembered as further, of the same people, stays."""
    kept = _kept()
    news = {one: now for one, now in found.items() if kept.get(one) != now and not behind(one, now)}
    if news:
        try:
            with whole(file()) as draft:
                draft.write_text(json.dumps({**kept, **news}), encoding="utf-8")
        except OSError as fault:  # a full disk takes no one's work away; the next sweep tries again
            logger.warning("how far people's chains go could not be remembered: %s", fault)


def _kept() -> dict[str, Far]:
    try:
        stat = file().stat()
    except OSError:
        return {}
    return _read(file(), stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, number: int) -> dict[str, Far]:
    try:
        return {one: (row[0], row[1], row[2]) for one, row in json.loads(path.read_text(encoding="utf-8")).items()}
    except (OSError, ValueError, LookupError):
        return {}
