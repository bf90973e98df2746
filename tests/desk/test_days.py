"""Days at the desk in real Chromium: the supervisor's, the clerk's, merchant service's, one that is interrupted, and many
signed at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, expect

from models.cases import Case
from models.reviews import ReviewState
from office.base.db import in_transaction, reading
from office.record import audit
from office.staff import passkeys
from tests.appeals.bench import Bench
from tests.browser.conftest import browser
from tests.desk.test_in_chromium import HOSTILE, Window, address, clean, window
from tests.invoicing.kit import DOUBTFUL, billed, invoices, review_of, send_invoice
from tests.play import Office

__all__ = ["address", "browser", "clean", "window"]
pytestmark = pytest.mark.browser


def answer(here: Window, case: Case, key: str, reason: str, note: str = "") -> None:
    """Decide a question by its keys, as its form asks for; ``note`` goes into its own fields."""
    here.open(case)
    here.page.keyboard.press(key)
    fields = here.page.locator("form.answer input[name^='field.'], form.answer textarea[name^='field.']")
    for n in range(fields.count()):
        fields.nth(n).fill(note)
    for choice in here.page.locator("form.answer select[name^='field.']").all():
        choice.select_option(index=1)
    here.reason.fill(reason)
    code = here.page.locator("form.answer input[name=code]")
    if code.count():
        code.fill(here.office.code(here.staff_id))
    before = here.page.url
    here.page.keyboard.press("Control+Enter")
    here.page.wait_for_url(lambda url: url != before)
    here.office.settle()


def test_the_supervisor_hands_work_over_and_overrides(
    office: Office, window: Callable[..., Window], clean: list[Case]
) -> None:
    away, boss, other = window(), window(), window()
    away.log_in("li-na")
    away.open(clean[0])
    away.press("c")
    expect(away.page.get_by_role("button", name="释放")).to_be_visible()
    boss.log_in("he-qiang", "/lead")
    boxes = boss.page.locator(".ticked-rows input")
    expect(boxes).to_have_count(3)
    for n in range(3):
        boxes.nth(n).check()
    questions = boss.page.locator("#questions")
    questions.get_by_label("同事").select_option("zhao-min")
    questions.get_by_label("动态口令").fill("000000")
    questions.get_by_role("button", name="改派所勾选").click()
    expect(boss.page.get_by_role("alert")).to_contain_text("动态口令不正确")
    expect(boxes.nth(1)).to_be_checked()
    questions.get_by_label("动态口令").fill(office.code("he-qiang"))
    boss.shoot("lead")
    questions.get_by_role("button", name="改派所勾选").click()
    expect(questions).to_contain_text("赵敏 认领")
    other.log_in("zhao-min", "/q?view=mine")
    expect(other.page.locator("a.row")).to_have_count(3)
    away.page.keyboard.press("1")
    away.page.keyboard.press("Control+Enter")
    expect(away.page.get_by_role("alert")).to_contain_text("该任务已由 赵敏 认领")

    office.open_shop("shop-9", name=HOSTILE)
    office.snapshot("shop-9", open_orders=3)
    case = office.request_closure("shop-9")
    answer(away, case, "1", "剩余订单正在发货")
    boss.open(case)
    boss.page.locator("form.answer input[type=checkbox]").check()
    answer_here = boss.page.url
    boss.page.keyboard.press("1")
    boss.reason.fill("已核对")
    boss.page.locator("form.answer input[name=code]").fill(office.code("he-qiang"))
    boss.page.keyboard.press("Control+Enter")
    boss.page.wait_for_url(lambda url: url != answer_here)
    office.settle()
    assert [review.decided_by for review in office.reviews(case)] == ["li-na", "he-qiang"]


def test_the_clerk_returns_an_invoice(office: Office, window: Callable[..., Window]) -> None:
    billed(office)
    send_invoice(office, **DOUBTFUL)
    here = window(390, 760)
    here.log_in("xu-jing")
    case = review_of(office)
    here.open(case)
    labels = here.page.locator("label.verdict b").all_inner_texts()
    key = str(next(n for n, text in enumerate(labels, 1) if "退回" in text))
    answer(here, case, key, "购买方名称有误")
    assert invoices()[-1].state == "RETURNED"


def test_arbitrator_and_merchant_service_one_after_the_other(office: Office, window: Callable[..., Window]) -> None:
    bench = Bench(office)
    bench.rule()
    case = bench.file()
    first, second = window(), window(1920, 1000, True)
    first.log_in("zhou-yan")
    first.open(case)
    first.shoot("appeal")
    answer(first, case, "1", "证据充分,判责不成立")
    second.log_in("wu-tao")
    answer(second, case, "1", "商家同意", note="11 月 20 日电话联系林晓,退回保证金")
    assert [review.decided_by for review in office.reviews(case)][:2] == ["zhou-yan", "wu-tao"]


def test_a_session_that_ends_in_the_middle_of_a_form_costs_nothing(
    office: Office, window: Callable[..., Window], clean: list[Case]
) -> None:
    here = window()
    here.page.clock.install()
    here.log_in("li-na")
    here.open(clean[0])
    here.page.keyboard.press("3")
    here.reason.fill("与主体不符")
    ending = here.page.locator(".ending")

    def pass_by(**time: int) -> None:
        office.clock.advance(timedelta(**time))
        here.page.clock.fast_forward(int(timedelta(**time).total_seconds() * 1000))

    expect(here.page.locator(".saved")).to_contain_text("草稿已保存")
    expect(ending).to_be_hidden()
    pass_by(minutes=28, seconds=30)
    expect(ending).to_contain_text("登录将在 2 分钟内过期；已填写的内容会保留。")
    here.shoot("ending")
    here.page.get_by_role("button", name="继续").click()
    expect(ending).to_be_hidden()
    pass_by(minutes=29)
    expect(ending).to_contain_text("登录将在 1 分钟内过期")
    assert office.question(clean[0]).state is ReviewState.PENDING
    pass_by(minutes=2)
    expect(ending).to_contain_text("登录已过期，提交时会请您重新登录")
    here.page.keyboard.press("Control+Enter")
    expect(here.page.get_by_role("alert")).to_contain_text("登录已过期")
    here.shoot("ended")
    here.page.get_by_label("工号").fill("li-na")
    here.page.get_by_label("动态口令").fill(office.code("li-na"))
    here.page.get_by_role("button", name="登录", exact=True).click()
    expect(here.reason).to_have_value("与主体不符")
    assert office.question(clean[0]).state is ReviewState.PENDING


def test_many_are_read_ticked_and_signed_by_one_touch(
    office: Office, window: Callable[..., Window], clean: list[Case]
) -> None:
    here = window()
    verified = here.with_passkeys()
    here.log_in("li-na", "/me")
    word, _ = in_transaction(lambda tx: passkeys.invite(tx, "li-na", "he-qiang", office.code("he-qiang")))
    here.page.get_by_label("邀请码").fill(word)
    here.page.get_by_label("动态口令").fill(office.code("li-na"))
    here.page.get_by_role("button", name="登记通行密钥").click()
    expect(here.page.get_by_role("cell", name="仅在本设备")).to_be_visible()
    here.page.goto(f"{here.address}/q")
    for key in ("j", "x", "j", "x", "b"):
        here.press(key)
    expect(here.page.locator("form.batch .one")).to_have_count(2)
    for _ in range(2):
        here.press("x")
    expect(here.page.locator(".ticked")).to_have_text(" 2 件")
    here.shoot("batch")
    signing = here.page.get_by_role("button", name="签名并决定")
    verified(False)
    signing.click()
    expect(here.page.get_by_role("status")).to_contain_text("未完成签名")
    verified(True)
    signing.click()
    expect(here.page.get_by_role("heading", level=1)).to_have_text("2 件已决定")
    office.settle()
    with reading() as tx:
        proofs = [
            line.detail["proof"]
            for case in clean
            for line in audit.timeline(tx, case.id)
            if line.action == "review.decided"
        ]
    assert proofs == ["signature"] * 2 and office.chains() == []


def test_without_script_everything_but_the_keys_works(
    browser: Browser, office: Office, address: str, clean: list[Case]
) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1366, "height": 640}, locale="zh-CN")
    here = Window(office, context.new_page(), address)
    here.log_in("li-na")
    here.page.get_by_role("link", name="关店审核").first.click()
    here.reason.fill("写到一半")
    here.page.get_by_role("button", name="存草稿").click()
    expect(here.reason).to_have_value("写到一半")
    here.reason.fill("写到一半就过期了")
    here.page.get_by_label("同意关店").check()
    office.clock.advance(timedelta(hours=1))
    here.page.get_by_role("button", name="Ctrl+Enter").click()
    expect(here.page.get_by_role("alert")).to_contain_text("登录已过期")
    here.page.get_by_label("工号").fill("li-na")
    here.page.get_by_label("动态口令").fill(office.code("li-na"))
    here.page.get_by_role("button", name="登录", exact=True).click()
    expect(here.reason).to_have_value("写到一半就过期了")
    expect(here.page.get_by_label("同意关店")).to_be_checked()
    here.page.get_by_role("button", name="Ctrl+Enter").click()
    expect(here.page.get_by_role("main")).to_contain_text("已记录")
    office.settle()
    context.close()
    assert sum(office.reviews(case)[0].verdict == "APPROVE" for case in clean) == 1
