"""Nobody but the person decides: what was recorded in their name is told them, and weighty things wait for their word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from models.cases import Case
from models.confirmations import Confirmation, Weight
from models.messages import Channel, OutboxState
from models.reviews import Review, ReviewState
from notifications.scripted import ScriptedNotifier
from office.base.db import in_transaction, reading, transaction
from office.base.settings import Settings, settings
from office.cases import confirmations, retrying, reviews, weights
from office.cases import gates as review_gates
from office.cases.forms import form_description, read_answer
from office.cases.gates import Answer
from office.cases.reviews import gate_of
from office.process import office as opened
from office.record import outbox
from office.record.sending import Item, Undeliverable
from office.staff import staff
from office.staff.guard import Place
from policies.policy import policy, policy_at, versions
from tasks import delivery
from tasks.payouts import payouts
from tasks.sight import queue, views
from tests.play import START, Office

OBJECTION = timedelta(hours=policy_at(START).decisions.objection.n)


def hold(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setenv("DIANWU_CONFIRMATION", how)
    settings.cache_clear()


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production: a weighty answer counts when its author could have objected."""
    hold(monkeypatch, "window")


@pytest.fixture
def confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stricter: it counts when its author has confirmed it."""
    hold(monkeypatch, "confirm")


@pytest.fixture
def refund(office: Office) -> Case:
    """A refund that waits for finance."""
    office.closed_shop()
    return office.request_refund()


def told(office: Office, topic: str) -> list[tuple[str, dict[str, str]]]:
    """To whom the messages of that name went, and what stands in them."""
    return [(row.audience, outbox.body(row)) for row in office.outbox(Channel.STAFF, topic)]


def answered(office: Office, refund: Case, verdict: str = "APPROVE") -> Review:
    """Finance has answered through Prefect's form."""
    review = office.question(refund)
    outcome = office.fill_in(review, "wang-fang", verdict)
    assert outcome.accepted, outcome.sentence
    return review


def decided(office: Office, review: Review) -> bool:
    return {one.id: one.state for one in office.reviews(review.case_id)}[review.id] is ReviewState.DECIDED


# ── what weighs ──


def test_every_routine_gate_is_one_and_what_no_policy_names_weighs() -> None:
    for version in versions():
        rules = policy(version).decisions
        assert set(rules.routine) <= set(opened().gates)
        assert weights.weight("a-gate-of-tomorrow", rules) is Weight.WEIGHTY
        for gate in opened().gates:
            if gate.startswith(("refund-", "forced-", "closure-override")) or gate.endswith(("-second", "-finance")):
                assert weights.weight(gate, rules) is Weight.WEIGHTY, gate


def test_a_demonstration_is_quick_and_production_never_silently_so() -> None:
    whole = {"sandbox_bank": False, "prefect_auth": "a:b"}
    assert Settings(profile="demo").holding == "immediate"
    assert Settings(profile="production", **whole).holding == "window"
    assert Settings(profile="production", confirmation="confirm", **whole).holding == "confirm"
    with pytest.raises(ValueError, match="confirmation = immediate"):
        Settings(profile="production", confirmation="immediate", **whole)


# ── being told ──


def test_whoever_decides_is_told_at_once_over_a_channel_of_their_own_what_was_recorded(
    office: Office, refund: Case
) -> None:
    office.fill_in(office.question(refund), "wang-fang", "REJECT", "材料不符")
    about_refund = [(to, said) for to, said in told(office, "decision_recorded") if said["case_id"] == refund.id]
    ((audience, said),) = about_refund
    assert audience == "@wang-fang"
    assert (said["verdict"], said["reason"]) == ("驳回申请", "材料不符")
    assert "dianwu review object" not in said["follows"]  # the message itself says how


def test_a_decision_at_the_terminal_is_told_too_and_needs_no_confirmation(
    office: Office, refund: Case, confirmed: None
) -> None:
    review = office.question(refund)
    office.decide(refund, "wang-fang", "APPROVE")
    assert decided(office, review)
    assert [to for to, said in told(office, "decision_recorded") if said["review_id"] == review.id] == ["@wang-fang"]


def test_the_notice_goes_to_the_persons_own_address_and_to_no_role(office: Office, refund: Case) -> None:
    in_transaction(lambda tx: staff.set_contact(tx, "wang-fang", ["mailto://wang@example.com"]))
    office.fill_in(office.question(refund), "wang-fang", "REJECT", "材料不符")
    sent = [target for target, _ in delivery.notifier().sent if target.audience == "person"]  # type: ignore[attr-defined]
    assert [target.contacts for target in sent][-1] == ("mailto://wang@example.com",)
    with reading() as tx:
        assert "wang@example.com" not in staff.find(tx, "wang-fang").contact_sealed


# ── holding ──


def test_nothing_moves_before_the_author_has_confirmed(office: Office, refund: Case, confirmed: None) -> None:
    review = answered(office, refund)
    assert not decided(office, review)
    assert office.events("payout.requested") == [] and "review.held" in office.trail(refund.id)
    office.pass_time(days=3)
    assert not decided(office, review)
    assert office.confirm(review, "wang-fang").accepted
    assert decided(office, review)
    assert office.case(refund.id).state == "PAYING"


@pytest.mark.parametrize(("seconds", "counts"), [(-1, False), (0, True), (1, True)])
def test_a_held_answer_counts_when_its_author_was_told_and_the_time_to_object_is_over(
    office: Office, refund: Case, window: None, seconds: int, counts: bool
) -> None:
    review = answered(office, refund)
    held = office.clock.at
    office.clock.advance(OBJECTION + timedelta(seconds=seconds) - (office.clock.at - held))
    office.sweep()
    assert decided(office, review) is counts


def test_without_a_channel_of_their_own_silence_is_no_consent_and_the_supervisor_hears_it_daily(
    office: Office, refund: Case, window: None
) -> None:
    delivery.use_notifier(ScriptedNotifier(without=["person"]))
    review = answered(office, refund)
    office.pass_time(hours=5)
    office.pass_time(hours=24)
    assert not decided(office, review)
    assert office.staff_told("confirmation_late") == ["supervisor"] * 2
    assert office.confirm(review, "wang-fang").accepted and decided(office, review)


def test_a_routine_answer_counts_at_once(office: Office, confirmed: None) -> None:
    office.open_shop()
    case = office.request_closure()
    review = office.question(case)
    assert office.fill_in(review, "li-na", "REJECT", "材料不符").accepted
    assert office.case(case.id).outcome == "REJECTED"


def test_the_form_says_what_will_follow(office: Office, refund: Case, window: None) -> None:
    review = office.question(refund)
    with reading() as tx:
        said = form_description(review, gate_of(review), weights.follows(tx, review.gate))
        routine = weights.follows(tx, "closure-review")
    assert "4 小时内您未提出异议即生效" in said and "dianwu review confirm" in said
    assert routine == ""


def test_that_an_answer_waits_is_seen_in_queue_case_and_tags(office: Office, refund: Case, confirmed: None) -> None:
    review = answered(office, refund)
    with reading() as tx:
        (row,) = queue.waiting(tx, case_id=refund.id)
        assert queue.taken_by(row) == "王芳 已答复，待本人确认"
        assert "待确认:王芳" in reviews.tags(tx, reviews.get(tx, review.id))
    dossier = views.case_dossier(refund.id)
    assert "王芳(wang-fang)已答复，待本人确认" in dossier.waits_for
    assert "同意退还" in next(one.held for one in dossier.reviews if one.id == review.id)
    assert any(due.key.startswith("confirmation/") and due.running for due in dossier.deadlines)


def test_nobody_else_answers_meanwhile_and_a_second_answer_of_the_author_takes_the_place_of_the_first(
    office: Office, refund: Case, confirmed: None
) -> None:
    review = answered(office, refund)
    other = office.fill_in(review, "chen-jie", "APPROVE")
    assert not other.accepted and "待其本人确认" in other.sentence
    assert not office.answer(review, "chen-jie", "APPROVE").accepted
    assert office.answer(review, "wang-fang", "REJECT", "材料不符").accepted  # at the terminal: counts at once
    assert office.case(refund.id).outcome == "REJECTED"
    assert not office.confirm(review, "wang-fang").accepted


def test_confirming_twice_counts_once_and_nobody_confirms_for_another(
    office: Office, refund: Case, confirmed: None
) -> None:
    review = answered(office, refund)
    assert "本人" in office.confirm(review, "chen-jie").sentence
    assert not office.confirm(review, "wang-fang", code="000000").accepted
    assert office.confirm(review, "wang-fang").accepted
    assert not office.confirm(review, "wang-fang").accepted
    assert office.trail(refund.id).count("review.decided") == 1


def test_facts_that_change_while_an_answer_is_held_end_it_and_its_author_hears_so(
    office: Office, refund: Case, confirmed: None
) -> None:
    review = answered(office, refund)
    office.snapshot(penalties=[{"id": "pen-1", "kind": "虚假发货", "settled": False}])
    assert office.question(refund).revision > review.revision
    assert [to for to, _ in told(office, "decision_dropped")] == ["@wang-fang"]
    assert not office.confirm(review, "wang-fang").accepted
    assert not decided(office, review)


def test_a_request_taken_back_ends_what_is_held(office: Office, refund: Case, window: None) -> None:
    review = answered(office, refund)
    office.withdraw(refund)
    assert office.case(refund.id).outcome == "WITHDRAWN"
    office.pass_time(hours=5)
    assert not decided(office, review)
    assert not office.confirm(review, "wang-fang").accepted


def test_an_author_dismissed_meanwhile_decides_nothing_any_more(office: Office, refund: Case, window: None) -> None:
    review = answered(office, refund)
    in_transaction(lambda tx: staff.set_active(tx, "wang-fang", False))
    office.pass_time(hours=5)
    assert not decided(office, review)
    assert office.question(refund).id == review.id
    office.decide(refund, "chen-jie", "REJECT", "材料不符")


def test_a_held_answer_that_sql_has_turned_round_counts_for_nothing(office: Office, refund: Case, window: None) -> None:
    review = answered(office, refund, "REJECT")
    with transaction() as tx:
        tx.execute(update(Confirmation).values(verdict="APPROVE"))
    office.pass_time(hours=5)
    assert not decided(office, review)
    assert office.events("payout.requested") == [] and "review.held_forged" in office.trail(refund.id)
    assert office.staff_told("engine_alarm") == ["supervisor"]
    assert office.question(refund).id == review.id


@pytest.mark.parametrize("setting", ["immediate", "window", "confirm"])
def test_under_no_setting_does_an_answer_that_was_meddled_with_count(
    office: Office, refund: Case, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """The demonstration's setting and the two of production."""
    hold(monkeypatch, setting)
    review, code = office.question(refund), office.code("wang-fang")
    answer = Answer(
        review_id=review.id,
        revision=review.revision,
        staff_id="wang-fang",
        code=code,
        verdict="APPROVE",
        given_at=office.clock.at,
        through=Place.FORM,
    )
    for _ in range(2):
        in_transaction(
            lambda tx: confirmations.refuse_doubtful(tx, review, gate_of(review), answer, "答复在提交之后被改动", "k")
        )
    assert not office.fill_in(office.question(refund), "wang-fang", "APPROVE", code=code).accepted
    office.pass_time(hours=5)
    assert office.question(refund).decided_by is None and office.events("deposit.payout.requested") == []
    assert [to for to, _ in told(office, "decision_dropped")] == ["@wang-fang"]
    assert office.staff_told("engine_alarm") == ["supervisor"]


@pytest.mark.parametrize(
    "came", [{}, {"staff_id": "nobody", "code": "000000"}, {"staff_id": "wang-fang", "code": "000000"}]
)
def test_after_an_answer_that_nobody_can_be_told_of_no_code_shown_by_now_counts_in_a_form(
    office: Office, refund: Case, window: None, came: dict[str, str]
) -> None:
    """As it was done: the answer is taken out of Prefect, or another put in its place, and its code used for the opposite."""
    review, code = office.question(refund), office.code("wang-fang")
    taken = read_answer(review, gate_of(review), came, office.clock.at)
    for _ in range(2):
        in_transaction(lambda tx: confirmations.refuse_doubtful(tx, review, gate_of(review), taken, "答复被删去", "k"))
    outcome = office.fill_in(office.question(refund), "wang-fang", "APPROVE", code=code)
    assert not outcome.accepted and "之后新显示的口令" in outcome.sentence
    assert {to for to, _ in told(office, "engine_alarm")} == {"supervisor", "@chen-jie", "@wang-fang"}
    assert len(told(office, "engine_alarm")) == 3
    fast = office.code("wang-fang")  # what a device whose clock is fast had shown already
    assert not office.fill_in(office.question(refund), "wang-fang", "APPROVE", code=fast).accepted
    assert office.fill_in(office.question(refund), "wang-fang", "REJECT").accepted


def test_where_prefect_does_not_reach_codes_count_on(office: Office, refund: Case, window: None) -> None:
    in_transaction(staff.pass_over_form_codes)
    office.decide(refund, "wang-fang", "REJECT", "材料不符")
    assert office.case(refund.id).outcome == "REJECTED"


# ── objecting ──


def test_an_answer_turned_round_on_its_way_is_undone_by_one_act_of_its_author(
    office: Office, refund: Case, window: None
) -> None:
    """She chose 驳回; what came to the judge was 同意."""
    review = answered(office, refund, "APPROVE")
    assert office.object_to(review, "wang-fang").accepted
    office.pass_time(days=1)
    assert not decided(office, review)
    assert office.events("payout.requested") == [] and "review.disputed" in office.trail(refund.id)
    assert office.staff_told("decision_disputed") == ["supervisor"]
    again = office.question(refund)
    assert again.id == review.id and "并非本人所作" in again.notice
    office.decide(refund, "wang-fang", "REJECT", "材料不符")
    assert office.case(refund.id).outcome == "REJECTED"


def test_a_supervisor_may_object_for_somebody_who_cannot_and_a_colleague_may_not(
    office: Office, refund: Case, confirmed: None
) -> None:
    review = answered(office, refund)
    assert not office.object_to(review, "chen-jie").accepted
    assert office.object_to(review, "he-qiang", "联系不上本人").accepted
    assert office.question(refund).id == review.id


class Bank:
    """The bank's door, as far as our orders reach it."""

    def __init__(self) -> None:
        self.there = True

    def __call__(self, item: Item) -> str:
        if item.audience == "bank" and not self.there:
            raise Undeliverable("HTTP 503")
        return "HTTP 204"


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    found = Bank()
    monkeypatch.setitem(delivery.EVENTS, Channel.EVENT, found)
    return found


def retried(case: Case, staff_id: str, code: str) -> review_gates.Outcome:
    return in_transaction(lambda tx: retrying.retry(tx, case.id, staff_id, code))


def test_an_objection_to_what_counts_already_stops_the_case_until_a_supervisor_has_looked(
    office: Office, refund: Case, bank: Bank
) -> None:
    review = answered(office, refund)  # a demonstration: it counted at once
    assert office.case(refund.id).state == "PAYING"
    said = office.object_to(review, "wang-fang")
    assert said.accepted and "不会自动撤销" in said.sentence
    assert f"{refund.id}-P1 已发往银行" in said.sentence and "请立即联系银行" in said.sentence
    stopped = office.case(refund.id)
    assert stopped.halted and "异议" in stopped.halted
    assert office.staff_told("decision_disputed") == ["supervisor"]
    assert "请勿继续" in told(office, "decision_disputed")[0][1]["done"]
    assert "只有主管" in retried(refund, "wang-fang", office.code("wang-fang")).sentence
    assert not retried(refund, "he-qiang", "000000").accepted
    office.bank(f"{refund.id}-P1")  # what the bank says is taken all the same
    assert office.case(refund.id).halted
    assert retried(refund, "he-qiang", office.code("he-qiang")).accepted
    office.settle()
    assert office.case(refund.id).outcome == "REFUNDED"
    assert office.books() == [] == office.chains()


def test_a_payment_that_has_not_left_is_kept_back_by_an_objection_and_leaves_once_when_a_supervisor_lets_it(
    office: Office, refund: Case, bank: Bank
) -> None:
    bank.there = False
    review = answered(office, refund)
    for _ in range(2):
        said = office.object_to(review, "wang-fang")
        assert f"{refund.id}-P1 尚未送达银行,已扣住" in said.sentence and "已发往" not in said.sentence
    bank.there = True
    office.pass_time(days=2)
    (order,) = office.outbox(Channel.EVENT, "deposit.payout.requested")
    assert (order.state, order.note) == (OutboxState.SKIPPED, outbox.HELD)
    assert "不予重发" in in_transaction(lambda tx: outbox.resend(tx, order.key))
    office.settle()
    assert office.outbox(Channel.EVENT, "deposit.payout.requested") == [order]
    assert retried(refund, "he-qiang", office.code("he-qiang")).accepted
    office.settle()
    (order,) = office.outbox(Channel.EVENT, "deposit.payout.requested")
    assert order.state is OutboxState.SENT
    office.bank(f"{refund.id}-P1")
    assert office.case(refund.id).outcome == "REFUNDED"
    assert office.books() == [] == office.chains()


def test_an_objection_between_two_steps_of_a_run_lets_no_money_go(office: Office, refund: Case) -> None:
    """The run has been given the decision, and has not ordered the payment yet."""
    settle, office.settle = office.settle, lambda: None  # type: ignore[method-assign]
    review = answered(office, refund)
    assert office.object_to(review, "wang-fang").accepted
    with pytest.raises(payouts.PermitRefused, match="is halted"), transaction() as tx:
        payouts.instruct(tx, tx.get_one(Case, refund.id), 1, [])
    office.settle = settle  # type: ignore[method-assign]
    office.settle()
    assert office.events("deposit.payout.requested") == []
    assert retried(refund, "he-qiang", office.code("he-qiang")).accepted
    office.settle()
    assert len(office.events("deposit.payout.requested")) == 1


def test_a_second_person_confirms_nothing_while_the_first_decision_is_disputed(office: Office) -> None:
    office.closed_shop(deposit_fen=2_000_000)
    refund = office.request_refund(fen=2_000_000)
    first = office.question(refund)
    office.decide(refund, "wang-fang", "APPROVE", "情况属实")
    second = office.question(refund)
    assert office.object_to(first, "wang-fang").accepted
    assert "提出异议" in office.answer(second, "chen-jie", "CONFIRM", "同意").sentence
    assert retried(refund, "gao-yuan", office.code("gao-yuan")).accepted
    office.decide(refund, "chen-jie", "CONFIRM", "同意")
    assert len(office.events("deposit.payout.requested")) == 1


def test_an_objection_to_a_case_that_is_over_is_recorded_and_told(office: Office) -> None:
    office.closed_shop()
    case = office.latest()
    (review,) = office.reviews(case)
    assert office.object_to(review, "li-na").accepted
    assert office.staff_told("decision_disputed") == ["supervisor"]
    assert "review.disputed" in office.trail(case.id)


def test_nobody_objects_to_what_was_never_said(office: Office, refund: Case) -> None:
    assert not office.object_to(office.question(refund), "wang-fang").accepted
