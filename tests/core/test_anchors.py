"""What was anchored outside cannot be rewritten, not even by whoever has the database and every key."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from models.audit import AuditEntry, AuditHead
from models.cases import Case
from office.base.db import in_transaction, reading, transaction
from office.base.settings import settings
from office.record import audit
from tasks.sight import anchors
from tests.core.sql import write
from tests.core.test_slow_post import SlowPost
from tests.play import Office

Done = Callable[..., str]


def found(*places: Path) -> list[str]:
    with reading() as tx:
        return list(anchors.against(tx, [str(place) for place in places]))


def rewrite(stream: str, seq: int) -> None:
    """What the key's holder can do: change a line, rebuild every hash after it, and seal the new end."""
    with transaction() as tx:
        last = audit.GENESIS
        for line in tx.exec(select(AuditEntry).where(AuditEntry.stream == stream).order_by(col(AuditEntry.seq))):
            if line.seq == seq:
                line.text = "驳回"
            line.prev_hash = last
            line.hash = last = audit._digest(line)
            tx.add(line)
        head = tx.get_one(AuditHead, stream)
        head.hash = last
        head.seal = audit._seal(head)
        tx.add(head)


@pytest.fixture
def case(office: Office) -> Case:
    office.open_shop()
    made = office.request_closure()
    office.decide(made, "li-na", "APPROVE")
    return made


def test_the_holder_of_the_key_cannot_rewrite_what_was_anchored(office: Office, case: Case, tmp_path: Path) -> None:
    anchors.write(str(tmp_path))
    assert found(tmp_path) == []
    rewrite(case.id, 3)
    assert office.chains() == [], "the chain itself cannot tell"
    [sentence] = found(tmp_path)
    assert sentence.startswith(f"{case.id}: line") and "was rewritten after it was anchored" in sentence


def test_a_chain_that_was_taken_away_whole_is_missed(office: Office, case: Case, tmp_path: Path) -> None:
    anchors.write(str(tmp_path))
    for table in ("audit", "audit_head"):
        write(f"DELETE FROM {table} WHERE stream = 'shop/shop-1'")
    assert any("shop/shop-1" in sentence and "is gone" in sentence for sentence in found(tmp_path))


def test_what_happens_after_an_anchor_contradicts_nothing_and_is_in_the_next(
    office: Office, case: Case, tmp_path: Path
) -> None:
    first = anchors.write(str(tmp_path))
    office.snapshot()
    office.clock.advance(timedelta(hours=24))
    second = anchors.write(str(tmp_path))
    assert found(tmp_path) == []
    assert (second.number, second.previous) == (2, first.sha256)
    assert second.heads[case.id][0] > first.heads[case.id][0]


def test_an_anchor_that_was_exchanged_or_taken_away_shows(office: Office, case: Case, tmp_path: Path) -> None:
    for _ in range(3):
        office.clock.advance(timedelta(hours=24))
        office.pay_deposit("shop-1", 100)
        anchors.write(str(tmp_path))
    first, second, third = sorted(tmp_path.glob("*.json"))
    text = second.read_text(encoding="utf-8")
    forged = json.loads(text)
    forged["heads"]["system"] = [1, "0" * 64]
    second.write_text(json.dumps(forged), encoding="utf-8")
    assert any("anchor 3 does not follow from anchor 2" in sentence for sentence in found(tmp_path))
    second.unlink()
    assert "anchor 2 is missing before anchor 3" in found(tmp_path)
    assert found(first) == found(third) == [], "each by itself is believed"


def test_a_chain_that_was_broken_when_it_was_anchored_is_named_as_such(
    office: Office, case: Case, tmp_path: Path
) -> None:
    write("UPDATE audit_head SET seal = 'x' WHERE stream = 'shop/shop-1'")
    made = anchors.write(str(tmp_path))
    assert "shop/shop-1" in made.broken and "shop/shop-1" not in made.heads


def test_an_anchor_goes_out_by_mail_and_is_checked_from_the_saved_attachment(
    office: Office, case: Case, tmp_path: Path
) -> None:
    post = SlowPost(office)
    try:
        made = anchors.write(f"mailto://127.0.0.1:{post.port}?from=dianwu@example.cn&to=auditor@example.cn")
        again = anchors.write(f"mailto://127.0.0.1:{post.port}?from=dianwu@example.cn&to=auditor@example.cn")
    finally:
        post.stop()
    [letter, _] = post.letters
    [attached] = list(letter.iter_attachments())
    saved = tmp_path / attached.get_filename()
    saved.write_bytes(
        attached.get_content() if isinstance(attached.get_content(), bytes) else attached.get_content().encode()
    )
    assert anchors.read(str(saved)) == [made]
    assert (again.number, again.previous) == (2, made.sha256)
    rewrite(case.id, 3)
    assert found(saved) != []


# ── by the clock and by the command ──────────────────────────────────────────


def anchored_at(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    monkeypatch.setenv("DIANWU_AUDIT_ANCHORS", json.dumps([str(place)]))
    settings.cache_clear()


def test_anchors_are_written_by_themselves_once_a_day(
    office: Office, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchored_at(monkeypatch, tmp_path)
    written = []
    for hours in (0, 1, 22.9, 0.1, 24):
        office.clock.advance(timedelta(hours=hours))
        written.append(anchors.write_due())
    assert written == [1, 0, 0, 1, 1]


def test_a_place_that_cannot_be_written_is_told_once_and_tried_again(
    office: Office, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "file"
    place.write_text("{}")
    anchored_at(monkeypatch, place / "below")
    assert [anchors.write_due() for _ in range(3)] == [0, 0, 0]
    assert office.staff_told("integrity_broken") == ["supervisor"]
    place.unlink()
    assert anchors.write_due() == 1


def test_the_commands_write_and_check(
    office: Office, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from ops.cli import app

    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["audit", *words])

    assert run("anchor").exit_code == 1
    assert run("anchor", "--to", str(tmp_path / "a")).exit_code == 0
    anchored_at(monkeypatch, tmp_path / "b")
    assert run("anchor").exit_code == 0
    assert run("verify", "--against", str(tmp_path / "a")).exit_code == 0
    assert "1 处外部锚点一致" in run("verify").output
    in_transaction(lambda tx: None)
    rewrite(case.id, 3)
    assert run("verify").exit_code == 1
