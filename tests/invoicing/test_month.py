"""A month: items recorded, drafted in chunks, released by people, issued without gaps; once, and never missed."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import col, select

from models.audit import AuditEntry
from models.invoicing import BillableItem, Period, PeriodState, Statement, StatementAnomaly, StatementDocument
from models.messages import Channel
from models.reviews import Role
from models.shops import Shop
from office.base.db import Tx, in_transaction, reading
from office.base.settings import settings
from office.cases.markdown import markdown
from office.record.inbox import Refused
from policies.invoicing import Draft, anomalies
from policies.policy import policy
from tasks import releasing
from tasks.invoicing import documents, drafts, periods, releases, statements
from tests.invoicing import kit
from tests.invoicing.kit import (
    NOVEMBER,
    at,
    billed,
    issue_month,
    item,
    open_month,
    record,
    send_invoice,
    statement,
    told,
)
from tests.play import Office
from tests.reading import read


def shops(office: Office, count: int) -> list[str]:
    return [office.open_shop(f"shop-{n}") for n in range(1, count + 1)]


# ── items ────────────────────────────────────────────────────────────────────


def test_good_items_are_kept_and_bad_ones_come_back_with_position_field_and_reason(office: Office) -> None:
    """INV-5"""
    office.open_shop()
    receipt = record(
        office,
        item(),
        item(amount_fen=12.5),
        item(shop_id="shop-9"),
        item(category="CARRIED"),
        item(settled_at="2026-11-10"),
        item(description="a\x00b"),
        item(corrects="nothing"),
        item(colour="red"),
        item(amount_fen=0),
        item(fen=500),
    )
    assert receipt["accepted"] == 2
    assert [(line["position"], line["field"]) for line in receipt["rejected"]] == [
        (2, "amount_fen"),
        (3, "shop_id"),
        (4, "category"),
        (5, "settled_at"),
        (6, "description"),
        (7, "corrects"),
        (8, "colour"),
        (9, "amount_fen"),
    ]
    assert all(line["reason"] for line in receipt["rejected"])


@pytest.mark.parametrize("category", ["COMMISSION", "SALES", "CARRIED"])
def test_only_subsidies_of_the_platform_are_billed(office: Office, category: str) -> None:
    """INV-5: what is no subsidy settled to the shop is no item, and what we carried over ourselves nobody sends."""
    office.open_shop()
    receipt = record(office, item(category=category), *(item(category=one) for one in SUBSIDIES))
    assert (receipt["accepted"], [line["field"] for line in receipt["rejected"]]) == (len(SUBSIDIES), ["category"])
    at(office, 2026, 12, 1, 2)
    issue_month(office)
    assert statement().total_fen == 9_000 * len(SUBSIDIES)


@pytest.mark.parametrize("name", ["*现代服务*推广费", "*信息技术服务*服务费"])
def test_what_is_invoiced_of_them_is_a_service(office: Office, name: str) -> None:
    """INV-5: a service invoice goes through by itself, the same words as goods never do."""
    billed(office)
    lines = [{"name": name, "content": "SERVICE", "net_fen": 8_491, "tax_fen": 509, "rate": "6"}]
    assert send_invoice(office, lines=[{**lines[0], "content": "GOODS", "quantity": "1"}]).state != "ACCEPTED"
    assert send_invoice(office, lines=lines).state in {"ACCEPTED", "IN_REVIEW"}


SUBSIDIES = ["COUPON", "LIVESTREAM", "FREIGHT", "CAMPAIGN", "OTHER"]


@pytest.mark.both
def test_the_same_item_again_changes_nothing_and_with_other_content_it_is_rejected(office: Office) -> None:
    office.open_shop()
    one = item()
    record(office, one)
    assert record(office, one) | {"batch_id": ""} == {"batch_id": "", "accepted": 0, "repeated": 1, "rejected": []}
    changed = record(office, one | {"amount_fen": 8_000})
    assert (changed["accepted"], changed["rejected"][0]["field"]) == (0, "item_id")
    twice = record(office, *[item(item_id="sub-twice", description="x")] * 2)
    assert (twice["accepted"], twice["repeated"]) == (1, 1)


def test_an_item_of_a_year_that_was_mistyped_is_rejected_and_opens_no_months(office: Office) -> None:
    """The policy takes items up to 24 months back: 2024-11 in November 2026."""
    office.open_shop()
    receipt = record(
        office,
        item(settled_at="2006-11-10T10:00:00+08:00"),
        item(settled_at="2024-10-31T23:59:59+08:00"),
        item(settled_at="2024-11-01T00:00:00+08:00"),
    )
    assert [(line["position"], line["field"]) for line in receipt["rejected"]] == [(1, "settled_at"), (2, "settled_at")]
    assert receipt["accepted"] == 1


def test_a_month_that_is_too_long_ago_is_neither_opened_by_hand_nor_caught_up(office: Office) -> None:
    office.open_shop()
    record(office, item())
    with pytest.raises(Refused, match="24"):
        open_month(office, "2024-09")
    at(office, 2030, 12, 15)
    with reading() as tx:
        found = periods.missing(tx)
    assert (found[0], found[-1], len(found)) == ("2028-12", "2030-11", 24)


def test_a_correction_is_a_new_signed_item_of_the_same_shop(office: Office) -> None:
    office.open_shop()
    office.open_shop("shop-2")
    one = item()
    record(office, one)
    assert record(office, item(fen=-4_000, corrects=one["item_id"]))["accepted"] == 1
    assert record(office, item("shop-2", fen=-4_000, corrects=one["item_id"]))["rejected"][0]["field"] == "corrects"
    at(office, 2026, 12, 1, 2)
    issue_month(office)
    assert statement().total_fen == 5_000


def test_an_item_that_comes_after_its_month_was_closed_is_billed_with_the_next_open_one(office: Office) -> None:
    kit.billed(office)
    record(office, item(fen=700))
    at(office, 2027, 1, 1, 2)
    issue_month(office, "2026-12")
    assert statement(period="2026-12").total_fen == 700
    assert statement().total_fen == 9_000
    kit.books_agree(office)


def test_a_batch_of_a_thousand_items_is_the_most_the_door_takes() -> None:
    from pydantic import ValidationError

    from models.invoicing_events import BillablesRecorded

    BillablesRecorded(batch_id="b", items=tuple({"item_id": str(n)} for n in range(1_000)))
    with pytest.raises(ValidationError):
        BillablesRecorded(batch_id="b", items=tuple({"item_id": str(n)} for n in range(1_001)))


def test_the_door_takes_a_thousand_long_items_however_the_sender_writes_chinese() -> None:
    items = [item(description="补" * 200) for _ in range(1_000)]
    body = json.dumps({"type": "billables.recorded", "data": {"batch_id": "b", "items": items}}, ensure_ascii=True)
    assert len(body) < settings().max_body_bytes


# ── drafting ─────────────────────────────────────────────────────────────────


def test_every_operating_shop_has_a_draft_and_those_without_amounts_need_no_invoice(office: Office) -> None:
    """INV-1, INV-5"""
    shops(office, 3)
    record(office, item("shop-1"), item("shop-1", category="FREIGHT", fen=500), item("shop-2", fen=-300))
    at(office, 2026, 12, 1, 2)
    issue_month(office)
    found = {s.shop_id: (s.state, s.number, s.total_fen) for s in kit.all_statements()}
    assert found == {
        "shop-1": ("ISSUED", "ZD202611-000001", 9_500),
        "shop-2": ("CARRIED", None, -300),
        "shop-3": ("NIL", None, 0),
    }
    assert len(told(office, "statement_issued")) == 1


def test_a_negative_statement_is_carried_into_the_next_open_month(office: Office) -> None:
    office.open_shop()
    record(office, item(fen=-300))
    at(office, 2026, 12, 1, 2)
    issue_month(office)
    record(
        office, item(fen=1_000, settled_at="2026-12-02T10:00:00+08:00") | {"settled_at": "2026-11-30T10:00:00+08:00"}
    )
    at(office, 2027, 1, 1, 2)
    issue_month(office, "2026-12")
    assert statement(period="2026-12").total_fen == 700
    kit.books_agree(office)


def test_finance_sees_totals_movers_a_chart_and_the_anomalies(office: Office) -> None:
    shops(office, 2)
    office.send("shop.updated", {"shop_id": "shop-2", "uscc": "91110000600037341L", "taxpayer_type": "SMALL_SCALE"})
    record(office, item("shop-1"), item("shop-2", fen=-400, category="FREIGHT"))
    at(office, 2026, 12, 1, 2)
    page = read(office.question(open_month(office)))
    for words in (
        "2026年11月",
        "¥86.00",
        "█",
        "平台券补贴",
        "一般纳税人",
        "金额为负",
        "变化最大的店铺",
        "一人放行即可",
    ):
        assert words in page, words


def test_finance_sees_last_months_amount_beside_each_of_this_month(office: Office) -> None:
    office.open_shop()
    record(
        office,
        item(fen=5_000, settled_at="2026-10-05T00:00:00+08:00"),
        item(fen=700, category="FREIGHT", settled_at="2026-10-05T00:00:00+08:00"),
    )
    at(office, 2026, 12, 1, 2)
    issue_month(office, "2026-10")
    record(office, item())
    page = read(office.question(open_month(office)))
    for line in (
        "| 平台券补贴 | ¥90.00 | ¥50.00 |",
        "| 运费补贴 | ¥0.00 | ¥7.00 |",
        "| 一般纳税人 | ¥90.00 | ¥57.00 |",
    ):
        assert line in page, line


def test_the_result_of_a_month_says_how_much_was_issued_and_how_much_is_held(office: Office) -> None:
    shops(office, 2)
    record(office, item("shop-1"), item("shop-2", fen=500))
    at(office, 2026, 12, 1, 2)
    case = issue_month(office, hold="shop-2：核对")
    with reading() as tx:
        totals = statements.issued(tx, drafts.period_row(tx, case.request["period"]))
    assert (totals["issued_fen"], totals["held"], totals["held_fen"]) == (9_000, 1, 500)


def test_every_batch_leaves_a_line_in_the_audit_with_its_digest_and_counts(office: Office) -> None:
    office.open_shop()
    record(office, item(), item("shop-9"))
    with reading() as tx:
        (line,) = [row for row in tx.exec(select(AuditEntry)) if row.action == "billables.recorded"]
    assert (line.actor, line.detail["accepted"], line.detail["rejected"], len(line.detail["sha256"])) == (
        "platform",
        1,
        1,
        64,
    )


def test_a_closed_shop_with_an_amount_is_an_anomaly(office: Office) -> None:
    office.closed_shop()
    record(office, item())
    at(office, 2026, 12, 1, 2)
    assert "店铺已关闭" in read(office.question(open_month(office)))


def test_the_same_item_under_a_new_id_after_its_month_was_issued_is_flagged(office: Office) -> None:
    office.open_shop()
    one = item()
    record(office, one)
    at(office, 2026, 12, 1, 2)
    issue_month(office)
    record(office, one | {"item_id": "sub-again"})
    at(office, 2027, 1, 1, 2)
    assert "疑似重复" in read(office.question(open_month(office, "2026-12")))


@pytest.mark.both
def test_the_set_based_anomalies_are_those_of_the_rule(office: Office) -> None:
    """Every kind, and both sides of every boundary, against the pure function."""
    before = [100_000, 100_000_000, 100_000_000, 0, 5_000, 200_000, 100_000, 100_000]
    now = [300_001, 29_999_999, 30_000_000, -5, 20_000, -1, 300_000, 50]
    ids = shops(office, len(now))
    record(
        office,
        *(item(i, fen, settled_at="2026-10-05T00:00:00+08:00") for i, fen in zip(ids, before, strict=True) if fen),
    )
    at(office, 2026, 12, 1, 2)
    issue_month(office, "2026-10")
    record(office, *(item(i, fen) for i, fen in zip(ids, now, strict=True)))
    office.send("shop.updated", {"shop_id": ids[4], "uscc": "91110000600037341L"})

    def blank(tx: object) -> None:
        shop = tx.get(Shop, ids[7])  # type: ignore[attr-defined]
        shop.uscc = ""
        tx.add(shop)  # type: ignore[attr-defined]

    in_transaction(blank)
    repeated = item(ids[6], 300_000 // 3, description="同一笔")
    record(office, repeated, repeated | {"item_id": "sub-repeat"})
    open_month(office)
    with reading() as tx:
        got: dict[str, set[str]] = {i: set() for i in ids}
        for anomaly in tx.exec(select(StatementAnomaly).where(col(StatementAnomaly.statement_id).like("2026-11/%"))):
            got[anomaly.statement_id.removeprefix("2026-11/")].add(anomaly.kind)
        for number, shop_id in enumerate(ids):
            total = tx.get_one(Statement, f"2026-11/{shop_id}").total_fen
            draft = Draft(
                total_fen=total,
                before_fen=before[number],
                tax_identity=number != 7,
                shop_closed=False,
                repeated_fen=100_000 if number == 6 else 0,
            )
            assert got[shop_id] == set(anomalies(draft, policy("2026-01-01").invoicing)), shop_id


# ── releasing ────────────────────────────────────────────────────────────────


def test_a_shop_is_held_out_with_a_reason_and_released_later_with_the_next_number(office: Office) -> None:
    ids = shops(office, 3)
    record(office, *(item(i) for i in ids))
    at(office, 2026, 12, 1, 2)
    case = open_month(office)
    question = office.question(case)
    assert "须写明理由" in office.answer(question, "wang-fang", "RELEASE", hold="shop-2").sentence
    assert "没有可暂缓" in office.answer(question, "wang-fang", "RELEASE", hold="shop-77:核对").sentence
    office.decide(case, "wang-fang", "RELEASE", hold="shop-2：金额待与商家核对")
    assert (statement("shop-2").state, statement("shop-2").held_reason) == ("HELD", "金额待与商家核对")
    assert [s.number for s in kit.all_statements() if s.number] == ["ZD202611-000001", "ZD202611-000002"]

    def later(who: str, code: str, reason: str = "已核对") -> str:
        return in_transaction(lambda tx: statements.release_held(tx, NOVEMBER, "shop-2", who, code, reason)).sentence

    assert "口令" in later("wang-fang", "000000")
    assert "只有财务" in later("li-na", office.code("li-na"))
    assert "ZD202611-000003" in later("wang-fang", office.code("wang-fang"))
    assert "没有暂缓" in later("wang-fang", office.code("wang-fang"))
    kit.books_agree(office)


def test_what_is_still_held_out_is_shown_to_finance_with_every_later_month_until_it_is_released(office: Office) -> None:
    ids = shops(office, 2)
    record(office, *(item(i) for i in ids))
    at(office, 2026, 12, 1, 2)
    office.decide(open_month(office), "wang-fang", "RELEASE", hold="shop-2：金额|待核对")
    record(office, item("shop-1", settled_at="2026-12-05T10:00:00+08:00"))
    at(office, 2027, 1, 1, 2)
    december = open_month(office, "2026-12")
    _, _, shown = read(office.question(december)).partition("以前账期暂缓、尚未出账")
    assert "起草时共 1 份，合计 ¥90.00" in shown and "shop-2" in shown and "2026-11" in shown and "wang-fang" in shown
    assert r"金额\|待核对" in markdown(office.question(december).dossier), "what people wrote cannot break the table"
    code = office.code("chen-jie")
    released = in_transaction(lambda tx: statements.release_held(tx, NOVEMBER, "shop-2", "chen-jie", code, "已核对"))
    assert released.accepted
    office.decide(december, "wang-fang", "REDRAFT", "重新起草")
    _, _, shown = read(office.question(december)).partition("以前账期暂缓、尚未出账")
    assert r"shop\-2" not in shown
    kit.books_agree(office)


@pytest.mark.both
def test_two_people_who_release_at_the_same_moment_never_give_one_number_twice(office: Office) -> None:
    ids = shops(office, 8)
    record(office, *(item(i) for i in ids))
    at(office, 2026, 12, 1, 2)
    case = open_month(office)
    office.decide(case, "wang-fang", "RELEASE", hold="\n".join(f"{i}：核对" for i in ids[1:]))
    for one, other in zip(ids[1::2], ids[2::2], strict=False):
        codes = {"wang-fang": office.code("wang-fang")}
        codes["chen-jie"] = office.code("chen-jie")
        together = threading.Barrier(2)

        def release(who: str, shop_id: str, code: str, together: threading.Barrier = together) -> str:
            def work(tx: Tx) -> str:
                period = tx.get(Period, NOVEMBER)  # what a transaction saw before it had the lock counts for nothing
                assert period is not None
                if tx.postgres and not met:  # SQLite has one writer at a time anyway
                    met.append(together.wait(60))
                return statements.release_held(tx, NOVEMBER, shop_id, who, code, "已核对").sentence

            met: list[int] = []
            return in_transaction(work)

        with ThreadPoolExecutor(2) as pool:
            said = list(
                pool.map(release, ["chen-jie", "wang-fang"], [other, one], [codes["chen-jie"], codes["wang-fang"]])
            )
        assert all("已出账" in sentence for sentence in said), said
    given = sorted(str(s.number) for s in kit.all_statements() if s.number)
    assert given == [f"ZD202611-{n:06d}" for n in range(1, len(given) + 1)] and len(given) == 7
    kit.books_agree(office)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("shop:1：核对:金额", {"shop:1": "核对:金额"}),
        ("a:b:核对", {"a:b": "核对"}),
        ("s-1：甲;乙；丙\ns-2:丁", {"s-1": "甲;乙；丙", "s-2": "丁"}),
        ("s-1", {"s-1": ""}),
        (" \n", {}),
    ],
)
def test_a_shop_held_out_may_have_a_colon_in_its_id_and_a_semicolon_in_its_reason(
    text: str, held: dict[str, str]
) -> None:
    assert releasing.read_holds(text) == held


def test_many_anomalies_take_a_second_person_and_nobody_issues_in_two_steps_what_takes_two(office: Office) -> None:
    *ids, held = shops(office, 22)
    record(office, *(item(i, fen=-1) for i in ids), item(held))
    at(office, 2026, 12, 1, 2)
    case = open_month(office)
    office.decide(case, "wang-fang", "RELEASE", hold=f"{held}:先核对")
    again = office.question(case)
    assert again.gate == "invoicing-second"
    assert "四眼" in office.answer(again, "wang-fang", "CONFIRM").sentence
    office.decide(case, "chen-jie", "CONFIRM")
    assert office.case(case.id).outcome == "ISSUED"

    def released(who: str) -> str:
        code = office.code(who)
        return in_transaction(lambda tx: statements.release_held(tx, NOVEMBER, held, who, code, "已核对")).sentence

    assert "另一位财务" in released("wang-fang") and "已出账" in released("chen-jie")


def test_a_new_draft_takes_in_what_came_late(office: Office) -> None:
    office.open_shop()
    record(office, item())
    at(office, 2026, 12, 1, 2)
    case = open_month(office)
    record(office, item(fen=500))
    office.decide(case, "wang-fang", "REDRAFT", "缺一笔明细")
    assert "第 2 轮" not in office.question(case).notice
    office.decide(case, "wang-fang", "RELEASE")
    assert statement().total_fen == 9_500
    kit.books_agree(office)


def test_only_finance_releases_a_month(office: Office) -> None:
    office.open_shop()
    record(office, item())
    at(office, 2026, 12, 1, 2)
    case = open_month(office)
    assert "岗位权限" in office.answer(office.question(case), "xu-jing", "RELEASE").sentence


# ── issuing ──────────────────────────────────────────────────────────────────


def test_each_statement_is_told_to_its_merchant_sent_to_the_platform_and_printed(office: Office) -> None:
    issued = kit.billed(office)
    (message,) = told(office, "statement_issued")
    assert (message["amount_fen"], message["number"], message["auto_deduct"]) == (9_000, "ZD202611-000001", False)
    (event,) = office.events("statement.issued")
    assert (event["amount_fen"], event["shop_id"], event["period"]) == (9_000, "shop-1", NOVEMBER)
    assert "ZD202611-000001" in [e["subject"] + e["text"] for e in office.events("merchant.message.created")][-1]
    assert issued.due_at is not None and issued.issued_at is not None
    assert issued.due_at - issued.issued_at == timedelta(days=31)
    kit.sweep(office)
    page = documents.path_of(issued).read_text(encoding="utf-8")
    for words in (
        "玖拾元整",
        "¥90.00",
        "宁波晨光文具有限公司",
        "平台券补贴",
        "@page",
        "ZD202611-000001",
        '<td class="num">1</td><td class="num">¥90.00</td>',
    ):
        assert words in page
    with reading() as tx:
        assert tx.get_one(StatementDocument, issued.id).state == "READY"


def test_a_shops_name_cannot_write_into_the_printed_statement(office: Office) -> None:
    issued = kit.billed(office, name="<script>alert(1)</script>{{ 7*7 }}")
    kit.sweep(office)
    page = documents.path_of(issued).read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page and "{{ 7*7 }}" in page


@pytest.mark.both
@pytest.mark.parametrize("killed_after", range(7))
def test_a_run_killed_after_any_chunk_goes_on_where_it_was_and_no_number_is_missing(
    office: Office, killed_after: int
) -> None:
    ids = shops(office, 6)
    record(office, *(item(i, fen=1_000 + n) for n, i in enumerate(ids)))
    at(office, 2026, 12, 1, 2)
    case = in_transaction(lambda tx: periods.open_month(tx, NOVEMBER))
    drafts.begin(case.id, 1)
    for _ in range(killed_after):
        in_transaction(lambda tx: drafts.draft_chunk(tx, NOVEMBER, size=1))
    with pytest.raises(KeyboardInterrupt):
        in_transaction(lambda tx: _die(drafts.draft_chunk(tx, NOVEMBER, size=2)))
    office.settle()  # another run: drafts the rest and asks
    case = office.case(case.id)
    statements_before = len(kit.all_statements())
    review = office.question(case)
    office.engine.signal = lambda case_id: None  # type: ignore[method-assign]
    office.answer(review, "wang-fang", "RELEASE")
    releases.release(case.id, 1)
    for _ in range(min(killed_after, 5)):
        in_transaction(lambda tx: statements.issue_chunk(tx, case.id, NOVEMBER, size=1))
    with pytest.raises(KeyboardInterrupt):
        in_transaction(lambda tx: _die(statements.issue_chunk(tx, case.id, NOVEMBER, size=2)))
    del office.engine.signal  # type: ignore[method-assign]
    office.engine.signal(case.id)
    office.settle()
    assert statements_before == 6
    assert [s.number for s in kit.all_statements()] == [f"ZD202611-{n:06d}" for n in range(1, 7)]
    assert len(told(office, "statement_issued")) == len(office.events("statement.issued")) == 6
    kit.books_agree(office)


def _die(done: int) -> None:
    raise KeyboardInterrupt


def test_a_second_run_of_a_month_does_nothing(office: Office) -> None:
    kit.billed(office)
    before = [s.model_dump() for s in kit.all_statements()], len(office.outbox())
    again = open_month(office)
    assert again.outcome == "ISSUED"
    kit.sweep(office)
    assert ([s.model_dump() for s in kit.all_statements()], len(office.outbox())) == before


def test_the_whole_story_run_again_from_the_top_changes_nothing(office: Office) -> None:
    case = None
    kit.billed(office)
    with reading() as tx:
        case = tx.exec(select(Period.case_id).where(Period.id == NOVEMBER)).one()
    before = [s.model_dump() for s in kit.all_statements()], len(office.outbox())
    from flows.invoicing import invoice_month

    assert case is not None
    assert "已办结" in invoice_month.fn(case)
    assert ([s.model_dump() for s in kit.all_statements()], len(office.outbox())) == before


# ── no month is missed, none is done twice ───────────────────────────────────


def test_a_month_that_is_not_over_is_refused(office: Office) -> None:
    """INV-1"""
    office.open_shop()
    record(office, item())
    at(office, 2026, 12, 1, 1, 59, 59)
    with pytest.raises(Refused, match="尚未结束"):
        open_month(office)
    at(office, 2026, 12, 1, 2)
    open_month(office)


def test_months_missed_while_we_were_down_are_caught_up_once_each(office: Office) -> None:
    """INV-1"""
    office.open_shop()
    record(office, item(settled_at="2026-09-05T00:00:00+08:00"), item())
    at(office, 2027, 1, 15)
    assert periods.catch_up() == ["2026-09", "2026-10", "2026-11", "2026-12"]
    assert periods.catch_up() == []
    office.settle()
    assert len([case for case in office.cases() if case.kind == "monthly-invoicing"]) == 4


def test_an_installation_without_items_opens_no_months(office: Office) -> None:
    office.open_shop()
    at(office, 2027, 1, 15)
    assert periods.catch_up() == []


@pytest.mark.both
def test_other_peoples_messages_do_not_wait_behind_a_months(office: Office) -> None:
    """A month's messages become due at a hundred a second, the first shops' first."""
    ids = shops(office, 3)
    record(office, *(item(i) for i in ids))
    at(office, 2026, 12, 1, 9)
    issue_month(office)
    rows = office.outbox(Channel.EVENT, "statement.issued")
    slot = statements.SLOT * statements.MESSAGES_PER_STATEMENT / statements.MESSAGES_PER_SECOND
    assert {row.state for row in rows} <= {"SENT", "SKIPPED", "NEW"}
    assert all(row.next_at - row.created_at <= timedelta(seconds=slot) for row in rows)


def test_a_closed_period_takes_no_items_any_more(office: Office) -> None:
    kit.billed(office)
    with reading() as tx:
        assert tx.get_one(Period, NOVEMBER).state is PeriodState.ISSUED
    record(office, item())
    with reading() as tx:
        assert sorted(tx.exec(select(BillableItem.period))) == [NOVEMBER, "2026-12"]


def test_finance_may_hold_only_with_its_role() -> None:
    from tasks.invoicing.releases import PROCESS

    assert [gate.roles for gate in PROCESS.asks] == [(Role.FINANCE,), (Role.FINANCE, Role.SUPERVISOR)]
