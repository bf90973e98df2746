"""What the tests against a tampered Prefect ask and read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from sqlmodel import col, select

from models.audit import AuditEntry
from models.messages import OutboxMessage
from models.reviews import Review
from office.base.db import reading
from ops.rehearsal import Rehearsal
from ops.scenes.stage import ask_to_close, close, register


def asked(stage: Rehearsal, shop_id: str) -> str:
    """A closure that waits for its reviewer behind a form; its case."""
    register(stage, shop_id, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
    stage.snapshot(shop_id)
    case_id = ask_to_close(stage, shop_id)
    stage.asks(case_id, "closure-review")
    return case_id


def asked_for_money(stage: Rehearsal, shop_id: str) -> str:
    """A refund that waits for finance behind a form; its case."""
    register(stage, shop_id, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
    close(stage, shop_id, "li-na")
    paper = [
        stage.document(shop_id, f"{kind}.pdf", f"%PDF-1.4 {kind}".encode()) | {"kind": kind}
        for kind in ("BUSINESS_LICENCE", "ACCOUNT_PERMIT")
    ]
    stage.send(
        "refund.requested",
        {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "amount_fen": 400_000,
            "documents": paper,
            "payee": {
                "method": "CORPORATE_ACCOUNT",
                "name": "宁波晨光文具有限公司",
                "account_no": "3301040160000121234",
                "bank_name": "中国银行宁波市分行",
            },
        },
    )
    case_id = stage.case_of(shop_id, "refund")
    stage.asks(case_id, "refund-review")
    return case_id


@contextmanager
def standing_still(stage: Rehearsal, api: SyncPrefectClient) -> Iterator[None]:
    """No run is handed out meanwhile: whoever attacks is always quicker than the worker, however busy the machine is."""
    pool = f"/work_pools/{stage.settings.work_pool}"
    api.request("PATCH", pool, json={"is_paused": True})
    try:
        yield
    finally:
        api.request("PATCH", pool, json={"is_paused": False})


def the_form(stage: Rehearsal, case_id: str) -> tuple[UUID, str]:
    found = stage._form(case_id)
    assert found is not None
    return found


def trail(case_id: str) -> list[str]:
    with reading() as tx:
        query = select(AuditEntry.action).where(AuditEntry.stream == case_id).order_by(col(AuditEntry.seq))
        return list(tx.exec(query))


def told(topic: str, case_id: str) -> list[str]:
    with reading() as tx:
        query = select(OutboxMessage.audience).where(OutboxMessage.topic == topic, OutboxMessage.case_id == case_id)
        return list(tx.exec(query))


def review_of(case_id: str, gate: str) -> Review:
    with reading() as tx:
        found = tx.exec(select(Review).where(Review.case_id == case_id, Review.gate == gate)).one()
        tx.expunge(found)
        return found


def responses(api: SyncPrefectClient, run_id: str) -> list[str]:
    return [row.key for row in api.filter_flow_run_input(UUID(run_id), "", 50, set()) if row.key.endswith("-response")]


def ended(api: SyncPrefectClient, run_id: UUID) -> bool:
    state = api.read_flow_run(run_id).state
    return state is not None and state.is_final()
