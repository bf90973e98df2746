"""What we tell about opening a shop: the platform how it goes, the bank what to pay."""

from __future__ import annotations

from typing import Any, ClassVar

from models.base import Frozen
from models.event_parts import PAYEE_EXAMPLE
from models.opening import ThirdPartyPlatform, TransferState
from models.payout_events import Instruction
from models.wire import Id, Moment, Outgoing, outbound


class NeedShown(Frozen):
    """One thing that is missing."""

    what: str
    label: str
    clause: str
    why: str = ""


@outbound
class OpeningTasks(Outgoing):
    """入驻待办(OPN-3 至 OPN-11)

    What the merchant has to bring until ``due_at``, told anew whenever a stage begins or something is asked again.
    """

    type: ClassVar[str] = "opening.tasks"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "OPN-261122-7K3QM9",
        "stage": "MATERIALS",
        "due_at": "2026-12-22T02:00:00Z",
        "missing": [{"what": "BASICS", "label": "店铺名称、简介和联系方式", "clause": "OPN-3"}],
    }

    shop_id: Id
    case_id: Id
    stage: str
    due_at: Moment
    missing: tuple[NeedShown, ...]


@outbound
class CertificateFormDrawn(Outgoing):
    """企业数字证书申请表(OPN-9)

    The form, filled in as far as it was reviewed: one HTML page that prints on A4. The merchant downloads it, prints it,
    fills in the rest, signs and seals it, and uploads it as a paper of kind ``CERTIFICATE_FORM``.
    """

    type: ClassVar[str] = "opening.certificate_form"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "OPN-261122-7K3QM9",
        "html": "<!doctype html>…",
        "sha256": "ab" * 32,
    }

    shop_id: Id
    case_id: Id
    html: str
    sha256: str


@outbound
class TransferRequested(Instruction):
    """打款验证指令(OPN-10)

    To the bank only: a random amount to the account that is being verified. The same ``request_no`` is the same payment.
    Nobody else is told the amount.
    """

    type: ClassVar[str] = "opening.transfer.requested"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "OPN-261122-7K3QM9",
        "request_no": "OPN-261122-7K3QM9-P1",
        "amount_fen": 37,
        "payee": PAYEE_EXAMPLE,
    }


@outbound
class TransferUpdated(Outgoing):
    """打款验证进度(OPN-10)

    Where a random transfer stands, without its amount. ``tries_left`` and ``due_at`` are for entering it.
    """

    type: ClassVar[str] = "opening.transfer.updated"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "OPN-261122-7K3QM9",
        "number": 1,
        "state": "ARRIVED",
        "payee": "对公账户 尾号 3456",
        "tries_left": 3,
        "due_at": "2026-12-01T02:00:00Z",
        "reason": "",
    }

    shop_id: Id
    case_id: Id
    number: int
    state: TransferState
    payee: str
    tries_left: int
    due_at: Moment | None = None
    reason: str = ""


@outbound
class ContractOffered(Outgoing):
    """请签署在线合同(OPN-12)

    The text to be signed, by version and hash. ``contract.signed`` answers it.
    """

    type: ClassVar[str] = "contract.offered"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "OPN-261122-7K3QM9",
        "version": "2026-12-01",
        "sha256": "ab" * 32,
        "text": "在线入驻合同……",
    }

    shop_id: Id
    case_id: Id
    version: str
    sha256: str
    text: str


@outbound
class ImportOffered(Outgoing):
    """一键导入商品(OPN-15)

    The shop is open and its owner has shops on Taobao or Tmall: their products may be imported. An offer, no duty.
    """

    type: ClassVar[str] = "opening.import_offered"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "shop_id": "shop-1001",
        "case_id": "OPN-261122-7K3QM9",
        "platforms": ["TMALL"],
    }

    shop_id: Id
    case_id: Id
    platforms: tuple[ThirdPartyPlatform, ...]
