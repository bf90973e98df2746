"""Random openings: whatever comes in whatever order, a shop is open only when paid, reviewed and not barred, and money agrees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlmodel import col, select

from models.books import AccountKind, DepositPayment, Transfer
from models.cases import Case, CaseKind, CaseState
from models.messages import Channel
from models.opening import OpeningTransfer, Stage
from models.payouts import BankContradiction, Payout, PayoutState, Permit
from models.reviews import Review, ReviewState, Role
from models.shops import Capability, ShopState
from office.base.db import in_transaction, reading
from office.staff import staff
from tasks.opening import admission, transfer, tries
from tasks.shops import owed
from tasks.sight import proof
from tests.deaths import Died, mortal
from tests.machines import play, rounds
from tests.opening.bench import GOOD, IDENTITY, Applicant, amount, bank, enter, enterprise, right, to_pay, wish, wrong
from tests.opening.test_paid_and_kept_closed import deduct
from tests.opening.test_reopening import closed, later
from tests.play import REPORT, Office, paper

SHOP, REVIEWERS = "shop-1", {"tang-yu": "唐宇", "lin-yue": "林越"}
SELDOM = st.sampled_from([False, False, False, True])
CARD = {"method": "BANK_CARD", "name": "林晓", "account_no": "6222021234567890123", "bank_name": "工商银行"}
OPENINGS = (CaseKind.OPENING, CaseKind.REOPENING)
BEGINNINGS: dict[str, Callable[[Office], Applicant]] = {
    "first": Applicant,
    "transfer": enterprise,
    "to pay": to_pay,
    "again": closed,
}


class Openings(RuleBasedStateMachine):
    """One merchant with one shop, opened and opened again; a second account of theirs that is banned at some time."""

    make_office: Callable[[], Office]
    seen: Counter[str]

    @initialize(begin=st.sampled_from(sorted(BEGINNINGS)))
    def begin(self, begin: str) -> None:
        self.office = self.make_office()
        self.number = 0
        self.applicant = BEGINNINGS[begin](self.office)
        self.office.hire("lin-yue", "opening-reviewer")
        self.entity = self.applicant.entity
        self.paid_in = sum(row.amount_fen for row in self.all(DepositPayment))
        self.barred: dict[str, str] = {}
        """What keeps the shop from opening, as whoever sent it knows: by what it is."""
        self.roleless = ""
        self.was = self.office.shop(SHOP).state
        self.looked: set[str] = set()
        self.seen[f"began {begin}"] += 1
        if begin == "again":
            later(self.office)
            self.facts({})
            self.the_merchant_applies(again=True)

    # ── what happens most ──

    @rule(steps=st.integers(2, 12))
    def the_application_goes_on(self, steps: int) -> None:
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        """What the application waits for comes."""
        case, shop = self.applicant.now, self.office.shop(SHOP)
        if case.concluded_at is not None:
            if shop.state in {ShopState.APPLYING, ShopState.CLOSED}:
                self.the_merchant_applies(again=shop.state is ShopState.CLOSED)
        elif case.state is CaseState.AWAITING_MATERIALS:
            self.the_merchant_brings_what_is_missing(part=False, lost=False)
        elif case.state is CaseState.AWAITING_PAYMENT:
            self.money_comes(0, "BANK", fee=True, twice=False)
        elif case.state is CaseState.PAYING:
            self.the_bank_answers("settled", 0)
            self.the_merchant_enters_an_amount(0, text=False)
        self.finance_decides_about_the_account("AGAIN")
        self.somebody_reviews("APPROVE", self.able(), "")

    def able(self) -> str:
        return next(who for who in sorted(REVIEWERS) if who != self.roleless)

    def reaches(self, *states: CaseState) -> bool:
        for _ in range(10):
            if self.applicant.now.concluded_at is None and self.applicant.now.state in states:
                return True
            self.step()
        return False

    @rule(what=st.sampled_from(["paper", "arrears", "ban"]))
    def something_comes_between_a_yes_and_the_act(self, what: str) -> None:
        """The worker that was to act on the yes has died meanwhile."""
        if self.reaches(CaseState.UNDER_REVIEW):
            self.somebody_reviews("APPROVE", self.able(), what)

    @rule(what=st.sampled_from(["arrears", "ban", "drawn", "time"]), goes=st.booleans())
    def something_comes_between_the_last_yes_and_the_payment(self, what: str, goes: bool) -> None:
        if self.applicant.now.kind is CaseKind.REOPENING:
            self.the_deposit_is_drawn_on(100)  # else it opens with what is still there
        if not self.reaches(CaseState.AWAITING_PAYMENT):
            return
        match what:
            case "arrears":
                self.facts({"arrears_fen": 100})
            case "ban":
                self.a_ban_is_proposed()
            case "drawn":
                self.the_deposit_is_drawn_on(60_000)
            case _:
                self.time_passes(2, silent=True)
        self.money_comes(0, "ALIPAY", fee=True, twice=False)
        if goes:
            self.the_ban_is_decided(confirmed=False)
            self.the_shop_owes_no_more()
            self.facts({})
        self.rest()

    @rule(verdict=st.sampled_from(["BOOKS", "ANSWER"]))
    def the_bank_says_another_amount_and_is_asked_for_its_proof(self, verdict: str) -> None:
        if self.entity != "PERSON" and self.reaches(CaseState.PAYING):
            self.the_bank_answers("settled", 1)
            self.two_people_clear_what_the_bank_said(verdict)

    # ── the merchant ──

    @rule(again=st.booleans())
    def the_merchant_applies(self, again: bool) -> None:
        one = self.applicant
        said = wish(one.entity, SHOP) if not again else {
            "shop_id": SHOP, "account_id": one.account, "entity_type": one.entity, "categories": one.categories, "account": GOOD,
        }  # fmt: skip
        self.office.send("reopening.requested" if again else "opening.requested", said)
        running = [case for case in self.office.cases() if case.kind in OPENINGS and case.concluded_at is None]
        assert len(running) <= 1, running
        if running:
            self.applicant.case = running[0]

    @rule(part=st.booleans(), lost=SELDOM)
    def the_merchant_brings_what_is_missing(self, part: bool, lost: bool) -> None:
        case = self.applicant.now
        if case.concluded_at is not None or case.state is not CaseState.AWAITING_MATERIALS:
            return
        brings = {
            Stage.MATERIALS: self.applicant.material(),
            Stage.CERTIFICATE: [self.applicant.certificate],
            Stage.TRANSFER: [self.applicant.account_given],
            Stage.FINISHING: [self.applicant.finishing],
            Stage.DEPOSIT: [],
        }[self.applicant.stage]
        for bring in brings[: len(brings) - (part and len(brings) > 1)]:
            bring()
        if lost and self.applicant.stage is Stage.MATERIALS:
            self.newer_paper(staged=False)

    def newer_paper(self, *, staged: bool = True) -> None:
        self.number += 1
        document = paper("身份证.pdf", "IDENTITY_CARD", f"%PDF-1.7 identity {self.number}".encode())
        self.applicant.papers(document, staged=staged)
        self.seen["paper meanwhile" if staged else "paper without file"] += 1

    @rule()
    def the_merchant_takes_it_back(self) -> None:
        self.applicant.send("opening.withdrawn")

    @rule(off=st.sampled_from([0, 0, 1, 2]), text=st.booleans())
    def the_merchant_enters_an_amount(self, off: int, text: bool) -> None:
        number = self.newest_transfer()
        if number is None:
            return
        enter(
            self.applicant,
            "三角" if off and text else wrong(self.applicant, number, off) if off else right(self.applicant, number),
        )

    @rule(
        fen=st.sampled_from([0, 0, 0, -1, 1]), by=st.sampled_from(["BANK", "ALIPAY"]), fee=st.booleans(), twice=SELDOM
    )
    def money_comes(self, fen: int, by: str, fee: bool, twice: bool) -> None:
        """What is missing, a fen less or more, from an account that may be anybody's; it may be reported twice."""
        shop = self.office.shop(SHOP)
        with reading() as tx:
            lacks = owed.missing(tx, shop)
        if not lacks.total or lacks.shortfall.fen + fen <= 0:
            return
        taken = shop.state not in {ShopState.APPLYING, ShopState.FORCED_CLOSED}
        self.number += 1
        for _ in range(1 + twice):
            self.office.pay_deposit(
                SHOP, lacks.shortfall.fen + fen, by, payment_id=f"mine-{self.number}", payer_account="other@example.com"
            )
        self.paid_in += (lacks.shortfall.fen + fen) * taken
        if fee and lacks.fee.fen:
            self.office.pay_deposit(SHOP, lacks.fee.fen, purpose="CERTIFICATION_FEE")
        self.seen["money"] += taken
        self.seen["money too early"] += not taken

    @rule(decided=st.booleans())
    def the_deposit_is_asked_back(self, decided: bool) -> None:
        held = self.office.balance(AccountKind.DEPOSIT, SHOP)
        if self.office.shop(SHOP).state is not ShopState.CLOSED or not held:
            return
        documents = [IDENTITY, paper("银行卡.png", "ACCOUNT_PROOF")]
        case = self.office.request_refund(SHOP, held, payee=CARD, documents=documents)
        for who, verdict in (("wang-fang", "APPROVE"), ("chen-jie", "CONFIRM")) if decided else ():
            for question in self.open_questions(case):
                self.office.answer(
                    question, who, verdict if verdict in question.verdicts else question.verdicts[0], "照付"
                )
        self.seen["refund"] += 1

    # ── people ──

    @rule(
        verdict=st.sampled_from(["APPROVE"] * 5 + ["ASK", "REJECT"]),
        who=st.sampled_from(sorted(REVIEWERS)),
        meanwhile=st.sampled_from(["", "", "", "paper", "arrears", "ban"]),
    )
    def somebody_reviews(self, verdict: str, who: str, meanwhile: str) -> None:
        """``meanwhile``: it comes between the yes and what follows from it, whose worker has died."""
        questions = [one for one in self.open_questions(self.applicant.case) if Role.OPENING_REVIEWER in one.roles]
        if not questions:
            return
        extra: dict[str, Any] = {"items": "身份证明:照片模糊"} if verdict == "ASK" else {}
        extra |= {"signature": True, "seal": True} if questions[0].gate == "opening-certificate" else {}
        if verdict != "APPROVE" or not meanwhile:
            outcome = self.office.answer(questions[0], who, verdict, "理由充分", **extra)
            assert not (outcome.accepted and who == self.roleless)
            self.seen["reviewed" if outcome.accepted else "not taken"] += 1
            return
        try:
            with mortal(lambda when, key: when == "before" and "openings.accept" in key):
                self.office.answer(questions[0], who, verdict, "理由充分", **extra)
        except Died:
            self.seen[f"{meanwhile} between yes and act"] += 1
        if meanwhile == "paper" and self.applicant.stage is Stage.MATERIALS:
            self.newer_paper()
        elif meanwhile == "arrears":
            self.facts({"arrears_fen": 100})
        elif meanwhile == "ban":
            self.a_ban_is_proposed()
        self.rest()

    @rule(verdict=st.sampled_from(["AGAIN", "AGAIN", "PROVED", "OTHER_ACCOUNT", "REJECT"]))
    def finance_decides_about_the_account(self, verdict: str) -> None:
        for question in self.open_questions(self.applicant.case):
            if question.gate == "opening-transfer":
                paper_id = self.office.bank_proof(SHOP)["paper"]
                assert self.office.answer(question, "wang-fang", verdict, "理由充分", paper=paper_id).accepted
                self.seen[f"finance: {verdict}"] += 1

    @rule(person=st.sampled_from(["", *sorted(REVIEWERS)]))
    def somebody_loses_their_role_and_another_gets_it_back(self, person: str) -> None:
        for staff_id, role in ((self.roleless, Role.OPENING_REVIEWER), (person, Role.INVOICE_CLERK)):
            if staff_id:
                kept = self.office.secrets[staff_id]
                in_transaction(lambda tx, i=staff_id, r=role, s=kept: staff.enrol(tx, i, REVIEWERS[i], [r], secret=s))  # type: ignore[misc]
        self.roleless = person
        self.seen["roles lost"] += bool(person)

    @rule(longer=st.booleans())
    def finance_decides_about_who_has_not_paid(self, longer: bool) -> None:
        for case in self.going(CaseKind.DEPOSIT_DEMAND):
            for question in self.open_questions(case):
                if self.office.answer(question, "wang-fang", "LONGER" if longer else "SUSPEND", "理由充分").accepted:
                    self.seen["not paid in time"] += 1

    # ── the bank ──

    @rule(
        what=st.sampled_from(["settled", "settled", "settled", "returned", "failed"]),
        more=st.sampled_from([0, 0, 0, 1]),
    )
    def the_bank_answers(self, what: str, more: int) -> None:
        number = self.newest_transfer()
        if number is not None:
            fen = amount(self.applicant, number)
            bank(self.applicant, number, what, "账户不存在", fen % 99 + 1 if more else fen)
        for row in self.all(Payout):
            if row.source is AccountKind.DEPOSIT and row.state is PayoutState.REQUESTED:
                self.office.bank(row.request_no, what, row.amount_fen, SHOP)

    @rule(first=st.sampled_from(["settled", "failed", "returned"]), then_back=st.booleans())
    def the_bank_answers_about_a_transfer_whose_application_is_over(self, first: str, then_back: bool) -> None:
        """OPN-10: finance hears of each answer once, and the books have what really left."""
        if self.entity == "PERSON" or not self.reaches(CaseState.PAYING):
            return
        number = self.newest_transfer()
        self.the_merchant_takes_it_back()
        if number is None or self.applicant.now.concluded_at is None:
            return
        for what in (first, *(("returned",) if then_back and first == "settled" else ())):
            before = len(self.office.messages("payment_came_back", Channel.STAFF))
            bank(self.applicant, number, what, "账户已销户")
            told = self.office.messages("payment_came_back", Channel.STAFF)[before:]
            assert [(one["case_id"], one["arrived"]) for one in told] == [(self.applicant.case.id, what == "settled")]
        self.rest()
        with reading() as tx:
            row = transfer.find(tx, self.applicant.case.id, number)
            assert row is not None and row.ended_at is not None and not tx.get_one(Payout, row.request_no).covered
        self.seen["bank late"] += 1

    def two_people_clear_what_the_bank_said(self, verdict: str) -> None:
        for case in self.going(CaseKind.BANK_INQUIRY):
            self.office.decide(case, "wang-fang", verdict, "银行出具回单", **self.office.bank_proof(SHOP))
            self.office.decide(case, "he-qiang", "CONFIRM", "已核对")
            self.seen["contradiction cleared"] += 1

    # ── the platform ──

    @rule(facts=st.sampled_from([{}, {}, {}, {"arrears_fen": 100}, {"unsettled_payouts": 1}]))
    def the_platform_reports(self, facts: dict[str, int]) -> None:
        self.facts(facts)

    def facts(self, facts: dict[str, int]) -> None:
        self.office.snapshot(SHOP, **facts)
        self.bar("facts", bool(facts))

    def bar(self, what: str, stands: bool) -> None:
        self.barred.pop(what, None)
        self.barred |= {what: what} if stands else {}

    @rule()
    def a_ban_is_proposed(self) -> None:
        if not self.going(CaseKind.FORCED_CLOSURE) and self.office.shop(SHOP).state is not ShopState.FORCED_CLOSED:
            self.office.stage(SHOP, REPORT)
            self.number += 1
            self.office.send(
                "forced_closure.proposed",
                {
                    "shop_id": SHOP,
                    "proposal_id": f"p-{self.number}",
                    "violation": "售假",
                    "clause": "DED-7",
                    "description": "抽检",
                    "proposed_by": "risk-17",
                    "documents": [REPORT],
                },
            )
            self.bar("ban proposed", bool(self.going(CaseKind.FORCED_CLOSURE)))
            self.seen["ban proposed"] += bool(self.barred.get("ban proposed"))

    @rule(confirmed=SELDOM)
    def the_ban_is_decided(self, confirmed: bool) -> None:
        for case in self.going(CaseKind.FORCED_CLOSURE):
            for who in ("li-na", "he-qiang"):
                for question in self.open_questions(case):
                    self.office.answer(question, who, "CONFIRM" if confirmed else "DROP", "理由充分")
        self.bar("ban proposed", bool(self.going(CaseKind.FORCED_CLOSURE)))

    @rule(fen=st.sampled_from([100, 60_000, 500_000]))
    def the_deposit_is_drawn_on(self, fen: int) -> None:
        self.number += 1
        deduct(self.office, fen, f"drawn-{self.number}")

    def the_shop_owes_no_more(self) -> None:
        owed = self.office.balance(AccountKind.ARREARS, SHOP)
        if owed:
            self.office.pay_deposit(SHOP, owed, purpose="ARREARS")

    @rule(days=st.sampled_from([0.1, 2, 9, 16, 31]), silent=SELDOM)
    def time_passes(self, days: float, silent: bool) -> None:
        self.office.platform_answers = not silent
        self.office.pass_time(days=days)
        self.rest()
        self.office.platform_answers = True

    @rule()
    def the_shop_closes_and_half_a_year_goes_by(self) -> None:
        if self.office.shop(SHOP).state is not ShopState.OPEN or self.barred:
            return
        self.facts({})
        case = self.office.request_closure(SHOP)
        for question in self.open_questions(case):
            self.office.answer(question, "li-na", "APPROVE", "同意")
        self.office.snapshot(SHOP)
        if self.office.shop(SHOP).state is ShopState.CLOSED:
            later(self.office)
            self.facts({})
            self.the_merchant_applies(again=True)

    def rest(self) -> None:
        """Whatever was left is done, and what every minute does."""
        self.office.clock.advance(timedelta(seconds=301))
        self.office.settle()
        transfer.sweep()
        admission.look_again()
        self.office.settle()

    # ── what must hold ──

    @invariant()
    def a_shop_opens_only_paid_approved_and_not_barred(self) -> None:
        if not hasattr(self, "office"):
            return
        shop, was = self.office.shop(SHOP), self.was
        self.was = shop.state
        if shop.state is not ShopState.OPEN:
            return
        assert set(shop.capabilities) == {one.value for one in Capability}
        if was is ShopState.OPEN:
            return
        self.seen["opened"] += 1
        with reading() as tx:
            assert not owed.missing(tx, shop).total
        assert "ban proposed" not in self.barred, self.barred
        case = self.applicant.now
        if case.kind is CaseKind.REOPENING:
            assert self.barred == {} and not self.office.balance(AccountKind.ARREARS, SHOP)
            self.seen["opened again"] += 1
        self.everybody_saw_what_was_approved(case)

    def everybody_saw_what_was_approved(self, case: Case) -> None:
        """Ambiguity 23: the last yes of each step over nothing that blocks, about the very parts and papers that are there."""
        last = {review.gate: review for review in self.office.reviews(case) if review.state is ReviewState.DECIDED}
        assert last["opening-shop"].verdict == "APPROVE" and last["opening-entity"].verdict == "APPROVE"
        saw = last["opening-shop"].seen or {}
        now = sorted([one["kind"], one.get("sha256") or ""] for one in case.request["documents"])
        assert saw["blocking"] == [] and saw["terms"]["documents"] == now

    @invariant()
    def money_agrees(self) -> None:
        if not hasattr(self, "office"):
            return
        assert self.office.books() == []
        with reading() as tx:
            assert list(proof.check(tx)) == []
        payouts, used = self.all(Payout), {one.id for one in self.all(Permit) if one.used_at is not None}
        assert {row.permit_id for row in payouts} <= used and len({row.permit_id for row in payouts}) == len(payouts)
        deposit = [row for row in payouts if row.source is AccountKind.DEPOSIT]
        out = sum(row.amount_fen for row in deposit if row.state in {PayoutState.REQUESTED, PayoutState.SETTLED})
        taken = sum(
            row.amount_fen
            for row in self.all(Transfer)
            if row.debit_account == f"shop/{SHOP}/deposit" and not row.reason.startswith("payout.")
        )
        assert self.paid_in == self.office.balance(AccountKind.DEPOSIT, SHOP) + out + taken
        self.nothing_is_sent_twice_or_over_what_stands_in_the_way(payouts)

    def nothing_is_sent_twice_or_over_what_stands_in_the_way(self, payouts: list[Payout]) -> None:
        """OPN-10, ambiguities 24 and 38: one transfer at a time; none while the bank contradicts itself, none after a ban."""
        new = [row for row in payouts if row.request_no not in self.looked]
        self.looked |= {row.request_no for row in new}
        under_way = [row for row in self.all(OpeningTransfer) if row.state in tries.UNDER_WAY]
        going = {case.id for case in self.going(*OPENINGS)}
        assert len([row for row in under_way if row.case_id in going]) <= 1
        stands = [one.received_at for one in self.all(BankContradiction) if one.closed_at is None]
        for row in new:
            assert all(row.requested_at <= at for at in stands), row
            assert self.office.shop(SHOP).state is not ShopState.FORCED_CLOSED, row
        assert all(row.tries <= 3 for row in self.all(OpeningTransfer))

    def teardown(self) -> None:
        if not hasattr(self, "office"):
            return
        assert self.office.chains() == []
        for case in self.office.cases():
            if case.kind in OPENINGS:
                self.seen[f"{case.kind} {case.outcome or case.state}"] += 1
        for row in self.all(OpeningTransfer):
            self.seen[f"transfer {row.state}"] += 1
        self.seen["held"] += len(self.office.messages("opening_held"))

    # ── what there is ──

    def all(self, table: type[Any]) -> list[Any]:
        with reading() as tx:
            rows = list(tx.exec(select(table)))
            tx.expunge_all()
        return rows

    def going(self, *kinds: CaseKind) -> list[Case]:
        return [case for case in self.office.cases() if case.kind in kinds and case.concluded_at is None]

    def open_questions(self, case: Case) -> list[Review]:
        with reading() as tx:
            query = select(Review).where(
                Review.case_id == case.id, col(Review.state).in_([ReviewState.PENDING, ReviewState.CLAIMED])
            )
            found = list(tx.exec(query))
            tx.expunge_all()
        return found

    def newest_transfer(self) -> int | None:
        rows = [row for row in self.all(OpeningTransfer) if row.case_id == self.applicant.case.id]
        return max((row.number for row in rows), default=None)


ENOUGH = {
    "began first": 1, "began transfer": 1, "began to pay": 1, "began again": 1, "opened": 2, "opened again": 1, "reviewed": 5,
    "money": 2, "money too early": 1, "ban proposed": 1, "roles lost": 1, "held": 1, "transfer VERIFIED": 1,
    "bank late": 1, "contradiction cleared": 1, "paper between yes and act": 1, "arrears between yes and act": 1,
}  # fmt: skip
"""How often it must have come to this."""
SEVERAL = 2


@rounds(SEVERAL)
def test_whatever_comes_in_whatever_order_a_shop_opens_only_paid_approved_and_not_barred(
    new_office: Callable[..., Office], session_folder: Path, number: int
) -> None:
    seen: Counter[str] = Counter()
    play(
        type("Machine", (Openings,), {"make_office": staticmethod(new_office), "seen": seen}),
        seen,
        ENOUGH,
        examples=4,
        steps=14,
        number=number,
        of=SEVERAL,
        shared=session_folder / "openings",
    )
