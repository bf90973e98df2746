"""Counted: whoever has the database and puts a chain back to an earlier end of its own is found out, without any anchor."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

from models.audit import AuditHead
from models.messages import Channel
from office.base.db import in_transaction, reading
from office.record import alerts, audit, chain_proof, outbox, seen, standing
from tasks.sight import examination
from tests.core.sql import write
from tests.core.test_examination import TONIGHT
from tests.play import Office


def heard(office: Office) -> list[str]:
    """What the supervisor was told is wrong, in order."""
    return [outbox.body(row)["finding"] for row in office.outbox(Channel.STAFF, "integrity_broken")]


def chain_gone(stream: str) -> None:
    for table in ("audit", "audit_head"):
        write(f"DELETE FROM {table} WHERE stream = :stream", stream=stream)


def end_of(stream: str) -> dict[str, Any]:
    with reading() as tx:
        return tx.get_one(AuditHead, stream).model_dump()


def put_back(end: dict[str, Any]) -> None:
    """What somebody can do who only has the database: a chain ends where it has ended before, with the seal it had then."""
    write("DELETE FROM audit WHERE stream = :stream AND seq > :seq", stream=end["stream"], seq=end["seq"])
    write("UPDATE audit_head SET seq = :seq, hash = :hash, seal = :seal WHERE stream = :stream", **end)


def a_night(office: Office) -> None:
    office.clock.at = max(office.clock.at, TONIGHT)
    examination.examine()
    office.clock.advance(timedelta(days=1))


def put_back_after_a_night(office: Office, *, counts: bool) -> str:
    """A case's chain, put back to where it ended two nights ago; its name."""
    office.open_shop()
    case = office.request_closure()
    a_night(office)
    earlier = [end_of(case.id), *([end_of(audit.COUNTS)] if counts else [])]
    office.pay_deposit("shop-1", 100)
    office.decide(case, "li-na", "APPROVE")
    office.clock.advance(timedelta(hours=2))
    a_night(office)
    in_transaction(standing.check)  # every sweep looks
    assert heard(office) == []
    for end in earlier:
        put_back(end)
    return case.id


def test_a_chain_put_back_to_an_earlier_end_of_its_own_is_told_the_next_night_and_from_then_on(office: Office) -> None:
    case_id = put_back_after_a_night(office, counts=False)
    with reading() as tx:
        assert list(chain_proof.verify(tx, case_id)) == [], "the chain itself cannot tell"
    for _ in range(3):
        a_night(office)
    [told] = [one for one in heard(office) if "lines counted on" in one]
    assert told.count("lines counted on") == 1 and any("lines counted on" in sentence for sentence in office.chains())


def test_whoever_puts_back_the_counts_too_is_heard_of(office: Office) -> None:
    put_back_after_a_night(office, counts=True)
    in_transaction(standing.check)  # every sweep looks
    [told] = heard(office)
    assert audit.COUNTS in told and "可能被退回" in told


def test_a_chain_taken_away_whole_that_is_no_cases_and_nobodys_is_told(office: Office) -> None:
    office.open_shop()
    a_night(office)
    chain_gone("shop/shop-1")
    a_night(office)
    [told] = heard(office)
    assert "lines counted on" in told


def test_that_the_supervisor_was_told_is_not_forgotten_with_its_letter(office: Office) -> None:
    in_transaction(lambda tx: alerts.tell(tx, "one", where="某处", finding="一", consequence="请查"))
    earlier = end_of(audit.ALERTS)
    in_transaction(lambda tx: alerts.tell(tx, "two", where="某处", finding="二", consequence="请查"))
    in_transaction(standing.check)  # every sweep looks
    for taken in (lambda: put_back(earlier), lambda: chain_gone(audit.ALERTS)):
        taken()
        write("DELETE FROM outbox WHERE key LIKE 'staff:integrity/two%'")
        before = len(heard(office))
        for _ in range(2):
            in_transaction(standing.check)
        assert len(heard(office)) == before + 1
        write("DELETE FROM audit_head WHERE stream LIKE 'alerts~%'")
        write("DELETE FROM audit WHERE stream LIKE 'alerts~%'")


def test_a_chain_put_back_by_day_is_told_by_the_next_sweep_whatever_is_written_meanwhile(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    a_night(office)
    for said in ("first", "second"):
        earlier = end_of(case.id)
        in_transaction(partial(audit.record, stream=case.id, action="case.noted"))
        office.clock.advance(timedelta(hours=1))
        just_now = office.clock.at
        examination.examine()
        put_back(earlier)
        office.clock.advance(timedelta(minutes=1))
        late = partial(audit.record, stream=audit.SYSTEM, action="late", at=just_now)  # was not committed a minute ago
        in_transaction(late)
        for _ in range(3):
            examination.examine()
        assert len(heard(office)) == 1 + (said == "second") and heard(office)[-1].startswith("- 1 lines counted on")
    assert len([sentence for sentence in office.chains() if "lines counted on" in sentence]) == 2


def test_what_several_machines_find_gone_is_told_once(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    a_night(office)
    for gone in (1, 2):
        earlier = end_of(case.id)
        for _ in range(gone):
            in_transaction(partial(audit.record, stream=case.id, action="case.noted"))
        remembered = []
        for _ in range(3):
            office.clock.advance(timedelta(minutes=1))
            examination.examine()
            remembered.append(seen.lines() or "")
        put_back(earlier)
        for kept in remembered:
            seen.note_lines(kept)
            examination.examine()
            examination.examine()
        assert len(heard(office)) == gone and heard(office)[-1].startswith(f"- {gone} lines counted on")
    assert len([sentence for sentence in office.chains() if "lines counted on" in sentence]) == 2


def test_what_this_machine_has_counted_in_another_database_is_nobodys_loss(office: Office) -> None:
    office.open_shop()
    examination.examine()
    seen.note_lines((seen.lines() or "").replace('"born":"', '"born":"0').replace('"above":', '"above":-9'))
    examination.examine()
    assert heard(office) == [] and not any("lines counted" in sentence for sentence in office.chains())
