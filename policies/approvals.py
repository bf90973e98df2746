"""Approvals: whether what somebody had before their eyes when they said yes is still all there is (ambiguity 23).

An approval holds for what was shown: the terms (what would be done, to whom, of how much) to the letter, and the
blocking findings as far as they went. One that appeared, grew or got worse since undoes it; one that shrank or has
gone does not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, Self

from pydantic import Field

from models.base import Frozen, Labelled
from models.cases import Finding


class Seen(Frozen):
    """What a person was shown, and what is so now, in the same words."""

    terms: dict[str, Any] = Field(default_factory=dict)
    """What the act would be: amounts, hashes of payees, states. Compared as JSON; nothing personal."""
    blocking: tuple[Finding, ...] = ()
    sum_fen: int | None = None
    """The amount that a list says it is about; no term."""
    papers: tuple[str, ...] = ()
    """The SHA-256 of each file that can be opened, for a list to count; no term."""

    @classmethod
    def of(cls, terms: Mapping[str, Any], findings: Iterable[Finding] = ()) -> Self:
        """As it is kept and compared: the terms as JSON gives them back, of the findings those that block."""
        plain = json.loads(json.dumps(terms, default=str))
        return cls(terms=plain, blocking=tuple(finding for finding in findings if finding.blocking))


class News(Labelled):
    APPEARED = "APPEARED", "新出现"
    WORSE = "WORSE", "有变化或加重"
    GONE = "GONE", "已消除"


class Change(Frozen):
    """One blocking finding that is not as it was. ``before`` is the sentence that was shown."""

    news: News
    sentence: str
    before: str = ""


def changes(seen: Seen, now: Seen) -> tuple[Change, ...]:
    """What is new among the blocking findings since somebody looked, what they never saw first."""
    found = []
    for finding in now.blocking:
        then = [before for before in seen.blocking if before.code == finding.code]
        if not then:
            found.append(Change(news=News.APPEARED, sentence=finding.sentence))
        elif not any(covered(finding, before) for before in then):
            found.append(Change(news=News.WORSE, sentence=finding.sentence, before=then[0].sentence))
    standing = {finding.code for finding in now.blocking}
    gone = [before for before in seen.blocking if before.code not in standing]
    return (*found, *(Change(news=News.GONE, sentence=before.sentence) for before in gone))


def covered(finding: Finding, before: Finding) -> bool:
    """Whether who saw ``before`` has seen all of ``finding``: none of its items is new, none of its numbers larger.

    A finding that names neither items nor an extent is the same only with the same value, or with a smaller number.
    """
    if not {*finding.items} <= {*before.items}:
        return False
    if finding.extent or before.extent:
        # counts by kind: of a kind that came with a later version there was none then
        return len(finding.extent) >= len(before.extent) and all(
            now <= then for now, then in zip_longest(finding.extent, before.extent, fillvalue=0)
        )
    if isinstance(finding.value, int) and isinstance(before.value, int):
        return finding.value <= before.value
    return bool(finding.items) or finding.value == before.value


def unseen(seen: Seen, now: Seen) -> tuple[Change, ...]:
    """The blocking findings that whoever saw ``seen`` has not seen as they stand now."""
    return tuple(change for change in changes(seen, now) if change.news is not News.GONE)


def other_terms(seen: Seen, now: Seen) -> tuple[str, ...]:
    """The names of the terms that are not as they were."""
    names = {*seen.terms, *now.terms}
    return tuple(sorted(name for name in names if seen.terms.get(name) != now.terms.get(name)))


def holds(shown: Mapping[str, Any] | None, now: Seen) -> bool:
    """Whether an approval given on what was ``shown`` (as the review keeps it) still holds.

    A decision of which nobody noted what it was shown holds for nothing: it is asked for again.
    """
    if shown is None:
        return False
    seen = Seen.model_validate(shown)
    return not unseen(seen, now) and not other_terms(seen, now)


def all_hold(shown: Iterable[Mapping[str, Any] | None], now: Seen) -> bool:
    """Whether everybody whose approval an act rests on has seen what stands at this moment."""
    return all(holds(one, now) for one in shown)
