"""An office that the previous version filled with every kind of case, waiting and ended, upgrades and goes on to its ends."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from models.books import Account
from models.cases import Case, CaseKind, CaseState, CaseWait, WaitState
from models.invoicing import Statement
from models.messages import InboxMessage, InboxState, OutboxMessage, OutboxState
from models.payouts import BankContradiction, Payout, PayoutState
from models.reviews import Review, Staff
from models.shops import Shop, ShopState
from notifications.scripted import ScriptedNotifier
from office.base import clock, db
from office.base.db import Tx, reading
from office.base.settings import settings
from office.cases import gates as review_gates
from office.files import evidence
from office.money import ledger
from ops import migrate
from policies.policy import SHANGHAI
from tasks import delivery
from tasks.invoicing import freeze_proof
from tasks.shops import demands, owed, proposals
from tasks.sight import examination, proof
from tests.appeals.bench import PNG
from tests.invoicing import kit
from tests.play import PAPERS, REPORT, Office
from tests.previous import office as previous
from tests.previous.fill import AUDIT_KEY, FERNET_KEY

pytestmark = pytest.mark.both

KEPT_FOR_EVER = {
    "case", "effect", "audit", "review", "statement", "transfer", "account", "ruling", "invoice", "payout", "shop", "staff",
    "deposit_payment", "evidence_item", "evidence_submission", "appeal", "arbitration", "billable_item", "case_deadline",
    "case_wait", "inbox", "outbox", "red_letter", "money_return", "statement_document", "exit_obligation", "permit",
}  # fmt: skip
"""Tables whose rows nobody may remove, however long an office goes on."""

ENDS = {
    CaseKind.CLOSURE: "CLOSED",
    CaseKind.REFUND: "REFUNDED",
    CaseKind.FORCED_CLOSURE: "FORCED_CLOSED",
    CaseKind.APPEAL: "UPHELD",
    CaseKind.WITHDRAWAL: "ARBITRATION_WITHDRAWN",
    CaseKind.CORRECTION: "CORRECTED",
    CaseKind.INVOICING: "ISSUED",
    CaseKind.INVOICE_REVIEW: "ACCEPTED",
}
"""How what waits ends when everybody who is asked says yes."""
ENDS_OTHERWISE = {("shop-withdrawal-asks", CaseKind.APPEAL): "MOOT"}


@pytest.fixture
def left(empty: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """The office at the moment it was left, its database as the previous version had it."""
    monkeypatch.setenv("DIANWU_ENCRYPTION_KEYS", json.dumps([FERNET_KEY]))
    monkeypatch.setenv("DIANWU_AUDIT_KEY", AUDIT_KEY)
    settings.cache_clear()
    previous.lay_out()
    virtual = clock.VirtualClock(datetime.fromisoformat(previous.kept()["at"]))
    clock.use_clock(virtual)
    delivery.use_notifier(ScriptedNotifier())
    office = Office(virtual, secrets=previous.kept()["secrets"])
    office.number = 100_000
    yield office


def test_an_office_of_the_previous_version_loses_no_row_and_its_books_and_chains_are_whole(left: Office) -> None:
    before = previous.keys()
    assert {name: len(rows) for name, rows in previous.kept()["tables"].items()} == {
        name: len(found) for name, found in before.items()
    }
    migrate.upgrade()
    assert not migrate.pending()
    after = previous.keys()
    for name in set(before) - {"alembic_version"}:
        assert before[name] == after[name], name
    assert wrong(left) == []


def test_an_account_whose_books_did_not_add_up_before_the_upgrade_is_not_proved_by_it(left: Office) -> None:
    with db.engine().begin() as connection:
        deposits = "(SELECT MIN(id) FROM account WHERE kind = 'deposit')"
        connection.execute(text(f"UPDATE account SET credit_fen = credit_fen + 1 WHERE id = {deposits}"))
        changed = connection.execute(text(f"SELECT {deposits}")).scalar_one()
    migrate.upgrade()
    with reading() as tx:
        unproved = [account_id for account_id in tx.exec(select(Account.id)) if not proves(tx, account_id)]
    assert unproved == [changed]


def proves(tx: Tx, account_id: str) -> bool:
    try:
        ledger.prove(tx, account_id)
    except ledger.BooksForged:
        return False
    return True


def test_every_case_of_the_previous_version_goes_on_and_ends_under_the_present_rules(left: Office) -> None:
    migrate.upgrade()
    before = previous.keys()
    waiting = {case.id for case in left.cases() if case.concluded_at is None}
    ended = {case.id: (case.state, case.outcome) for case in left.cases() if case.concluded_at is not None}
    with reading() as tx:
        left.reported = {shop_id: {} for shop_id in tx.exec(select(Shop.id))}
    what_waits_is_decided_by_the_present_rules(left)
    Everybody(left).play_on()

    after = previous.keys()
    for name in KEPT_FOR_EVER:
        assert before[name] <= after[name], name
    for case_id, then in ended.items():
        case = left.case(case_id)
        assert (case.state, case.outcome) == then, "what has ended stays as it ended"
    ends = [case for case in left.cases() if case.id in waiting]
    assert {case.kind for case in ends} == set(ENDS), "every kind the previous version knew"
    for case in ends:
        wanted = ENDS_OTHERWISE.get((case.shop_id, case.kind), ENDS[case.kind])
        assert case.outcome == wanted, (case.id, case.shop_id, case.outcome_text)
    assert wrong(left) == []
    with reading() as tx:
        assert (
            list(
                tx.exec(
                    select(OutboxMessage.key).where(col(OutboxMessage.state).in_([OutboxState.NEW, OutboxState.DEAD]))
                )
            )
            == []
        )
        assert (
            list(
                tx.exec(
                    select(InboxMessage.type).where(col(InboxMessage.state).in_([InboxState.NEW, InboxState.FAILED]))
                )
            )
            == []
        )


def what_waits_is_decided_by_the_present_rules(left: Office) -> None:
    """Ambiguities 23 to 38: facts that worsen, papers nobody has, a bank that contradicts itself, who made the ruling."""

    def waits(shop_id: str, kind: CaseKind) -> Case:
        (case,) = [
            one for one in left.cases() if one.shop_id == shop_id and one.kind is kind and one.concluded_at is None
        ]
        return case

    def refused(case: Case, who: str, verdict: str, why: str) -> None:
        for _ in range(2):  # the first answer may be about what was shown before the upgrade
            told = left.answer(left.question(case), who, verdict, "已核对,理由充分")
        assert not told.accepted and why in told.sentence, (case.shop_id, told)

    second, override = waits("shop-refund-second", CaseKind.REFUND), waits("shop-closure-second", CaseKind.CLOSURE)
    left.snapshot("shop-refund-second", penalties=[{"id": "p", "kind": "虚假发货", "settled": False}])
    left.snapshot("shop-closure-second", open_orders=3)
    left.sweep()
    gates = [(left.question(case).gate, left.question(case).round) for case in (second, override)]
    assert gates == [("refund-review", 2), ("closure-review", 2)]
    paying, again = waits("shop-refund-bank", CaseKind.REFUND), waits("shop-refund-again", CaseKind.REFUND)
    left.bank(f"{paying.id}-P1", fen=399_900, shop_id="shop-refund-bank")
    left.bank(f"{again.id}-P1", shop_id="shop-refund-again")
    assert left.case(paying.id).state == "PAYING" and len(left.staff_told("bank_contradicts")) == 4
    assert "银行回执有矛盾" in left.question(again).dossier
    refused(again, "wang-fang", "APPROVE", "没有收到任何一份所需材料")
    refused(waits("shop-force-second", CaseKind.FORCED_CLOSURE), "li-na", "CONFIRM", "没有收到任何一份所需材料")
    refused(waits("shop-correction-first", CaseKind.CORRECTION), "he-qiang", "CONFIRM", "没有收到任何一份所需材料")
    refused(waits("shop-appeal-asks", CaseKind.APPEAL), "sun-lei", "UPHOLD", "四眼")


def test_shops_that_were_open_without_their_deposit_are_asked_once_and_not_shut(left: Office) -> None:
    """DEP-10, DEP-11: what the previous version let stand becomes a demand with a window."""
    migrate.upgrade()
    with reading() as tx:
        before = {shop.id: (shop.state, shop.capabilities) for shop in tx.exec(select(Shop))}
        lacking = {
            shop.id for shop in tx.exec(select(Shop)) if shop.state is ShopState.OPEN and owed.missing(tx, shop).total
        }
    assert lacking, "there were such shops"
    for _ in range(2):
        demands.sweep()
    asked = [case for case in left.cases() if case.kind is CaseKind.DEPOSIT_DEMAND]
    assert sorted(str(case.shop_id) for case in asked) == sorted(lacking)
    with reading() as tx:
        assert before == {shop.id: (shop.state, shop.capabilities) for shop in tx.exec(select(Shop))}


def about(review: Review) -> str | None:
    """The shop whose money an inquiry is about."""
    with reading() as tx:
        return tx.exec(select(BankContradiction.shop_id).where(BankContradiction.inquiry_id == review.case_id)).one()


def wrong(office: Office) -> list[str]:
    with reading() as tx:
        found = [*proof.check(tx), *freeze_proof.check(tx)]
    return found + office.chains()


class Everybody:
    """Staff, merchants and the bank, who all do what they are asked, until nothing is left to ask."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.documented: set[str] = set()

    def play_on(self) -> None:
        for _ in range(60):
            kit.sweep(self.office)
            examination.examine()
            self.platform_documents()
            while self.staff_answer() or self.merchants_answer() or self.merchants_pay() or self.bank_answers():
                pass
            self.merchants_clear()
            self.platform_documents()
            if not self.open():
                self.office.pass_time(hours=1)  # what goes to staff in lists leaves by the quarter of an hour
                return
            self.office.clock.advance(timedelta(hours=20))
        raise AssertionError([(case.id, case.shop_id, case.state, self.office.trail(case.id)) for case in self.open()])

    def open(self) -> list[Case]:
        return [case for case in self.office.cases() if case.concluded_at is None]

    def staff_answer(self) -> bool:
        """Answer every open question with its first verdict; whether any was."""
        with reading() as tx:
            asked = list(tx.exec(select(Review).where(col(Review.state).in_(review_gates.OPEN))))
            tx.expunge_all()
        asked.sort(
            key=lambda review: review.gate != "withdrawal"
        )  # before the appeal it would end has an end of its own
        return any([self.answer(review) for review in asked])

    def answer(self, review: Review) -> bool:
        """Say yes; where the rules of today do not let anybody, the next best."""
        said = []
        for verdict, staff_id in itertools.product(review.verdicts, self.may_answer(review)):
            extra = (
                {"contact": "电话联系店主", "handling": "TO_DEPOSIT"} if review.gate == "compensation-service" else {}
            )
            if review.gate == "bank-proof":
                extra = self.office.bank_proof(about(review))
            outcome = self.office.answer(review, staff_id, verdict, "已核对,理由充分", **extra)
            if outcome.accepted or self.is_answered(review):
                return True
            said.append((verdict, staff_id, outcome.sentence))
        raise AssertionError((review.gate, review.case_id, said))

    def is_answered(self, review: Review) -> bool:
        """Whether another question stands there now: the facts have changed since it was asked."""
        with reading() as tx:
            now = tx.get_one(Review, review.id)
            return now.state not in review_gates.OPEN or now.revision != review.revision

    def may_answer(self, review: Review) -> list[str]:
        with reading() as tx:
            return [
                person.id
                for person in tx.exec(select(Staff).order_by(col(Staff.id)))
                if person.active and set(person.roles) & set(review.roles) and person.id in self.office.secrets
            ]

    def merchants_answer(self) -> bool:
        with reading() as tx:
            open_ = list(tx.exec(select(CaseWait).where(CaseWait.state == WaitState.OPEN)))
            waits = [(wait.kind, wait.case_id) for wait in open_]
        told = False
        for kind, case_id in waits:
            case = self.office.case(case_id)
            match kind:
                case "merchant-answer":
                    self.office.merchant_answers(case, "已补齐", *PAPERS)
                case "payee":
                    self.office.correct_payee(case)
                case "re-evidence":
                    self.office.send("appeal.evidence_submitted", self.more_evidence(case))
                case _:
                    continue
            told = True
        return told

    def merchants_pay(self) -> bool:
        """Who is asked for deposit pays exactly what is missing."""
        with reading() as tx:
            lacking = [
                (shop.id, owed.missing(tx, shop).shortfall.fen)
                for case in tx.exec(
                    select(Case).where(Case.kind == CaseKind.DEPOSIT_DEMAND, col(Case.concluded_at).is_(None))
                )
                if (shop := tx.get(Shop, case.shop_id)) is not None
            ]
        for shop_id, fen in lacking:
            self.office.pay_deposit(shop_id, fen)
        return bool(lacking)

    def more_evidence(self, case: Case) -> dict[str, object]:
        item = evidence.stage(str(case.shop_id), "签收底单.png", io.BytesIO(PNG + case.id.encode()))
        return {
            "shop_id": case.shop_id,
            "account_id": f"acct-{case.shop_id}",
            "case_id": case.id,
            "statement": "补充揽收证明。",
            "evidence": [{"id": item.id, "kind": "CHAT"}],
        }

    def platform_documents(self) -> None:
        """The platform sends the papers it is asked for."""
        proposals.sweep()
        self.office.settle()
        for event in self.office.events("proposal.papers_requested"):
            case = self.office.case(event["case_id"])
            if case.concluded_at is None and case.id not in self.documented:
                self.documented.add(case.id)
                self.office.stage(str(case.shop_id), REPORT)
                told = {"shop_id": case.shop_id, "case_id": case.id, "documents": [REPORT]}
                self.office.send("proposal.documented", told)

    def merchants_clear(self) -> None:
        """Who closes sends the invoices that are missing, and the platform reports that nothing else is open."""
        for shop_id in {str(case.shop_id) for case in self.open() if case.state is CaseState.CLEARING}:
            with reading() as tx:
                owed = [
                    row.open_fen for row in tx.exec(select(Statement).where(Statement.shop_id == shop_id)) if row.number
                ]
            for fen in filter(None, owed):
                day = self.office.clock.at.astimezone(SHANGHAI).date().isoformat()
                kit.send_invoice(self.office, fen, shop_id, issued_on=day)
            self.office.snapshot(shop_id)

    def bank_answers(self) -> bool:
        with reading() as tx:
            rows = tx.exec(select(Payout).where(Payout.state == PayoutState.REQUESTED))
            asked = [(row.request_no, row.amount_fen, row.case_id) for row in rows]
        for request_no, fen, case_id in asked:
            self.office.bank(request_no, fen=fen, shop_id=str(self.office.case(case_id).shop_id))
        return bool(asked)
