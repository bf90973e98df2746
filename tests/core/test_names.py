"""Names that stand in the databases of those who upgrade, and at the platform, neither disappear nor change."""

from __future__ import annotations

from tests.names import KEPT, names
from tests.previous import office as previous


def test_no_name_that_stands_in_a_database_or_at_the_platform_disappears() -> None:
    gone = set(KEPT.read_text(encoding="utf-8").split("\n")) - {*names(), ""}
    assert sorted(gone) == [], "open cases and other people know them"


def test_what_stands_in_an_office_of_the_previous_version_is_known() -> None:
    known, rows = {*names()}, previous.kept()["tables"]
    effects = {name.split()[1] for name in known if name.startswith("effect ")}
    assert {row["key"].split("/")[1] for row in rows["effect"]} <= effects
    assert {f"gate {row['gate']}" for row in rows["review"]} <= known
    assert {f"wait {row['kind']}" for row in rows["case_wait"]} <= known
    assert {f"message {row['topic']}" for row in rows["outbox"] if row["channel"] in {"MERCHANT", "STAFF"}} <= known
    assert {f"event out {row['topic']}" for row in rows["outbox"] if row["channel"] == "EVENT"} <= known
    assert {f"event in {row['type']}" for row in rows["inbox"] if row["source"] == "platform"} <= known
    assert {f"kind {row['kind']}" for row in rows["case"]} | {f"state {row['state']}" for row in rows["case"]} <= known
