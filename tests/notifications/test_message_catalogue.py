"""Every message has its folder, every folder its message, and each example can be read by a person."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError, meta
from pydantic import ValidationError

from models.payouts import Payee, PayeeMethod
from notifications import closure, deposit, refund
from notifications.catalogue import MESSAGES, UnknownMessage, restore
from notifications.message import Link, Message, hours_between
from notifications.rendering import FOLDER, Context, environment, render
from tasks.processes import open_office

CONTEXT = Context(service_contact="400-000-0000(每日 9:00 至 21:00)")
FILES = {"subject.txt.j2", "body.txt.j2", "body.html.j2", "example.json"}
open_office()
every_message = pytest.mark.parametrize("kind", MESSAGES.values(), ids=list(MESSAGES))
VOID = {"meta", "br", "link", "img", "hr"}


class Page(HTMLParser):
    """What a mail client would see: text and elements; every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def example_of(kind: type[Message]) -> dict[str, object]:
    example: dict[str, object] = json.loads((FOLDER / kind.name / "example.json").read_text())
    return example


def names_used(file: str) -> set[str]:
    """The names that a template and the layouts it extends ask for."""
    env = environment()
    assert env.loader is not None
    source, _, _ = env.loader.get_source(env, file)
    used = meta.find_undeclared_variables(env.parse(source))
    for parent in re.findall(r'{% extends "([^"]+)"', source):
        used |= names_used(parent)
    return used


def concrete(kind: type[Message]) -> set[type[Message]]:
    below = {found for child in kind.__subclasses__() for found in concrete(child)}
    return below | ({kind} if "name" in vars(kind) else set())


def test_no_message_is_without_a_folder_and_no_folder_without_a_message() -> None:
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert folders == set(MESSAGES)


def test_no_message_class_is_missing_from_the_catalogue() -> None:
    ours = {kind for kind in concrete(Message) if kind.__module__.startswith("notifications.")}
    assert ours == set(MESSAGES.values())


@every_message
def test_a_folder_holds_the_four_files_and_nothing_else(kind: type[Message]) -> None:
    assert {path.name for path in (FOLDER / kind.name).iterdir()} == FILES


@every_message
def test_the_example_is_valid_gives_every_field_and_survives_storage(kind: type[Message]) -> None:
    message = restore(kind.name, example_of(kind))
    assert restore(kind.name, json.loads(json.dumps(message.model_dump(mode="json")))) == message
    # The way to appeal and the reason against it exclude one another: one example cannot hold both.
    either_or = {"appeal_how", "appeal_until", "not_appealable"}
    assert set(kind.model_fields) - set(example_of(kind)) <= either_or


@every_message
def test_the_example_reads_well_in_subject_text_and_html(kind: type[Message]) -> None:
    rendered = render(restore(kind.name, example_of(kind)), CONTEXT)
    page = Page(rendered.html)
    assert rendered.subject.startswith("【店务】")
    assert "\n" not in rendered.subject
    assert page.elements >= {"html", "h1", "title", "table"}
    for form in (rendered.subject, rendered.text, page.text):
        assert "{{" not in form
        assert "None" not in form
        assert "&lt;" not in form
        assert re.search(r"[\u4e00-\u9fff]", form)


@every_message
def test_text_and_html_say_the_same_and_no_field_is_left_unsaid(kind: type[Message]) -> None:
    shared = {"service_contact", "product", "parts"}
    in_text = names_used(f"{kind.name}/body.txt.j2") - shared
    in_html = names_used(f"{kind.name}/body.html.j2") - shared - {"subject_line"}
    assert in_text == in_html == set(kind.model_fields)
    assert names_used(f"{kind.name}/subject.txt.j2") - shared <= set(kind.model_fields)


@every_message
def test_every_text_field_cleans_what_it_is_given(kind: type[Message]) -> None:
    """No field is a bare ``str``: lines, prose and links are cleaned when the message is built."""
    for field, info in kind.model_fields.items():
        if info.annotation is str:
            assert info.metadata, f"{kind.__name__}.{field} takes text as it comes"


@every_message
def test_a_merchant_always_learns_how_to_reach_customer_service(kind: type[Message]) -> None:
    """CLS-11"""
    rendered = render(restore(kind.name, example_of(kind)), CONTEXT)
    told = CONTEXT.service_contact in rendered.text and CONTEXT.service_contact in Page(rendered.html).text
    assert told == (kind.audience == "merchant")


@every_message
def test_a_forgotten_field_is_refused_before_anything_is_sent(kind: type[Message]) -> None:
    example = example_of(kind)
    required = [field for field, info in kind.model_fields.items() if info.is_required()]
    del example[required[-1]]
    with pytest.raises(ValidationError):
        restore(kind.name, example)


def test_a_template_that_asks_for_a_name_nobody_gives_fails_aloud() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ shop_nmae }}").render(shop_name="晨光文具")


def test_a_message_this_version_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(UnknownMessage, match="closure_celebrated"):
        restore("closure_celebrated", {})


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError):
        restore("refund_late", example_of(refund.RefundLate) | {"due": "2026-12-10T15:59:59"})


def test_a_due_time_is_shown_in_beijing_to_the_second() -> None:
    rendered = render(restore("refund_approved", example_of(refund.RefundApproved)), CONTEXT)
    assert "2026年12月10日 23:59:59" in rendered.text
    assert "2026年12月10日 23:59:59" in rendered.html


def test_an_amount_is_shown_in_yuan_with_its_separators() -> None:
    rendered = render(restore("refund_settled", example_of(refund.RefundSettled) | {"amount_fen": 123456700}), CONTEXT)
    assert "¥1,234,567.00" in rendered.text
    assert "¥1,234,567.00" in rendered.html


def test_a_payee_is_shown_by_its_last_four_digits_only() -> None:
    payee = Payee(method=PayeeMethod.BANK_CARD, name="张三", account_no="6222020200112233445")
    message = restore("refund_received", example_of(refund.RefundReceived) | {"payee": payee.masked})
    rendered = render(message, CONTEXT)
    assert "银行卡 尾号 3445" in rendered.text
    assert "6222020200112233445" not in rendered.text + rendered.html


def test_a_refusal_names_its_clause_and_what_to_do_next() -> None:
    rendered = render(restore("refund_refused", example_of(refund.RefundRefused)), CONTEXT)
    for form in (rendered.text, Page(rendered.html).text):
        assert "依据规则 REF-1" in form
        assert "接下来您可以这样做" in form


def test_a_question_says_until_when_and_that_silence_closes_the_request() -> None:
    rendered = render(restore("closure_question", example_of(closure.ClosureQuestion)), CONTEXT)
    assert "2026年11月29日 10:00:00" in rendered.text
    assert "到期未答复,本次申请将自动关闭" in rendered.text.replace("，", ",")


PENALTIES: list[type[Message]] = [closure.ForcedClosureDecided, deposit.DepositDeducted]


@pytest.mark.parametrize("kind", PENALTIES, ids=[kind.name for kind in PENALTIES])
def test_a_penalty_without_a_word_about_appeal_cannot_be_told(kind: type[Message]) -> None:
    silent = example_of(kind) | {"appeal_how": "", "appeal_until": None, "not_appealable": ""}
    with pytest.raises(ValidationError, match="how to appeal"):
        restore(kind.name, silent)
    with pytest.raises(ValidationError, match="how to appeal"):
        restore(kind.name, silent | {"appeal_how": "在后台申诉。", "not_appealable": "已终审。"})
    with pytest.raises(ValidationError, match="needs a way to appeal"):
        restore(kind.name, silent | {"not_appealable": "已终审。", "appeal_until": "2026-12-01T00:00:00Z"})


@pytest.mark.parametrize("kind", PENALTIES, ids=[kind.name for kind in PENALTIES])
def test_a_penalty_tells_the_way_to_appeal_or_why_there_is_none(kind: type[Message]) -> None:
    silent = example_of(kind) | {"appeal_how": "", "appeal_until": None, "not_appealable": ""}
    open_ = render(
        restore(kind.name, silent | {"appeal_how": "请在后台申诉。", "appeal_until": "2026-12-01T00:00:00Z"}),
        CONTEXT,
    )
    final = render(restore(kind.name, silent | {"not_appealable": "该判责已经终审。"}), CONTEXT)
    for form in (open_.text, open_.html):
        assert "可以申诉" in form
        assert "2026年12月1日 08:00:00" in form
        assert "不能申诉" not in form
    for form in (final.text, final.html):
        assert "不能申诉" in form
        assert "该判责已经终审。" in form
        assert "申诉截止时间" not in form


def test_a_deduction_whose_parts_do_not_add_up_cannot_be_told() -> None:
    with pytest.raises(ValidationError, match="add up"):
        restore("deposit_deducted", example_of(deposit.DepositDeducted) | {"arrears_fen": 49999})


def test_a_shop_with_no_deposit_left_is_not_told_to_apply_for_it() -> None:
    rendered = render(restore("shop_closed", example_of(closure.ShopClosed) | {"refundable_fen": 0}), CONTEXT)
    assert "没有可以退还的金额" in rendered.text
    assert "退保证金" not in rendered.text


def test_a_link_is_a_web_address_or_nothing() -> None:
    from pydantic import TypeAdapter

    links = TypeAdapter(Link)
    assert links.validate_python("https://prefect.example.cn/runs/1") == "https://prefect.example.cn/runs/1"
    for bad in ("javascript:alert(1)", "data:text/html,x", "//example.cn", "https://a b"):
        with pytest.raises(ValidationError):
            links.validate_python(bad)


def test_the_hours_left_are_whole_and_never_negative() -> None:
    now = datetime(2026, 12, 7, 8, tzinfo=UTC)
    assert hours_between(now, now + timedelta(hours=24, seconds=-40)) == 24
    assert hours_between(now, now - timedelta(hours=3)) == 0


def test_a_sentence_of_ours_leaves_with_the_signs_of_chinese_and_somebodys_own_words_to_the_letter() -> None:
    ours = {
        "shop_name": "晨光,文具",
        "grounds": [{"clause": "REF-1", "sentence": "名称为「晨光,文具」,尚未关店;请先申请关店"}],
        "next_step": "如有疑问请联系平台客服,并提供案件编号。",
    }
    refused = restore("refund_refused", example_of(refund.RefundRefused) | ours)
    letter = render(refused, CONTEXT)
    for form in (letter.text, letter.html):
        assert "名称为「晨光,文具」，尚未关店；请先申请关店" in form and "客服，并提供" in form
        assert "晨光,文具，您好" in form
