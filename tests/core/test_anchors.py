"""What was anchored outside cannot be rewritten, not even by whoever has the database and every key."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from models.audit import AuditEntry, AuditHead, Installation
from models.cases import Case
from models.messages import Channel
from office.base.db import reading, transaction
from office.base.settings import settings
from office.record import audit, outbox
from tasks.sight import anchors
from tests.core.sql import write
from tests.core.test_slow_post import SlowPost
from tests.play import Office

Done = Callable[..., str]


def found(*places: Path) -> list[str]:
    return anchors.contradictions([str(place) for place in places])


def heard(office: Office) -> list[str]:
    """What the supervisor was told is wrong, in order."""
    return [outbox.body(row)["finding"] for row in office.outbox(Channel.STAFF, "integrity_broken")]


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
    assert anchors.look(str(saved)).anchors == (made,)
    assert (again.number, again.previous) == (2, made.sha256)
    rewrite(case.id, 3)
    assert found(saved) != []


def test_what_was_written_to_a_place_has_to_be_there_as_it_was(office: Office, case: Case, tmp_path: Path) -> None:
    """The newest is followed by none: that it was taken away, or that an older one lies in its place, the record tells."""
    anchors.write(str(tmp_path))
    office.clock.advance(timedelta(hours=24))
    anchors.write(str(tmp_path))
    older, newest = sorted(tmp_path.glob("*.json"))
    whole = newest.read_text(encoding="utf-8")
    for content in (older.read_text(encoding="utf-8"), whole[: len(whole) // 2], "[]", "", None):
        newest.unlink() if content is None else newest.write_text(content, encoding="utf-8")
        assert any(
            "anchor 2" in sentence and "is not there as it was written" in sentence for sentence in found(tmp_path)
        )
    older.unlink()
    assert len(found(tmp_path)) == 2, "all of them may be gone, too"
    newest.write_text(whole, encoding="utf-8")
    assert len(found(tmp_path)) == 1


def test_an_odd_file_among_the_anchors_is_named_and_keeps_no_anchor_from_being_written(
    office: Office, case: Case, tmp_path: Path
) -> None:
    anchors.write(str(tmp_path))
    for name, content in {"1": b"{", "2": b"\xff\xfe", "3": b"[" * 5000}.items():
        (tmp_path / f"dianwu-anchor-{name}.json").write_bytes(content)
    (tmp_path / "dianwu-anchor-4.json").mkdir()
    office.clock.advance(timedelta(hours=24))
    assert anchors.write(str(tmp_path)).number == 2
    assert found(tmp_path) == [
        f"dianwu-anchor-{number}.json is no anchor of ours, or was cut off" for number in range(1, 5)
    ]


def test_two_that_are_written_at_once_contradict_nothing(office: Office, case: Case, tmp_path: Path) -> None:
    first = anchors.write(str(tmp_path))
    with reading() as tx:
        slower = anchors.draw(tx, first.end)
    office.clock.advance(timedelta(seconds=1))
    office.pay_deposit("shop-1", 100)
    anchors.write(str(tmp_path))
    anchors._put(str(tmp_path), slower)
    office.clock.advance(timedelta(hours=24))
    assert anchors.write(str(tmp_path)).number == 3
    assert len(list(tmp_path.glob("*.json"))) == 4 and found(tmp_path) == []


@pytest.mark.parametrize("what", ["another number", "and gone again"])
def test_no_number_that_sql_has_given_a_line_keeps_later_lines_out_of_the_anchors(
    office: Office, case: Case, tmp_path: Path, what: str
) -> None:
    write("UPDATE audit SET id = 1000000000 WHERE id = (SELECT MAX(id) FROM audit)")
    anchors.write(str(tmp_path))
    write("UPDATE audit SET id = (SELECT MAX(id) + 1 FROM audit WHERE id < 1000000000) WHERE id = 1000000000")
    office.snapshot()
    if what == "another number":
        write("UPDATE audit SET id = 2000000000 WHERE id = 1")
    office.clock.advance(timedelta(hours=24))
    second = anchors.write(str(tmp_path))
    assert case.id in second.heads and "shop/shop-1" in second.heads


# ── by the clock and by the command ──────────────────────────────────────────


def anchored_at(monkeypatch: pytest.MonkeyPatch, *places: Path | str) -> None:
    monkeypatch.setenv("DIANWU_AUDIT_ANCHORS", json.dumps([str(place) for place in places]))
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
    assert "1 处共 1 份外部锚点一致" in run("verify").output
    rewrite(case.id, 3)
    assert run("verify").exit_code == 1
    (tmp_path / "empty").mkdir()
    said = run("verify", "--against", str(tmp_path / "empty"))
    assert said.exit_code == 1 and "没有锚点" in said.output, "nothing agrees with no anchor"


SILENCED = {
    "not due for years": '{{"number":1,"at":"2099-01-01T00:00:00Z","until":0,"sha256":"x"}}',
    "of another place": "{other}",
    "not there": "",
}


@pytest.mark.parametrize("how", SILENCED)
def test_sql_keeps_no_anchor_from_being_written_and_has_none_pass_over_anything(
    office: Office, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    anchored_at(monkeypatch, tmp_path)
    assert anchors.write_due() == 1
    with reading() as tx:
        other = tx.get_one(Installation, f"anchor/{anchors.key_of(str(tmp_path))}").value.replace("2026", "2031")
    write("UPDATE installation SET value = :value WHERE key LIKE 'anchor/%'", value=SILENCED[how].format(other=other))
    office.clock.advance(timedelta(minutes=1))
    assert (anchors.write_due(), anchors.write_due()) == (1, 0)
    assert found(tmp_path) == []


def test_what_contradicts_an_anchor_reaches_the_supervisor_by_itself_and_once(
    office: Office, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchored_at(monkeypatch, tmp_path)
    anchors.write_due()
    rewrite(case.id, 3)
    for _ in range(2):
        office.clock.advance(timedelta(hours=24))
        anchors.write_due()
    [told] = heard(office)
    assert case.id in told and "was rewritten after it was anchored" in told


def test_anchors_that_go_elsewhere_are_heard_of_once_and_those_by_hand_are_not(
    office: Office, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anchors.write(str(tmp_path / "by hand"))
    for place in ("a", "b", "b"):
        anchored_at(monkeypatch, tmp_path / place)
        anchors.write_due()
    [told] = heard(office)
    assert "不在设置 audit_anchors 中" in told


def says_it_did(fs: Any, place: str, content: bytes, **_: object) -> None:
    """An object store that answers 200 and keeps nothing, or an error in the place of what it was given."""


def breaks(fs: Any, place: str, content: bytes, **_: object) -> None:
    raise LookupError("of its client's own kind, with https://user:password@store in it")


def hangs(fs: Any, place: str, content: bytes, **_: object) -> None:
    threading.Event().wait(30)


@pytest.mark.parametrize("answer", [says_it_did, breaks, hangs])
def test_a_place_that_fails_in_its_own_way_is_told_and_keeps_no_other_from_its_anchor(
    office: Office, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., None]
) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    monkeypatch.setattr(MemoryFileSystem, "pipe_file", answer)
    if answer is hangs:
        monkeypatch.setattr(anchors, "PATIENCE", 1.0)
    anchored_at(monkeypatch, f"memory://{answer.__name__}", tmp_path)
    assert anchors.write_due() == 1
    [told] = heard(office)
    assert "password" not in told
    with reading() as tx:
        assert anchors.overdue(tx) == ["memory://…"]


def test_a_record_that_goes_on_in_another_chain_is_anchored_there_and_stays_anchored_here(
    office: Office, case: Case, tmp_path: Path
) -> None:
    anchors.write(str(tmp_path))
    write("UPDATE audit_head SET seal = 'x' WHERE stream = :stream", stream=case.id)
    office.snapshot()
    office.clock.advance(timedelta(hours=24))
    second = anchors.write(str(tmp_path))
    assert case.id in second.broken and f"{case.id}~2" in second.heads and found(tmp_path) == []
    for stream in (case.id, f"{case.id}~2"):
        rewrite(stream, 1)
    assert len(found(tmp_path)) == 2
