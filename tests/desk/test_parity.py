"""One judge, three faces: whatever is refused is refused with the same sentence in the form, at the terminal and at the desk."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from desk import question
from models.cases import Case
from models.reviews import Review
from office.base.db import Tx, in_transaction
from office.cases import appointing, confirmations, hands, later, objections
from office.cases.gates import Outcome
from office.staff import staff
from policies.policy import policy, use_policies
from tests.desk.seat import Seat
from tests.play import Office

NewOffice = Callable[..., Office]
Nothing = Callable[[Office, Review], None]


def nothing(office: Office, review: Review) -> None:
    """Between looking and answering."""


def closure(office: Office) -> Case:
    office.open_shop()
    return office.request_closure()


def refund(office: Office) -> Case:
    office.closed_shop()
    return office.request_refund()


def bare_refund(office: Office) -> Case:
    office.closed_shop()
    return office.request_refund(staged=False)


def second(office: Office) -> Case:
    """A refund so large that a second person looks at what the first has decided."""
    office.open_shop(deposit_fen=2_000_000)
    office.decide(office.request_closure(), "li-na", "APPROVE")
    office.snapshot()
    case = office.request_refund(fen=2_000_000)
    office.decide(case, "wang-fang", "APPROVE")
    return case


def spend(office: Office, review: Review) -> None:
    """The code that is about to be used is used elsewhere."""
    code = office.code("li-na")
    assert in_transaction(lambda tx: staff.prove(tx, "li-na", code)).ok
    office.last = code  # type: ignore[attr-defined]


def claim(office: Office, review: Review) -> None:
    code = office.code("zhao-min")
    assert in_transaction(lambda tx: hands.claim(tx, review.id, "zhao-min", code)).accepted


def object_to_the_first(office: Office, review: Review) -> None:
    assert office.object_to(office.reviews(office.case(review.case_id))[0], "wang-fang").accepted


@dataclass(frozen=True)
class Refused:
    """An answer that is not taken: to what, by whom, what they say, and what happens while they look."""

    why: str
    ask: Callable[[Office], Case] = closure
    who: str = "li-na"
    verdict: str = "APPROVE"
    reason: str = ""
    code: Callable[[Office], str] | None = None
    meanwhile: Nothing = nothing
    rules: dict[str, Any] = field(default_factory=dict)
    """What policy says of decisions, other than usual."""

    @contextmanager
    def under_its_rules(self) -> Iterator[None]:
        published = policy("2026-01-01")
        decisions = published.decisions.model_copy(update=self.rules)
        use_policies(published.model_copy(update={"decisions": decisions}))
        yield
        use_policies()


REFUSALS = [
    Refused("您没有处理此任务的岗位权限", who="wang-fang"),
    Refused("动态口令不正确", code=lambda office: "000000"),
    Refused("该动态口令已使用过", code=lambda office: office.last, meanwhile=spend),  # type: ignore[attr-defined]
    Refused("没有填写动态口令", ask=refund, who="wang-fang", code=lambda office: ""),
    Refused("必须填写理由", verdict="REJECT"),
    Refused("请选择一个结论", verdict="WHATEVER"),
    Refused("字", verdict="REJECT", reason="很长的理由" * 500),
    Refused("您看到的内容已过期", meanwhile=lambda office, review: office.snapshot(open_orders=2)),
    Refused(
        "该任务已由 赵敏 处理完毕",
        meanwhile=lambda office, review: office.decide(review.case_id, "zhao-min", "APPROVE"),
    ),
    Refused("该任务已撤回或失效", meanwhile=lambda office, review: office.withdraw(office.case(review.case_id))),
    Refused(
        "该任务已由 赵敏 认领",
        meanwhile=claim,
    ),
    Refused("须由另一人处理", ask=second, who="wang-fang", verdict="CONFIRM"),
    Refused("还没有看完材料", ask=refund, who="wang-fang", rules={"papers_first": ("refund-review",)}),
    Refused("须在工作台用通行密钥签名", rules={"signed_only": ("closure-review",)}),
    Refused("本案有决定被提出异议", ask=second, who="chen-jie", verdict="CONFIRM", meanwhile=object_to_the_first),
    Refused("没有收到", ask=bare_refund, who="wang-fang"),
]


def told_in_the_form(office: Office, given: Refused) -> str:
    review = office.question(given.ask(office))
    given.meanwhile(office, review)
    code = given.code(office) if given.code else None
    return office.fill_in(review, given.who, given.verdict, given.reason, code).sentence


def told_at_the_terminal(office: Office, given: Refused) -> str:
    review = office.question(given.ask(office))
    given.meanwhile(office, review)
    code = given.code(office) if given.code else None
    return office.answer(review, given.who, given.verdict, given.reason, code).sentence


def told_at_the_desk(office: Office, given: Refused) -> str:
    case = given.ask(office)
    who = Seat(office, given.who)
    who.log_in()
    review = office.question(case)
    form = who.see(f"/r/{review.id}").form("/decide")
    given.meanwhile(office, review)
    code = given.code(office) if given.code else office.code(given.who)
    answer = {"verdict": given.verdict, "reason": given.reason, "code": code}
    page = who.send(form.action, form.values | answer)
    assert page.status == 422
    return html.unescape(page.html.partition('id="refused"><h2>未采纳</h2><p>')[2].partition("</p>")[0])


@pytest.mark.parametrize("given", REFUSALS, ids=lambda given: given.why)
def test_a_refusal_is_the_same_sentence_wherever_the_answer_was_given(new_office: NewOffice, given: Refused) -> None:
    faces = (told_in_the_form, told_at_the_terminal, told_at_the_desk)
    with given.under_its_rules():
        told = [re.sub(r"EV-\d+-\w+", "EV-…", face(new_office(), given)) for face in faces]
    assert given.why in told[0]
    assert told[1:] == told[:1] * 2


# ── what is done about a question besides deciding it ──

Verb = Callable[[Tx, str, str], Outcome]
ACTS: dict[str, tuple[str, Nothing, Verb]] = {
    "claim": ("该任务已由 赵敏 认领", claim, lambda tx, one, code: hands.claim(tx, one, "li-na", code)),
    "release": ("只有认领人或主管可以释放", claim, lambda tx, one, code: hands.release(tx, one, "li-na", code)),
    "later": ("请选择一个将来的时间", nothing, lambda tx, one, code: later.put_off(tx, one, "li-na", tx.now, code)),
    "take-up": ("该任务没有被推后", nothing, lambda tx, one, code: later.take_up(tx, one, "li-na", code)),
    "reassign": (
        "只有主管可以改派任务",
        nothing,
        lambda tx, one, code: hands.reassign(tx, one, "zhao-min", "li-na", code),
    ),
    "appoint": ("只有主管", nothing, lambda tx, one, code: appointing.appoint(tx, one, "zhao-min", "li-na", code)),
    "confirm": ("没有待", nothing, lambda tx, one, code: confirmations.confirm(tx, one, "li-na", code)),
    "object": ("", nothing, lambda tx, one, code: objections.dispute(tx, one, "li-na", code, "不是我")),
}


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_refused_with_the_same_sentence_at_the_terminal_and_at_the_desk(office: Office, act: str) -> None:
    why, meanwhile, verb = ACTS[act]
    review, who = office.question(closure(office)), Seat(office, "li-na")
    who.log_in()
    form = who.see(f"/r/{review.id}").form("/decide").values
    meanwhile(office, review)
    code = office.code("li-na")
    told = in_transaction(lambda tx: verb(tx, review.id, code))
    given = {"act": form["act"], "later": "no such time", "to": "zhao-min", "words": "不是我"}
    page = who.send(f"/r/{review.id}/{act}", given | {"code": office.code("li-na")})
    assert not told.accepted and why in told.sentence and page.status == 422
    assert told.sentence == html.unescape(
        page.html.partition('id="refused"><h2>未采纳</h2><p>')[2].partition("</p>")[0]
    )


def test_every_act_of_the_desk_is_among_them() -> None:
    assert {*ACTS} == {*question.ACTS}
