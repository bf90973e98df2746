"""One proof for several routine questions: each is named by what was shown, checked again and decided by itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from models.confirmations import Weight
from models.reviews import Review, Role
from office.base.clock import clock
from office.base.db import in_transaction, reading
from office.cases import sessions, together, weights
from office.cases.together import Asked, NotTogether, Result
from office.process import office as the_office
from office.record import audit
from office.staff import staff
from policies.policy import Policy, policy_at
from tests.play import Office
from tests.reading import read


@pytest.fixture
def questions(office: Office) -> list[str]:
    """Three clean closures that wait for a reviewer."""
    return [question(office, f"shop-{number}") for number in range(3)]


def question(office: Office, shop_id: str) -> str:
    office.open_shop(shop_id)
    return office.question(office.request_closure(shop_id)).id


def case_of(review_id: str) -> str:
    with reading() as tx:
        found = tx.get(Review, review_id)
        assert found is not None
        return found.case_id


def shown(ids: Sequence[str]) -> list[Asked]:
    with reading() as tx:
        return together.shown(tx, ids)


def decided(office: Office, asked: Sequence[Asked], by: str = "li-na", **proof: str) -> list[Result]:
    proof = proof or {"code": office.code(by)}
    results = together.decide(asked, by, "APPROVE", "材料齐全", **proof)
    office.settle()
    return results


def refused(office: Office, asked: Sequence[Asked], by: str = "li-na", **proof: str) -> str:
    """The sentence with which the whole bundle is refused; nothing in it is decided."""
    with pytest.raises(NotTogether) as refusal:
        decided(office, asked, by, **proof)
    return str(refusal.value)


def test_three_clean_questions_are_decided_by_one_code_each_as_its_own_decision(
    office: Office, questions: list[str]
) -> None:
    asked = shown(questions)
    assert [one.accepted for one in decided(office, asked)] == [True] * 3
    for one in asked:
        case_id = case_of(one.review_id)
        with reading() as tx:
            lines = [line for line in audit.timeline(tx, case_id) if line.action == "review.decided"]
        assert [(line.actor, line.detail["shown_sha256"]) for line in lines] == [("staff/li-na", one.shown_sha256)]
        assert office.case(case_id).state == "CLEARING"
    with reading() as tx:
        (line,) = [line for line in audit.timeline(tx, "staff/li-na") if line.action == "review.bundle"]
    assert line.detail["shown"] == [[one.review_id, one.revision, one.shown_sha256] for one in asked]
    assert office.books() == [] == office.chains()


def test_a_question_whose_facts_have_changed_is_refused_alone_and_the_others_go_on(
    office: Office, questions: list[str]
) -> None:
    asked = shown(questions)
    office.snapshot("shop-1", open_orders=2)
    results = decided(office, asked)
    assert [one.accepted for one in results] == [True, False, True]
    assert "已过期" in results[1].sentence and office.question(case_of(questions[1])).revision == 2


def test_the_code_of_a_bundle_is_spent_and_a_wrong_one_decides_nothing(office: Office, questions: list[str]) -> None:
    code = office.code("li-na")
    assert all(one.accepted for one in decided(office, shown(questions[:2]), code=code))
    assert refused(office, shown(questions[2:]), code=code)
    assert refused(office, shown(questions[2:]), code="000000")
    assert refused(office, shown(questions[2:]), code=" ")
    assert office.question(case_of(questions[2]))


def test_somebody_without_the_role_decides_none_of_them(office: Office, questions: list[str]) -> None:
    results = decided(office, shown(questions), by="wang-fang")
    assert not any(one.accepted for one in results) and "岗位权限" in results[0].sentence


def test_what_has_weight_or_blocks_or_is_of_another_kind_is_never_decided_in_a_bundle(
    office: Office, questions: list[str]
) -> None:
    office.closed_shop("shop-8")
    refund = office.question(office.request_refund("shop-8")).id
    assert "逐个" in refused(office, shown([refund]), by="wang-fang")
    assert "同一种" in refused(office, shown([questions[0], refund]))
    office.open_shop("shop-9")
    office.snapshot("shop-9", open_orders=3)
    blocked = office.question(office.request_closure("shop-9")).id
    assert blocked in refused(office, shown([questions[0], blocked]))
    assert "重复" in refused(office, shown([questions[0], questions[0]]))
    forged = [one.model_copy(update={"review_id": "RV-000000-NOBODY"}) for one in shown(questions[:1])]
    assert "不存在" in refused(office, forged)
    rules = policy_at(office.clock.at).decisions
    routine = {name for name in the_office().gates if weights.weight(name, rules) is Weight.ROUTINE}
    assert not {"refund-review", "refund-second", "closure-override"} & routine


def test_another_dossier_under_the_same_revision_is_not_what_was_shown(office: Office, questions: list[str]) -> None:
    forged = [one.model_copy(update={"shown_sha256": "00" * 32}) for one in shown(questions[:1])]
    (result,) = decided(office, forged)
    assert not result.accepted and "不一致" in result.sentence


def test_the_same_bundle_twice_decides_once(office: Office, questions: list[str]) -> None:
    asked = shown(questions)
    decided(office, asked)
    assert not any(one.accepted for one in decided(office, asked))
    assert office.books() == [] == office.chains()


# ── sessions ──


@pytest.fixture
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy that allows sessions of ten minutes."""

    def with_sessions(at: datetime) -> Policy:
        found = policy_at(at)
        return found.model_copy(update={"staff": found.staff.model_copy(update={"session_minutes": 10})})

    monkeypatch.setattr(sessions, "policy_at", with_sessions)


def opened(office: Office, by: str = "li-na") -> str:
    code = office.code(by)
    word, sentence = in_transaction(lambda tx: sessions.open_session(tx, by, code))
    assert word, sentence
    return word


def test_no_session_is_opened_unless_policy_says_for_how_long(office: Office) -> None:
    code = office.code("li-na")
    word, sentence = in_transaction(lambda tx: sessions.open_session(tx, "li-na", code))
    assert word == "" and "不允许" in sentence


@pytest.mark.parametrize(("seconds", "holds"), [(-1, True), (0, True), (1, False)])
def test_a_session_counts_until_its_last_second(
    office: Office, questions: list[str], allowed: None, seconds: int, holds: bool
) -> None:
    word, began = opened(office), clock().real()
    office.clock.advance(began + timedelta(minutes=10, seconds=seconds) - clock().real())
    if holds:
        assert all(one.accepted for one in decided(office, shown(questions), session=word))
    else:
        assert "会话" in refused(office, shown(questions), session=word)


def test_a_session_is_one_persons_ends_with_their_key_and_never_carries_weight(
    office: Office, questions: list[str], allowed: None
) -> None:
    word = opened(office)
    assert "会话" in refused(office, shown(questions), by="zhao-min", session=word)
    assert "会话" in refused(office, shown(questions), session="guessed")
    office.closed_shop("shop-8")
    refund = office.question(office.request_refund("shop-8")).id
    assert "逐个" in refused(office, shown([refund]), by="wang-fang", session=opened(office, "wang-fang"))
    in_transaction(lambda tx: staff.enrol(tx, "li-na", "李娜", [Role.CLOSURE_REVIEWER]))
    assert "会话" in refused(office, shown(questions), session=word)


def test_whoever_ends_their_session_cannot_use_it_any_more(office: Office, questions: list[str], allowed: None) -> None:
    word = opened(office)
    assert in_transaction(lambda tx: sessions.close(tx, "li-na")) == 1
    with reading() as tx:
        [line] = audit.timeline(tx, "staff/li-na", "session.closed")
    assert line.actor == "unproved", "anybody can end it, and nobody in her name"
    assert "会话" in refused(office, shown(questions), session=word)


# ── what a dossier says of the shop's other cases ──


def test_every_dossier_names_the_shops_other_cases_each_with_its_link(office: Office) -> None:
    office.closed_shop()
    refund = office.request_refund()
    dossier = read(office.question(refund))
    assert "该店铺的其他案件（1）" in dossier and "关店 · CLS-" in dossier and "/v2/runs" in dossier
