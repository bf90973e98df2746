"""Invoices accepted by rule or by people, red letters, and the money that follows when nobody invoices."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlmodel import select

from models.books import AccountKind
from models.cases import Case, CaseKind
from models.invoicing import Statement
from models.messages import Channel, InboxMessage, InboxState
from office.base.db import Tx, in_transaction
from office.files import evidence
from policies.policy import SHANGHAI, policy, policy_at, use_policies
from tasks.invoicing.invoice_review import accept_by_clerk
from tests.appeals.bench import Bench
from tests.invoicing import kit
from tests.invoicing.kit import after_due, billed, moves, send_invoice, settle_receivable, statement, told
from tests.play import FILES, SILENCE, Office, paper
from tests.reading import read

FROZEN, FREE = AccountKind.RECEIVABLE_FROZEN, AccountKind.RECEIVABLE

# ── invoices ─────────────────────────────────────────────────────────────────


def test_a_clean_invoice_is_accepted_at_once_and_nobody_is_asked(office: Office) -> None:
    """INV-1, INV-2, INV-12"""
    billed(office)
    sent = send_invoice(office)
    assert (sent.state, sent.decided_by, statement().state) == ("ACCEPTED", "rules", "INVOICED")
    assert office.trail("shop/shop-1")[-1] == "invoice.accepted", "the shop's own record says so"
    assert [case.kind for case in office.cases()] == ["monthly-invoicing"]
    assert told(office, "invoice_accepted")[0]["statements"] == ["ZD202611-000001"]
    assert office.events("invoice.accepted")[0]["by"] == "rules"
    kit.books_agree(office)


def test_the_same_event_twice_is_one_invoice(office: Office) -> None:
    billed(office)
    event = kit.invoice()
    office.send("invoice.submitted", event, "msg-same")
    office.send("invoice.submitted", event, "msg-same")
    assert len(kit.invoices()) == 1
    kit.books_agree(office)


def test_several_invoices_cover_one_statement_and_one_covers_several(office: Office) -> None:
    billed(office)
    kit.record(office, kit.item(fen=6_000))
    kit.at(office, 2027, 1, 1, 2)
    send_invoice(office, 4_000, covers=[{"statement": "ZD202611-000001", "amount_fen": 4_000}])
    assert (statement().state, statement().invoiced_fen) == ("OVERDUE", 4_000) or statement().state == "ISSUED"
    kit.issue_month(office, "2026-12")
    sent = send_invoice(
        office,
        11_000,
        covers=[
            {"statement": "ZD202611-000001", "amount_fen": 5_000},
            {"statement": "ZD202612-000001", "amount_fen": 6_000},
        ],
    )
    assert sent.state == "ACCEPTED"
    assert (statement().state, statement(period="2026-12").state) == ("INVOICED", "INVOICED")
    kit.books_agree(office)


def test_without_covers_the_oldest_open_statements_are_taken(office: Office) -> None:
    billed(office)
    send_invoice(office, 5_000)
    assert (statement().state, statement().open_fen) == ("ISSUED", 4_000)


def test_an_odd_invoice_waits_for_a_clerk_who_accepts_it_with_a_reason(office: Office) -> None:
    """INV-4"""
    billed(office)
    sent = send_invoice(office, kind="ORDINARY", difficulty="税务机关系统升级")
    assert (sent.state, statement().pending_fen) == ("IN_REVIEW", 9_000)
    case = kit.review_of(office)
    page = read(office.question(case))
    assert "疑义" in page and "税务机关系统升级" in page
    assert "必须填写理由" in office.answer(office.question(case), "xu-jing", "ACCEPT").sentence
    assert "岗位权限" in office.answer(office.question(case), "wang-fang", "ACCEPT", "可以").sentence
    office.decide(case, "xu-jing", "ACCEPT", "已电话核实")
    assert (statement().state, kit.invoices()[0].decided_by) == ("INVOICED", "staff/xu-jing")
    assert office.case(case.id).outcome == "ACCEPTED"
    kit.books_agree(office)


def test_a_returned_invoice_names_what_to_correct_and_the_corrected_one_is_taken(office: Office) -> None:
    billed(office)
    bad = send_invoice(office, buyer_tax_no="91110108551385082Q")
    office.decide(kit.review_of(office), "xu-jing", "RETURN", "购买方税号有误")
    (message,) = told(office, "invoice_returned")
    assert message["reason"] == "购买方税号有误" and "91110000600037341L" in message["grounds"][0]["sentence"]
    assert office.events("invoice.returned")[0]["number"] == bad.number
    assert statement().pending_fen == 0
    assert send_invoice(office, number=bad.number).state == "ACCEPTED"
    kit.books_agree(office)


def test_a_number_used_before_by_any_shop_is_never_accepted_again(office: Office) -> None:
    """INV-1"""
    billed(office)
    number = send_invoice(office).number
    office.open_shop("shop-2")
    send_invoice(office, shop_id="shop-2", number=number)
    case = kit.review_of(office)
    assert "只能使用一次" in read(office.question(case))
    assert not office.answer(office.question(case), "xu-jing", "ACCEPT", "放行").accepted
    office.decide(case, "xu-jing", "RETURN", "重复")
    kit.books_agree(office)


def test_more_than_the_statement_is_never_accepted(office: Office) -> None:
    """INV-1"""
    billed(office)
    send_invoice(office, 9_001)
    case = kit.review_of(office)
    assert not office.answer(office.question(case), "xu-jing", "ACCEPT", "放行").accepted
    office.decide(case, "xu-jing", "RETURN", "超出账单")
    assert statement().open_fen == 9_000
    kit.books_agree(office)


def decided_but_not_carried_out(office: Office, case: Case, verdict: str = "ACCEPT") -> None:
    """The clerk has answered; what else happens comes before the run goes on."""
    office.engine.signal = lambda case_id: None  # type: ignore[method-assign]
    office.decide(case, "xu-jing", verdict, "已核对")


def carry_out(office: Office, case: Case) -> None:
    del office.engine.signal  # type: ignore[method-assign]
    office.engine.signal(case.id)
    office.settle()


def test_a_clerks_yes_that_another_invoice_overtook_returns_the_invoice_instead(office: Office) -> None:
    one = billed(office)
    after_due(office, one)
    send_invoice(office, **kit.DOUBTFUL)
    case = kit.review_of(office)
    decided_but_not_carried_out(office, case)
    assert send_invoice(office).state == "ACCEPTED"
    carry_out(office, case)
    assert office.case(case.id).outcome == "RETURNED"
    (message,) = told(office, "invoice_returned")
    assert "已开票" in message["reason"]
    assert (statement().state, statement().invoiced_fen) == ("INVOICED", 9_000)
    kit.books_agree(office)


def test_a_clerks_yes_after_a_red_letter_accepts_nothing(office: Office) -> None:
    billed(office)
    sent = send_invoice(office, **kit.DOUBTFUL)
    case = kit.review_of(office)
    decided_but_not_carried_out(office, case)
    red(office, sent.number)
    assert accept_by_clerk(case.id) is False
    assert (office.case(case.id).outcome, kit.invoices()[0].state) == ("WITHDRAWN", "RETURNED")
    assert told(office, "invoice_accepted") == []
    kit.books_agree(office)


def test_an_invoice_that_waited_while_its_statement_was_deducted_cannot_be_accepted_any_more(office: Office) -> None:
    one = billed(office, auto_deduct=True)
    after_due(office, one)
    send_invoice(office, **kit.DOUBTFUL)
    settle_receivable(office, 10_000)
    assert statement().state == "AUTO_DEDUCTED"
    case = kit.review_of(office)
    assert "事实已发生变化" in office.answer(office.question(case), "xu-jing", "RETURN", "退回").sentence
    assert "已自动扣款" in office.answer(office.question(case), "xu-jing", "ACCEPT", "放行").sentence
    office.decide(case, "xu-jing", "RETURN", "账单已扣款结清")
    assert office.platform_balance(AccountKind.SET_OFF) == 2_700
    kit.books_agree(office)


@pytest.mark.parametrize(
    ("words", "spoilt"),
    [
        ("its state", {"state": "AUTO_DEDUCTED"}),
        ("its state", {"state": "INVOICED", "frozen_fen": 5}),
        ("its state", {"state": "INVOICED", "set_off_fen": 5}),
    ],
)
def test_the_check_of_the_books_says_when_a_statements_state_does_not_fit_its_money(
    office: Office, words: str, spoilt: dict[str, Any]
) -> None:
    from tasks.invoicing import freeze_proof

    billed(office)

    def spoil(tx: Tx) -> list[str]:
        found = tx.exec(select(Statement)).one()
        for name, value in spoilt.items():
            setattr(found, name, value)
        tx.add(found)
        tx.flush()
        return freeze_proof.check(tx)

    assert any(words in sentence for sentence in in_transaction(spoil))


def test_a_number_that_waits_for_a_clerk_at_another_shop_is_looked_at_by_a_person(office: Office) -> None:
    billed(office)
    office.open_shop("shop-2")
    number = send_invoice(office, shop_id="shop-2").number
    office.clock.advance(timedelta(seconds=1))  # so that one of the two reviews is the later one
    assert send_invoice(office, number=number).state == "IN_REVIEW"
    question = office.question(kit.review_of(office))
    assert "另一家店铺" in read(question)
    assert office.answer(question, "xu-jing", "ACCEPT", "已向税局核实").accepted


def test_one_paper_is_no_evidence_of_two_invoices(office: Office) -> None:
    """INV-2: the second number came with the file of the first, and with nothing of its own; a clerk looks."""
    kit.billed(office, 18_000)
    document = kit.pdf()
    assert kit.send_invoice(office, documents=[document]).state == "ACCEPTED"
    assert kit.send_invoice(office, documents=[document]).state == "IN_REVIEW"
    assert "此前已随发票" in kit.told(office, "invoice_in_review")[-1]["grounds"][0]["sentence"]
    kit.books_agree(office)


def test_the_number_of_a_red_letter_is_looked_at_by_a_person(office: Office) -> None:
    billed(office)
    red(office, send_invoice(office).number, number="26990000000000000077")
    assert send_invoice(office, number="26990000000000000077").state == "IN_REVIEW"
    assert "红字发票" in read(office.question(kit.review_of(office)))


def test_an_invoice_over_two_months_is_not_issued_before_the_later_one_began(office: Office) -> None:
    billed(office)
    kit.record(office, kit.item(fen=6_000, settled_at="2026-12-01T03:00:00+08:00"))
    kit.at(office, 2027, 1, 1, 2)
    kit.issue_month(office, "2026-12")
    sent = send_invoice(office, 15_000, issued_on="2026-11-30")
    assert sent.state == "IN_REVIEW"
    assert "2026-12-01" in told(office, "invoice_in_review")[0]["grounds"][0]["sentence"]


def test_only_the_owner_sends_invoices(office: Office) -> None:
    """INV-1"""
    billed(office)
    office.send("invoice.submitted", kit.invoice(account_id="acct-9"))
    assert kit.invoices() == []
    assert "主账号" in office.events("message.refused")[-1]["sentence"]


# ── the XML ──────────────────────────────────────────────────────────────────


NUMBER = "26330000000012345678"


def xml(**changes: str) -> str:
    fields = {
        "InvoiceNumber": NUMBER,
        "IssueTime": "2026-12-01 09:30:00",
        "TotalAmWithoutTax": "84.91",
        "TotalTaxAm": "5.09",
        "TotalTax-includedAmount": "90.00",
        "SellerIdNum": "91330226MA2AB1C2D8",
        "BuyerIdNum": "91110000600037341L",
        "BuyerName": "店务演示平台",
    } | changes
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items() if value)
    return base64.b64encode(f"<EInvoice><D>{inner}</D></EInvoice>".encode()).decode()


def test_an_xml_that_says_the_same_is_the_best_evidence(office: Office) -> None:
    billed(office)
    assert send_invoice(office, documents=[], xml=xml(), number=NUMBER).state == "ACCEPTED"
    assert kit.invoices()[0].evidence[0]["name"] == "invoice.xml"


def opened(page: str, name: str) -> bytes:
    """What the link of that name in a dossier opens, through the door's own rules."""
    address = re.search(rf"\[{re.escape(name)}\]\((\S+)\)", page)
    assert address is not None
    parts = urlsplit(address[1])
    given = parse_qs(parts.query)
    item = evidence.opened_by(parts.path.rpartition("/")[2], int(given["exp"][0]), given["sig"][0])
    assert item is not None
    return b"".join(evidence.content(item))


def test_the_clerk_opens_the_very_files_that_came_with_the_invoice(office: Office) -> None:
    billed(office)
    given = xml(BuyerName="另一家公司")
    send_invoice(office, xml=given, number=NUMBER, documents=[kit.pdf(content=b"%PDF-1.7 ours")])
    page = read(office.question(kit.review_of(office)))
    assert opened(page, "invoice.xml") == base64.b64decode(given)
    assert opened(page, "发票.pdf") == b"%PDF-1.7 ours"


def test_an_xml_that_cannot_be_read_is_kept_all_the_same(office: Office) -> None:
    billed(office)
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    assert send_invoice(office, xml=base64.b64encode(bomb).decode(), number=NUMBER).state == "IN_REVIEW"
    assert opened(read(office.question(kit.review_of(office))), "invoice.xml") == bomb


def test_a_document_that_nobody_staged_is_not_received_and_goes_to_a_person(office: Office) -> None:
    """INV-2"""
    billed(office)
    office.open_shop("shop-2")
    theirs = kit.pdf("shop-2", b"%PDF-1.7 theirs")
    unknown = {"name": "发票.pdf", "kind": "OTHER", "sha256": "ab" * 32}
    somewhere = {"name": "发票.pdf", "kind": "OTHER", "url": "https://files.example.com/1.pdf"}
    for document in (unknown, theirs, somewhere):
        assert send_invoice(office, documents=[document]).state == "IN_REVIEW"
        case = kit.review_of(office)
        assert read(office.question(case)).count("未收到文件") == 2, "as a finding and in the list of files"
        assert not office.answer(office.question(case), "xu-jing", "ACCEPT", "已看原件").accepted, (
            "there is nothing to look at"
        )
        assert "文件未收到" in told(office, "invoice_in_review")[-1]["grounds"][0]["sentence"]
        office.decide(case, "xu-jing", "RETURN", "请先上传文件")


def test_a_document_that_comes_after_its_invoice_is_received_and_shown_to_the_clerk(office: Office) -> None:
    billed(office)
    document = paper("发票原件.pdf")
    assert send_invoice(office, documents=[document]).state == "IN_REVIEW"
    case = kit.review_of(office)
    before = office.question(case)
    office.stage("shop-1", document)
    after = office.question(case)
    assert after.revision > before.revision and "⛔" not in read(after)
    assert opened(read(after), "发票原件.pdf") == FILES[document["sha256"]]
    office.decide(case, "xu-jing", "ACCEPT", "已核对原件")
    assert kit.invoices()[-1].state == "ACCEPTED"


@pytest.mark.parametrize(
    ("name", "otherwise", "unreadable"),
    [
        ("InvoiceNumber", "26330000000012345679", ""),
        ("IssueTime", "2026-12-02", "2026-13-01"),
        ("BuyerIdNum", "91110108551385082Q", ""),
        ("SellerIdNum", "92330226MA2AB1C2D5", ""),
        ("TotalAmWithoutTax", "84.90", "84.911"),
        ("TotalTaxAm", "5.08", "5,09"),
        ("TotalTax-includedAmount", "90.01", "九十"),
        ("BuyerName", "另一家公司", ""),
        ("LabelCode", "N", ""),
    ],
)
def test_an_xml_that_says_otherwise_or_leaves_something_out_goes_to_a_person(
    office: Office, name: str, otherwise: str, unreadable: str
) -> None:
    billed(office)
    given = [otherwise, unreadable, *([] if name in {"BuyerName", "LabelCode"} else [None])]
    for value in given:
        if value == "":
            continue
        sent = send_invoice(office, xml=xml(**{name: value or ""}), number=NUMBER)
        assert sent.state == "IN_REVIEW", value
        (ground,) = told(office, "invoice_in_review")[-1]["grounds"]
        assert "XML" in ground["sentence"]
        office.decide(kit.review_of(office), "xu-jing", "RETURN", "以文件为准")


def test_an_xml_that_says_almost_nothing_is_no_evidence(office: Office) -> None:
    billed(office)
    thin = base64.b64encode(f"<x><InvoiceNumber>{NUMBER}</InvoiceNumber></x>".encode()).decode()
    assert send_invoice(office, xml=thin, number=NUMBER).state == "IN_REVIEW"
    sentences = [ground["sentence"] for ground in told(office, "invoice_in_review")[0]["grounds"]]
    assert len(sentences) == 6 and all("缺少" in sentence for sentence in sentences)


BOMB = "".join(
    f'<!ENTITY a{n} "{"&a" + str(n - 1) + ";" if n else "ha"}{"&a" + str(n - 1) + ";" if n else "ha"}">'
    for n in range(30)
)


@pytest.mark.parametrize(
    "hostile",
    [
        f"<!DOCTYPE x [{BOMB}]><x>&a29;</x>",
        '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x><InvoiceNumber>&f;</InvoiceNumber></x>',
        '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/evil.dtd"><x/>',
        "<x>" * 5_000 + "</x>" * 5_000,
        "<x><InvoiceNumber>1",
        "not xml at all",
        "",
        '<?xml version="1.0" encoding="nothing"?><x/>',
        "<x>" + "<y/>" * 30_000 + "</x>",
    ],
)
def test_hostile_xml_is_refused_unread_and_a_person_looks(office: Office, hostile: str) -> None:
    billed(office)
    sent = send_invoice(office, xml=base64.b64encode(hostile.encode()).decode())
    assert sent.state == "IN_REVIEW"
    assert "XML" in told(office, "invoice_in_review")[0]["grounds"][0]["sentence"]


# ── red letters ──────────────────────────────────────────────────────────────


def red(office: Office, original: str, fen: int = 9_000, number: str = "", **changes: str) -> None:
    office.send(
        "invoice.red_letter",
        {
            "shop_id": "shop-1",
            "account_id": "acct-shop-1",
            "number": number or f"27{next(kit.NUMBERS):018d}",
            "original_number": original,
            "amount_fen": fen,
            "issued_on": "2026-12-05",
            "reason": "开票有误",
        }
        | changes,
    )


def refused(office: Office) -> str:
    return str(office.events("message.refused")[-1]["sentence"])


def test_a_red_letter_opens_the_statement_again_with_its_original_due_time(office: Office) -> None:
    one = billed(office)
    settle_receivable(office, 10_000)
    red(office, send_invoice(office).number)
    again = statement()
    assert (again.state, again.open_fen, again.due_at) == ("ISSUED", 9_000, one.due_at)
    after_due(office, one)
    assert office.balance(FROZEN) == 2_700
    kit.books_agree(office)


def test_after_the_due_time_a_red_letter_freezes_at_once(office: Office) -> None:
    one = billed(office)
    settle_receivable(office, 10_000)
    number = send_invoice(office).number
    after_due(office, one)
    assert office.balance(FROZEN) == 0
    red(office, number)
    assert office.balance(FROZEN) == 2_700
    kit.books_agree(office)


def test_a_red_letter_in_part_opens_that_part_and_no_more_than_the_invoice(office: Office) -> None:
    billed(office)
    number = send_invoice(office).number
    red(office, number, 4_000)
    assert statement().open_fen == 4_000
    red(office, number, 5_001)
    assert "超过" in office.events("message.refused")[-1]["sentence"]
    red(office, number, 5_000)
    assert (statement().open_fen, kit.invoices()[0].state) == (9_000, "REVERSED")
    kit.books_agree(office)


def test_the_same_red_letter_again_changes_nothing(office: Office) -> None:
    billed(office)
    number = send_invoice(office).number
    red(office, number, 4_000, "27000000000000000001")
    red(office, number, 4_000, "27000000000000000001")
    assert statement().open_fen == 4_000


def test_paper_red_letters_with_one_number_and_two_codes_are_two(office: Office) -> None:
    billed(office)
    number = send_invoice(office).number
    red(office, number, 4_000, "12345678", invoice_code="3300000001")
    red(office, number, 4_000, "12345678", invoice_code="3300000002")
    assert statement().open_fen == 8_000
    red(office, number, 1_000, "12345678", invoice_code="3300000002")
    assert "已处理过" in refused(office)
    kit.books_agree(office)


def test_a_red_letter_has_a_number_of_its_own_and_is_not_older_than_its_invoice(office: Office) -> None:
    billed(office)
    number = send_invoice(office).number
    red(office, number, number=number)
    assert "蓝字发票" in refused(office)
    red(office, number, issued_on="2026-11-30")
    assert "早于" in refused(office)
    assert statement().state == "INVOICED"


def test_a_red_letter_for_an_invoice_under_review_whose_number_is_accepted_elsewhere(office: Office) -> None:
    billed(office)
    number = send_invoice(office).number
    office.open_shop("shop-2")
    send_invoice(office, shop_id="shop-2", number=number)
    red(office, number, shop_id="shop-2", account_id="acct-shop-2")
    assert {i.shop_id: i.state for i in kit.invoices()} == {"shop-1": "ACCEPTED", "shop-2": "RETURNED"}
    assert statement().state == "INVOICED"
    kit.books_agree(office)


def test_a_red_letter_withdraws_the_question_about_an_invoice_under_review(office: Office) -> None:
    billed(office)
    number = send_invoice(office, **kit.DOUBTFUL).number
    case = kit.review_of(office)
    red(office, number)
    assert (office.case(case.id).outcome, statement().pending_fen) == ("WITHDRAWN", 0)
    kit.books_agree(office)


# ── the deadline ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("seconds", "frozen"), [(-1, 0), (0, 0), (29, 0), (30, 2_700)])
def test_the_share_is_frozen_when_the_due_time_lapses_and_not_before(office: Office, seconds: int, frozen: int) -> None:
    one = billed(office)
    settle_receivable(office, 10_000)
    after_due(office, one, seconds)
    assert (office.balance(FROZEN), office.balance(FREE)) == (frozen, 10_000 - frozen)
    kit.books_agree(office)


@pytest.fixture
def a_fifth_only(office: Office) -> Iterator[Callable[[], None]]:
    """Publishes a policy that freezes a fifth only, in force from now on."""

    def publish() -> None:
        today = f"{office.clock.at.astimezone(SHANGHAI):%Y-%m-%d}"
        published = policy("2026-01-01")
        invoicing = published.invoicing.model_copy(update={"freeze_percent": Decimal(20)})
        meta = published.meta.model_copy(update={"version": today})
        use_policies(published.model_copy(update={"meta": meta, "invoicing": invoicing}))
        assert policy_at(office.clock.at).invoicing.freeze_percent == Decimal(20)

    yield publish
    use_policies()


def test_a_statement_keeps_the_share_of_the_policy_under_which_it_was_issued(
    office: Office, a_fifth_only: Callable[[], None]
) -> None:
    one = billed(office)
    settle_receivable(office, 10_000)
    office.clock.advance(timedelta(days=3))
    a_fifth_only()
    after_due(office, one)
    assert moves(one.id) == [("FREEZE", 2_700)]
    office.clock.advance(timedelta(days=40))
    kit.sweep(office)
    assert moves(one.id) == [("FREEZE", 2_700)]
    kit.books_agree(office)


def test_it_is_frozen_once_however_often_the_sweep_runs_and_it_is_no_violation(office: Office) -> None:
    """INV-8, INV-11: of 90.00 not invoiced 27.00 is frozen, not the example's 30.00."""
    one = billed(office)
    assert one.total_fen == 9_000
    settle_receivable(office, 10_000)
    after_due(office, one)
    for _ in range(3):
        office.clock.advance(timedelta(days=1))
        kit.sweep(office)
    assert moves(one.id) == [("FREEZE", 2_700)]
    assert len(told(office, "statement_frozen")) == len(office.events("statement.frozen")) == 1
    assert "deposit_deducted" not in office.told()
    kit.books_agree(office)


def test_acceptance_releases_what_it_covers_to_the_fen(office: Office) -> None:
    """INV-12"""
    one = billed(office, 9_999)
    settle_receivable(office, 10_000)
    after_due(office, one)
    assert office.balance(FROZEN) == 3_000
    send_invoice(office, 3_333)
    assert office.balance(FROZEN) == 2_000
    send_invoice(office, 6_666)
    assert (office.balance(FROZEN), statement().state) == (0, "INVOICED")
    kit.books_agree(office)


def test_too_little_receivable_freezes_what_there_is_and_the_rest_as_it_comes(office: Office) -> None:
    one = billed(office)
    settle_receivable(office, 1_000)
    after_due(office, one)
    assert (office.balance(FROZEN), told(office, "statement_frozen")[0]["share_fen"]) == (1_000, 2_700)
    settle_receivable(office, 1_200)
    settle_receivable(office, 5_000)
    assert (office.balance(FROZEN), office.balance(FREE)) == (2_700, 4_500)
    assert moves(one.id) == [("FREEZE", 1_000), ("FREEZE", 1_200), ("FREEZE", 500)]
    kit.books_agree(office)


def test_with_nothing_to_freeze_the_merchant_is_still_told_once(office: Office) -> None:
    one = billed(office)
    after_due(office, one)
    assert (moves(one.id), told(office, "statement_frozen")[0]["amount_fen"]) == ([("FREEZE", 0)], 0)
    kit.books_agree(office)


def test_what_an_invoice_sets_free_serves_the_statements_that_still_lack_something(office: Office) -> None:
    """The oldest first, but nothing is frozen before everything that has to be released is."""
    one = billed(office)
    settle_receivable(office, 1_000)
    kit.record(office, kit.item(fen=9_000, settled_at="2026-12-01T03:00:00+08:00"))
    kit.at(office, 2027, 1, 1, 2)
    kit.issue_month(office, "2026-12")
    after_due(office, one)
    settle_receivable(office, 2_000)
    after_due(office, statement(period="2026-12"))
    assert (statement().frozen_fen, statement(period="2026-12").frozen_fen) == (2_700, 300)
    number = send_invoice(office, covers=[{"statement": "ZD202612-000001", "amount_fen": 9_000}]).number
    settle_receivable(office, 100)
    red(office, number, issued_on="2027-02-02")
    kit.books_agree(office)
    send_invoice(office, covers=[{"statement": "ZD202611-000001", "amount_fen": 9_000}])
    assert (statement().frozen_fen, statement(period="2026-12").frozen_fen) == (0, 2_700)
    kit.books_agree(office)


def test_releasing_a_younger_statement_serves_an_older_one_at_once(office: Office) -> None:
    one = billed(office)
    kit.record(office, kit.item(fen=9_000, settled_at="2026-12-01T03:00:00+08:00"))
    kit.at(office, 2027, 1, 1, 2)
    kit.issue_month(office, "2026-12")
    first = send_invoice(office)
    settle_receivable(office, 2_700)
    after_due(office, one)
    after_due(office, statement(period="2026-12"))
    assert statement(period="2026-12").frozen_fen == 2_700
    red(office, first.number, issued_on="2027-02-02")
    assert statement().frozen_fen == 0  # nothing is free
    send_invoice(office, covers=[{"statement": "ZD202612-000001", "amount_fen": 9_000}])
    assert (statement().frozen_fen, office.balance(FREE)) == (2_700, 0)
    kit.books_agree(office)


def test_compensation_returned_to_the_receivables_serves_what_is_still_to_be_frozen(office: Office) -> None:
    bench = Bench(office)
    kit.record(office, kit.item())
    kit.at(office, 2026, 12, 1, 2)
    kit.issue_month(office)
    after_due(office, statement())
    office.deduct(30_000, reason="ADVANCE_COMPENSATION", clause="先行赔付规则第五条", order_id="order-9")
    bench.file(deduction_id="ded-1")
    (case,) = [case for case in office.cases() if case.kind is CaseKind.APPEAL]  # a month was opened at the same moment
    office.decide(case, "sun-lei", "UPHOLD")
    office.decide(case, "wu-tao", "AGREED", contact="电话联系店主", handling="TO_RECEIVABLE")
    office.decide(case, "wang-fang", "CONFIRM")
    assert (office.balance(FROZEN), office.balance(FREE)) == (2_700, 27_300)
    kit.books_agree(office)


def test_the_fall_of_the_due_time_is_told_once_and_not_again_after_a_red_letter(office: Office) -> None:
    one = billed(office)
    after_due(office, one)
    number = send_invoice(office).number
    red(office, number, issued_on="2027-01-02")
    assert moves(one.id) == [("FREEZE", 0)]
    kit.books_agree(office)


def test_automatic_deduction_sets_the_share_off_and_closes_the_statement_as_such(office: Office) -> None:
    """INV-10"""
    one = billed(office, auto_deduct=True)
    settle_receivable(office, 10_000)
    after_due(office, one)
    assert (statement().state, office.platform_balance(AccountKind.SET_OFF)) == ("AUTO_DEDUCTED", 2_700)
    assert office.balance(FROZEN) == 0
    send_invoice(office)
    assert kit.invoices()[-1].state == "IN_REVIEW"
    kit.books_agree(office)


def test_automatic_deduction_closes_only_when_the_whole_share_was_there(office: Office) -> None:
    one = billed(office, auto_deduct=True)
    settle_receivable(office, 1_000)
    after_due(office, one)
    assert statement().state == "OVERDUE"
    send_invoice(office, 4_500)
    assert (statement().share_fen, statement().set_off_fen) == (1_350, 1_000)
    settle_receivable(office, 1_000)
    assert (statement().state, office.platform_balance(AccountKind.SET_OFF)) == ("AUTO_DEDUCTED", 1_350)
    kit.books_agree(office)


def test_frozen_receivables_cannot_be_paid_out_and_people_hear_that_they_were(office: Office) -> None:
    """STL-6: the report is refused, and the money has left all the same."""
    one = billed(office)
    settle_receivable(office, 10_000)
    after_due(office, one)

    def pay(fen: int) -> None:
        office.send(
            "receivable.paid_out",
            {
                "shop_id": "shop-1",
                "payment_id": f"out-{fen}",
                "amount_fen": fen,
                "paid_at": office.clock.at.isoformat(),
            },
        )

    pay(7_301)
    assert "STL-6" in office.events("message.refused")[-1]["clause"]
    told = office.messages("platform_overpaid", Channel.STAFF)
    assert [(one["amount_fen"], one["free_fen"]) for one in told] == [(7_301, 7_300)] * 2
    assert sorted(office.staff_told("platform_overpaid")) == ["finance", "supervisor"]
    pay(7_300)
    assert (office.balance(FREE), office.balance(FROZEN)) == (0, 2_700)
    kit.books_agree(office)


def test_reminders_come_before_the_due_time_and_stop_when_it_is_invoiced(office: Office) -> None:
    one = billed(office)
    assert one.due_at is not None
    for hours in (240, 72):
        office.clock.at = one.due_at - timedelta(hours=hours)
        kit.sweep(office)
    send_invoice(office)
    office.clock.at = one.due_at - timedelta(hours=24)
    kit.sweep(office)
    rows = [row.key for row in office.outbox(topic="statement_reminder")]
    assert rows == [f"merchant:statement/{one.id}/remind-240", f"merchant:statement/{one.id}/remind-72"]


def test_an_invoice_that_came_in_time_and_waits_for_a_clerk_is_not_held_against_the_merchant(office: Office) -> None:
    """INV-7"""
    one = billed(office)
    settle_receivable(office, 10_000)
    send_invoice(office, 6_000, kind="ORDINARY", difficulty="小额")
    after_due(office, one)
    assert office.balance(FROZEN) == 900
    office.decide(kit.review_of(office), "xu-jing", "RETURN", "请开专票")
    assert office.balance(FROZEN) == 2_700
    kit.books_agree(office)


def test_an_invoice_we_failed_to_act_on_is_not_the_merchants_silence(office: Office) -> None:
    one = billed(office)
    settle_receivable(office, 10_000)
    assert one.due_at is not None
    office.clock.at = one.due_at
    office.receive("invoice.submitted", kit.invoice())
    in_transaction(lambda tx: _mark(tx, InboxState.FAILED))
    after_due(office, one)
    settle_receivable(office, 1_000)
    assert (office.balance(FROZEN), statement().state) == (0, "ISSUED")
    office.clock.advance(timedelta(hours=3))
    kit.sweep(office)
    assert office.balance(FROZEN) == 0
    in_transaction(lambda tx: _mark(tx, InboxState.NEW))
    office.settle()
    assert (office.balance(FROZEN), statement().state) == (0, "INVOICED")
    kit.books_agree(office)


def _mark(tx: Tx, state: InboxState) -> None:
    row = tx.exec(select(InboxMessage).where(InboxMessage.type == "invoice.submitted")).one()
    row.state = state
    tx.add(row)


def test_an_invoice_that_came_in_time_but_is_not_read_yet_keeps_the_sweep_away(office: Office) -> None:
    """INV-7"""
    from tasks.invoicing import freezes

    one = billed(office)
    settle_receivable(office, 10_000)
    assert one.due_at is not None
    office.clock.at = one.due_at
    office.receive("invoice.submitted", kit.invoice())
    office.clock.at = one.due_at + timedelta(hours=3)
    assert freezes.sweep() == 1
    assert office.balance(FROZEN) == 0
    office.settle()
    assert statement().state == "INVOICED"
    kit.books_agree(office)


def test_the_sweep_killed_in_any_chunk_goes_on_and_freezes_each_once(office: Office) -> None:
    from tasks.invoicing import freezes

    for n in range(1, 5):
        office.open_shop(f"shop-{n}", deposit_fen=0)
        kit.record(office, kit.item(f"shop-{n}"))
        settle_receivable(office, 10_000, f"shop-{n}")
    kit.at(office, 2026, 12, 1, 2)
    kit.issue_month(office)
    office.clock.at = statement().due_at + SILENCE  # type: ignore[operator]
    in_transaction(lambda tx: freezes.sweep_chunk(tx, 2))
    with pytest.raises(KeyboardInterrupt):
        in_transaction(lambda tx: _die(freezes.sweep_chunk(tx, 1)))
    freezes.sweep()
    assert [office.balance(FROZEN, f"shop-{n}") for n in range(1, 5)] == [2_700] * 4
    assert freezes.sweep() == 0
    kit.books_agree(office)


def _die(done: int) -> None:
    raise KeyboardInterrupt


# ── exit invoices ────────────────────────────────────────────────────────────


def leaving(office: Office, **facts: int) -> str:
    """A shop with an open statement and an item of the current month asks to be closed and is being cleared."""
    billed(office)
    kit.record(office, kit.item(fen=1_000, settled_at="2026-11-30T10:00:00+08:00"))
    case = office.request_closure()
    office.decide(case, "li-na", "APPROVE")
    office.snapshot("shop-1", **facts)
    return case.id


def test_a_closure_opens_the_obligation_over_the_whole_year_with_an_exit_statement_for_what_was_not_billed(
    office: Office,
) -> None:
    """CLS-8, INV-9"""
    case_id = leaving(office)
    (message,) = told(office, "exit_invoices_opened")
    assert (message["amount_fen"], message["statements"]) == (10_000, ["ZD202611-000001", f"EXIT-{case_id}"])
    assert message["due"] == "2026-12-06T15:59:59Z"
    assert office.case(case_id).outcome is None
    kit.books_agree(office)


def test_the_shop_is_closed_when_everything_is_invoiced(office: Office) -> None:
    case_id = leaving(office)
    send_invoice(office, 9_000)
    assert office.case(case_id).outcome is None
    send_invoice(office, 1_000)
    assert office.case(case_id).outcome == "CLOSED"
    assert told(office, "exit_invoices_settled")[0]["waived"] is False
    kit.books_agree(office)


def test_the_platforms_own_facts_keep_it_open_too(office: Office) -> None:
    case_id = leaving(office, uninvoiced_fen=5)
    send_invoice(office, 10_000)
    assert office.case(case_id).outcome is None
    office.snapshot("shop-1")
    assert office.case(case_id).outcome == "CLOSED"


def reminders(office: Office, case_id: str) -> list[str]:
    prefix = f"merchant:{case_id}/exit-invoice/remind/"
    return [row.key.removeprefix(prefix) for row in office.outbox() if row.key.startswith(prefix)]


def over_the_exit_deadline(office: Office, case_id: str) -> None:
    """Everything up to the due time happens: 72, 24 and 2 hours before it, and what comes in the hour after it."""
    due = office.deadline(case_id, "exit-invoice").due_at
    for hours in (72, 24, 2, -1):
        office.clock.at = due - timedelta(hours=hours)
        kit.sweep(office)


def test_a_closing_shop_is_reminded_of_its_exit_invoices_three_times_and_then_it_has_lapsed(office: Office) -> None:
    case_id = leaving(office)
    over_the_exit_deadline(office, case_id)
    assert len(reminders(office, case_id)) == 3
    assert office.deadline(case_id, "exit-invoice").state == "LAPSED"


def test_with_nothing_to_invoice_nobody_is_reminded_and_nothing_lapses(office: Office) -> None:
    office.open_shop()
    case_id = office.request_closure().id
    over_the_exit_deadline(office, case_id)
    assert (reminders(office, case_id), office.deadline(case_id, "exit-invoice").state) == ([], "MET")


def test_after_the_exit_invoices_are_in_reminders_stop_and_a_red_letter_lets_them_go_on(office: Office) -> None:
    case_id = leaving(office, open_orders=1)
    send_invoice(office, 9_000)
    number = send_invoice(office, 1_000).number
    due = office.deadline(case_id, "exit-invoice").due_at
    office.clock.at = due - timedelta(hours=72)
    kit.sweep(office)
    assert (reminders(office, case_id), office.deadline(case_id, "exit-invoice").state) == ([], "MET")
    red(office, number, 1_000)
    assert office.deadline(case_id, "exit-invoice").state == "OPEN"
    assert told(office, "exit_invoices_opened")[-1]["amount_fen"] == 1_000
    over_the_exit_deadline(office, case_id)
    assert len(reminders(office, case_id)) == 2
    kit.books_agree(office)


def test_items_of_a_closing_shop_are_billed_once_and_nothing_blocks_it_silently(office: Office) -> None:
    case_id = leaving(office, open_orders=1)
    kit.record(office, kit.item(fen=2_000, settled_at="2026-11-30T11:00:00+08:00"))
    message = told(office, "exit_invoices_opened")[-1]
    assert (message["amount_fen"], message["statements"][-1]) == (12_000, f"EXIT-{case_id}-2")
    send_invoice(office, 12_000)
    office.snapshot("shop-1")
    assert office.case(case_id).outcome == "CLOSED"
    kit.at(office, 2027, 1, 1, 2)
    kit.issue_month(office, "2026-12")
    assert sum(found.total_fen for found in kit.all_statements()) == 12_000
    kit.books_agree(office)


def test_a_draft_that_is_not_issued_yet_is_named_as_such_to_a_closing_shop(office: Office) -> None:
    office.open_shop()
    kit.record(office, kit.item())
    kit.at(office, 2026, 12, 1, 2)
    kit.open_month(office)
    office.request_closure()
    assert "尚未出账" in told(office, "exit_invoices_opened")[0]["statements"][0]


def test_a_supervisor_waives_it_with_a_reason_and_nobody_else(office: Office) -> None:
    from tasks.invoicing import exit_invoices

    case_id = leaving(office)

    def waive(who: str, reason: str = "税务异常,无法开票") -> str:
        code = office.code(who)
        return in_transaction(lambda tx: exit_invoices.waive(tx, case_id, who, code, reason)).sentence

    assert "只有主管" in waive("wang-fang")
    assert "必须填写理由" in waive("he-qiang", " ")
    assert "已豁免" in waive("he-qiang")
    office.settle()
    assert office.case(case_id).outcome == "CLOSED"
    assert "已结束" in waive("he-qiang")
    kit.books_agree(office)


def test_the_month_goes_on_without_what_the_exit_statement_billed(office: Office) -> None:
    leaving(office)
    kit.at(office, 2027, 1, 1, 2)
    kit.issue_month(office, "2026-12")
    assert statement(period="2026-12").state == "NIL"
    kit.books_agree(office)


def test_a_statement_never_counts_more_than_it_holds() -> None:
    constraints = {constraint.name for constraint in Statement.__table__.constraints}  # type: ignore[attr-defined]
    assert {"ck_statement_amounts", "ck_statement_cover", "ck_statement_number"} <= constraints
