"""Workers that die at every step of every story: the same end, the same books, every message once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from flows.stories import STORIES
from flows.story import Resting
from models.audit import AuditEntry
from models.books import Transfer
from models.cases import Case, CaseKind, Effect
from models.confirmations import Confirmation
from models.messages import Channel
from models.reviews import Review, ReviewState
from models.shops import ShopState
from office.base.db import reading
from office.base.settings import settings
from office.cases import reviews
from tasks.opening import transfer
from tasks.sight import proof
from tests import accounts
from tests.appeals.bench import Bench
from tests.deaths import mortal, until_done
from tests.invoicing import kit
from tests.opening.bench import FORM, LICENCE, LOGO, Applicant, bank, enter, wish
from tests.play import PAPERS, Office
from tests.settlement import kit as settling


@pytest.fixture(autouse=True)
def _amounts() -> Iterator[None]:
    """Every telling draws the same amounts: 0.37, and without it 0.38."""
    transfer.use_chance(lambda _: 36)
    yield
    transfer.use_chance(None)


def both_stories(office: Office) -> dict[str, str]:
    """Close a shop over a blocking finding, then return its deposit with one bank return on the way."""
    office.open_shop()
    office.snapshot(open_orders=1)
    until_done(
        office,
        lambda: office.send(
            "closure.requested",
            {
                "shop_id": "shop-1",
                "account_id": "acct-shop-1",
                "reason": "STOCK_CLEARED",
            },
        ),
    )
    closing = of_kind(CaseKind.CLOSURE)
    decide(office, closing, "li-na", "ASK")
    until_done(office, lambda: office.merchant_answers(closing))
    decide(office, closing, "li-na", "APPROVE")
    decide(office, closing, "he-qiang", "CONFIRM")
    until_done(office, office.snapshot)
    office.stage("shop-1", PAPERS[0])
    until_done(
        office,
        lambda: office.send(
            "refund.requested",
            {
                "shop_id": "shop-1",
                "account_id": "acct-shop-1",
                "amount_fen": 400_000,
                "documents": PAPERS,
                "payee": {
                    "method": "CORPORATE_ACCOUNT",
                    "name": "宁波晨光文具有限公司",
                    "account_no": "3301040160000121234",
                    "bank_name": "中国银行",
                },
            },
        ),
    )
    refund = of_kind(CaseKind.REFUND)
    decide(office, refund, "wang-fang", "APPROVE")
    decide(office, refund, "chen-jie", "CONFIRM")
    until_done(office, lambda: office.bank(f"{refund.id}-P1", "returned"))
    decide(office, refund, "wang-fang", "AGAIN")
    decide(office, refund, "wang-fang", "APPROVE")
    decide(office, refund, "chen-jie", "CONFIRM")
    until_done(office, lambda: office.bank(f"{refund.id}-P2"))
    return {closing.id: "CLS", refund.id: "REF"}


def of_kind(kind: CaseKind) -> Case:
    with reading() as tx:
        case = tx.exec(select(Case).where(Case.kind == kind)).one()
        tx.expunge(case)
        return case


def decide(office: Office, case: Case, staff_id: str, verdict: str) -> None:
    """Decide; a worker dying over what follows takes nothing from the decision."""
    until_done(office, lambda: office.decide(case, staff_id, verdict, "已核对,同意继续"))


@contextmanager
def weighty_answers_are_held() -> Iterator[None]:
    """As in production: what is answered through Prefect waits for its author's word, or their silence."""
    os.environ["DIANWU_CONFIRMATION"] = "window"
    settings.cache_clear()
    try:
        yield
    finally:
        del os.environ["DIANWU_CONFIRMATION"]
        settings.cache_clear()


def a_forced_closure_through_prefect(office: Office) -> dict[str, str]:
    """Two people close a shop by force in Prefect's dialog: the first confirms it, the second's time to object runs out."""
    with weighty_answers_are_held():
        office.open_shop()
        until_done(office, office.propose_forced_closure)
        case = of_kind(CaseKind.FORCED_CLOSURE)
        first = office.question(case)
        until_done(office, lambda: office.fill_in(first, "li-na", "CONFIRM"))
        until_done(office, lambda: office.confirm(first, "li-na"))
        second = office.question(case)
        until_done(office, lambda: office.fill_in(second, "he-qiang", "CONFIRM"))
        until_done(office, lambda: office.pass_time(hours=5))
    return {case.id: "FCL", held_of(first): "CF1", held_of(second): "CF2"}


def held_of(review: Review) -> str:
    with reading() as tx:
        return tx.exec(select(Confirmation.id).where(Confirmation.review_id == review.id)).one()


def an_appeal(office: Office) -> tuple[Bench, Case]:
    """A ruling that took money, of which there is enough, and the appeal against it."""
    bench = Bench(office, deposit_fen=1_000_000)
    bench.rule()
    until_done(office, bench.file)
    return bench, of_kind(CaseKind.APPEAL)


def the_money_comes_back(office: Office, case: Case) -> None:
    until_done(office, lambda: office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="TO_DEPOSIT"))
    decide(office, case, "wang-fang", "CONFIRM")


def a_long_appeal(office: Office) -> dict[str, str]:
    """More evidence is asked for and sent, another arbitrator upholds, the money comes back."""
    office.hire("qian-li", "arbitrator")
    bench, case = an_appeal(office)
    decide(office, case, "zhou-yan", "INSUFFICIENT")
    until_done(office, lambda: bench.send_more(case))
    decide(office, case, "qian-li", "UPHOLD")
    the_money_comes_back(office, case)
    return {case.id: "ARB"}


def an_unanswered_appeal(office: Office) -> dict[str, str]:
    """More evidence is asked for, and nothing comes."""
    _, case = an_appeal(office)
    decide(office, case, "zhou-yan", "INSUFFICIENT")
    until_done(office, lambda: office.pass_time(days=3, hours=1))
    return {case.id: "ARB"}


def a_withdrawal(office: Office) -> dict[str, str]:
    """The arbitration is withdrawn while the appeal is looked at."""
    _, appeal = an_appeal(office)
    until_done(
        office,
        lambda: office.send(
            "arbitration.withdrawal_requested",
            {
                "shop_id": "shop-1",
                "arbitration_id": "arb-rul-1",
                "reason": "BUYER_GIVES_UP",
                "requested_by": "BUYER",
            },
        ),
    )
    withdrawal = of_kind(CaseKind.WITHDRAWAL)
    decide(office, withdrawal, "wu-tao", "CONFIRM")
    the_money_comes_back(office, withdrawal)
    return {appeal.id: "ARB", withdrawal.id: "WDR"}


def a_correction(office: Office) -> dict[str, str]:
    """The appeal is dismissed, a court judges otherwise, two supervisors correct the ruling, the money comes back."""
    _, appeal = an_appeal(office)
    decide(office, appeal, "zhou-yan", "DISMISS")
    until_done(office, office.propose_correction)
    correction = of_kind(CaseKind.CORRECTION)
    decide(office, correction, "he-qiang", "CONFIRM")
    decide(office, correction, "gao-yuan", "CONFIRM")
    the_money_comes_back(office, correction)
    return {appeal.id: "ARB", correction.id: "COR"}


def a_forced_closure(office: Office) -> dict[str, str]:
    """Two people close a shop by force."""
    office.open_shop()
    until_done(office, office.propose_forced_closure)
    case = of_kind(CaseKind.FORCED_CLOSURE)
    decide(office, case, "li-na", "CONFIRM")
    decide(office, case, "he-qiang", "CONFIRM")
    return {case.id: "FCL"}


def a_month(office: Office) -> dict[str, str]:
    """A month is drafted, released and issued; a clerk looks at a doubtful invoice for it."""
    office.open_shop()
    kit.record(office, kit.item())
    kit.at(office, 2026, 12, 1, 2)
    until_done(office, lambda: kit.open_month(office))
    month = of_kind(CaseKind.INVOICING)
    decide(office, month, "wang-fang", "RELEASE")
    doubtful = kit.invoice(number=f"26{7:018d}", kind="ORDINARY", difficulty="税务机关系统升级")
    until_done(office, lambda: office.send("invoice.submitted", doubtful))
    review = of_kind(CaseKind.INVOICE_REVIEW)
    decide(office, review, "xu-jing", "ACCEPT")
    return {month.id: "MON", review.id: "INV"}


def a_demand(office: Office) -> dict[str, str]:
    """A shop loses some of its deposit, does not pay, gets a longer window, is suspended, pays and is open again."""
    office.open_shop()
    until_done(
        office,
        lambda: office.deduct(100_000),
    )
    case = of_kind(CaseKind.DEPOSIT_DEMAND)
    until_done(office, lambda: office.pass_time(days=16))
    decide(office, case, "wang-fang", "LONGER")
    until_done(office, lambda: office.pass_time(days=16))
    decide(office, case, "chen-jie", "SUSPEND")
    until_done(office, lambda: office.pay_deposit("shop-1", 100_000))
    assert office.shop().state is ShopState.OPEN
    return {case.id: "DEP"}


def bound_accounts(office: Office) -> dict[str, str]:
    """An official account; a channel after a wrong code; a self-operated one whose days come late, agreed to and taken back."""
    office.open_shop()
    names: dict[str, str] = {}

    def opened(name: str, act: Callable[[], object]) -> Case:
        until_done(office, act)
        (new,) = [case for case in office.cases() if case.id not in names]
        names[new.id] = name
        return new

    official = opened("OFF", lambda: accounts.ask(office))
    until_done(office, lambda: accounts.scan(office, official))
    until_done(office, lambda: accounts.answer(office, official))
    until_done(office, lambda: accounts.confirm(office, official))
    channel = opened("CHA", lambda: accounts.ask_channel(office))
    until_done(office, lambda: accounts.enter(office, channel, accounts.wrong(office, channel)))
    until_done(office, lambda: accounts.enter(office, channel))
    accounts.month(office, but=(7,))
    own = opened("OWN", lambda: accounts.mark(office))
    lacks = accounts.today(office) - timedelta(days=7)
    until_done(office, lambda: accounts.report(office, accounts.sales_of(lacks, 60_000)))
    until_done(office, lambda: accounts.consent(office, own))
    until_done(office, lambda: accounts.withdraw_consent(office))
    return names


def an_opening(office: Office) -> dict[str, str]:
    """An enterprise opens a shop: asked again once, a wrong amount and the right one, deposit and certification fee."""
    until_done(office, lambda: office.send("opening.requested", wish("ENTERPRISE")))
    applicant = Applicant(office, "ENTERPRISE", case=of_kind(CaseKind.OPENING))
    for bring in applicant.material():
        until_done(office, bring)
    until_done(office, lambda: applicant.ask_again("营业执照:看不清"))
    until_done(office, lambda: applicant.papers(LICENCE))
    until_done(office, applicant.approve)
    until_done(office, lambda: applicant.papers(FORM))
    until_done(office, applicant.account_given)
    until_done(office, lambda: applicant.approve(signature=True, seal=True))
    until_done(office, lambda: bank(applicant))
    for text in ("0.38", "0.37"):
        until_done(office, lambda amount=text: enter(applicant, amount))  # type: ignore[misc]
    until_done(office, lambda: applicant.papers(LOGO))
    until_done(office, applicant.links)
    until_done(office, applicant.approve)
    until_done(office, applicant.sign)
    until_done(office, lambda: office.pay_deposit("shop-1", 400_000))
    until_done(office, lambda: office.pay_deposit("shop-1", 60_000, purpose="CERTIFICATION_FEE"))
    assert office.shop().state is ShopState.OPEN
    return {applicant.case.id: "OPN", of_kind(CaseKind.DEPOSIT_DEMAND).id: "DEP"}


def a_reopening(office: Office) -> dict[str, str]:
    """A person's shop is opened and closed; six months later it is opened again."""
    until_done(office, lambda: office.send("opening.requested", wish("PERSON")))
    applicant = Applicant(office, case=of_kind(CaseKind.OPENING))
    names = {applicant.case.id: "OPN"}
    steps(office, applicant)
    until_done(office, lambda: office.pay_deposit("shop-1", 50_000))
    until_done(office, office.snapshot)
    until_done(
        office,
        lambda: office.send(
            "closure.requested",
            {
                "shop_id": "shop-1",
                "account_id": "acct-shop-1",
                "reason": "STOCK_CLEARED",
            },
        ),
    )
    closing = of_kind(CaseKind.CLOSURE)
    decide(office, closing, "li-na", "APPROVE")
    until_done(office, office.snapshot)
    office.clock.advance(timedelta(days=200))
    until_done(
        office,
        lambda: office.send(
            "reopening.requested",
            {
                "shop_id": "shop-1",
                "account_id": "acct-shop-1",
                "entity_type": "PERSON",
                "categories": ["厨具"],
                "account": wish("PERSON")["account"],
            },
        ),
    )
    applicant.case = of_kind(CaseKind.REOPENING)
    steps(office, applicant)
    assert office.shop().state is ShopState.OPEN
    return names | {closing.id: "CLS", applicant.case.id: "REO", of_kind(CaseKind.DEPOSIT_DEMAND).id: "DEP"}


def steps(office: Office, applicant: Applicant) -> None:
    """From the materials to the shop review, as a person takes them."""
    for act in (
        *applicant.material(),
        applicant.approve,
        lambda: applicant.papers(LOGO),
        applicant.links,
        applicant.approve,
    ):
        until_done(office, act)


def half_a_month(office: Office) -> dict[str, str]:
    """A half with arrears and a hold, an after-sale on the way, a bank return and its second payment."""
    for shop_id in ("shop-1", "shop-2"):
        settling.ours(office, shop_id)
    settling.owe(office, 2_000, number="half")
    one = settling.order()
    settling.confirm(office, one, settling.order(), settling.order("shop-2"))
    settling.after(office, settling.aftersale(one["order_id"]))
    settling.on_first_of_december(office)
    until_done(office, lambda: settling.draft(office))
    half = of_kind(CaseKind.SETTLEMENT)
    until_done(office, lambda: office.decide(half, "wang-fang", "RELEASE", hold="shop-2:待核实"))
    (payment,) = settling.payments(office)
    until_done(office, lambda: settling.bank(office, payment, "returned"))
    back = of_kind(CaseKind.SETTLEMENT_RETURN)
    decide(office, back, "wang-fang", "AGAIN")
    until_done(office, lambda: settling.bank(office, settling.payments(office)[-1]))
    return {half.id: "STL", back.id: "STR", of_kind(CaseKind.DEPOSIT_DEMAND).id: "DEP"}


Tell = Callable[[Office], dict[str, str]]
TALES: dict[Tell, list[tuple[str, str]]] = {
    both_stories: [("closure", "CLOSED"), ("refund", "REFUNDED")],
    a_long_appeal: [("appeal", "UPHELD")],
    an_unanswered_appeal: [("appeal", "CLOSED_TIMEOUT")],
    a_withdrawal: [("appeal", "MOOT"), ("arbitration-withdrawal", "ARBITRATION_WITHDRAWN")],
    a_correction: [("appeal", "DISMISSED"), ("ruling-correction", "CORRECTED")],
    a_forced_closure: [("forced-closure", "FORCED_CLOSED")],
    a_forced_closure_through_prefect: [("forced-closure", "FORCED_CLOSED")],
    a_demand: [("deposit-demand", "SUSPENDED")],
    bound_accounts: [("account-binding", "BOUND")] * 3,
    an_opening: [("deposit-demand", "PAID"), ("opening", "OPENED")],
    a_reopening: [("closure", "CLOSED"), ("deposit-demand", "PAID"), ("opening", "OPENED"), ("reopening", "OPENED")],
    half_a_month: [("deposit-demand", "None"), ("settlement", "SETTLED"), ("settlement-return", "PAID_AGAIN")],
    a_month: [("invoice-review", "ACCEPTED"), ("monthly-invoicing", "ISSUED")],
}
"""Everything that is told here, and how its cases end. A tale returns the ids of its cases and a name for each."""
every_tale = pytest.mark.parametrize("tale", TALES, ids=lambda tale: tale.__name__)


def renamed(text: str, names: dict[str, str]) -> str:
    for found, name in names.items():
        text = text.replace(found, name)
    return text


def remains(names: dict[str, str]) -> dict[str, Any]:
    """Everything that two tellings of the same tale must have in common, without ids and times."""
    with reading() as tx:
        reviews_ = tx.exec(select(Review).order_by(col(Review.opened_at)))
        numbers = names | {review.id: f"RV{n}" for n, review in enumerate(reviews_)}
        lines = tx.exec(select(AuditEntry).where(col(AuditEntry.stream).in_(names)).order_by(col(AuditEntry.id)))
        return {
            "cases": sorted((case.kind.value, str(case.outcome)) for case in tx.exec(select(Case))),
            "effects": sorted(renamed(key, numbers) for key in tx.exec(select(Effect.key))),
            "transfers": sorted((renamed(row.key, names), row.amount_fen) for row in tx.exec(select(Transfer))),
            "reviews": sorted((row.gate, row.round, row.state, str(row.verdict)) for row in tx.exec(select(Review))),
            "audit": [(renamed(line.stream, names), line.action) for line in lines],
            "wrong": list(proof.check(tx)),
        }


def sent(office: Office, names: dict[str, str]) -> list[str]:
    """Keys of everything that left, without ids; how letters to staff are gathered into lists hangs on the hour."""
    numbers = names | {
        review.id: f"{name}/{review.gate}/{review.round}"
        for case, name in names.items()
        for review in office.reviews(case)
    }
    return sorted(
        renamed(row.key, numbers)
        for row in office.outbox()
        if row.channel is not Channel.RUN and not row.key.startswith("bundle/")
    )


def told(office: Office, tale: Tell = both_stories) -> tuple[dict[str, Any], list[str]]:
    names = tale(office)
    assert office.chains() == []
    return remains(names), sent(office, names)


KNOWN: dict[Tell, Any] = {}
"""What is left when nobody dies, found once per process."""


def known(office_factory: Callable[[], Office], tale: Tell = both_stories) -> tuple[dict[str, Any], list[str]]:
    if tale not in KNOWN:
        KNOWN[tale] = told(office_factory(), tale)
    return KNOWN[tale]


@pytest.mark.both
@every_tale
def test_every_tale_ends_well_and_as_well_when_a_worker_dies_before_and_another_after_every_single_effect(
    new_office: Callable[[], Office], tale: Tell
) -> None:
    left, messages = known(new_office, tale)
    assert left["cases"] == TALES[tale]
    assert left["wrong"] == []
    assert len(messages) == len(set(messages))
    died: dict[str, set[str]] = {"before": set(), "after": set()}

    def strike(at: str, key: str) -> bool:
        if key in died[at]:
            return False
        died[at].add(key)
        return True

    with mortal(strike):
        now_left, now_sent = told(new_office(), tale)
    assert len(died["before"]) == len(died["after"]) == len(left["effects"]) > 1, "two deaths at every effect"
    assert now_left == left
    assert now_sent == messages


@pytest.mark.both
@pytest.mark.parametrize("step", range(3))
def test_a_worker_that_dies_at_every_seventh_commit_leaves_what_nobody_dying_leaves(
    new_office: Callable[[], Office], step: int
) -> None:
    left, messages = known(new_office)
    count = 0

    def strike(at: str, key: str) -> bool:
        nonlocal count
        count += 1
        return count % 7 == step

    with mortal(strike):
        now_left, now_sent = told(new_office())
    assert now_left == left
    assert now_sent == messages


def test_every_story_told_again_from_the_top_after_every_segment_changes_nothing(
    new_office: Callable[[], Office],
) -> None:
    left, messages = known(new_office)
    office = new_office()
    settle = office.settle

    def twice() -> None:
        settle()
        for case in office.cases():
            if case.concluded_at is None:
                before = (len(office.outbox()), len(office.trail(case.id)))
                for _ in range(2):
                    with suppress(Resting):
                        STORIES[case.kind].tell.fn(case.id)
                assert (len(office.outbox()), len(office.trail(case.id))) == before, case.kind

    office.settle = twice  # type: ignore[method-assign]
    now_left, now_sent = told(office)
    assert now_left == left
    assert now_sent == messages


def test_a_case_that_has_ended_tells_so_and_does_nothing(office: Office) -> None:
    office.closed_shop()
    case = office.latest()
    before = (len(office.outbox()), len(office.trail(case.id)))
    assert STORIES[CaseKind.CLOSURE].tell.fn(case.id).startswith("案件已办结")
    assert (len(office.outbox()), len(office.trail(case.id))) == before


def test_every_event_delivered_twice_is_acted_on_once(new_office: Callable[[], Office]) -> None:
    left, messages = known(new_office)
    office = new_office()
    receive = office.receive

    def twice(type_: str, data: dict[str, Any], message_id: str = "", happened: datetime | None = None) -> Any:
        named = message_id or f"twice-{office.numbered()}"
        receipt = receive(type_, data, named, happened)
        assert receive(type_, data, named, happened) == "SAME"
        return receipt

    office.receive = twice  # type: ignore[method-assign]
    now_left, now_sent = told(office)
    assert now_left == left
    assert now_sent == messages


def test_open_questions_are_none_when_both_stories_are_over(office: Office) -> None:
    both_stories(office)
    with reading() as tx:
        assert reviews.waiting(tx) == []
        assert {review.state for review in tx.exec(select(Review))} == {ReviewState.DECIDED}
