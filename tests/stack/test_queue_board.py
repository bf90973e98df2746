"""The queue in a real Prefect: one artifact, always the same one, that follows what waits for people."""

from __future__ import annotations

import re
from uuid import UUID

import httpx
import pytest
from prefect.client.schemas.filters import (
    ArtifactCollectionFilter,
    ArtifactCollectionFilterKey,
    ArtifactFilter,
    ArtifactFilterKey,
)

from models.cases import Case
from models.reviews import Role
from office.base.db import in_transaction
from office.cases import hands, links, reviews
from office.runs import engine
from ops.rehearsal import Rehearsal
from ops.scenes.stage import ask_to_close, register
from tasks.sight import board

pytestmark = pytest.mark.engine
SHOPS = ("shop-board-1", "shop-board-2")

KEY = links.board_key(Role.CLOSURE_REVIEWER)


def page() -> tuple[str, str, int] | None:
    """Id and text of the closure reviewers' page, and how many artifacts have its key."""
    latest = engine.client().read_latest_artifacts(
        artifact_filter=ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[KEY]))
    )
    every = engine.client().read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[KEY])))
    return (str(latest[0].latest_id), str(latest[0].data), len(every)) if latest else None


def until(stage: Rehearsal, cases: list[str]) -> tuple[str, str, int]:
    """Wait until the page lists of this test's shops just these cases as waiting, in this order, each with a link."""

    def shown() -> tuple[str, str, int] | None:
        ours = {case for shop_id in SHOPS for case in stage.cases_of(shop_id, "closure")}
        found = page()
        waiting = found[1].partition("#### 今日已决定")[0] if found else ""
        listed = [case for case in re.findall(r" · ([A-Z]+-\d{6}-\w{6})\]\(", waiting) if case in ours]
        return found if found and listed == cases else None

    found: tuple[str, str, int] = stage.wait(shown, f"the page lists {cases}")
    return found


def waits_to_close(stage: Rehearsal, shop_id: str) -> str:
    register(stage, shop_id, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
    case_id = ask_to_close(stage, shop_id)
    stage.asks(case_id, "closure-review")
    return case_id


def tagged(stage: Rehearsal, case_id: str) -> list[str]:
    """By what the run list shows whose question the case is."""
    run = engine.client().read_flow_run(UUID(str(stage.read(lambda tx: tx.get(Case, case_id).run_id))))
    return [tag for tag in run.tags if tag.startswith(("岗位:", "认领:", "⚠️"))]


def question(stage: Rehearsal, case_id: str) -> str:
    """The case's open review."""
    return str(stage.read(lambda tx: reviews.waiting(tx, case_id=case_id)[0].id))


def may_write(stage: Rehearsal, origin: str) -> bool:
    """Whether a browser would let a page of this origin send JSON to Prefect."""
    asked = httpx.options(
        f"{stage.settings.prefect_api}/flow_runs/filter",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        },
    )
    return asked.headers.get("access-control-allow-origin") in {origin, "*"}


def test_the_board_follows_what_waits_and_stays_one_artifact(stage: Rehearsal, reviewer: str) -> None:
    first = waits_to_close(stage, SHOPS[0])
    artifact, text, _ = until(stage, [first])
    run_id = stage.read(lambda tx: tx.get(Case, first).run_id)
    assert f"[关店审核 · {first}]({stage.settings.prefect_ui}/v2/runs/flow-run/{run_id})" in text
    second = waits_to_close(stage, SHOPS[1])
    until(stage, [first, second])
    stage.decide(first, "closure-review", reviewer, "同意关店")
    again, _, written = until(stage, [second])
    stage.wait(lambda: tagged(stage, first) == [], "a run that waits for no person has no role")
    assert tagged(stage, second) == ["岗位:关店审核员"]
    asked = question(stage, second)
    in_transaction(lambda tx: hands.claim(tx, asked, reviewer, stage.code(reviewer)))
    stage.wait(lambda: tagged(stage, second) == ["岗位:关店审核员", "认领:李娜"], "the run list shows the claim")
    in_transaction(lambda tx: hands.release(tx, asked, reviewer, stage.code(reviewer)))
    stage.wait(lambda: tagged(stage, second) == ["岗位:关店审核员"], "the run list shows that it is free again")
    assert (again, written) == (artifact, 1)
    late = board.Board(version=0, pages=(board.Page(role=Role.CLOSURE_REVIEWER, text=""),))
    board.show(late)  # a door that was held up does not put an older page over a newer one
    until(stage, [second])
    assert may_write(stage, stage.settings.prefect_ui)
    assert may_write(stage, f"http://localhost:{stage.settings.prefect_port}")
    assert not may_write(stage, "https://evil.example")
    plain = httpx.post(
        f"{stage.settings.prefect_api}/variables/",
        content='{"name": "x", "value": 1}',
        headers={"origin": "https://evil.example", "content-type": "text/plain"},
    )
    assert plain.status_code == 422  # what a page may send without asking is not read
