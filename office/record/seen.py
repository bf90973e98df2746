"""Seen: how far this machine has seen people's and the common chains go, and how many lines it has counted, in a file beside the
settings that no database holds.

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
from typing import Any

from office.base.settings import settings
from office.base.whole import whole

LINES = "/lines"
"""Under which name, no person's and no chain's, it is kept how many lines there were."""

logger = logging.getLogger("dianwu.seen")

Far = tuple[int, int, str]
"""The number of a chain in which the record goes on (1 for the first), its last line, and the hash of the very first line: by
it another database's people are told apart."""


def file() -> Path:
    return settings().home / "people-seen.json"


def far(staff_id: str) -> Far | None:
    """How far somebody's chain has been seen to go."""
    row = _kept().get(staff_id)
    return (row[0], row[1], row[2]) if row else None


def behind(staff_id: str, now: Far) -> bool:
    """Whether the chain ends before where it has been seen to end."""
    number, line, born = now
    seen_number, seen_line, seen_born = far(staff_id) or (0, 0, born)
    if born != seen_born:
        return number > 1
    return (number, line) < (seen_number, seen_line)


def note(found: Mapping[str, Far]) -> None:
    """Remember how far these go; whatever is remembered as further, of the same people, stays."""
    _keep({one: now for one, now in found.items() if far(one) != now and not behind(one, now)})


def lines() -> str | None:
    """How many lines of the record there were, in the words of who counted them."""
    return _kept().get(LINES)


def note_lines(counted: str) -> None:
    _keep({LINES: counted})


def _keep(news: Mapping[str, Far | str]) -> None:
    if news:
        try:
            with whole(file()) as draft:
                draft.write_text(json.dumps({**_kept(), **news}), encoding="utf-8")
        except OSError as fault:  # a full disk takes no one's work away; the next sweep tries again
            logger.warning("how far the record goes could not be remembered: %s", fault)


def _kept() -> dict[str, Any]:
    try:
        stat = file().stat()
    except OSError:
        return {}
    return _read(file(), stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=8)
def _read(path: Path, changed: int, number: int) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
