"""The audit: whatever somebody changes, removes or cuts off by hand shows."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel, col, select

from models.audit import AuditEntry, AuditHead
from office.base.db import in_transaction, reading, transaction
from office.record import audit, chain_proof
from tests.core.sql import said, write
from tests.play import Office

pytestmark = pytest.mark.both

TAMPERED = {
    "UPDATE audit SET text = 'x' WHERE stream = 's' AND seq = 2": "line 2 was changed",
    "UPDATE audit SET public = NOT public WHERE stream = 's' AND seq = 2": "line 2 was changed",
    "UPDATE audit SET actor = 'staff/other' WHERE stream = 's' AND seq = 1": "line 1 was changed",
    "UPDATE audit SET clause = 'X-1' WHERE stream = 's' AND seq = 3": "line 3 was changed",
    "DELETE FROM audit WHERE stream = 's' AND seq = 2": "line 2 is missing",
    "DELETE FROM audit WHERE stream = 's' AND seq = 1": "line 1 is missing",
    "DELETE FROM audit WHERE stream = 's' AND seq = 3": "the chain ends at line 2",
    "DELETE FROM audit WHERE stream = 's'": "the chain ends at line 0",
    "UPDATE audit_head SET seq = 2 WHERE stream = 's'": "not sealed",
    "DELETE FROM audit_head WHERE stream = 's'": "the chain has no head",
}


@pytest.fixture
def chain(database: None) -> None:
    """Three lines in one stream, and one in another."""
    for number in range(3):
        in_transaction(lambda tx, n=number: audit.record(tx, "s", "did", text=f"第 {n} 步", clause="CLS-5", n=n))  # type: ignore[misc]
    in_transaction(lambda tx: audit.record(tx, "other", "did"))


def verify(stream: str | None = None) -> list[str]:
    with reading() as tx:
        return list(chain_proof.verify(tx, stream))


def test_a_chain_nobody_touched_is_whole(chain: None) -> None:
    assert verify() == []


@pytest.mark.parametrize("sql", TAMPERED)
def test_every_kind_of_tampering_is_named(chain: None, sql: str) -> None:
    in_transaction(lambda tx: tx.execute(text(sql)))
    assert any(TAMPERED[sql] in sentence for sentence in verify())
    assert verify("other") == []


def test_a_cut_tail_shows_even_when_the_head_is_rewound_to_it(chain: None) -> None:
    in_transaction(lambda tx: tx.execute(text("DELETE FROM audit WHERE stream = 's' AND seq = 3")))
    in_transaction(
        lambda tx: tx.execute(
            text(
                "UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit WHERE stream = 's' AND seq = 2) WHERE stream = 's'"
            )
        )
    )
    assert any("not sealed" in sentence for sentence in verify())  # the seal needs a key the database does not hold


def test_what_is_recorded_in_a_transaction_that_fails_was_never_recorded(chain: None) -> None:
    with pytest.raises(RuntimeError):
        in_transaction(_record_and_fail)
    assert verify() == []
    with reading() as tx:
        assert len(audit.timeline(tx, "s")) == 3


def _record_and_fail(tx: object) -> None:
    audit.record(tx, "s", "did")  # type: ignore[arg-type]
    raise RuntimeError("the change did not happen")


def test_the_merchant_reads_only_the_public_lines(chain: None) -> None:
    in_transaction(lambda tx: audit.record(tx, "s", "told", public=True))
    with reading() as tx:
        assert [line.action for line in audit.timeline(tx, "s", public_only=True)] == ["told"]


# ── whoever has the database and not the key ─────────────────────────────────


def forge(stream: str) -> None:
    """Change what the first line says and rebuild every hash after it, as the application would, but for the seal."""
    with transaction() as tx:
        lines = list(tx.exec(select(AuditEntry).where(AuditEntry.stream == stream).order_by(col(AuditEntry.seq))))
        last = audit.GENESIS
        for line in lines:
            line.text = "另一个结论"
            line.prev_hash, line.hash = last, ""
            line.hash = last = audit._digest(line)
            tx.add(line)
        head = tx.get_one(AuditHead, stream)
        head.hash = last
        tx.add(head)


def test_a_forged_chain_is_not_sealed_by_the_next_line_but_left_and_told_and_the_case_goes_on(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    forge(case.id)
    office.decide(case, "li-na", "APPROVE")
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED"
    wrong = office.chains()
    assert any(sentence.startswith(case.id) and "not sealed" in sentence for sentence in wrong)
    assert any(f"goes on in {case.id}~2" in sentence for sentence in wrong)
    assert office.staff_told("integrity_broken") == ["supervisor"]
    assert office.trail(f"{case.id}~2")[0] == "audit.quarantined"
    assert office.trail(case.id)[-1] == "case.concluded"
    assert "shop_closed" in office.told(case)


@pytest.mark.parametrize("taken", ["head", "head and lines of it", "lines"])
def test_what_was_cut_off_is_noticed_when_the_next_line_is_written(office: Office, taken: str) -> None:
    office.open_shop()
    case = office.request_closure()
    if "head" in taken:
        in_transaction(lambda tx: tx.execute(text(f"DELETE FROM audit_head WHERE stream = '{case.id}'")))
    if "lines" in taken:
        in_transaction(lambda tx: tx.execute(text(f"DELETE FROM audit WHERE stream = '{case.id}' AND seq > 1")))
    assert office.chains() != []
    office.decide(case, "li-na", "APPROVE")
    assert office.chains() != []
    assert office.staff_told("integrity_broken") == (["supervisor"] if "head" in taken else [])


def test_an_end_whose_seal_no_seal_of_ours_could_be_is_left_and_told_like_any_other(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    write("UPDATE audit_head SET seal = '封' WHERE stream IN (:one, 'system', 'alerts')", one=case.id)
    office.decide(case, "li-na", "APPROVE")
    office.snapshot()
    assert office.case(case.id).outcome == "CLOSED"
    assert "supervisor" in office.staff_told("integrity_broken")


@pytest.mark.parametrize("over", [False, True])
def test_a_case_whose_whole_record_was_taken_away_is_named(office: Office, over: bool) -> None:
    office.open_shop()
    case = office.request_closure()
    if over:
        office.decide(case, "li-na", "REJECT", "资料不符")
    for table in ("audit", "audit_head"):
        in_transaction(lambda tx, t=table: tx.execute(text(f"DELETE FROM {t} WHERE stream = '{case.id}'")))  # type: ignore[misc]
    assert office.chains() == [f"{case.id}: the case has no chain"]


def test_a_stream_broken_twice_goes_on_in_a_third(chain: None) -> None:
    for name in ("s", "s~2"):
        in_transaction(lambda tx, n=name: tx.execute(text(f"UPDATE audit_head SET hash = 'x' WHERE stream = '{n}'")))  # type: ignore[misc]
        in_transaction(lambda tx: audit.record(tx, "s", "did"))
    with reading() as tx:
        assert audit.streams(tx, "s") == ["s", "s~2", "s~3"]
        lines = audit.timeline(tx, "s")
    assert [line.action for line in lines] == ["did"] * 3 + ["audit.quarantined", "did"] * 2
    assert len({line.number for line in lines}) == len(lines)


def whole(stream: str = "s") -> list[str]:
    with reading() as tx:
        return [line.text for line in audit.found_whole(tx, stream)]


def test_what_was_found_whole_is_not_read_again_and_stays_what_was_read(chain: None) -> None:
    assert whole() == ["第 0 步", "第 1 步", "第 2 步"]
    with said() as heard:
        assert len(whole()) == 3
    assert len([one for one in heard if "FROM audit " in one]) == 0
    write("UPDATE audit SET text = 'x' WHERE stream = 's' AND seq = 2")
    in_transaction(lambda tx: audit.record(tx, "s", "did", text="第 3 步"))
    assert whole() == ["第 0 步", "第 1 步", "第 2 步", "第 3 步"]
    assert len(verify("s")) == 1, "and whoever verifies reads every line"


def test_lines_that_were_never_committed_are_no_beginning_of_what_follows(chain: None) -> None:
    def rolled_back() -> None:
        with transaction() as tx:
            audit.record(tx, "s", "did", text="不作数")
            assert audit.found_whole(tx, "s")[-1].text == "不作数"
            raise KeyError

    with pytest.raises(KeyError):
        rolled_back()
    assert len(whole()) == 3
    with pytest.raises(KeyError):
        rolled_back()
    in_transaction(lambda tx: audit.record(tx, "s", "did", text="作数"))
    assert whole()[-1] == "作数" and len(whole()) == 4
    with pytest.raises(KeyError):
        rolled_back()
    for number in (5, 6):
        in_transaction(lambda tx, n=number: audit.record(tx, "s", "did", text=f"第 {n} 行"))  # type: ignore[misc]
    assert len(whole()) == 6


def test_a_chain_that_is_not_whole_is_nothing_to_rely_on_for_whoever_reads_it_first(chain: None) -> None:
    assert whole("other") == [""]
    write("UPDATE audit SET text = 'x' WHERE stream = 's' AND seq = 2")
    assert whole() == []


def test_a_case_or_somebody_who_was_taken_away_and_left_a_record_is_named(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    for table in reversed(SQLModel.metadata.sorted_tables):
        if "case_id" in table.c:
            write(f"DELETE FROM {table.name} WHERE case_id = '{case.id}'")
    write(f"DELETE FROM \"case\" WHERE id = '{case.id}'")
    write("DELETE FROM staff WHERE id = 'zhao-min'")
    assert office.chains() == [
        f"{case.id}: the case is gone, and its chain is there",
        "staff/zhao-min: the person is gone, and their chain is there",
    ]
