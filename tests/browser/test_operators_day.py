"""The operator's day in Prefect's two interfaces: find the case, read, be turned away with a reason, decide."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from playwright.sync_api import expect
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.client.schemas.objects import State

from models.cases import Case
from models.reviews import Review, ReviewState, Role
from office.base.db import Tx, in_transaction
from office.cases.links import board_key
from office.runs import engine
from ops.rehearsal import Rehearsal
from ops.scenes.openings import Application
from ops.scenes.settlements import SettlementScene
from ops.scenes.stage import ask_to_close, close, register
from policies.policy import SHANGHAI
from tasks.invoicing import periods
from tasks.sight import queue
from tests.browser.conftest import KEEP
from tests.browser.faces import Face, NotTaken

pytestmark = [pytest.mark.browser]

HOSTILE = "<script>alert(1)</script> **粗** {{7*7}} [点这里](http://evil.example)" if not KEEP else ""
"""What a merchant could write; every character of it is to be read, none of it to be obeyed. Not in pictures."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Question:
    """What waits for a person, how they answer, and how one sees that the case went on."""

    case_id: str
    gate: str
    staff_id: str
    role: str
    verdict: str
    reason: str
    reads: tuple[str, ...]
    """Sentences the dossier must say."""
    then: str
    """The state of the case afterwards."""


def _shop() -> str:
    return f"shop-b{next(_numbers)}"


def a_closure(stage: Rehearsal) -> Question:
    """A shop with three open orders wants to close: the reviewer's word goes to the supervisor."""
    shop = _shop()
    register(stage, shop, "晨光文具", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
    stage.snapshot(shop, open_orders=3)
    return Question(
        ask_to_close(stage, shop, f"转做线下门店{HOSTILE}"),
        "closure-review",
        "li-na",
        "关店审核员",
        "同意关店",
        "剩余订单正在发货",
        ("还有 3 笔订单未完成", "同意关店须填写理由", HOSTILE, "逐项关闭店铺能力"),
        "SECOND_REVIEW",
    )


def a_refund(stage: Rehearsal) -> Question:
    """A closed shop asks for its deposit; the bank then pays it."""
    shop, named = _shop(), "青禾服饰" if KEEP else f"青禾 {HOSTILE}"
    register(stage, shop, named, "INDIVIDUAL_BUSINESS", 200_000, "ALIPAY", "owner-5678")
    close(stage, shop, "li-na")
    papers = ("BUSINESS_LICENCE", "IDENTITY_CARD", "ACCOUNT_PROOF")
    stage.send(
        "refund.requested",
        {
            "shop_id": shop,
            "account_id": f"acct-{shop}",
            "amount_fen": 200_000,
            "payee": {"method": "ALIPAY", "name": "林晓", "account_no": "owner-5678"},
            "documents": [stage.document(shop, f"{kind}.pdf", f"%PDF-1.7 {kind}".encode(), kind) for kind in papers],
        },
    )
    return Question(
        stage.case_of(shop, "refund"),
        "refund-review",
        "wang-fang",
        "财务",
        "同意退还",
        "",
        ("同意后将退还 ¥2,000.00", "支付宝 尾号 5678", named),
        "REFUNDED",
    )


def an_appeal(stage: Rehearsal) -> Question:
    """A merchant appeals against a ruling with one proof that they shipped in time."""
    shop = _shop()
    register(stage, shop, "星河数码", "ENTERPRISE", 400_000, "BANK", "3301040160000121234")
    stage.send(
        "ruling.effective",
        {
            "shop_id": shop,
            "ruling_id": f"rul-{shop}",
            "arbitration_id": f"arb-{shop}",
            "order_id": "order-88",
            "aftersale_id": f"as-{shop}",
            "effective_at": stage.now().isoformat(),
            "conclusion": "MERCHANT_LIABLE",
            "decided": "商家未能证明按时发货,判定商家责任。",
            "buyer_account": f"十天未收到货。{HOSTILE}",
            "merchant_account": "已发货。",
            "ruled_by": "zhou-yan",
            "points": 2,
            "deduction_fen": 20_000,
        },
    )
    proof = stage.upload(shop, "揽收记录 <b>.png", b"\x89PNG\r\n\x1a\n" + shop.encode())
    stage.send(
        "appeal.filed",
        {
            "shop_id": shop,
            "account_id": f"acct-{shop}",
            "ruling_id": f"rul-{shop}",
            "reason": "SHIPPED_IN_TIME",
            "statement": f"已按时发货,请复核。{HOSTILE}",
            "evidence": [{"id": proof, "kind": "LOGISTICS"}],
        },
    )
    return Question(
        stage.case_of(shop, "appeal"),
        "appeal-review",
        "sun-lei",
        "仲裁员",
        "申诉不成立",
        "揽收时间晚于承诺时间",
        ("揽收记录", "商家未能证明按时发货", HOSTILE),
        "DISMISSED",
    )


def a_month(stage: Rehearsal) -> Question:
    """Last month's statements wait for finance. A month is released once, so each face gets its own."""
    shop = _shop()
    register(stage, shop, "云上百货", "ENTERPRISE", 400_000, "BANK", "3301040160000121234", uscc="91330226MA2AB1C2D8")
    last = stage.now().astimezone(SHANGHAI).replace(day=1) - timedelta(days=1)
    opened = set(stage.read(lambda tx: [case.request["period"] for case in _cases(tx, "monthly-invoicing")]))
    while f"{last:%Y-%m}" in opened:
        last = last.replace(day=1) - timedelta(days=1)
    item = {
        "item_id": f"sub-{shop}",
        "shop_id": shop,
        "category": "COUPON",
        "amount_fen": 9_000,
        "settled_at": last.isoformat(),
        "description": "平台补贴",
    }
    stage.send("billables.recorded", {"batch_id": f"batch-{shop}", "items": [item]})
    stage.wait(lambda: stage.read(lambda tx: _billed(tx, shop)), "the items are recorded")
    case = in_transaction(lambda tx: periods.open_month(tx, f"{last:%Y-%m}").id)
    return Question(
        case,
        "invoicing-release",
        "wang-fang",
        "财务",
        "放行出账",
        "",
        ("控制总数", "¥90.00", "给每份账单编号"),
        "ISSUED",
    )


def an_invoice(stage: Rehearsal) -> Question:
    """An invoice in another buyer's name waits for the clerk, who sends it back."""
    shop = _shop()
    register(stage, shop, "云上百货", "ENTERPRISE", 400_000, "BANK", "3301040160000121234", uscc="91330226MA2AB1C2D8")
    tax = (9_000 * 6 * 2 + 106) // 212
    net = 9_000 - tax
    stage.send(
        "invoice.submitted",
        {
            "shop_id": shop,
            "account_id": f"acct-{shop}",
            "number": f"26{next(_numbers):018d}",
            "kind": "SPECIAL",
            "issued_on": f"{stage.now().astimezone(SHANGHAI):%Y-%m-%d}",
            "buyer_name": f"另一家公司{HOSTILE}",
            "buyer_tax_no": "91110000600037341L",
            "seller_name": "宁波云上百货有限公司",
            "seller_tax_no": "91330226MA2AB1C2D8",
            "net_fen": net,
            "tax_fen": tax,
            "gross_fen": 9_000,
            "lines": [
                {
                    "name": f"*现代服务*推广费{HOSTILE}",
                    "content": "SERVICE",
                    "net_fen": net,
                    "tax_fen": tax,
                    "rate": "6",
                }
            ],
            "documents": [stage.document(shop, "发票.pdf", b"%PDF-1.7 invoice")],
        },
    )
    return Question(
        stage.case_of(shop, "invoice-review"),
        "invoice-review",
        "xu-jing",
        "开票专员",
        "退回更正",
        "购买方名称有误",
        ("另一家公司", "推广费", HOSTILE, "价税合计"),
        "RETURNED",
    )


def an_opening(stage: Rehearsal) -> Question:
    """A person's application waits for its entity review."""
    merchant = Application(stage, f"shop-b{1000 + next(_numbers)}", "小满厨房", "PERSON")
    merchant.apply()
    merchant.materials()
    return Question(
        merchant.case,
        "opening-entity",
        "tang-yu",
        "入驻审核员",
        "驳回申请",
        "商品资料与类目不符",
        ("商家提交的信息", "小满厨房"),
        "REJECTED",
    )


def a_half(stage: Rehearsal) -> Question:
    """Half a month of settlement waits for finance: arrears, a hold, an after-sale that goes on."""
    scene = SettlementScene(stage)
    scene.set_up()
    return Question(
        scene.cases()[0],
        "settlement-release",
        "chen-jie",
        "财务",
        "放行结算",
        "",
        ("控制总数", "抵扣欠款"),
        "SETTLED",
    )


def _run_of(stage: Rehearsal, case_id: str) -> State:
    """In which state the case's run is."""
    state = engine.client().read_flow_run(UUID(str(stage.read(lambda tx: tx.get_one(Case, case_id).run_id)))).state
    assert state is not None
    return state


def _hung(role: Role) -> str:
    """What the role's page in Prefect says now."""
    named = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[board_key(role)]))
    return "".join(str(page.data) for page in engine.client().read_latest_artifacts(artifact_filter=named))


def _cases(tx: Tx, kind: str) -> list[Case]:
    from sqlmodel import select

    return list(tx.exec(select(Case).where(Case.kind == kind)))


def _billed(tx: Tx, shop_id: str) -> bool:
    from sqlmodel import select

    from models.invoicing import BillableItem

    return tx.exec(select(BillableItem.id).where(BillableItem.shop_id == shop_id)).first() is not None


QUESTIONS: dict[str, Callable[[Rehearsal], Question]] = {
    "closure": a_closure,
    "refund": a_refund,
    "appeal": an_appeal,
    "month": a_month,
    "invoice": an_invoice,
    "opening": an_opening,
}


PICTURED: dict[str, Callable[[Rehearsal], Question]] = {"half": a_half} if KEEP else {}
"""Asked only for the guide's pictures: the shape of its form is that of another."""


def review_of(stage: Rehearsal, question: Question) -> Review:
    def found(tx: Tx) -> Review:
        from sqlmodel import select

        query = select(Review).where(Review.case_id == question.case_id, Review.gate == question.gate)
        review = tx.exec(query).one()
        tx.expunge(review)
        return review

    review: Review = stage.read(found)
    return review


def shown_on(face: str, kind: str) -> Any:
    """On each face every *shape* of a form with every change, every question at night."""
    marks = [] if kind in SHAPES or kind in PICTURED else [pytest.mark.nightly]
    return pytest.param(face, kind, marks=marks, id=f"{face}-{kind}")


SHAPES = {"closure": "a choice, text areas, and after it a check box", "appeal": "links", "month": "fields of its own"}
"""One question for each shape a form has."""


@pytest.mark.parametrize(
    ("face", "kind"),
    [shown_on(face, kind) for face in ("v2", "v1") for kind in QUESTIONS] + [shown_on("v2", kind) for kind in PICTURED],
    indirect=["face"],
)
def test_the_case_is_found_read_refused_with_a_reason_and_decided(stage: Rehearsal, face: Face, kind: str) -> None:
    alerts: list[str] = []

    def code() -> str:
        return stage.code(question.staff_id)

    face.page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    question = (QUESTIONS | PICTURED)[kind](stage)
    stage.asks(question.case_id, question.gate)

    face.list_suspended()
    row = face.row(question.case_id)
    expect(row).to_contain_text("Suspended")
    expect(row).to_contain_text(f"岗位:{question.role}")
    face.open_run(question.case_id)

    form = face.open_form()
    for sentence in filter(None, question.reads):
        expect(form).to_contain_text(re.compile(re.escape(sentence).replace(":", ":\u2060?")))
    expect(form.locator("script, a[href*='evil']")).to_have_count(0)
    for title in form.get_by_text("(Optional)").all():
        expect(title).not_to_contain_text("理由")  # some verdict asks for one
    face.shoot("resume-form" if kind == "closure" else f"{kind}-form")

    send(face, question, lambda: "000000")
    stage.wait(lambda: review_of(stage, question).attempt > 1, "the wrong code was judged")
    stage.asks(question.case_id, question.gate)
    face.page.reload()
    form = face.open_form()
    expect(form).to_contain_text(re.compile("⚠️.*动态口令不正确"))
    if kind == "closure":
        face.shoot("wrong-code")
        send(face, replace(question, reason="\u200b\u200b"), code)
        stage.wait(lambda: review_of(stage, question).attempt > 2, "a reason without a word was judged")
        stage.asks(question.case_id, question.gate)
        face.page.reload()
        expect(face.open_form()).to_contain_text(re.compile("⚠️.*理由"))
        face.still_holds(question.verdict)  # it was proved to be theirs

    send(face, question, code)
    stage.wait(lambda: review_of(stage, question).state is ReviewState.DECIDED, "the decision is recorded")
    assert review_of(stage, question).decided_by == question.staff_id
    stage.state(question.case_id, question.then)
    assert alerts == []
    if question.then == "SECOND_REVIEW":
        stage.asks(question.case_id, "closure-override")
        face.page.reload()
        form = face.open_form()
        expect(form).to_contain_text("主管")
        expect(form).to_contain_text("剩余订单正在发货")
    else:
        stage.wait(lambda: _run_of(stage, question.case_id).is_completed(), "its run is over")
        face.page.reload()
        expect(face.header()).to_contain_text("Completed")
        if kind == "refund":
            face.shoot("case-completed")


def send(face: Face, question: Question, code: Callable[[], str]) -> None:
    """Fill the form in and send it. On a busy machine Prefect's page has been seen to send nothing when its button was pressed, and
    its server to be too busy; a person then looks at the form and writes once more, with the code that is shown by then."""
    for again in (True, True, False):
        answer(face, question, code())
        try:
            return face.submit()
        except NotTaken:
            if not again:
                raise


def answer(face: Face, question: Question, code: str) -> None:
    face.fill("工号", question.staff_id)
    face.fill("动态口令", code)
    face.choose("结论", question.verdict)
    face.fill("理由", question.reason)


def test_the_queue_hangs_in_prefect_and_leads_to_the_most_urgent_case(stage: Rehearsal, face: Face) -> None:
    asked = a_closure(stage)
    stage.asks(asked.case_id, asked.gate)
    first = stage.read(lambda tx: queue.waiting(tx, Role.CLOSURE_REVIEWER))[0].case_id
    stage.wait(lambda: first in _hung(Role.CLOSURE_REVIEWER), "it hangs there")
    board = face.open_board(Role.CLOSURE_REVIEWER)
    expect(board.get_by_role("link", name=first)).to_be_visible()
    face.shoot("review-inbox")
