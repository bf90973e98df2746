"""A merchant who opens a shop: what they send, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.cases import Case, CaseKind
from models.opening import Stage
from models.payouts import Payout
from office.base.db import reading
from policies import contracts
from tasks.opening import parts, tries
from tasks.payouts import sources
from tests.play import PAYEE, Office, paper

GOOD = {"real_name": True, "blue_v": True, "fans": 12_000, "active": True, "compliant": True}
LICENCE = paper("营业执照.pdf", "BUSINESS_LICENCE", b"%PDF-1.7 licence of an applicant")
IDENTITY = paper("身份证.pdf", "IDENTITY_CARD", b"%PDF-1.7 identity of an applicant")
PRODUCTS = paper("商品资料.pdf", "PRODUCT_INFO", b"%PDF-1.7 products of an applicant")
FORM = paper("证书申请表.pdf", "CERTIFICATE_FORM", b"%PDF-1.7 signed and sealed form")
LOGO = paper("logo.png", "LOGO", b"\x89PNG\r\n\x1a\n logo")


def wish(entity: str, shop_id: str = "shop-1", account: str = "acct-shop-1") -> dict[str, Any]:
    """What an application for a first shop says."""
    return {
        "shop_id": shop_id,
        "account_id": account,
        "owner_name": "林晓",
        "entity_type": entity,
        "categories": ["厨具"] if entity == "PERSON" else ["服饰"],
        "account": GOOD,
        "contacts": ["mailto://owner@example.com"],
    }


class Applicant:
    """The merchant's side of one application. Everything a step asks for can be sent by one call."""

    def __init__(
        self,
        office: Office,
        entity: str = "PERSON",
        shop_id: str = "shop-1",
        owner: str = "",
        case: Case | None = None,
        **changes: Any,
    ) -> None:
        self.office, self.entity, self.shop_id = office, entity, shop_id
        self.account = owner or f"acct-{shop_id}"
        self.categories = ["厨具"] if entity == "PERSON" else ["服饰"]
        self.case = case or self.apply(**changes)

    # ── asking ──

    def apply(self, **changes: Any) -> Case:
        self.case = self.office._open(
            "opening.requested",
            wish(self.entity, self.shop_id, self.account) | {"categories": self.categories} | changes,
        )
        return self.case

    def reopen(self, **changes: Any) -> Case:
        self.case = self.office._open(
            "reopening.requested",
            {
                "shop_id": self.shop_id,
                "account_id": self.account,
                "entity_type": self.entity,
                "categories": self.categories,
                "account": GOOD,
            }
            | changes,
        )
        return self.case

    # ── bringing ──

    def send(self, what: str, **fields: Any) -> None:
        """An event about the application."""
        self.office.send(what, self.own() | fields)

    def own(self) -> dict[str, Any]:
        return {"shop_id": self.shop_id, "account_id": self.account, "case_id": self.case.id}

    def basics(self, name: str = "晨光文具旗舰店", **changes: Any) -> None:
        fields = {"introduction": "自家好物，七天无理由退货。", "contact_name": "林晓", "phone": "13800001234"}
        self.send("opening.basics_submitted", **({"name": name} | fields | changes))

    def entity_info(self, **changes: Any) -> None:
        business = {
            "licence_name": "宁波晨光文具有限公司",
            "uscc": "91330226MA2AB1C2D8",
            "licence_until": "2036-12-31",
            "taxpayer_type": "GENERAL",
        }
        if self.entity == "INDIVIDUAL_BUSINESS":
            business |= {"licence_name": "宁海县晨光文具店", "uscc": "92330226MA2AB1C2D5"}
        fields = {"legal_person": "林晓", "identity_no": "330226199001011234", "declared_true": True}
        self.send("opening.entity_submitted", **(fields | ({} if self.entity == "PERSON" else business) | changes))

    def papers(self, *documents: dict[str, Any], staged: bool = True) -> None:
        if staged:
            self.office.stage(self.shop_id, *documents)
        self.send("opening.papers_submitted", documents=list(documents))

    def training(self) -> None:
        at = self.office.clock.at.isoformat()
        self.send("opening.training_completed", course="新商家必修课", completed_at=at)

    def account_given(self, **changes: Any) -> None:
        self.send("opening.account_submitted", payee=PAYEE | changes)

    def links(self, **changes: Any) -> None:
        self.send("opening.links_submitted", **({"qualifications": "", "other_shops": []} | changes))

    def materials(self, name: str = "晨光文具旗舰店") -> None:
        """Everything the first step asks for."""
        for bring in self.material(name):
            bring()

    def material(self, name: str = "晨光文具旗舰店") -> list[Callable[[], None]]:
        """The same, one after another."""
        papers = [*([] if self.entity == "PERSON" else [LICENCE]), IDENTITY, PRODUCTS]
        return [lambda: self.basics(name), self.entity_info, lambda: self.papers(*papers), self.training]

    def certificate(self) -> None:
        self.papers(FORM)
        self.account_given()

    def finishing(self) -> None:
        self.papers(LOGO)
        self.links()

    def sign(self, version: str = "2026-12-01", **changes: Any) -> None:
        self.office.send(
            "contract.signed",
            {
                "shop_id": self.shop_id,
                "account_id": self.account,
                "version": version,
                "sha256": contracts.sha256_of("2026-12-01"),
                "signed_at": self.office.clock.at.isoformat(),
            }
            | changes,
        )

    # ── the platform's people ──

    def approve(self, **extra: Any) -> None:
        self.office.decide(self.case, "tang-yu", "APPROVE", **extra)

    def ask_again(self, items: str) -> None:
        self.office.decide(self.case, "tang-yu", "ASK", items=items)

    # ── looking ──

    def missing(self) -> list[str]:
        with reading() as tx:
            case = tx.get(Case, self.case.id)
            assert case is not None
            return [need.what for need in parts.missing(tx, case)]

    @property
    def now(self) -> Case:
        return self.office.case(self.case.id)

    @property
    def stage(self) -> Stage:
        return Stage(self.now.request["stage"])


def opened(office: Office, shop_id: str = "shop-1", **changes: Any) -> Applicant:
    """A person's shop, opened from the application to the deposit."""
    applicant = Applicant(office, shop_id=shop_id, **changes)
    applicant.materials()
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    applicant.sign()
    office.pay_deposit(shop_id, 50_000)
    assert applicant.now.kind is CaseKind.OPENING and applicant.now.outcome == "OPENED"
    return applicant


# ── the random transfer ──────────────────────────────────────────────────────


def enterprise(office: Office, shop_id: str = "shop-1", entity: str = "ENTERPRISE", **changes: Any) -> Applicant:
    """A business whose random transfer is with the bank."""
    applicant = Applicant(office, entity, shop_id, **changes)
    applicant.materials(f"晨光文具 {shop_id}")
    if entity == "INDIVIDUAL_BUSINESS":
        return applicant
    applicant.approve()
    applicant.certificate()
    applicant.approve(signature=True, seal=True)
    return applicant


def amount(applicant: Applicant, number: int = 1) -> int:
    """What only the bank and the vault know: the amount in fen."""
    with reading() as tx:
        found = tries.find(tx, applicant.case.id, number)
        assert found is not None
        return sources.amount_of(tx.get_one(Payout, found.request_no))


def bank(applicant: Applicant, number: int = 1, what: str = "settled", reason: str = "", fen: int = 0) -> None:
    """The bank answers about a transfer."""
    with reading() as tx:
        found = tries.find(tx, applicant.case.id, number)
        assert found is not None
        request_no = found.request_no
    applicant.office.bank(request_no, what, fen or amount(applicant, number), applicant.shop_id, reason)


def enter(applicant: Applicant, text: str) -> None:
    applicant.send("opening.amount_entered", amount=text)


def right(applicant: Applicant, number: int = 1) -> str:
    fen = amount(applicant, number)
    return f"0.{fen:02d}"


def wrong(applicant: Applicant, number: int = 1, by: int = 1) -> str:
    fen = (amount(applicant, number) + by - 1) % 99 + 1
    return f"0.{fen:02d}"


def to_pay(office: Office) -> Applicant:
    """A person's shop that has passed every review and has to pay its deposit."""
    applicant = Applicant(office)
    applicant.materials()
    applicant.approve()
    applicant.finishing()
    applicant.approve()
    return applicant


def unsigned(office: Office) -> Applicant:
    """A person's shop that is open, with its contract not signed."""
    applicant = to_pay(office)
    office.pay_deposit("shop-1", 50_000)
    assert applicant.now.outcome == "OPENED"
    return applicant
