"""Capabilities of a shop: shut off one by one and given back, each told to the platform in the name of a case."""

from __future__ import annotations

from models.cases import Case
from models.shop_events import CapabilityDisabled, CapabilityGranted, CapabilityRestored
from models.shops import Capability, Shop
from office.base.db import Tx
from office.cases.cases import emit
from office.record import audit


def grant(tx: Tx, case: Case, shop: Shop, clause: str = "OPN-13") -> None:
    """Give a shop that opens what it can do, one by one."""
    shop.capabilities = [capability.value for capability in Capability]
    tx.add(shop)
    for capability in Capability:
        event = CapabilityGranted(shop_id=shop.id, case_id=case.id, capability=capability, clause=clause)
        emit(tx, event, f"{case.id}/granted/{capability}", case)
        audit.record(
            tx, case.id, "shop.capability.granted", clause=clause, text=f"已开通:{capability.label}", public=True
        )


def disable(tx: Tx, case: Case, shop: Shop, capability: Capability, clause: str = "CLS-1") -> None:
    """Shut one capability off and tell the platform."""
    if capability.value not in shop.capabilities:
        return
    shop.capabilities = [held for held in shop.capabilities if held != capability.value]
    tx.add(shop)
    audit.record(tx, case.id, "shop.capability.disabled", clause=clause, text=f"已关闭:{capability.label}", public=True)
    event = CapabilityDisabled(shop_id=shop.id, case_id=case.id, capability=capability, clause=clause)
    emit(tx, event, f"{case.id}/disabled/{capability}", case)


def restore(tx: Tx, case: Case, shop: Shop, clause: str = "CLS-6") -> list[Capability]:
    """Give back every capability that was shut off; returns them."""
    missing = [capability for capability in Capability if capability.value not in shop.capabilities]
    shop.capabilities = [capability.value for capability in Capability]
    tx.add(shop)
    for capability in missing:
        event = CapabilityRestored(shop_id=shop.id, case_id=case.id, capability=capability, clause=clause)
        emit(tx, event, f"{case.id}/restored/{capability}", case)
        audit.record(tx, case.id, "shop.capability.restored", text=f"已恢复:{capability.label}", public=True)
    return missing
