"""What is not as it must be reaches the supervisor by itself, once, without anybody asking."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from models.messages import Channel
from office.base.db import in_transaction, reading
from office.record import audit, outbox
from ops.commands.health import Check, bad, good
from ops.examiner import Examiner
from tasks.sight import examination
from tests.core.sql import read, write
from tests.play import Office

TONIGHT = datetime(2026, 11, 20, 18, 30, tzinfo=UTC)
"""Half past two in Beijing."""


@pytest.fixture
def busy(office: Office) -> Office:
    """An office with a shop that was closed and a refund under way; everything was looked at once."""
    office.closed_shop()
    office.decide(office.request_refund(), "wang-fang", "APPROVE")
    examination.examine()
    assert findings(office) == []
    return office


def findings(office: Office) -> list[str]:
    """What the supervisor was told is wrong, in order."""
    rows = office.outbox(Channel.STAFF, "integrity_broken")
    assert {row.audience for row in rows} <= {"supervisor"}
    return [f"{told['where']}: {told['finding']}" for told in (outbox.body(row) for row in rows)]


def nights(office: Office, count: int = 1) -> None:
    office.clock.at = max(office.clock.at, TONIGHT)
    for _ in range(count):
        examination.examine()
        office.clock.advance(timedelta(days=1))


def test_when_nothing_is_wrong_nobody_hears_anything(busy: Office) -> None:
    nights(busy, 3)
    assert findings(busy) == []


def test_a_line_that_was_changed_is_told_the_next_night_and_only_once(busy: Office) -> None:
    write("UPDATE audit SET text = 'x' WHERE stream = 'shop/shop-1' AND seq = 2")
    nights(busy, 3)
    [told] = findings(busy)
    assert told.startswith("审计链") and "line 2 was changed" in told


def test_a_line_that_is_changed_before_it_was_looked_at_is_told_in_the_next_minute(busy: Office) -> None:
    busy.pay_deposit("shop-1", 1_000)
    write("UPDATE audit SET text = 'x' WHERE id = (SELECT MAX(id) FROM audit)")
    for _ in range(2):
        examination.examine()
    [told] = findings(busy)
    assert "was changed after it was written" in told


def test_no_number_that_sql_gave_a_line_for_a_minute_keeps_later_lines_from_being_looked_at(busy: Office) -> None:
    last = read("SELECT MAX(id) FROM audit")[0]
    busy.pay_deposit("shop-1", 1_000)
    write("UPDATE audit SET id = 1000000000 WHERE id = (SELECT MAX(id) FROM audit)")
    examination.examine()
    write("UPDATE audit SET id = :id WHERE id = 1000000000", id=last + 50)
    busy.pay_deposit("shop-1", 1_000)
    write("UPDATE audit SET text = 'x' WHERE id = (SELECT MAX(id) FROM audit)")
    for _ in range(2):
        examination.examine()
    assert any("was changed after it was written" in told for told in findings(busy))


def test_books_that_do_not_add_up_are_told_the_next_night(busy: Office) -> None:
    write("UPDATE account SET credit_fen = credit_fen + 100 WHERE id = 'shop/shop-1/deposit'")
    nights(busy, 2)
    [told] = findings(busy)
    assert told.startswith("账簿")


def test_what_comes_back_after_it_was_gone_is_told_again(busy: Office) -> None:
    for change in ("+", "-", "+"):
        write(f"UPDATE account SET credit_fen = credit_fen {change} 100 WHERE id = 'shop/shop-1/deposit'")
        nights(busy)
    assert len(findings(busy)) == 2


def test_the_night_goes_round_all_chains_in_pieces(busy: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "NIGHTLY_LINES", 5)
    write("UPDATE audit SET text = 'x' WHERE stream = 'shop/shop-1' AND seq = 2")
    busy.clock.at = TONIGHT
    looked = 0
    for rounds in range(100):  # noqa: B007
        looked += (piece := examination.examine()["nightly"])
        if piece == 0:
            break
    with reading() as tx:
        everything = len(list(tx.execute(audit.select(audit.AuditEntry.id))))
    assert rounds > 3
    assert looked >= everything - 5
    assert len(findings(busy)) == 1


def test_a_row_that_one_look_cannot_read_keeps_no_other_look_from_being_taken(busy: Office) -> None:
    write("UPDATE staff SET roles = 'null' WHERE id = 'zhao-min'")
    busy.clock.advance(timedelta(minutes=1))
    in_transaction(lambda tx: audit.record(tx, "system", "did"))
    write("UPDATE audit SET text = 'x' WHERE id = (SELECT MAX(id) FROM audit)")
    with pytest.raises(ExceptionGroup):  # which the sweep tells
        examination.examine()
    [told] = findings(busy)
    assert "was changed after it was written" in told


def test_more_findings_than_a_message_holds_are_counted(office: Office) -> None:
    found = {str(n): f"第 {n} 处" for n in range(examination.TOLD + 7)}
    assert in_transaction(lambda tx: examination.report(tx, "test", "某处", found, "请查"))
    assert "另有 7 处" in findings(office)[0]


def test_whoever_only_has_the_database_cannot_have_a_finding_passed_over(busy: Office) -> None:
    write("UPDATE installation SET value = 'x' WHERE key = 'findings/audit'")
    write("UPDATE audit SET text = 'x' WHERE stream = 'shop/shop-1' AND seq = 2")
    nights(busy)
    assert len(findings(busy)) == 1


# ── the doctor ───────────────────────────────────────────────────────────────


def test_what_the_doctor_finds_twice_in_a_row_is_told_once_while_it_lasts(office: Office) -> None:
    looks: Iterator[list[Check]] = iter(
        [
            [good("数据库", "可用"), bad("执行进程", "没有在线的执行进程", "dianwu up")],  # a restart
            [good("数据库", "可用")],
            *[[bad("执行进程", f"没有在线的执行进程({n})", "dianwu up")] for n in range(3)],
            [],
            [],
            *[[bad("执行进程", "没有在线的执行进程", "dianwu up")] for _ in range(2)],
        ]
    )
    examiner = Examiner(lambda: next(looks))
    told = []
    for _ in range(9):
        examiner.once()
        office.clock.advance(timedelta(minutes=10))
        told.append(len(findings(office)))
    assert told == [0, 0, 0, 1, 1, 1, 1, 1, 2]
    assert "dianwu up" in findings(office)[0]
