"""Finding a case, seeing the whole of it, and handing it on as one file."""

from __future__ import annotations

import hashlib
import html
import json
import re
import stat
from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import col, update

from models.audit import AuditEntry
from models.cases import Case
from models.invoicing import MoveKind
from models.posting_words import reason_word
from models.reviews import Review
from office.base.db import in_transaction
from office.cases.locks import lock_case
from office.record import audit
from ops.commands import terminal
from tests.play import PAPERS, PAYEE, Office

ROOT = Path(__file__).resolve().parents[2]
Done = Callable[..., str]
ACCOUNT = PAYEE["account_no"]


@pytest.fixture
def refund(office: Office) -> Case:
    """A refund that was paid, sent back by the bank, and waits for finance to look again."""
    office.closed_shop(name="<script>alert(1)</script>")
    case = office.request_refund()
    office.decide(case, "wang-fang", "APPROVE", "手续齐全 <b>已核</b>")
    office.bank(f"{case.id}-P1", "returned", reason="账户已销户")
    return case


def exported(done: Done, case: Case, folder: Path) -> str:
    file = folder / "file.html"
    done("cases", "export", case.id, "--out", str(file))
    return file.read_text(encoding="utf-8")


class Page(HTMLParser):
    """What a reader sees: text, elements, and the cells of every table row."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        assert not any(name in {"src", "onload", "onclick"} for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_list_can_be_narrowed_down(office: Office, refund: Case, told: Any, done: Done) -> None:
    closure = next(case for case in office.cases() if case.kind == "closure")
    assert [row["id"] for row in told("cases", "list")] == [refund.id, closure.id]
    assert [row["id"] for row in told("cases", "list", "--open")] == [refund.id]
    assert [row["id"] for row in told("cases", "list", "--kind", "closure")] == [closure.id]
    assert [row["id"] for row in told("cases", "list", "--state", "CLOSED")] == [closure.id]
    assert told("cases", "list", "--shop", "shop-2") == []
    assert "退票处理(财务)" in done("cases", "list", "--open")


def test_a_kind_that_does_not_exist_is_a_usage_error(office: Office, dianwu: Any) -> None:
    assert dianwu("cases", "list", "--kind", "divorce").exit_code == 2


def test_a_case_shows_what_it_waits_for_and_everything_that_happened(refund: Case, done: Done) -> None:
    shown = done("cases", "show", refund.id)
    for part in ("等待：退票处理(财务)", "退款到账", "个工作日", "检查结果", "同意退还", "王芳(wang-fang)", "退票",
                 "账户已销户", "¥4,000.00", "清算在途", "已通知商家", "商家现在可以发送", "营业执照.pdf"):  # fmt: skip
        assert part in shown, part
    assert ACCOUNT not in shown and ACCOUNT[-4:] in shown


def test_nothing_people_read_of_a_case_is_a_key_of_ours_or_a_time_as_machines_write_it(
    refund: Case, office: Office, done: Done, tmp_path: Path
) -> None:
    office.open_shop("shop-2")
    shown = [done("cases", "show", refund.id), done("cases", "show", office.request_closure("shop-2").id)]
    shown.append(exported(done, refund, tmp_path))
    for text in shown:
        assert (
            re.findall(
                r"\b[a-z_]+\.[a-z_]+(?<!\.pdf)\b", re.sub(r"<style>.*?</style>|<code>.*?</code>", "", text, flags=re.S)
            )
            == []
        )
    for text in shown[:2]:
        assert re.findall(r".*(?:review/|refund-due|exit-invoice|closure/\d|refund/\d|\dT\d\d:).*", text) == []
    assert "<td>退保证金审核</td>" in shown[2] and "<td>refund-due</td>" not in shown[2]
    assert "退保证金审核" in shown[0] and "退款到账" in shown[0] and "退店发票" in shown[1]


def test_every_reason_for_which_money_moves_has_a_word_for_people() -> None:
    code = re.compile(r'reason(?: = |=)[^\n]*"([a-z_]+\.[a-z_-]+)"')
    given = {
        found for file in (ROOT / "tasks").rglob("*.py") for found in code.findall(file.read_text(encoding="utf-8"))
    }
    given |= {f"statement.{move.value.lower()}" for move in MoveKind}
    assert len(given) > 15 and {reason for reason in given if reason_word(reason) == reason} == set()


def test_the_dossiers_are_shown_on_request(refund: Case, done: Done) -> None:
    assert "将发生什么" not in done("cases", "show", refund.id)
    assert "将发生什么" in done("cases", "show", refund.id, "--dossiers")


def test_machines_get_the_whole_case_without_the_account(refund: Case, told: Any) -> None:
    case = told("cases", "show", refund.id)
    assert [one["verdict"] for one in case["reviews"]] == ["同意退还", ""]
    assert case["reviews"][0]["shown_intact"] and case["chain"]["problems"] == []
    assert ACCOUNT not in json.dumps(case)


def test_a_case_that_does_not_exist_is_refused(office: Office, refused: Done, tmp_path: Path) -> None:
    assert "没有编号" in refused("cases", "show", "REF-000000-XXXXXX")
    assert "没有编号" in refused("cases", "export", "REF-000000-XXXXXX", "--out", str(tmp_path / "x.html"))
    assert "没有编号" in refused("cases", "retry", "REF-000000-XXXXXX", "--by", "he-qiang")


# ── the dispute file ─────────────────────────────────────────────────────────


def test_the_dispute_file_holds_who_decided_what_on_which_text(refund: Case, done: Done, tmp_path: Path) -> None:
    page = Page(exported(done, refund, tmp_path))
    with_case = in_transaction(lambda tx: [row for row in tx.exec(_reviews(refund)) if row.decided_by])
    first = with_case[0]
    assert "王芳(wang-fang)" in page.text and "同意退还" in page.text and "手续齐全 <b>已核</b>" in page.text
    assert first.dossier in page.text
    assert hashlib.sha256(first.dossier.encode()).hexdigest() == first.dossier_sha256 in page.text.replace("\n", "")
    assert "一致" in page.text and "不一致" not in page.text


def _reviews(case: Case) -> Any:
    from sqlmodel import select

    return select(Review).where(Review.case_id == case.id).order_by(col(Review.opened_at))


def test_the_dispute_file_holds_money_messages_evidence_and_deadlines(refund: Case, done: Done, tmp_path: Path) -> None:
    text = Page(exported(done, refund, tmp_path)).text
    for part in (f"{refund.id}-P1", "账户已销户", "清算在途", f"{refund.id}/payout/1", "营业执照.pdf", PAPERS[0]["sha256"],
                 "REF-3", "个工作日", "商家消息", "申请退保证金", "规则版本"):  # fmt: skip
        assert part in text, part


def test_the_dispute_file_runs_nothing_loads_nothing_and_names_no_account(
    refund: Case, done: Done, tmp_path: Path
) -> None:
    source = exported(done, refund, tmp_path)
    page = Page(source)
    assert not {"script", "link", "img", "iframe", "b"} & set(page.elements)
    assert "<script>alert(1)</script>" in page.text
    assert not re.search(r'(?:src|href)="(?!#)|url\(', source), "addresses of papers stand in it as text only"
    assert ACCOUNT not in source


def test_whoever_holds_the_file_can_reckon_the_chain_again(refund: Case, done: Done, tmp_path: Path) -> None:
    source = exported(done, refund, tmp_path)
    rows = re.findall(
        r"<tr><td>(\d+)</td><td><code>([^<]+)</code><br>[^<]*<br><code>([^<]+)</code><br><code>([^<]+)</code>"
        r"(?:<br>([A-Z][^<]*))?<br>(商家可见|内部)</td><td>([^<]*)<br><code>([^<]*)</code></td><td><code>(\w{64})</code>",
        source,
    )
    assert len(rows) > 10
    previous = "0" * 64
    for seq, at, actor, action, clause, public, text, detail, expected in rows:
        line = {
            "stream": refund.id,
            "seq": int(seq),
            "at": html.unescape(at),
            "actor": html.unescape(actor),
            "action": action,
            "clause": html.unescape(clause),
            "text": html.unescape(text),
            "detail": json.loads(html.unescape(detail)),
            "public": public == "商家可见",
            "prev": previous,
        }
        packed = json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        assert hashlib.sha256(packed.encode()).hexdigest() == expected
        previous = expected
    assert f"链尾哈希 <code>{previous}</code>" in source


def test_the_file_is_for_its_owner_and_does_not_replace_another(
    refund: Case, done: Done, refused: Done, tmp_path: Path
) -> None:
    file = tmp_path / "file.html"
    done("cases", "export", refund.id, "--out", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "已存在" in refused("cases", "export", refund.id, "--out", str(file))
    done("cases", "export", refund.id, "--out", str(file), "--force")
    assert "目录不存在" in refused("cases", "export", refund.id, "--out", str(tmp_path / "no" / "file.html"))
    assert "是目录" in refused("cases", "export", refund.id, "--out", str(tmp_path), "--force")


def test_a_file_over_a_broken_chain_says_so(refund: Case, refused: Done, tmp_path: Path) -> None:
    def meddle(tx: Any) -> None:
        second = (col(AuditEntry.stream) == refund.id, col(AuditEntry.seq) == 2)
        tx.execute(update(AuditEntry).where(*second).values(text="无事"))

    in_transaction(meddle)
    file = tmp_path / "file.html"
    assert "不完整" in refused("cases", "export", refund.id, "--out", str(file))
    assert "审计链不完整" in file.read_text(encoding="utf-8")


def test_a_dossier_changed_after_the_decision_is_exposed(refund: Case, done: Done, tmp_path: Path) -> None:
    def meddle(tx: Any) -> None:
        forged = "同意后将退还 ¥1.00"
        values = {"dossier": forged, "dossier_sha256": hashlib.sha256(forged.encode()).hexdigest()}
        tx.execute(update(Review).where(col(Review.case_id) == refund.id).values(**values))

    in_transaction(meddle)
    assert "与下方留存形式或审计记录不一致" in exported(done, refund, tmp_path)


# ── letting a case go on ─────────────────────────────────────────────────────


def test_a_halted_case_goes_on_when_somebody_has_mended_it(
    office: Office, refund: Case, done: Done, refused: Done
) -> None:
    def halt(tx: Any) -> None:
        case = lock_case(tx, refund.id)
        case.halted, case.restarts = "运行失败：磁盘已满", 5
        tx.add(case)

    in_transaction(halt)
    assert "磁盘已满" in done("cases", "show", refund.id)
    assert "没有工号" in refused("cases", "retry", refund.id, "--by", "nobody")
    assert "没有填写动态口令" in refused("cases", "retry", refund.id, "--by", "he-qiang", "--code", " ")
    done("cases", "retry", refund.id, "--by", "he-qiang", "--code", office.code("he-qiang"))
    office.settle()
    case = office.case(refund.id)
    assert (case.halted, case.restarts) == (None, 0)
    assert "case.retried" in office.trail(refund.id)


def test_a_case_that_has_ended_is_not_tried_again(office: Office, refused: Done) -> None:
    office.closed_shop()
    closure = office.latest()
    assert "已办结" in refused("cases", "retry", closure.id, "--by", "he-qiang")


def test_whoever_reads_a_case_at_the_terminal_stands_in_the_shops_chain_and_a_supervisor_finds_them(
    office: Office, refund: Case, told: Any, done: Done, tmp_path: Path
) -> None:
    for _ in range(2):
        done("cases", "show", refund.id)
        done("review", "show", refund.id)
    exported(done, refund, tmp_path)
    office.clock.advance(timedelta(minutes=16))
    done("cases", "show", refund.id, "--json")
    reads = told("audit", "reads", "--shop", "shop-1")
    assert [line["text"] for line in reads] == [f"在终端{doing}案件 {refund.id}" for doing in ("查看", "导出", "查看")]
    [account] = {line["actor"].removeprefix("terminal/") for line in reads}
    assert told("audit", "reads", "--by", account) == reads and told("audit", "reads", "--by", "li-na") == []
    assert f"终端({account})" in done("audit", "reads") and "没有查看记录" in done("audit", "reads", "--shop", "shop-2")
    assert office.chains() == []


def test_a_case_is_read_although_nobody_can_write_and_that_is_said(
    refund: Case, dianwu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("attempt to write a readonly database"))

    monkeypatch.setattr(terminal, "in_transaction", read_only)
    shown = dianwu("cases", "show", refund.id)
    assert shown.exit_code == 0 and "退票处理" in shown.stdout and "未能留下记录" in shown.stderr


def test_nobody_has_a_record_go_on_in_a_new_chain_by_looking_with_other_keys(
    office: Office, refund: Case, dianwu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "sealed", lambda head: False)
    shown = dianwu("review", "show", refund.id)
    assert shown.exit_code == 0 and "未能留下记录" in shown.stderr
    monkeypatch.undo()
    assert office.chains() == [] and "dossier.read" not in office.trail("shop/shop-1")
