"""主管: what whoever supervises does at the desk, by the very verbs of the terminal, with the very sentences."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest
from sqlmodel import select

from models.audit import AuditEntry
from models.cases import Case
from models.messages import Channel, InboxMessage, InboxState, OutboxMessage, OutboxState
from models.reviews import Review, ReviewState, Role
from office.base.db import Tx, in_transaction, reading
from office.cases import appointing, effects, hands, retrying
from office.cases.gates import Outcome
from office.cases.locks import lock_case
from office.staff import passkeys, staff
from office.staff.guard import Place
from tasks.sight import queue
from tests.desk.seat import Page, Seat, Seats
from tests.desk.test_batch import three
from tests.play import Office

__all__ = ["three"]


def do(who: Seat, act: str, *cases: Case, **given: str) -> Page:
    form = next(one for one in who.see("/lead").forms if one.action == "/lead/unlock")
    taken = {f"take.{who.office.question(case).id}": "1" for case in cases}
    return who.send(f"/lead/{act}", {"act": form.values["act"], "which": "", **taken, **given})


def holders(office: Office, cases: list[Case]) -> list[str | None]:
    return [office.question(case).claimed_by for case in cases]


@pytest.mark.both
def test_several_are_handed_over_by_one_code_each_looked_at_by_itself(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    boss = seat("he-qiang")
    gone = three[1]
    taken = {f"take.{office.question(case).id}": "1" for case in three}
    office.decide(gone, "li-na", "APPROVE")
    act = next(one for one in boss.see("/lead").forms if one.action == "/lead/unlock").values["act"]
    given = {"act": act, "which": "", "to": "zhao-min", "code": office.code("he-qiang"), **taken}
    refused = boss.send("/lead/reassign", given)
    assert refused.status == 422 and "该任务已处理或已失效" in refused.text
    assert holders(office, [three[0], three[2]]) == ["zhao-min"] * 2
    assert [office.trail(case.id).count("review.reassigned") for case in three] == [1, 0, 1]
    again = boss.send("/lead/reassign", given)
    assert again.status == 422, "a code opens once"
    assert [office.trail(case.id).count("review.reassigned") for case in three] == [1, 0, 1]


def test_a_claim_is_released_for_somebody_who_is_not_there(office: Office, seat: Seats, three: list[Case]) -> None:
    code, review = office.code("li-na"), office.question(three[0])
    assert in_transaction(lambda tx: hands.claim(tx, review.id, "li-na", code)).accepted
    boss = seat("he-qiang")
    assert "李娜 认领" in boss.see("/lead?holder=li-na").text
    assert do(boss, "release", three[0]).status == 200
    assert office.question(three[0]).state is ReviewState.PENDING
    assert "该任务当前未被认领" in do(boss, "release", three[0]).text


def test_where_nobody_is_left_somebody_is_appointed(office: Office, seat: Seats, three: list[Case]) -> None:
    office.hire("lin-yi", Role.FINANCE)
    boss = seat("he-qiang")
    for one in ("li-na", "zhao-min"):
        in_transaction(lambda tx, one=one: staff.set_active(tx, one, False))  # type: ignore[misc]
    assert boss.see("/lead?view=stranded").html.count('name="take.') == 3
    assert "请只勾选一件" in do(boss, "appoint", *three, to="lin-yi", code=office.code("he-qiang")).text
    assert "不能任命自己" in do(boss, "appoint", three[0], to="he-qiang", code=office.code("he-qiang")).text
    assert do(boss, "appoint", three[0], to="lin-yi", code=office.code("he-qiang")).status == 200
    assert office.question(three[0]).appointed == ["lin-yi"]


def test_a_colleague_is_unlocked_and_invited_and_the_word_stands_in_no_address(office: Office, seat: Seats) -> None:
    for _ in range(5):
        in_transaction(lambda tx: staff.prove(tx, "li-na", "000000", place=Place.TERMINAL))
    boss = seat("he-qiang")
    assert "口令已锁定" in boss.see("/lead").text
    assert do(boss, "unlock", to="li-na", code=office.code("he-qiang")).status == 200
    assert "口令已锁定" not in boss.see("/lead").text
    page = do(boss, "invite", to="li-na", code=office.code("he-qiang"))
    word = page.html.partition('class="mono word">li-na:')[2].partition("<")[0]
    assert len(word) == 16 and word not in page.address
    seat("li-na")
    assert "请由另一位主管邀请" in do(boss, "invite", to="he-qiang", code=office.code("he-qiang")).text


def test_what_an_objection_halted_goes_on_by_the_supervisors_code_alone(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    office.decide(three[0], "li-na", "APPROVE")
    assert office.object_to(office.reviews(three[0])[0], "li-na").accepted
    boss = seat("he-qiang")
    page = boss.see("/lead")
    assert three[0].id in page.text and '<td>关店审核</td><td class="sum">1</td>' in page.html, "and how long it took"
    in_transaction(lambda tx: effects.stop(tx, lock_case(tx, three[1].id), "批准退款", "决定是驳回"))
    asked = boss.see("/lead").html.split('action="/lead/retry"')[1:]
    assert ['name="code"' in form.partition("</form>")[0] for form in asked] == [True, True]
    assert "没有填写动态口令" in do(boss, "retry", case=three[1].id).text and office.case(three[1].id).halted
    assert "没有填写动态口令" in do(boss, "retry", case=three[0].id).text and office.case(three[0].id).halted
    assert do(boss, "retry", case=three[0].id, code=office.code("he-qiang")).status == 200
    assert office.case(three[0].id).halted is None


def test_nobody_else_does_any_of_it_and_nothing_is_taken_from_elsewhere(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    who, boss = seat("li-na"), seat("he-qiang")
    act = next(one for one in boss.see("/lead").forms if one.action == "/lead/unlock").values["act"]
    review = office.question(three[0])
    given = {"act": act, "to": "zhao-min", f"take.{review.id}": "1"}
    for name in ("reassign", "release", "appoint", "unlock", "invite", "retry", "resend", "hear-again"):
        assert who.send(f"/lead/{name}", given | {"code": office.code("li-na")}).status == 404
    assert "表单已失效" in boss.send("/lead/reassign", given | {"act": "x.y", "code": office.code("he-qiang")}).text
    assert boss.send("/lead/dismiss", given).status == 404
    assert office.question(three[0]).claimed_by is None


@pytest.mark.parametrize(
    ("gaps", "pace"), [([2.0] * 10, 2), ([2.0] * 9, None), ([0.2] * 20, None), ([5.0, 700.0] * 10, 5)]
)
def test_ones_pace_is_what_passes_between_decisions_made_one_after_another(gaps: list[float], pace: int | None) -> None:
    moments = accumulate(gaps, lambda at, gap: at + timedelta(seconds=gap), initial=datetime(2026, 12, 1, tzinfo=UTC))
    found = queue.pace([queue.Done.model_construct(decided_at=at) for at in moments])  # type: ignore[call-arg]
    assert found == (None if pace is None else timedelta(seconds=pace))


# ── the same sentence at the terminal and at the desk ────────────────────────


def reassign(office: Office, review: Review, code: str) -> str:
    return in_transaction(lambda tx: hands.reassign(tx, review.id, "wang-fang", "he-qiang", code)).sentence


def appoint(office: Office, review: Review, code: str) -> str:
    return in_transaction(lambda tx: appointing.appoint(tx, review.id, "wang-fang", "he-qiang", code)).sentence


def unlock(office: Office, review: Review, code: str) -> str:
    return in_transaction(lambda tx: staff.unlock(tx, "wang-fang", "he-qiang", code)).sentence


def invite(office: Office, review: Review, code: str) -> str:
    return in_transaction(lambda tx: passkeys.invite(tx, "wang-fang", "he-qiang", code))[1]


def retry(office: Office, review: Review, code: str) -> str:
    def work(tx: object) -> Outcome:
        return retrying.retry(tx, review.case_id, "he-qiang", code)  # type: ignore[arg-type]

    return in_transaction(work).sentence


SAID: dict[str, Callable[[Office, Review, str], str]] = {
    "reassign": reassign,
    "appoint": appoint,
    "unlock": unlock,
    "invite": invite,
    "retry": retry,
}


@pytest.mark.parametrize("right", [True, False], ids=["a right code", "a wrong code"])
@pytest.mark.parametrize("act", SAID)
def test_a_supervisors_act_is_refused_with_one_sentence_at_the_terminal_and_at_the_desk(
    office: Office, seat: Seats, three: list[Case], act: str, right: bool
) -> None:
    review = office.question(three[0])
    if act == "retry":
        office.decide(three[0], "li-na", "APPROVE")
        office.object_to(office.reviews(three[0])[0], "li-na")
        right = False
    boss = seat("he-qiang")
    told = SAID[act](office, review, office.code("he-qiang") if right else "000000")
    form = next(one for one in boss.see("/lead").forms if one.action == "/lead/unlock")
    given = {"act": form.values["act"], f"take.{review.id}": "1", "to": "wang-fang", "case": review.case_id}
    page = boss.send(f"/lead/{act}", given | {"code": office.code("he-qiang") if right else "000000"})
    if act == "invite" and right:
        assert told == "" and page.status == 200
    else:
        assert told and told in html.unescape(page.html)


def test_the_page_names_the_questions_by_role_person_and_state(office: Office, seat: Seats, three: list[Case]) -> None:
    boss = seat("he-qiang")

    def listed(query: str) -> int:
        return boss.see(f"/lead?{query}").html.count('name="take.')

    assert [listed(one) for one in ("", "role=finance", "view=free", "holder=li-na", "view=stranded")] == [
        3,
        0,
        3,
        0,
        0,
    ]


# ── faults ───────────────────────────────────────────────────────────────────


def test_what_could_not_be_delivered_or_acted_on_is_sent_round_again_and_by_whom_stands_on_record(
    office: Office, seat: Seats, three: list[Case]
) -> None:
    def breaks(tx: Tx) -> None:
        letter = tx.exec(select(OutboxMessage).where(OutboxMessage.channel == Channel.EVENT)).first()
        event = tx.exec(select(InboxMessage)).first()
        assert letter is not None and event is not None
        letter.state, letter.note = OutboxState.DEAD, "对方没有应答"
        event.state, event.note = InboxState.FAILED, "系统故障"
        tx.add_all([letter, event])

    in_transaction(breaks)
    boss = seat("he-qiang")
    page = boss.see("/lead")
    assert "对方没有应答" in page.text and "系统故障" in page.text
    for act, action, stands in (
        ("resend", "outbox.resent", "没有投递失败的消息"),
        ("hear-again", "inbox.retried", "没有处理失败的来信"),
    ):
        form = boss.see("/lead").form(f"/{act}")
        assert "没有勾选任何一件" in boss.send(form.action, form.values).text
        [name] = re.findall(
            r'name="(take\.[^"]+)"', boss.see("/lead").html.partition(f"/lead/{act}")[2].partition("</form>")[0]
        )
        name = html.unescape(name)
        assert stands in boss.send(form.action, form.values | {name: "1"}).text
        with reading() as tx:
            actors = list(tx.exec(select(AuditEntry.actor).where(AuditEntry.action == action)))
        assert actors == ["staff/he-qiang"]
