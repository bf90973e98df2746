"""What a half takes, keeps and holds, and what two people have to release (STL-4, STL-6, DED-7, DED-9, INV-7, 38)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from models.books import AccountKind
from models.cases import Case
from models.payouts import Payout
from models.settlement import Half, HoldReason, SettlementState
from office.base.db import Tx, in_transaction, reading
from office.record.decision_seals import DecisionForged
from tasks.settlement import posting, steps
from tests.core.sql import write
from tests.invoicing import kit as invoicing
from tests.play import SILENCE, Office
from tests.settlement import kit
from tests.settlement.kit import NET, NOVEMBER, confirm, on_first_of_december, order, ours, run, settlement
from tests.stories.test_banned_shops import ban, held_case, pays_out

MUCH = 120_000_000
"""More in all than one person may release (1,000,000.00)."""


# ── shops that leave, or were closed by force ────────────────────────────────


def test_a_banned_shop_is_paid_nothing_and_its_money_lies_with_what_is_held(office: Office) -> None:
    """STL-6, DED-7: what a half brings a banned shop is frozen at once; two people decide about it elsewhere."""
    ours(office)
    confirm(office, order())
    ban(office)
    on_first_of_december(office)
    run(office)
    row = settlement()
    assert (row.hold, row.paid_fen, row.state) == (HoldReason.BANNED, 0, SettlementState.HELD)
    assert kit.payments(office) == []
    assert (office.balance(AccountKind.RECEIVABLE), office.balance(AccountKind.RECEIVABLE_BANNED)) == (0, NET)
    office.decide(held := held_case(office), "wang-fang", "RELEASE", "货款为正常经营所得")
    office.decide(held, "he-qiang", "CONFIRM", "同意")
    pays_out(office, NET + 1)
    assert office.balance(AccountKind.RECEIVABLE_FREED) == NET
    pays_out(office, NET, "p2")  # what two people have freed no half of ours pays: the platform does
    assert office.balance(AccountKind.RECEIVABLE_FREED) == 0
    kit.sound(office)


def test_a_shop_banned_between_the_release_and_its_payment_is_not_paid(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    case = kit.draft(office)
    assert settlement().paid_fen == NET
    ban(office)
    office.decide(case, "wang-fang", "RELEASE")
    assert kit.payments(office) == [] and office.balance(AccountKind.RECEIVABLE_BANNED) == NET
    kit.sound(office)


def test_what_a_half_takes_from_a_shop_that_leaves_becomes_its_arrears(office: Office) -> None:
    """STL-4, DED-9: there is no next half to carry it to."""
    ours(office)
    one = order()
    confirm(office, one)
    on_first_of_december(office)
    run(office)
    kit.bank(office, kit.payments(office)[0])
    closing = office.request_closure()
    office.decide(closing, "li-na", "APPROVE")
    kit.after(
        office,
        kit.aftersale(
            one["order_id"],
            opened_at="2026-11-28T10:00:00+08:00",
            ended_at=office.clock.at.isoformat(),
            refund_fen=10_000,
        ),
    )
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    row = settlement(half="2026-12-1")
    assert (row.due_fen, row.carried_fen, row.owed_fen) == (-10_000, 0, -10_000)
    assert office.balance(AccountKind.ARREARS) == 10_000
    kit.sound(office)


# ── what statements hold ─────────────────────────────────────────────────────


@pytest.mark.parametrize(("owes", "kept", "paid"), [(0, 2_700, NET - 2_700), (8_000, NET - 8_000, 0)])
def test_what_an_uninvoiced_statement_should_hold_is_kept_back_after_arrears(
    office: Office, owes: int, kept: int, paid: int
) -> None:
    """STL-6, INV-7, ambiguity 49: 30 % of 90.00 is 27.00; what cannot be kept back now is kept back of later halves."""
    ours(office)
    invoicing.record(office, invoicing.item(fen=9_000))
    kit.at(office, 2026, 12, 1, 2)
    invoicing.issue_month(office)
    invoicing.after_due(office, invoicing.statement(), SILENCE.total_seconds())
    assert (invoicing.statement().state, invoicing.statement().frozen_fen) == ("OVERDUE", 0)
    if owes:
        kit.owe(office, owes)
    confirm(office, order(confirmed_at="2026-12-20T10:00:00+08:00"))
    kit.at(office, 2027, 1, 2, 4)
    run(office, "2026-12-2")
    row = settlement(half="2026-12-2")
    assert (row.set_off_fen, row.kept_fen, row.paid_fen) == (owes, kept, paid)
    assert office.balance(AccountKind.RECEIVABLE_FROZEN) == kept == invoicing.statement().frozen_fen
    if owes:
        kit.at(office, 2027, 1, 10)
        confirm(office, order(confirmed_at="2027-01-05T10:00:00+08:00"))
        kit.at(office, 2027, 1, 16, 4)
        run(office, "2027-01-1")
        assert settlement(half="2027-01-1").kept_fen == 2_700 - kept
    kit.sound(office)


# ── two people ───────────────────────────────────────────────────────────────


def much(office: Office) -> None:
    ours(office)
    confirm(office, order(goods=MUCH + 550))
    on_first_of_december(office)


def test_much_money_takes_a_second_person_and_not_the_same_one(office: Office) -> None:
    """STL-1: nothing is posted or paid before both have said so."""
    much(office)
    case = run(office)
    question = office.question(case)
    assert (question.gate, office.case(case.id).state) == ("settlement-second", "SECOND_REVIEW")
    assert kit.payments(office) == [] and office.balance(AccountKind.RECEIVABLE) == 0
    assert not office.answer(question, "wang-fang", "CONFIRM", "").accepted
    office.decide(case, "chen-jie", "CONFIRM")
    assert [payment["amount_fen"] for payment in kit.payments(office)] == [MUCH]
    kit.sound(office)


def test_exactly_what_one_person_may_release_takes_one_and_a_fen_more_two(office: Office) -> None:
    """STL-1: over 1,000,000.00 in all, and over 10,000.00 of what came back."""
    ours(office)
    confirm(office, order(goods=1_000_000 + 550))
    on_first_of_december(office)
    case = kit.draft(office)

    def asks_two(fen: int) -> bool:
        def work(tx: Tx) -> bool:
            half = tx.get_one(Half, NOVEMBER)
            half.totals = {**half.totals, "paid_fen": fen}
            return steps.several_eyes(tx, tx.get_one(Case, case.id))

        return in_transaction(work)

    assert [asks_two(100_000_000 + more) for more in (-1, 0, 1)] == [False, False, True]
    assert not asks_two(1_000_000)
    office.decide(case, "wang-fang", "RELEASE")
    kit.bank(office, kit.payments(office)[0], "returned", "收款账户已销户")
    office.decide(kit.return_case(), "wang-fang", "AGAIN")
    assert [payment["amount_fen"] for payment in kit.payments(office)] == [1_000_000] * 2  # by one person, at once
    kit.sound(office)


def test_an_account_in_another_name_is_not_paid_though_its_row_says_that_it_fits(office: Office) -> None:
    """STL-1: compared once more when money leaves."""
    ours(office, payee={"name": "别人有限公司"})
    confirm(office, order())
    on_first_of_december(office)
    write("UPDATE settlement_account SET fits = true")
    run(office)
    row = settlement()
    assert (row.hold, row.paid_fen, row.left_fen) == (HoldReason.OTHER_NAME, 0, NET) and kit.payments(office) == []
    kit.sound(office)


def skipped(case: Case) -> None:
    """SQL has the run think that it needs no second person, and that the half was released."""
    for verb, result in (("to_second", "false"), ("release", "0")):
        write(
            f"INSERT INTO effect (key, case_id, at, result) VALUES (:key, :case, '2026-12-01 00:00:00', '{result}')"
            " ON CONFLICT (key) DO UPDATE SET result = excluded.result",
            key=f"{case.id}/settlement.{verb}/1",
            case=case.id,
        )
    write(
        "UPDATE settlement_half SET state = 'SETTLING', cursor = '', released_at = drafted_at WHERE id = :id",
        id=NOVEMBER,
    )


def smaller(case: Case) -> None:
    """SQL has the draft pay so little that one person is enough."""
    totals = json.dumps(kit.half_of().totals | {"paid_fen": 1}).replace("'", "''")
    write(f"UPDATE settlement_half SET totals = '{totals}' WHERE id = :id", id=NOVEMBER)


@pytest.mark.parametrize("how", [skipped, smaller])
def test_nobody_pays_much_alone_because_sql_has_the_run_think_that_one_is_enough(
    office: Office, how: Callable[[Case], None]
) -> None:
    much(office)
    case = kit.draft(office)
    if how is smaller:
        how(case)
        office.answer(office.question(case), "wang-fang", "RELEASE")  # shown anew
        with pytest.raises(DecisionForged):
            office.decide(case, "wang-fang", "RELEASE")
    else:
        office.decide(case, "wang-fang", "RELEASE")
        how(case)
        office.carrier.signal(case.id)
        with pytest.raises(DecisionForged):
            office.settle()
    assert kit.payments(office) == [] and office.balance(AccountKind.RECEIVABLE) == 0
    assert office.case(case.id).halted is not None and "supervisor" in office.staff_told("integrity_broken")


def test_an_objection_stops_a_half_before_its_next_chunk(office: Office) -> None:
    ours(office)
    confirm(office, order())
    on_first_of_december(office)
    office.platform_answers = False
    office.clock.advance(timedelta(hours=30))
    case = run(office)
    released = office.reviews(case)[0]
    assert kit.half_of().state == "SETTLING" and kit.payments(office) == []
    assert office.object_to(released, "wang-fang").accepted
    with pytest.raises(DecisionForged, match="异议"):
        in_transaction(lambda tx: posting.settle_chunk(tx, case.id, NOVEMBER))
    assert kit.payments(office) == []


def test_a_second_person_who_does_not_agree_has_it_drafted_again(office: Office) -> None:
    much(office)
    case = run(office)
    office.decide(case, "chen-jie", "REDRAFT", "有订单未到齐")
    assert (office.question(case).gate, kit.half_of().drafts) == ("settlement-release", 2)
    office.decide(case, "wang-fang", "RELEASE")
    office.decide(case, "he-qiang", "CONFIRM")
    assert settlement().paid_fen == MUCH
    kit.sound(office)


def test_much_that_came_back_is_paid_once_more_by_two_people(office: Office) -> None:
    """STL-1: over 10,000.00 the second payout takes a second person, too."""
    much(office)
    case = run(office)
    office.decide(case, "chen-jie", "CONFIRM")
    kit.bank(office, kit.payments(office)[0], "returned", "收款账户已销户")
    back = kit.return_case()
    office.decide(back, "wang-fang", "AGAIN")
    question = office.question(back)
    assert question.gate == "settlement-returned-second" and len(kit.payments(office)) == 1
    assert not office.answer(question, "wang-fang", "CONFIRM", "").accepted
    office.decide(back, "chen-jie", "BACK", "先与商家核实")
    assert office.question(back).gate == "settlement-returned"
    office.decide(back, "wang-fang", "AGAIN")
    office.decide(back, "he-qiang", "CONFIRM")
    again = kit.payments(office)[-1]
    assert again["amount_fen"] == MUCH and len(kit.payments(office)) == 2
    for _ in range(2):
        kit.bank(office, again)
    assert office.case(back.id).outcome == "PAID_AGAIN" and office.balance(AccountKind.RECEIVABLE) == 0
    kit.sound(office)


# ── a bank that contradicts itself ───────────────────────────────────────────


@pytest.mark.parametrize("again", [False, True])
def test_what_came_back_and_turns_out_to_have_been_paid_is_paid_and_nobody_is_asked_any_more(
    office: Office, again: bool
) -> None:
    """STL-1, ambiguity 38: the bank has proved it; the half's row, the books and finance's question follow."""
    back = kit.sent_back(office)
    (payment,) = kit.payments(office)
    if again:  # also of the first order, when the second has come back, too
        office.decide(back, "wang-fang", "AGAIN")
        kit.bank(office, kit.payments(office)[-1], "returned", "账户已注销")
    office.clock.advance(timedelta(seconds=1))
    kit.bank(office, payment)
    (inquiry,) = [case for case in office.cases() if case.kind == "bank-inquiry"]
    office.decide(inquiry, "wang-fang", "ANSWER", "银行出具回单", **office.bank_proof())
    office.decide(inquiry, "he-qiang", "CONFIRM", "已核对")
    row = settlement()
    assert (row.state, row.paid_fen, row.left_fen) == (SettlementState.PAID, NET, 0)
    assert office.balance(AccountKind.RECEIVABLE) == 0 and office.case(back.id).outcome == "PAID_AGAIN"
    kit.sound(office)


def test_a_contradiction_of_the_bank_holds_the_shop_until_two_people_have_cleared_it(office: Office) -> None:
    """Ambiguity 38: nothing more is paid to the shop; other shops are paid, and the next half brings on what was held."""
    ours(office)
    ours(office, "shop-2")
    confirm(office, order(), order("shop-2"))
    on_first_of_december(office)
    run(office)
    for payment in kit.payments(office):
        kit.bank(office, payment)
    with reading() as tx:
        mine = tx.exec(select(Payout).where(Payout.shop_id == "shop-1")).one()
    office.bank(mine.request_no, "failed", mine.amount_fen, "shop-1", "户名不符")
    kit.at(office, 2026, 12, 10)
    confirm(office, *(order(shop, confirmed_at="2026-12-05T10:00:00+08:00") for shop in ("shop-1", "shop-2")))
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    assert settlement(half="2026-12-1").hold is HoldReason.CONTRADICTION
    assert [payment["shop_id"] for payment in kit.payments(office)][2:] == ["shop-2"]
    (inquiry,) = [case for case in office.cases() if case.kind == "bank-inquiry"]
    office.decide(inquiry, "wang-fang", "BOOKS", "银行出具回单", **office.bank_proof())
    office.decide(inquiry, "he-qiang", "CONFIRM", "已核对")
    kit.at(office, 2027, 1, 1, 4)
    run(office, "2026-12-2")
    assert settlement(half="2026-12-2").paid_fen == NET
    kit.sound(office)


# ── moving ───────────────────────────────────────────────────────────────────


def test_a_shop_moved_from_the_platform_to_us_and_back_is_paid_every_fen_once(office: Office) -> None:
    """STL-1: each side settles what was confirmed in its time, also what only becomes due later."""

    def platform(what: str, fen: int, at: str) -> None:
        number = f"{what}-{next(kit.NUMBERS)}"
        fields = {"settled": ("settlement_id", "settled_at"), "paid_out": ("payment_id", "paid_at")}[what]
        office.send(f"receivable.{what}", {"shop_id": "shop-1", "amount_fen": fen, fields[0]: number, fields[1]: at})

    office.open_shop()
    kit.at(office, 2026, 11, 24)
    platform("settled", 1_000, "2026-11-10T10:00:00+08:00")
    kit.set_account(office)
    for settler, since in (("OFFICE", kit.BEGAN), ("PLATFORM", "2026-12-01T00:00:00+08:00")):
        office.send("settlement.assigned", {"shop_id": "shop-1", "settler": settler, "since": since})
    disputed = order()
    confirm(office, order(), disputed)
    sale = kit.aftersale(disputed["order_id"])
    kit.after(office, sale)
    platform("paid_out", 1_000, "2026-11-24T10:00:00+08:00")
    on_first_of_december(office)
    run(office)
    platform("settled", 2_000, "2026-12-02T10:00:00+08:00")
    kit.at(office, 2026, 12, 11)
    kit.after(office, sale | {"ended_at": "2026-12-10T12:00:00+08:00"})
    late = confirm(
        office, order(confirmed_at="2026-11-29T10:00:00+08:00"), order(confirmed_at="2026-12-05T10:00:00+08:00")
    )
    assert (late["accepted"], [line["position"] for line in late["rejected"]]) == (1, [2])
    kit.at(office, 2026, 12, 16, 4)
    run(office, "2026-12-1")
    platform("paid_out", 2_000, "2026-12-16T10:00:00+08:00")
    assert [payment["amount_fen"] for payment in kit.payments(office)] == [NET, 2 * NET]
    for payment in kit.payments(office):
        kit.bank(office, payment)
    assert office.balance(AccountKind.RECEIVABLE) == 0 and settlement(half=NOVEMBER).state is SettlementState.PAID
    kit.sound(office)
