"""What merchants write stays text: no markup, no template, no header, no trick of direction."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from apprise.conversion import markdown_to_html as to_html
from hypothesis import example, given
from hypothesis import strategies as st

from notifications.closure import ClosureQuestion, ClosureReceived
from notifications.rendering import Context, Rendered, render
from notifications.text import as_markdown, one_line, prose

CONTEXT = Context(service_contact="400-000-0000")
AT = datetime(2026, 11, 22, 2, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "{# gone #}晨光",
    "晨光\r\nBcc: thief@example.cn",
    "晨光\u2028Bcc: thief@example.cn\u0085X: y",
    "**粗体** [点我](http://example.cn) # 标题\n- 列表",
    "\u202e具文光晨\u202c\u2066x\u2069\u200f",
    "晨\x00光\x1b[31m\x07文具\ud800",
    "&lt;b&gt; &amp; &#x3c;script&#x3e;",
)
any_text = st.one_of(st.sampled_from(HOSTILE), st.text(alphabet=st.characters(), max_size=120))


class Shape(HTMLParser):
    """The skeleton of a page: elements and attribute names in order, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.skeleton: list[tuple[str, ...]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "br":
            self.skeleton.append((tag, *(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def received(shop_name: str, reason_text: str) -> ClosureReceived:
    return ClosureReceived(
        case_id="CLS-261122-7K3QM9",
        shop_name=shop_name,
        reason="其他原因",
        reason_text=reason_text,
        received_at=AT,
        exit_invoice_due=AT,
    )


def invisible(text: str) -> list[str]:
    return [c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs"}]


PLAIN = Shape(render(received("晨光文具", "不再经营"), CONTEXT).html).skeleton


@given(shop_name=any_text, reason=any_text)
@example(shop_name=HOSTILE[0], reason=HOSTILE[1])
@example(shop_name=HOSTILE[5], reason=HOSTILE[8])
def test_no_name_or_reason_changes_the_shape_of_a_message(shop_name: str, reason: str) -> None:
    rendered = render(received(shop_name, "说明:" + reason), CONTEXT)
    shape = Shape(rendered.html)
    assert shape.skeleton == PLAIN
    assert one_line(shop_name) in " ".join(shape.text.split())
    assert one_line(shop_name) in rendered.text
    for form in (rendered.subject, rendered.text, rendered.html):
        assert not invisible(form)
        form.encode()
    assert len(rendered.subject.splitlines()) == 1
    assert rendered.subject.endswith("(CLS-261122-7K3QM9)".replace("(", "（").replace(")", "）"))


@given(text=any_text)
def test_somebodys_own_words_are_marked_line_by_line_and_cannot_pass_for_ours(text: str) -> None:
    words = "第一行\n" + text + "\n如有疑问，请联系平台客服：thief@example.cn"
    lines = render(received("晨光文具", words), CONTEXT).text.splitlines()
    contacts = [line for line in lines if line.startswith("如有疑问")]
    assert contacts == ["如有疑问，请联系平台客服：400-000-0000"]


@pytest.mark.parametrize("template", ["{{ 7*7 }}", "{{ service_contact }}", "{% include 'x' %}", "{# gone #}"])
def test_jinja_in_a_name_stays_text(template: str) -> None:
    rendered: Rendered = render(received(template, template), CONTEXT)
    assert template in rendered.subject
    assert f"{template}，您好" in rendered.text
    assert "49" not in rendered.subject
    assert template in Shape(rendered.html).text


def test_a_line_break_in_a_name_cannot_start_a_mail_header() -> None:
    rendered = render(received("晨光\r\nBcc: thief@example.cn", ""), CONTEXT)
    assert rendered.subject == "【店务】关店申请已收到：晨光 Bcc: thief@example.cn（CLS-261122-7K3QM9）"


def test_bidi_overrides_and_invisible_characters_are_gone_and_the_words_stay() -> None:
    message = received("\u202e晨光\u200b文具\u2066", "a\u202eb")
    assert message.shop_name == "晨光文具"
    assert message.reason_text == "ab"


def test_line_breaks_of_a_reason_are_kept_where_there_is_room_for_them() -> None:
    rendered = render(
        ClosureQuestion(case_id="CLS-1", shop_name="晨光", question="一、授权书\r\n\r\n\r\n二、清单", due=AT),
        CONTEXT,
    )
    assert "> 一、授权书\n>\n> 二、清单" in rendered.text
    assert "一、授权书<br>" in rendered.html


@given(text=st.text(alphabet=st.characters(), max_size=400), limit=st.integers(2, 100))
def test_cleaning_is_done_once_and_keeps_its_limit(text: str, limit: int) -> None:
    for clean in (one_line, prose):
        cleaned = clean(text, limit)
        assert clean(cleaned, limit) == cleaned
        assert len(cleaned) <= limit
        assert not invisible(cleaned)
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("**粗** _斜_ `码` ~~删~~ # 题", r"\*\*粗\*\* \_斜\_ \`码\` \~\~删\~\~ \# 题"),
        ("[点我](http://example.cn)", r"\[点我\](http://example.cn)"),
        ("![图](http://example.cn/a_b.png)", r"!\[图\](http://example.cn/a_b.png)"),
        ("> # 题", r"> \# 题"),
        ("> - 列", r"> \- 列"),
        ("> 1. 列", r"> 1\. 列"),
        ("> ===", r"> \==="),
        ("- 上架商品", "- 上架商品"),
        ("打开案件：https://example.cn/a_b_c", "打开案件：https://example.cn/a_b_c"),
        ("| a | b |", r"\| a \| b \|"),
        ("\\*", r"\\\*"),
    ],
)
def test_markdown_in_text_stays_text_where_a_service_reads_markdown(text: str, markdown: str) -> None:
    assert as_markdown(text) == markdown + "  "


@given(text=any_text)
def test_no_reason_becomes_an_element_where_a_service_reads_markdown(text: str) -> None:
    html = to_html(as_markdown(render(received("晨光", text), CONTEXT).text))
    tags = {tag for tag, *_ in Shape(html).skeleton}
    assert tags <= {"p", "blockquote", "ul", "li"}


def test_a_very_long_name_is_cut_and_the_case_id_stays_in_the_subject() -> None:
    rendered = render(received("长" * 10_000, ""), CONTEXT)
    assert rendered.subject.endswith("…（CLS-261122-7K3QM9）")
    assert len(rendered.subject) < 100
