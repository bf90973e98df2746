"""Opening scenes: a person's shop from the application to OPEN; an enterprise verified by an amount, wrong once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from models.cases import Case
from models.opening import Stage
from models.payouts import Payout
from models.shops import Shop
from office.base.db import Tx
from ops.rehearsal import Rehearsal
from ops.scenes.papers import sheet
from ops.scenes.stage import Waiting, balance, close, expect, register, waiting_row
from policies import contracts
from tasks.opening import tries
from tasks.opening.request import OpeningAsked
from tasks.payouts import sources
from tasks.shops import owed

ACCOUNT = {"real_name": True, "blue_v": True, "fans": 12_000, "active": True, "compliant": True}
VERSION = "2026-12-01"


@dataclass
class Application:
    """What one merchant sends, step by step."""

    stage: Rehearsal
    shop_id: str
    name: str
    entity: str
    case: str = ""

    def ask(self, kind: str, **more: Any) -> None:
        self.stage.send(
            f"{kind}.requested",
            {
                "shop_id": self.shop_id,
                "account_id": f"acct-{self.shop_id}",
                "entity_type": self.entity,
                "categories": ["厨具"] if self.entity == "PERSON" else ["服饰"],
                "account": ACCOUNT,
                "official_account": True,
            }
            | ({"owner_name": "林晓", "contacts": []} if kind == "opening" else {})
            | more,
        )
        self.case = self.stage.case_of(self.shop_id, kind)

    def apply(self, kind: str = "opening") -> None:
        self.ask(kind)
        self.stage.state(self.case, "AWAITING_MATERIALS")

    def refused(self, clause: str) -> None:
        expect(f"{self.name}不予受理的条款", self.stage.state(self.case, "REFUSED").outcome_clause, clause)

    def send(self, what: str, **fields: Any) -> None:
        own = {"shop_id": self.shop_id, "account_id": f"acct-{self.shop_id}", "case_id": self.case}
        self.stage.send(f"opening.{what}", own | fields)

    def papers(self, **kinds: str) -> None:
        documents = [
            self.stage.document(self.shop_id, f"{word}.pdf", sheet(word, f"店铺 {self.shop_id}"), kind)
            for kind, word in kinds.items()
        ]
        self.send("papers_submitted", documents=documents)

    def materials(self) -> None:
        business = self.entity != "PERSON"
        self.send(
            "basics_submitted", name=self.name, introduction="专营厨房好物。", contact_name="林晓", phone="13800001234"
        )
        self.send(
            "entity_submitted",
            legal_person="林晓",
            identity_no=f"3302261990{self.shop_id[-4:]}1234",
            declared_true=True,
            **({"licence_name": f"宁波{self.name}有限公司", "uscc": "91330226MA2AB1C2D8"} if business else {}),
        )
        self.papers(
            **({"BUSINESS_LICENCE": "营业执照"} if business else {}), IDENTITY_CARD="身份证", PRODUCT_INFO="商品资料"
        )
        self.send("training_completed", course="新商家必修课", completed_at=self.stage.now().isoformat())
        self.stage.asks(self.case, "opening-entity")

    def finish(self, fen: int, *, signs: bool = True) -> None:
        """Logo and links, the shop review, the contract (or none for now), the deposit."""
        self.papers(LOGO="店铺 Logo")
        self.send("links_submitted", other_shops=[{"platform": "TMALL", "name": f"{self.name}天猫店"}])
        self.stage.decide(self.case, "opening-shop", "tang-yu", "审核通过")
        self.stage.wait(lambda: self.stage.read(self._state) in {"AWAITING_DEPOSIT", "OPEN"}, f"{self.shop_id} may pay")
        if signs:
            self.stage.send(
                "contract.signed",
                {
                    "shop_id": self.shop_id,
                    "account_id": f"acct-{self.shop_id}",
                    "version": VERSION,
                    "sha256": contracts.sha256_of(VERSION),
                    "signed_at": self.stage.now().isoformat(),
                },
            )
        if fen:
            self.stage.send(
                "deposit.paid",
                {
                    "shop_id": self.shop_id,
                    "payment_id": f"pay-{self.case}",
                    "amount_fen": fen,
                    "channel": "BANK",
                    "paid_at": self.stage.now().isoformat(),
                },
            )
        expect("开店结果", self.stage.state(self.case, "OPENED").outcome, "OPENED")
        expect("店铺状态", self.stage.read(self._state), "OPEN")

    def _state(self, tx: Tx) -> str:
        return str(tx.get_one(Shop, self.shop_id).state)


@dataclass
class OpeningScene:
    """One application waits for its entity review, one for the amount that the bank has brought; played: both open."""

    stage: Rehearsal
    title: str = "开店入驻:主体审核、数字证书、打款验证(先错后对)、店铺审核、合同与保证金,缴足即开店"
    _person: Application = field(init=False)
    _firm: Application = field(init=False)
    _old_route: Application = field(init=False)

    def set_up(self) -> None:
        self._old_route = Application(self.stage, "shop-1010", "远山厨具", "ENTERPRISE")
        self._person = Application(self.stage, "shop-1007", "小满厨房", "PERSON")
        self._firm = Application(self.stage, "shop-1008", "长青厨具", "ENTERPRISE")
        for one in (self._person, self._firm):
            one.apply()
            one.materials()
        firm = self._firm
        self.stage.decide(firm.case, "opening-entity", "tang-yu", "审核通过")
        self.stage.wait(lambda: self.stage.read(self._asks_for_form), "the certificate form is asked for")
        firm.papers(CERTIFICATE_FORM="数字证书申请表")
        firm.send(
            "account_submitted",
            payee={
                "method": "CORPORATE_ACCOUNT",
                "name": f"宁波{firm.name}有限公司",
                "account_no": "3301040160000125566",
                "bank_name": "中国银行宁波市分行",
            },
        )
        self.stage.decide(firm.case, "opening-certificate", "tang-yu", "审核通过", signature=True, seal=True)
        self.stage.wait(lambda: self.stage.read(self._arrived), "the random amount has arrived")

    def _asks_for_form(self, tx: Tx) -> bool:
        return OpeningAsked.of(tx.get_one(Case, self._firm.case)).stage is Stage.CERTIFICATE

    def _arrived(self, tx: Tx) -> bool:
        return any(row.settled_at for row in tries.of_case(tx, self._firm.case))

    def _amount(self, tx: Tx) -> int:
        return sources.amount_of(tx.get_one(Payout, tries.of_case(tx, self._firm.case)[-1].request_no))

    def _tries(self, tx: Tx) -> int:
        return tries.of_case(tx, self._firm.case)[-1].tries

    def play(self) -> None:
        firm, fen = self._firm, self.stage.read(self._amount)
        firm.send("amount_entered", amount=f"0.{fen % 99 + 1:02d}")
        self.stage.wait(lambda: self.stage.read(self._tries) == 1, "the wrong amount has cost a try")
        firm.send("amount_entered", amount=f"0.{fen:02d}")
        self.stage.state(firm.case, "AWAITING_MATERIALS")
        firm.finish(400_000)
        expect("绑定官方账号,认证审核费免缴", self.stage.read(self._fee_asked), 0)
        self.stage.decide(self._person.case, "opening-entity", "tang-yu", "审核通过")
        self.stage.state(self._person.case, "AWAITING_MATERIALS")
        self._person.finish(50_000)
        self._old_route.ask("opening", profile="LEGACY_THIRD_PARTY_SHOP")
        self._old_route.refused("OPN-14")

    def _fee_asked(self, tx: Tx) -> int:
        return owed.missing(tx, tx.get_one(Shop, self._firm.shop_id)).fee.fen

    def waiting(self) -> Iterable[Waiting]:
        yield waiting_row(self.stage, self._person.case, "入驻主体审核", "tang-yu")
        yield waiting_row(self.stage, self._firm.case, "商家填写打款金额", "商家")

    def cases(self) -> list[str]:
        return [self._person.case, self._firm.case, *filter(None, [self._old_route.case])]


@dataclass
class ReopeningScene:
    """A shop is closed; played: six months and a second later it is opened again, with its deposit and its books."""

    stage: Rehearsal
    title: str = "重新开店:关店满六个月零一秒,原账号申请,重新审核后开店"
    _shop: Application = field(init=False)
    _closing: str = ""
    _banned: Application | None = None

    def set_up(self) -> None:
        self._shop = Application(self.stage, "shop-1009", "四季厨坊", "PERSON")
        register(
            self.stage,
            self._shop.shop_id,
            self._shop.name,
            "PERSON",
            50_000,
            "BANK",
            "3301040160000141111",
            categories=["厨具"],
        )
        self._closing = close(self.stage, self._shop.shop_id, "li-na")

    def play(self) -> None:
        stage, shop = self.stage, self._shop
        from_then = stage.read(lambda tx: tx.get_one(Shop, shop.shop_id).reopen_from)
        stage.advance(from_then - stage.now() + timedelta(seconds=1))
        self._banned = Application(stage, "shop-1003", "星辉饰品", "ENTERPRISE")
        self._banned.ask("reopening")
        self._banned.refused("REO-5")
        stage.snapshot(shop.shop_id)
        shop.apply("reopening")
        shop.materials()
        stage.decide(shop.case, "opening-entity", "tang-yu", "审核通过")
        stage.state(shop.case, "AWAITING_MATERIALS")
        shop.finish(0)
        expect("重新开店后的保证金", balance(stage, shop.shop_id), 50_000)

    def waiting(self) -> Iterable[Waiting]:
        return ()

    def cases(self) -> list[str]:
        return [self._closing, self._shop.case, *([self._banned.case] if self._banned else [])]
