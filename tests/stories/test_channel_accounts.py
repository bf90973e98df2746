"""Channel accounts: a code to the account, five at most, and let go from 180 × 24 hours on (BND-5 to BND-8)."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select as sql_select
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel, col, select

from models.bindings import Binding, BindingCode
from models.cases import CaseState
from models.messages import Channel, InboxMessage, InboxState
from notifications.channels import AppriseNotifier
from notifications.plugins.folder import folder_url
from office.base.db import in_transaction, reading
from office.cases import routing
from tasks import delivery
from tasks.bindings import steps
from tasks.bindings.intake import CODE
from tasks.sight.accounts import shop_accounts
from tasks.sight.board import board
from tasks.sight.disputes import dispute_file
from tasks.sight.merchant import merchant_view
from tasks.sight.views import case_dossier
from tests.accounts import answered, ask_channel, ask_code, channel, codes, enter, row, unbind_channel, wrong
from tests.play import SILENCE, Office
from tests.together import at_once


def five(office: Office) -> None:
    office.open_shop()
    for number in range(5):
        assert channel(office, f"tt-{number}").outcome is CaseState.BOUND


# ── the code ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("platform", "label"), [("TOUTIAO_XIGUA", "今日头条/西瓜"), ("DOUYIN", "抖音"), ("HUOSHAN", "火山")]
)
def test_whoever_enters_the_code_that_was_sent_to_the_account_binds_it(
    office: Office, platform: str, label: str
) -> None:
    """BND-6, BND-7"""
    office.open_shop()
    case = ask_channel(office, "tt-1", platform=platform)
    assert office.case(case.id).state is CaseState.PENDING_CODE
    enter(office, case)
    assert office.case(case.id).outcome is CaseState.BOUND
    assert office.told(case) == ["channel_code_sent", "account_bound"]
    assert office.message("account_bound")["platform"] == label
    (shown,) = shop_accounts("shop-1").accounts
    assert (shown.kind, shown.platform) == ("CHANNEL", platform)
    assert shown.unbind_from == shown.bound_at + timedelta(days=180)
    assert office.books() == [] == office.chains()


def test_a_wrong_code_costs_a_try_and_says_how_many_are_left(office: Office) -> None:
    """BND-7"""
    office.open_shop()
    case = ask_channel(office)
    for _ in range(2):
        enter(office, case, wrong(office, case))
    said = office.events("account.code.checked")
    assert [(one["right"], one["tries_left"], one["codes_left"]) for one in said] == [(False, 4, 2), (False, 3, 2)]
    enter(office, case)
    assert office.case(case.id).outcome is CaseState.BOUND


def test_the_same_wrong_message_twice_costs_one_try(office: Office) -> None:
    office.open_shop()
    case = ask_channel(office)
    for _ in range(2):
        enter(office, case, wrong(office, case), "wrong-1")
    assert [one["tries_left"] for one in office.events("account.code.checked")] == [4]


def test_after_five_wrong_ones_the_right_one_counts_no_more(office: Office) -> None:
    office.open_shop()
    case = ask_channel(office)
    for _ in range(5):
        enter(office, case, wrong(office, case))
    enter(office, case)
    assert office.refusals()[-1] == ("BND-7", "该验证码错误次数已用完,请重新获取")
    assert office.case(case.id).concluded_at is None


@pytest.mark.both
def test_two_wrong_ones_at_once_cost_two_tries(office: Office) -> None:
    """BND-7"""
    office.open_shop()
    case = ask_channel(office)
    for _ in range(4):
        office.receive("account.code_entered", office._from_owner(case) | {"code": wrong(office, case)})
    with reading() as tx:
        waiting = list(tx.exec(select(InboxMessage.id).where(InboxMessage.state == InboxState.NEW)))
    at_once(partial(routing._route, number or 0, routing.handle) for number in waiting)
    office.settle()
    with reading() as tx:
        assert tx.exec(select(BindingCode.tries)).one() == 4
    assert sorted(one["tries_left"] for one in office.events("account.code.checked")) == [1, 2, 3, 4]


def test_only_the_newest_code_counts(office: Office) -> None:
    office.open_shop()
    case = ask_channel(office)
    office.clock.advance(timedelta(seconds=60))
    ask_code(office, case)
    first, second = codes(office, case)
    if first != second:
        enter(office, case, first)
        assert office.case(case.id).concluded_at is None
    enter(office, case, second)
    assert office.case(case.id).outcome is CaseState.BOUND


@pytest.mark.parametrize(("seconds", "sent"), [(-1, 1), (0, 2), (1, 2)])
def test_a_minute_lies_between_two_codes(office: Office, seconds: int, sent: int) -> None:
    office.open_shop()
    case = ask_channel(office)
    with reading() as tx:
        first = tx.exec(select(BindingCode)).one()
    office.clock.at = first.sent_at + timedelta(seconds=60 + seconds)
    ask_code(office, case)
    assert len(codes(office, case)) == sent


@pytest.mark.parametrize(("seconds", "bound"), [(-1, True), (0, True), (1, False)])
def test_a_code_is_good_to_its_last_second(office: Office, seconds: int, bound: bool) -> None:
    office.open_shop()
    case = ask_channel(office)
    with reading() as tx:
        expires = tx.exec(select(BindingCode.expires_at)).one()
    office.clock.at = expires + timedelta(seconds=seconds)
    office.receive("account.code_entered", office._from_owner(case) | {"code": codes(office, case)[0]})
    office.clock.advance(timedelta(minutes=20))
    office.settle()
    assert (office.case(case.id).outcome is CaseState.BOUND) is bound
    if not bound:
        assert office.refusals()[-1] == ("BND-7", "验证码已过期,请重新获取")
        ask_code(office, case)
        enter(office, case)
        assert office.case(case.id).outcome is CaseState.BOUND


def test_three_codes_and_every_try_used_up_end_it_and_the_merchant_is_told(office: Office) -> None:
    office.open_shop()
    case = ask_channel(office)
    for number in range(3):
        if number:
            office.clock.advance(timedelta(seconds=61))
            ask_code(office, case)
        for _ in range(5):
            enter(office, case, wrong(office, case))
    assert office.case(case.id).outcome is CaseState.REFUSED
    assert "错误次数已用完" in office.message("binding_ended")["why"]
    assert row(case).bound_at is None


def test_a_fourth_code_is_refused(office: Office) -> None:
    office.open_shop()
    case = ask_channel(office)
    for _ in range(3):
        office.clock.advance(timedelta(seconds=61))
        ask_code(office, case)
    assert len(codes(office, case)) == 3
    assert "最多获取 3 个" in office.refusals()[-1][1]


def test_an_account_gets_ten_codes_a_day_whoever_asks(office: Office) -> None:
    office.open_shop()
    office.open_shop("shop-2")
    for number in range(10):
        case = ask_channel(office, shop_id=f"shop-{number % 2 + 1}")
        office.send("account.binding_withdrawn", office._from_owner(case))
    last = ask_channel(office)
    assert (office.case(last.id).outcome, office.case(last.id).outcome_clause) == ("REFUSED", "BND-7")
    office.clock.advance(timedelta(hours=24))
    assert office.case(channel(office).id).outcome is CaseState.BOUND


def test_silence_ends_it(office: Office) -> None:
    office.open_shop()
    case = ask_channel(office)
    office.clock.at = office.deadline(case, CODE).due_at + SILENCE
    office.sweep()
    assert office.case(case.id).outcome is CaseState.LAPSED
    enter(office, case)
    assert "已办结" in office.refusals()[-1][1]
    with reading() as tx:
        assert tx.exec(select(BindingCode.code_sealed)).all() == [""]


def test_only_the_owner_enters_the_code(office: Office) -> None:
    office.open_shop()
    case = ask_channel(office)
    office.send(
        "account.code_entered",
        {
            "shop_id": "shop-1",
            "account_id": "acct-9",
            "case_id": case.id,
            "code": codes(office, case)[0],
        },
    )
    assert office.case(case.id).concluded_at is None and office.refusals()[-1][0] == "BND-7"


# ── five at most ─────────────────────────────────────────────────────────────


def test_a_sixth_channel_is_refused_and_after_one_left_there_is_room(office: Office) -> None:
    """BND-5"""
    five(office)
    sixth = ask_channel(office, "tt-5")
    assert (office.case(sixth.id).outcome, office.case(sixth.id).outcome_clause) == ("REFUSED", "BND-5")
    assert "最多绑定 5 个" in office.message("binding_refused")["grounds"][0]["sentence"]
    office.clock.advance(timedelta(days=181))
    unbind_channel(office, "tt-2")
    assert channel(office, "tt-5").outcome is CaseState.BOUND
    with reading() as tx:
        places = tx.exec(
            select(Binding.place).where(col(Binding.ended_at).is_(None), col(Binding.bound_at).is_not(None))
        )
        assert sorted(place or 0 for place in places) == [1, 2, 3, 4, 5]


@pytest.mark.both
def test_when_two_finish_at_once_one_of_them_is_the_fifth(office: Office) -> None:
    """BND-5"""
    office.open_shop()
    for number in range(4):
        channel(office, f"tt-{number}")
    two = [ask_channel(office, "tt-a"), ask_channel(office, "tt-b")]

    for case in two:
        answered(case, CODE)
    assert at_once(partial(steps.bind, case.id) for case in two) == []
    assert sorted(str(office.case(case.id).outcome) for case in two) == ["BOUND", "REFUSED"]
    assert len(shop_accounts("shop-1").accounts) == 5


@pytest.mark.both
def test_the_database_itself_refuses_two_in_one_place(office: Office) -> None:
    office.open_shop()
    channel(office, "tt-1")
    channel(office, "tt-2")
    with pytest.raises(IntegrityError):
        in_transaction(lambda tx: tx.execute(text("UPDATE binding SET place = 1")))


def test_an_account_is_the_channel_of_one_shop(office: Office) -> None:
    office.open_shop()
    office.open_shop("shop-2")
    channel(office)
    other, again = ask_channel(office, shop_id="shop-2"), ask_channel(office)
    assert [office.case(case.id).outcome_clause for case in (other, again)] == ["BND-5", "BND-5"]
    assert channel(office, shop_id="shop-2", platform="HUOSHAN").outcome is CaseState.BOUND


# ── letting go ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("seconds", "leaves"), [(-1, False), (0, True), (1, True)])
def test_a_channel_is_let_go_from_180_times_24_hours_on(office: Office, seconds: int, leaves: bool) -> None:
    """BND-8"""
    office.clock.at = datetime(2026, 1, 1, 1, 0, tzinfo=UTC)
    office.open_shop()
    case = ask_channel(office)
    office.clock.at = datetime(2026, 1, 1, 2, 0, tzinfo=UTC)  # 2026-01-01 10:00:00 in Beijing
    ask_code(office, case)
    enter(office, case)
    office.clock.at = datetime(2026, 6, 30, 2, 0, tzinfo=UTC) + timedelta(seconds=seconds)
    unbind_channel(office)
    assert (row(case).ended_at is not None) is leaves
    if leaves:
        assert office.message("account_unbound")["rule"] == "BND-8"
        assert office.events("account.unbound")[0]["how"] == "UNBOUND"
        assert shop_accounts("shop-1").accounts == ()
    else:
        assert office.refusals()[-1][0] == "BND-8"
        told = office.message("unbinding_refused")
        assert "最早为 2026-06-30 10:00:00(北京时间)" in told["grounds"][0]["sentence"] and told["objection"]


def test_who_is_let_go_twice_is_told_and_ends_once(office: Office) -> None:
    office.open_shop()
    channel(office)
    office.clock.advance(timedelta(days=200))
    unbind_channel(office)
    unbind_channel(office)
    assert len(office.events("account.unbound")) == 1
    assert "不是本店绑定的渠道号" in office.refusals()[-1][1]


def test_nobody_lets_go_of_another_shops_channel(office: Office) -> None:
    office.open_shop()
    office.open_shop("shop-2")
    channel(office)
    office.clock.advance(timedelta(days=200))
    unbind_channel(office, shop_id="shop-2", account_id="acct-shop-2")
    unbind_channel(office, account_id="acct-9")
    assert len(office.refusals()) == 2 and office.events("account.unbound") == []


# ── secrecy ──────────────────────────────────────────────────────────────────


def everything_in_the_clear(case_id: str, caplog: pytest.LogCaptureFixture) -> str:
    """Every column of every table, every page and letter that people and the merchant read, every log line."""
    found = []
    with reading() as tx:
        for table in SQLModel.metadata.sorted_tables:
            for line in tx.execute(sql_select(table)).mappings():
                found += [json.dumps(value, ensure_ascii=False, default=str) for value in line.values()]
        found += [page.text for page in board(tx).pages]
    found.append(merchant_view(case_id).model_dump_json())
    found.append(case_dossier(case_id).model_dump_json())
    found.append(dispute_file(case_dossier(case_id)))
    found += [record.getMessage() for record in caplog.records]
    assert len(found) > 700
    return "\n".join(found)


def shown(sent: list[str], where: str) -> list[str]:
    """Codes that stand there by themselves: six digits inside a hash or a sealed value are chance."""
    return [code for code in sent if re.search(rf"(?<![0-9A-Za-z_.=+/-]){code}(?![0-9A-Za-z_=+/-])", where)]


def test_a_code_is_nowhere_in_the_clear_before_or_after_it_was_entered(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """BND-7"""
    caplog.set_level(logging.DEBUG)
    folder = folder_url(tmp_path / "told", quiet=True)
    delivery.use_notifier(AppriseNotifier({"staff": [folder], "merchant": [folder]}))
    office.open_shop(contacts=["dianwufolder:///owner@example.com"])
    case = ask_channel(office)
    enter(office, case, wrong(office, case))
    office.clock.advance(timedelta(seconds=61))
    ask_code(office, case)
    sent = codes(office, case)
    before = everything_in_the_clear(case.id, caplog)
    assert shown(sent, before) == []
    enter(office, case)
    after = everything_in_the_clear(case.id, caplog)
    assert shown(sent, after) == []
    for channel_ in (Channel.MERCHANT, Channel.STAFF):
        for one in office.outbox(channel_):
            assert one.topic != "account.code.issued"
    others = {one.topic for one in office.outbox(Channel.EVENT)} - {"account.code.issued"}
    said = json.dumps([office.events(topic) for topic in others], ensure_ascii=False)
    assert shown(sent, said) == []
    letters = [file for file in (tmp_path / "told").rglob("*") if file.is_file()]
    assert len(letters) >= 3
    assert [file.name for file in letters if shown(sent, file.read_text(encoding="utf-8"))] == []
    assert shown(sent, f'x "{sent[0]}" y') == [sent[0]], "the search finds what is there"


def test_values_that_hold_a_code_do_not_print_it() -> None:
    from models.channel_events import CodeEntered, CodeIssued

    entered = CodeEntered(shop_id="s", account_id="a", case_id="c", code="４０２ ９１７")
    assert entered.code == "402917"
    assert "402917" not in repr(entered) + repr(CodeIssued.model_validate(CodeIssued.EXAMPLE))
