"""Proving books and record, and saying what is wrong when something is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlmodel import col

from models.audit import AuditEntry, AuditHead
from models.books import Account, Transfer
from models.cases import Case, CaseState
from models.payouts import Payout, PayoutState, Permit
from office.base.db import Tx, in_transaction
from tests.play import Office

Done = Callable[..., str]


@pytest.fixture
def paying(office: Office) -> Case:
    """A refund whose money is at the bank."""
    office.closed_shop()
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE")
    return case


@pytest.fixture
def paid(office: Office, paying: Case) -> Case:
    """A refund whose money has arrived."""
    office.bank(f"{paying.id}-P1")
    return paying


def plant(change: Callable[[Tx], Any]) -> None:
    in_transaction(change)


def test_right_books_are_right_at_every_step(office: Office, paying: Case, done: Done, told: Any) -> None:
    assert "账簿一致" in done("books", "check")
    office.bank(f"{paying.id}-P1")
    assert "账簿一致" in done("books", "check")
    office.bank(f"{paying.id}-P1", "returned")
    assert told("books", "check")["problems"] == []


def test_a_balance_changed_by_hand_is_found(paid: Case, refused: Done, dianwu: Any) -> None:
    plant(lambda tx: tx.execute(update(Account).where(col(Account.id) == "platform/cash").values(debit_fen=999_900)))
    shown = refused("books", "check")
    assert "platform/cash" in shown and "不一致" in shown
    assert dianwu("books", "check", "--json").exit_code == 1


def test_an_account_without_our_tally_is_found_and_sealed_anew_by_a_supervisor(
    office: Office, paid: Case, done: Done, refused: Done
) -> None:
    plant(lambda tx: tx.execute(update(Account).where(col(Account.id) == "platform/cash").values(tally=None)))
    assert "platform/cash: its tally was not written by us" in refused("books", "check")
    assert "只有主管" in refused(
        "books", "reseal", "platform/cash", "--by", "wang-fang", "--code", office.code("wang-fang")
    )
    assert "没有账户" in refused("books", "reseal", "nowhere", "--by", "he-qiang", "--code", office.code("he-qiang"))
    assert "重新封存" in done("books", "reseal", "platform/cash", "--by", "he-qiang", "--code", office.code("he-qiang"))
    assert "账簿一致" in done("books", "check")


def test_a_payout_without_its_posting_is_found(paying: Case, refused: Done) -> None:
    plant(lambda tx: tx.execute(delete(Transfer).where(col(Transfer.key) == f"{paying.id}/payout/1")))
    assert "缺少分录 payout" in refused("books", "check")


def test_a_posting_without_its_payout_is_found(paying: Case, refused: Done) -> None:
    plant(lambda tx: tx.execute(delete(Payout).where(col(Payout.case_id) == paying.id)))
    shown = refused("books", "check")
    assert "没有对应的打款指令" in shown
    assert "清算在途余额 ¥4,000.00,而等待银行回执的打款合计 ¥0.00" in shown


def test_a_payout_whose_answer_was_written_in_by_hand_is_found(paying: Case, refused: Done) -> None:
    plant(lambda tx: tx.execute(update(Payout).values(state=PayoutState.SETTLED)))
    shown = refused("books", "check")
    assert "缺少分录 settled" in shown and "清算在途" in shown


def test_a_payout_over_more_than_its_permit_is_found(paying: Case, refused: Done) -> None:
    plant(lambda tx: tx.execute(update(Permit).values(amount_fen=1)))
    assert "许可为 ¥0.01" in refused("books", "check")


def test_a_permit_that_was_never_used_does_not_cover_a_payout(paying: Case, refused: Done) -> None:
    plant(lambda tx: tx.execute(update(Permit).values(used_at=None)))
    assert "没有对应的已使用许可" in refused("books", "check")


def test_a_settled_payout_whose_case_does_not_end_is_found_after_a_while(
    office: Office, paid: Case, refused: Done, done: Done
) -> None:
    def reopen(tx: Tx) -> None:
        case = tx.get(Case, paid.id)
        assert case is not None
        case.state, case.outcome, case.concluded_at = CaseState.PAYING, None, None
        tx.add(case)

    plant(reopen)
    done("books", "check")
    office.clock.advance(timedelta(minutes=11))
    assert "案件却没有办结" in refused("books", "check")


def test_a_refund_that_is_paid_and_says_it_was_refused_is_found(paid: Case, refused: Done) -> None:
    plant(lambda tx: tx.execute(update(Case).values(state=CaseState.REFUSED, outcome=CaseState.REFUSED)))
    assert "已全部到账,案件却以「" in refused("books", "check")


def test_a_case_that_says_refunded_without_money_is_found(office: Office, refused: Done) -> None:
    office.closed_shop()
    case = office.request_refund()

    def pretend(tx: Tx) -> None:
        row = tx.get(Case, case.id)
        assert row is not None
        row.state = row.outcome = CaseState.REFUNDED
        row.concluded_at = tx.now
        tx.add(row)

    plant(pretend)
    assert "到账的打款只有" in refused("books", "check")


def test_the_books_can_be_read(office: Office, done: Done, refused: Done, told: Any) -> None:
    office.open_shop()
    shown = done("books", "show")
    assert "保证金(冻结)" in shown and "¥4,000.00" in shown and "晨光文具" in shown
    assert [(row["account"], row["balance_fen"]) for row in told("books", "show", "--shop", "shop-1")] == [
        ("shop/shop-1/deposit", 400_000)
    ]
    assert "没有编号" in refused("books", "show", "--shop", "shop-9")


# ── audit ────────────────────────────────────────────────────────────────────


def test_a_whole_record_verifies(paid: Case, done: Done, told: Any) -> None:
    assert "审计链完整" in done("audit", "verify")
    assert told("audit", "verify", "--stream", paid.id)["streams"] == 1
    assert "已退还" in done("audit", "show", paid.id)
    assert told("audit", "show", paid.id)[0]["prev_hash"] == "0" * 64


def test_a_changed_line_is_found(paid: Case, refused: Done, done: Done) -> None:
    line = (col(AuditEntry.stream) == paid.id, col(AuditEntry.action) == "payout.permitted")
    plant(lambda tx: tx.execute(update(AuditEntry).where(*line).values(text="已批准打款 ¥9,999,999.00")))
    assert f"{paid.id}: line" in refused("audit", "verify")
    refused("audit", "verify", "--stream", paid.id)
    done("audit", "verify", "--stream", "shop/shop-1")  # other chains do not suffer


def test_a_cut_off_tail_is_found_even_when_the_head_was_moved_back(paid: Case, refused: Done) -> None:
    def cut(tx: Tx) -> None:
        lines = list(tx.exec(_lines(paid)))
        tx.delete(lines[-1])
        head = tx.get(AuditHead, paid.id)
        assert head is not None
        head.seq, head.hash = lines[-2].seq, lines[-2].hash
        tx.add(head)

    plant(cut)
    assert "not sealed" in refused("audit", "verify")


def _lines(case: Case) -> Any:
    from sqlmodel import select

    return select(AuditEntry).where(AuditEntry.stream == case.id).order_by(col(AuditEntry.seq))


def test_a_chain_that_does_not_exist_is_refused(office: Office, refused: Done) -> None:
    assert "没有名为" in refused("audit", "verify", "--stream", "REF-000000-XXXXXX")
    assert "没有名为" in refused("audit", "show", "REF-000000-XXXXXX")
