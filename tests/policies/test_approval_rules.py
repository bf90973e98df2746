"""What an approval covers of what stands later (ambiguity 23)."""

from __future__ import annotations

from typing import Any

import pytest

from models.cases import Finding
from policies.approvals import News, Seen, all_hold, changes, covered, holds, unseen


def finding(code: str = "orders", **fields: Any) -> Finding:
    return Finding(code=code, clause="CLS-9", sentence=f"{code} {fields}", **{"blocking": True, **fields})


@pytest.mark.parametrize(
    ("now", "before", "seen"),
    [
        ({"extent": (2,)}, {"extent": (2,)}, True),
        ({"extent": (1,)}, {"extent": (2,)}, True),
        ({"extent": (3,)}, {"extent": (2,)}, False),
        ({"extent": (1, 101)}, {"extent": (2, 100)}, False),
        ({"extent": (1,)}, {"extent": (1, 1)}, False),
        ({"items": ("p-1",)}, {"items": ("p-1", "p-2")}, True),
        ({"items": ("p-3",)}, {"items": ("p-1", "p-2")}, False),
        ({"items": ("p-1",), "extent": (2,)}, {"items": ("p-1",), "extent": (1,)}, False),
        ({"value": 1}, {"value": 2}, True),
        ({"value": 3}, {"value": 2}, False),
        ({"value": "身份证明"}, {"value": "营业执照"}, False),
        ({"value": "营业执照"}, {"value": "营业执照"}, True),
        ({}, {}, True),
        ({"extent": (1, 0)}, {"extent": (1,)}, True),
        ({"extent": (1, 1)}, {"extent": (1,)}, False),
        ({"extent": (1,)}, {"extent": (1, 1)}, False),
        ({"extent": (1,)}, {}, False),
    ],
)
def test_a_finding_is_covered_by_what_was_seen_only_as_far_as_it_went(
    now: dict[str, Any], before: dict[str, Any], seen: bool
) -> None:
    assert covered(finding(**now), finding(**before)) is seen


def test_only_what_blocks_is_compared_and_what_has_gone_undoes_nothing() -> None:
    then = Seen.of({"amount": 1}, [finding("orders", value=1), finding("note", blocking=False)])
    now = Seen.of({"amount": 1}, [finding("other note", blocking=False)])
    assert [change.news for change in changes(then, now)] == [News.GONE]
    assert unseen(then, now) == () and holds(then.model_dump(mode="json"), now)


def test_terms_are_compared_as_they_come_back_from_the_database() -> None:
    shown = Seen.of({"ways": [("a", 1)], "shop": "CLOSED"})
    assert holds(shown.model_dump(mode="json"), Seen.of({"ways": (["a", 1],), "shop": "CLOSED"}))
    assert not holds(shown.model_dump(mode="json"), Seen.of({"ways": [["a", 2]], "shop": "CLOSED"}))


def test_everybody_must_have_seen_it_and_who_kept_nothing_has_seen_nothing() -> None:
    now = Seen.of({}, [finding(value=1)])
    shown = now.model_dump(mode="json")
    assert all_hold([shown, shown], now)
    assert not all_hold([shown, Seen.of({}).model_dump(mode="json")], now)
    assert not all_hold([shown, None], now)
