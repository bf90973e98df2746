"""What several events are made of: documents, payees, penalties, facts."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from models import accounts
from models.base import Frozen, Labelled
from models.deposits import RefundDocument
from models.money import Fen
from models.payouts import Payee, PayeeMethod
from models.shops import Penalty, ShopFacts
from models.wire import AccountNumber, Count, Flag, Id, Line, OptionalLine, Sha256, ShortLine, WebAddress


class TaxpayerType(Labelled):
    """INV-2, INV-3."""

    GENERAL = "GENERAL", "一般纳税人"
    SMALL_SCALE = "SMALL_SCALE", "小规模纳税人"


class PaymentChannel(Labelled):
    """How a deposit was paid (DEP-8)."""

    ALIPAY = "ALIPAY", "支付宝"
    WECHAT = "WECHAT", "微信支付"
    BANK = "BANK", "银行转账"


class PaymentPurpose(Labelled):
    """What a payment is for: the deposit, what the shop owes beyond it (DED-9), or the certification fee (DEP-7)."""

    DEPOSIT = "DEPOSIT", "缴纳保证金"
    ARREARS = "ARREARS", "补缴欠款"
    CERTIFICATION_FEE = "CERTIFICATION_FEE", "缴纳认证审核费"


class DocumentKind(Labelled):
    """What a document is: a paper that a refund (``RefundDocument``) or an opening may need (OPN-7), or another."""

    BUSINESS_LICENCE = "BUSINESS_LICENCE", "营业执照"
    ACCOUNT_PERMIT = "ACCOUNT_PERMIT", "对公账户开户证明"
    IDENTITY_CARD = "IDENTITY_CARD", "身份证明"
    ACCOUNT_PROOF = "ACCOUNT_PROOF", "收款账户证明"
    TRADEMARK = "TRADEMARK", "商标注册证"
    PRODUCT_INFO = "PRODUCT_INFO", "商品资料"
    INDUSTRY_LICENCE = "INDUSTRY_LICENCE", "行业经营许可"
    BRAND_MATERIAL = "BRAND_MATERIAL", "品牌形象资料"
    FUNDS_PROOF = "FUNDS_PROOF", "资金证明"
    QUALITY_REPORT = "QUALITY_REPORT", "产品质检报告"
    CERTIFICATE_FORM = "CERTIFICATE_FORM", "企业数字证书申请表"
    LOGO = "LOGO", "店铺 Logo"
    OTHER = "OTHER", "其他材料"

    @property
    def refund_document(self) -> RefundDocument | None:
        """The paper the refund rules know; ``None`` for anything else."""
        return RefundDocument.__members__.get(self.name)


class Document(Frozen):
    """One document, by the hash of its content, by its address, or both.

    What counts is the file: staged (``POST /evidence``) for the same shop with this very hash. Without it the
    document is "not received" until the file comes, whatever its address says (ambiguity 26).
    """

    name: Line
    kind: DocumentKind
    sha256: Sha256 | None = None
    url: WebAddress | None = None

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if self.sha256 is None and self.url is None:
            raise ValueError("sha256 or url, or both")
        return self


Documents = Annotated[tuple[Document, ...], Field(max_length=20)]


_AT_A_BANK = (PayeeMethod.CORPORATE_ACCOUNT, PayeeMethod.BANK_CARD)
"""Compared, not hashed: what a sender put there may be a list."""


class PayeeData(Frozen):
    """Who should get the money (REF-5, REF-6).

    A corporate account or bank card has digits, and perhaps the letters of a FTE, FTN, NRA or OSA account with them;
    the blanks and hyphens with which it is printed are taken away.
    """

    method: PayeeMethod
    name: Line
    account_no: AccountNumber
    bank_name: OptionalLine = ""

    @model_validator(mode="before")
    @classmethod
    def _as_a_bank_takes_it(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("method") in _AT_A_BANK:
            return given | {"account_no": accounts.bank_number(given.get("account_no"))}
        return given

    @model_validator(mode="after")
    def _number_fits_method(self) -> Self:
        if self.method in _AT_A_BANK and not accounts.is_bank_number(self.account_no):
            raise ValueError(
                f"an account_no of {accounts.LEAST} to {accounts.MOST} digits for this method (FTE, NRA, OSA … may be with it)"
            )
        return self

    def payee(self) -> Payee:
        """The value that reviews and payouts work with."""
        return Payee(method=self.method, name=self.name, account_no=self.account_no, bank_name=self.bank_name)

    def __repr__(self) -> str:
        return f"PayeeData({self.payee().masked})"

    __str__ = __repr__


OtherPayees = Annotated[tuple[PayeeData, ...], Field(max_length=9)]


class PenaltyData(Frozen):
    """A penalty as the platform reports it (REF-2, ambiguity 4)."""

    id: Id
    kind: ShortLine
    settled: Flag
    blocks_refund: Flag = False


class FactsData(Frozen):
    """The facts of :class:`models.shops.ShopFacts` with the door's limits. By default nothing is open."""

    arrears_fen: Fen = 0
    unsettled_payouts: Count = 0
    unsettled_payout_fen: Fen = 0
    open_orders: Count = 0
    open_aftersales: Count = 0
    open_arbitrations: Count = 0
    open_appeals: Count = 0
    freezes: Count = 0
    frozen_fen: Fen = 0
    unpaid_bills: Count = 0
    unpaid_bill_fen: Fen = 0
    uninvoiced_fen: Fen = 0
    penalties: Annotated[tuple[PenaltyData, ...], Field(max_length=200)] = ()

    def facts(self) -> ShopFacts:
        """The value that the gates read."""
        own = self.model_dump(exclude={"penalties"})
        return ShopFacts(**own, penalties=tuple(Penalty(**item.model_dump()) for item in self.penalties))


PAYEE_EXAMPLE = {
    "method": "CORPORATE_ACCOUNT",
    "name": "宁波晨光文具有限公司",
    "account_no": "3301040160000123456",
    "bank_name": "中国银行宁波市分行",
}
DOCUMENT_EXAMPLE = {"name": "营业执照.pdf", "kind": "BUSINESS_LICENCE", "sha256": "ab" * 32}


MOST_ITEMS = 1000
"""Items in one batch."""


class Rejected(Frozen):
    """One item that was not taken: where it stood (from 1), which field, and why, in Chinese."""

    position: Count
    item_id: str = ""
    field: str
    reason: str
