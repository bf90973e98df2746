"""Dossiers are parts: kept in one form, hashed over it, drawn by every face with nothing from outside as markup."""

from __future__ import annotations

import hashlib
import html
import json
import re
from datetime import UTC, datetime

import pytest
from sqlmodel import col, select, update

from desk.dossier import files, sections
from desk.html import environment
from models.audit import AuditEntry
from models.cases import Finding
from models.dossier import (
    Block,
    CaseLink,
    Code,
    Findings,
    Item,
    Items,
    Marked,
    Papers,
    PaperShown,
    Part,
    Quote,
    Rows,
    Sheet,
    Sides,
    Strong,
    Table,
    Text,
    line,
)
from models.reviews import Review, ReviewState
from office.base.db import in_transaction, reading
from office.base.settings import settings
from office.cases import dossier
from office.cases.dossier import when
from office.cases.markdown import markdown
from office.record import decision_seals
from tasks.sight.views import case_dossier
from tests.play import Office
from tests.reading import read

HOSTILE = "**粗**](https://evil.example)<script>alert(1)</script> | `x` │ # 题 www.evil.example"
UNTIL = datetime(2026, 12, 8, tzinfo=UTC)


def every_block(words: str) -> list[Block]:
    """One of each kind, with these words wherever something from outside can stand."""
    finding = Finding(code="x", clause="CLS-7", blocking=True, sentence=words, as_of=UNTIL)
    paper = PaperShown(label=words, name=words, file="EV-1", sha256="a" * 64, about=words, amiss=words, blocking=True)
    return [
        Text.of(words, Strong(text=words), Code(text=words), CaseLink(text=words, case_id="CLS-1")),
        Rows.of({"名称": words, "强调": (Strong(text=words), words)}),
        Findings.of([finding]),
        Quote.of(words, words),
        Sides(sides=(Quote.of(words), Quote.of(words, words))),
        Items.of([words, Item(line=line(words), under=(line(words),))]),
        Table.of(["列", "额"], [[words, words]], sums=(1,)),
        Papers(papers=(paper, PaperShown(label="其他", name=words, about=words, claimed=words)), until=UNTIL),
    ]


def sheet(words: str) -> Sheet:
    return Sheet(title=words, parts=tuple(Part(title="部分", blocks=(block,)) for block in every_block(words)))


def in_html(kept: str) -> str:
    template = environment().from_string(
        '{% from "parts.html.j2" import block with context %}'
        "{% for part in parts %}{% for one in part.blocks %}{{ block(one) }}{% endfor %}{% endfor %}"
    )
    return template.render(parts=sections(kept, settings()), now=UNTIL, drawn=(), seen={})


def test_labels_and_findings_are_shown_with_chinese_signs_and_what_is_quoted_and_kept_stays() -> None:
    said = "还缺:身份证明,名称为「晨光,文具:店」,金额 1,000.00,截至 2026-12-01 23:59(北京时间;CLS-5(暂定))"
    finding = Finding(code="x", clause="CLS-7", blocking=True, sentence=said, as_of=UNTIL)
    ours = Text.of(
        "将退还 ", Strong(text="¥1,000.00"), ",", f"余额 {1},", Strong(text="两人"), "(", Code(text="a,文"), ")"
    )
    blocks = Findings.of([finding]), Rows.of({"款项:余额": "晨光,文具(旗舰)"}), Quote.of("好,的"), ours
    paper = PaperShown(label="执照", name="执照,副本.pdf", about="随申请提交,2026-12-01", amiss="未收到,请补")
    blocks += (Quote.of("可,以", Strong(text="商家(申诉):")), Papers(papers=(paper,), until=UNTIL))
    kept = Sheet(parts=(Part(title="已付,未付", blocks=blocks),)).kept
    for shown in (markdown(kept).replace("\\", ""), in_html(kept)):
        words = re.sub("</?(bdi|b|code)>|[*`]", "", shown)
        assert (
            "还缺：身份证明，名称为「晨光,文具:店」，金额 1,000.00，截至 2026-12-01 23:59（北京时间；CLS-5（暂定））"
            in words
        )
        assert "将退还 ¥1,000.00，余额 1，两人（a,文）" in words
        assert all(
            said in words
            for said in ("可,以", "商家（申诉）：", "执照,副本.pdf", "随申请提交，2026-12-01", "未收到，请补")
        )
        assert "款项：余额" in shown and "晨光,文具(旗舰)" in shown and "好,的" in shown
    assert said in kept and "### 已付，未付" in markdown(kept)


# ── the form that is kept ────────────────────────────────────────────────────


def test_what_is_kept_reads_back_as_it_was_and_is_hashed_as_it_is_kept(office: Office) -> None:
    given = sheet(HOSTILE)
    assert Sheet.read(given.kept) == given
    assert given.sha256 == hashlib.sha256(given.kept.encode()).hexdigest()
    assert (
        Sheet.read(given.kept).kept
        == given.kept
        == json.dumps(json.loads(given.kept), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    ), "one text for one content"


def test_every_kind_of_block_is_in_the_tests_and_drawn_by_both_renderers() -> None:
    kinds = {block.model_fields["kind"].default for block in Block.__origin__.__args__}  # type: ignore[attr-defined]
    assert {block.kind for block in every_block("x")} | {"marked"} == kinds


def test_a_part_without_content_is_left_out() -> None:
    made = dossier.of("题", ("空", Items.of([])), ("无", None), ("没有", []), ("有", Text.of("字")), facts={})
    assert [part.title for part in made.sheet.parts] == ["有"]


def test_what_the_decision_rests_on_is_what_the_row_keeps(office: Office) -> None:
    office.open_shop()
    review = office.question(office.request_closure())
    assert review.dossier_sha256 == Sheet.read(review.dossier).sha256
    assert decision_seals.text_holds(review)
    assert {"检查结果", "申请", "店铺"} <= {part.title for part in Sheet.read(review.dossier).parts}
    assert not any(isinstance(block, Marked) for block in Sheet.read(review.dossier).blocks())


# ── how it is drawn ──────────────────────────────────────────────────────────


def test_no_words_from_outside_are_markup_in_any_block_of_any_face(office: Office) -> None:
    drawn = markdown(sheet(HOSTILE).kept)
    for mark in ("<script", "**粗**", "](https://evil", "//evil", "www.evil"):
        assert mark not in drawn.replace("`" + HOSTILE.replace("`", "") + "`", ""), mark
    shown = in_html(sheet(HOSTILE).kept)
    assert "<script" not in shown and 'href="https://evil' not in shown
    assert html.escape("<script>alert(1)</script>") in shown


def test_every_word_of_a_sheet_is_read_in_both_faces(office: Office) -> None:
    kept = sheet("春晓书店").kept
    times = kept.count("春晓书店")
    assert markdown(kept).count("春晓书店") == times
    assert in_html(kept).count("春晓书店") == times - 1, "the title is the page's business"
    assert when(UNTIL) in markdown(kept) and "/evidence/EV-1?exp=" in markdown(kept)
    assert 'href="/p/EV-1/file"' in in_html(kept), "at the desk through the session, which says who read it"


def test_a_piece_keeps_the_space_it_begins_or_ends_with(office: Office) -> None:
    kept = Sheet(parts=(Part(title="", blocks=(Text.of("同意后将退还 ", Strong(text="¥1.00"), " 至 …1234"),)),)).kept
    assert markdown(kept) == "同意后将退还 **¥1\\.00** 至 …1234\n"
    assert "同意后将退还 </bdi><b><bdi>¥1.00</bdi></b><bdi> 至 …1234" in in_html(kept)


def test_the_files_a_dossier_leads_to_are_known(office: Office) -> None:
    assert Sheet.read(sheet("x").kept).files() == ("EV-1",) == tuple(files(sheet("x").kept, settings()))


# ── what older versions kept ─────────────────────────────────────────────────

OLDER = (
    "### 关店审核 · 春晓书店 · CLS-1\n\n#### 检查结果\n\n- ⛔ **阻断** · 还有 3 笔订单未完成（CLS-7，数据截至 2026-11-27 10:00:00）\n\n"
    "#### 各结论的后果\n\n- **同意**:关店\n"
)


def as_an_older_version_kept_it(review: Review) -> None:
    """The question as it lies in the database when the release changes: its text, its hash, its seal."""
    digest = hashlib.sha256(OLDER.encode()).hexdigest()

    def keep(tx) -> None:  # type: ignore[no-untyped-def]
        tx.execute(update(Review).where(col(Review.id) == review.id).values(dossier=OLDER, dossier_sha256=digest))
        row = tx.get(Review, review.id, populate_existing=True)
        decision_seals.put_question(tx, row)

    in_transaction(keep)


def test_an_older_text_is_shown_to_the_letter(office: Office) -> None:
    assert markdown(OLDER) == OLDER
    assert [part.title for part in sections(OLDER, settings())] == ["检查结果", "各结论的后果"]
    assert sections(OLDER, settings())[0].blocking and "各结论的后果" in Sheet.read(OLDER)


def test_a_question_open_while_the_release_changes_is_decided_on_the_text_it_showed(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    as_an_older_version_kept_it(office.question(case))
    review = office.question(case)
    assert (review.dossier, review.revision) == (OLDER, 1), "nothing has changed but the version"
    assert office.answer(review, "li-na", "APPROVE").accepted
    with reading() as tx:
        [line] = tx.exec(select(AuditEntry).where(AuditEntry.stream == case.id, AuditEntry.action == "review.decided"))
        assert line.detail["shown_sha256"] == hashlib.sha256(OLDER.encode()).hexdigest()
        assert decision_seals.holds(tx.get_one(Review, review.id))
    [shown] = case_dossier(case.id).reviews
    assert shown.shown_intact and shown.shown == shown.kept == OLDER
    assert office.chains() == []


def test_and_when_its_facts_change_it_is_asked_anew_in_parts(office: Office) -> None:
    office.open_shop()
    case = office.request_closure()
    as_an_older_version_kept_it(office.question(case))
    office.snapshot(open_orders=2)
    review = office.question(case)
    assert review.revision == 2 and "还有 2 笔订单未完成" in read(review)
    assert review.state is ReviewState.PENDING and Sheet.read(review.dossier).kept == review.dossier


@pytest.mark.parametrize("kept", ["", "{", '{"dossier": 1}', '### {"dossier":1,'])
def test_what_only_looks_like_the_form_is_a_text(kept: str) -> None:
    assert Sheet.read(kept).parts == (Part(title="", blocks=(Marked(markdown=kept),)),)
