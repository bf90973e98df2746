"""Online contracts: offered by version and hash, signed by event; nothing is settled before (OPN-12, ambiguity 46)."""

from __future__ import annotations

from datetime import timedelta

from sqlmodel import and_, col, or_, select

from models.cases import Case
from models.messages import InboxMessage
from models.opening import ShopContract
from models.opening_events import ContractSigned
from models.opening_told import ContractOffered
from models.shops import Shop, ShopState
from notifications import opening as words
from office.base.db import Tx, in_transaction
from office.cases import cases, merchants
from office.process import Process
from office.record import audit
from office.record.inbox import Refused
from policies import contracts
from policies.policy import policy_at
from tasks.shops import shops


def current(tx: Tx, shop_id: str) -> ShopContract | None:
    """The contract the shop was offered last; ``None`` for one that was never offered any here."""
    query = select(ShopContract).where(ShopContract.shop_id == shop_id)
    return tx.exec(query.order_by(col(ShopContract.offered_at).desc(), col(ShopContract.version).desc())).first()


def blocks_settlement(tx: Tx, shop_id: str) -> bool:
    """Whether nothing may be settled for want of a signature (OPN-12). A shop that was registered as open, without an
    opening of ours, signed with the platform."""
    offered = current(tx, shop_id)
    return offered is not None and offered.signed_at is None


def offer(tx: Tx, case: Case, shop: Shop, version: str) -> ShopContract:
    """Ask for a signature of this version, unless the shop has signed it already; offered again, it is the same."""
    row = tx.get(ShopContract, (shop.id, version))
    if row is not None:
        return row
    row = ShopContract(
        shop_id=shop.id, version=version, sha256=contracts.sha256_of(version), offered_at=tx.now, case_id=case.id
    )
    tx.add(row)
    tx.flush()
    audit.record(
        tx,
        case.id,
        "contract.offered",
        clause="OPN-12",
        public=True,
        version=version,
        sha256=row.sha256,
        text=f"请签署在线合同 {version} 版,签署前不予结算",
    )
    event = ContractOffered(
        shop_id=shop.id, case_id=case.id, version=version, sha256=row.sha256, text=contracts.text_of(version)
    )
    cases.emit(tx, event, f"{case.id}/contract/{version}", case)
    told = words.ContractOfferedLetter(
        shop_name=shop.name, case_id=case.id, version=version, sha256=row.sha256, text=contracts.text_of(version)
    )
    merchants.tell(tx, told, f"{case.id}/contract/{version}", case=case)
    return row


def sign(tx: Tx, event: ContractSigned, message: InboxMessage) -> None:
    """The signing service says that the owner has signed the very text that was offered."""
    shop = shops.find_shop(tx, event.shop_id)
    if event.account_id != shop.owner_account_id:
        raise Refused("只有店铺的主账号可以签署在线合同", "OPN-12")
    row = tx.get(ShopContract, (shop.id, event.version))
    if row is None:
        raise Refused(f"没有请该店铺签署过 {event.version} 版合同", "OPN-12")
    if row.sha256 != event.sha256:
        raise Refused(f"所签文本与 {event.version} 版合同不一致(SHA-256 不符),请以平台提供的文本重新签署", "OPN-12")
    if row.signed_at is not None:
        return
    row.signed_at, row.signed_by = min(event.signed_at, tx.now), event.account_id
    row.signed_sha256 = event.signed_sha256 or ""
    tx.add(row)
    for stream in filter(None, (f"shop/{shop.id}", row.case_id)):
        audit.record(
            tx,
            stream,
            "contract.signed",
            actor=f"merchant/{event.account_id}",
            clause="OPN-12",
            public=True,
            text=f"已签署在线合同 {row.version} 版,可以结算",
            version=row.version,
            sha256=row.sha256,
        )


REMINDED = 60
"""Shops in one sweep; the next sweep has the next."""


def sweep() -> int:
    """Remind open shops that have not signed, at the days of the policy after the offer; how many."""
    found = in_transaction(_due)
    return sum(in_transaction(lambda tx, one=shop_id: _remind(tx, one)) for shop_id in found)  # type: ignore[misc]


def _due(tx: Tx) -> list[str]:
    """Open shops whose contract, the one offered last, is unsigned longer than they were reminded for."""
    days, row = policy_at(tx.now).opening.contract_reminders, ShopContract
    late = or_(
        *(
            and_(col(row.reminded) == number, col(row.offered_at) <= tx.now - timedelta(days=after))
            for number, after in enumerate(days)
        )
    )
    query = (
        select(row.shop_id)
        .join(Shop, col(Shop.id) == row.shop_id)
        .where(Shop.state == ShopState.OPEN, col(row.signed_at).is_(None), late)
    )
    return sorted(set(tx.exec(query.order_by(col(row.offered_at)).limit(REMINDED))))


def _remind(tx: Tx, shop_id: str) -> bool:
    """Once for all days that have gone by; not under a contract that a later offer stands instead of."""
    shop = shops.find_shop(tx, shop_id)
    for offered in tx.exec(select(ShopContract).where(ShopContract.shop_id == shop_id)):
        passed = (tx.now - offered.offered_at).days
        offered.reminded = sum(passed >= after for after in policy_at(tx.now).opening.contract_reminders)
        tx.add(offered)
    row = current(tx, shop_id)
    if row is None or row.signed_at is not None or shop.state is not ShopState.OPEN or not row.reminded:
        return False
    told = words.ContractUnsigned(
        shop_name=shop.name,
        version=row.version,
        sha256=row.sha256,
        offered_at=row.offered_at,
        days=(tx.now - row.offered_at).days,
    )
    merchants.tell(tx, told, f"shop/{shop_id}/contract/{row.version}/reminded/{row.reminded}", shop_id=shop_id)
    return True


PROCESS = Process(name="contract", hears={ContractSigned: sign}, every_minute={"contracts": sweep})
