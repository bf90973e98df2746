"""Against a real Prefect: what was done to us through its API, and what comes of it now."""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Scheduled, Suspended
from sqlmodel import select

from models.audit import AuditEntry
from models.confirmations import ReplacedRun, ShownForm
from models.messages import OutboxMessage
from models.reviews import ReviewState
from office.base.db import in_transaction, reading
from office.runs import planted, recovery, shown_forms
from office.staff import staff
from ops.rehearsal import Rehearsal
from tests.stack.conftest import codes_count_in_forms_again, running_stack
from tests.stack.tampering import (
    asked,
    asked_for_money,
    ended,
    responses,
    review_of,
    standing_still,
    the_form,
    told,
    trail,
)

pytestmark = pytest.mark.engine
OWN_STACK = "answers wait in a window there, and its Prefect is tampered with"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """One stack for every attack, with weighty answers held as in production.

    What comes each minute is asked for where it is to come, and comes into nothing else halfway through.
    """
    home = tmp_path_factory.mktemp("authority") / "home"
    with running_stack(home, DIANWU_CONFIRMATION="window") as (_, rehearsal):
        with get_client(sync_client=True) as client:
            for name in ("deadlines", "delivery"):
                client.pause_deployment(client.read_deployment_by_name(f"{name}/{name}").id)
        yield rehearsal


@pytest.fixture(autouse=True)
def _codes_count(stage: Rehearsal) -> None:
    """What one test did to the forms does not make the next wait for a minute."""
    codes_count_in_forms_again()


@pytest.fixture
def api(stage: Rehearsal) -> Iterator[SyncPrefectClient]:
    """What somebody has who knows the one password of Prefect."""
    with get_client(sync_client=True) as client:
        yield client


def test_an_honest_answer_counts_and_its_code_does_not_stay_in_prefect(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str
) -> None:
    case_id = asked(stage, "shop-honest")
    run_id, _ = the_form(stage, case_id)
    stage.decide(case_id, "closure-review", reviewer, "驳回申请", "材料不符")
    assert stage.state(case_id, "REJECTED").outcome == "REJECTED"
    assert "answer.doubtful" not in trail(case_id)
    assert stage.wait(lambda: responses(api, str(run_id)) == [], "the answer is out of Prefect")

    def all_is_out() -> bool:
        with reading() as tx:
            forms = list(tx.exec(select(ShownForm).where(ShownForm.case_id == case_id)))
        return bool(forms) and all(form.judged_at and form.cleared_at for form in forms)

    assert stage.wait(all_is_out, "text and choices are out of Prefect")
    assert told("decision_recorded", case_id) == [f"@{reviewer}"]


def _rewritten(client: SyncPrefectClient, run_id: UUID, key: str, values: dict[str, str]) -> bool:
    """Another answer in the place of the one that was taken out."""
    client.create_flow_run_input(run_id, keyset_from_base_key(key)["response"], json.dumps(values))
    return True


def _given_anew(client: SyncPrefectClient, run_id: UUID, key: str, values: dict[str, str]) -> bool:
    """No answer; when the form is shown anew, that is answered, with the same live code."""
    state = client.read_flow_run(run_id).state
    keys = state.state_details.run_input_keyset if state is not None and state.is_paused() else None
    if keys is None or keys == keyset_from_base_key(key):
        return False
    task = json.loads(client.read_flow_run_input(run_id, keys["schema"]))["properties"]["task"]["default"]
    return client.resume_flow_run(run_id, run_input=values | {"task": task}).status is SetStateStatus.ACCEPT


@pytest.mark.parametrize("then", [_rewritten, _given_anew])
def test_a_poller_that_turns_a_no_into_a_yes_moves_no_money(
    stage: Rehearsal, api: SyncPrefectClient, then: Callable[..., bool]
) -> None:
    """As it was done: it watches the run's inputs, takes the answer out, and has another one judged, with the live code.

    It was quicker than the worker three times of three; here it always is: the pool stands still until it has the answer.
    """
    case_id = asked_for_money(stage, f"shop{then.__name__.replace('_', '-')}")
    run_id, key = the_form(stage, case_id)
    response = keyset_from_base_key(key)["response"]
    stop, took, acted = threading.Event(), threading.Event(), threading.Event()

    def poll() -> None:
        taken: dict[str, str] = {}
        with get_client(sync_client=True) as client:
            while not stop.is_set() and not acted.is_set():
                with suppress(ObjectNotFound, PrefectHTTPStatusError):
                    if not taken:
                        values = json.loads(client.read_flow_run_input(run_id, response))
                        client.delete_flow_run_input(run_id, response)
                        taken = values | {"verdict": "同意退还"}
                        took.set()
                    if then(client, run_id, key, taken):
                        acted.set()

    # A plain thread would not know of the stack's Prefect, and attack a server of its own.
    poller = threading.Thread(target=contextvars.copy_context().run, args=(poll,))
    poller.start()
    try:
        with standing_still(stage, api):
            stage.resume(
                case_id,
                {
                    "staff_id": "wang-fang",
                    "code": stage.code("wang-fang"),
                    "verdict": "驳回申请",
                    "reason": "材料不符",
                },
            )
            stage.wait(took.is_set, "the answer is taken out")
            if then is _rewritten:
                stage.wait(acted.is_set, "another one is in its place")
        stage.wait(lambda: "answer.doubtful" in trail(case_id), "the answer is refused")
        stage.wait(acted.is_set, "the attack took place")
        if then is _given_anew:
            stage.wait(lambda: "review.refused" in trail(case_id), "the second answer is refused")
        stage.asks(case_id, "refund-review")
    finally:
        stop.set()
        poller.join()
    assert review_of(case_id, "refund-review").state in {ReviewState.PENDING, ReviewState.CLAIMED}
    assert not {"review.held", "review.decided", "payout.permitted"} & set(trail(case_id))
    assert "supervisor" in told("engine_alarm", case_id)
    assert "@wang-fang" in told("decision_dropped", case_id) + told("engine_alarm", case_id)


def test_an_answer_taken_away_with_its_whole_run_is_a_doubt_in_the_next_one(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str
) -> None:
    case_id = asked(stage, "shop-run-gone")
    run_id, _ = the_form(stage, case_id)
    code = stage.code(reviewer)
    with standing_still(stage, api):
        stage.resume(case_id, {"staff_id": reviewer, "code": code, "verdict": "驳回申请", "reason": "材料不符"})
        api.delete_flow_run(run_id)
    _quietly(recovery.recover)
    stage.wait(lambda: "answer.doubtful" in trail(case_id), "that there may have been an answer is told")
    stage.asks(case_id, "closure-review")
    stage.resume(case_id, {"staff_id": reviewer, "code": code, "verdict": "同意关店", "reason": "同意"})
    stage.wait(lambda: "review.refused" in trail(case_id), "its code does not count in the next form")
    assert "review.decided" not in trail(case_id)


def test_an_answer_rewritten_later_than_its_resume_is_refused_and_everybody_hears_so(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str
) -> None:
    """The worker is held up (a paused pool), and there is time to rewrite."""
    case_id = asked(stage, "shop-late")
    run_id, key = the_form(stage, case_id)
    response = keyset_from_base_key(key)["response"]
    with standing_still(stage, api):
        stage.resume(
            case_id,
            {
                "staff_id": reviewer,
                "code": stage.code(reviewer),
                "verdict": "驳回申请",
                "reason": "材料不符",
            },
        )
        values = json.loads(api.read_flow_run_input(run_id, response))
        time.sleep(1.5)  # what is shown is that the server's own stamps tell; both are its wall clock
        api.delete_flow_run_input(run_id, response)
        api.create_flow_run_input(run_id, response, json.dumps(values | {"verdict": "同意关店"}))
    stage.wait(lambda: "answer.doubtful" in trail(case_id), "the answer is refused")
    assert f"@{reviewer}" in told("decision_dropped", case_id) and told("engine_alarm", case_id) == ["supervisor"]
    assert "未采纳" in stage.asks(case_id, "closure-review").notice


@pytest.mark.parametrize("part", ["description", "schema"])
def test_an_answer_to_a_form_whose_text_or_choices_were_replaced_is_refused(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str, part: str
) -> None:
    case_id = asked(stage, f"shop-{part}")
    run_id, key = the_form(stage, case_id)
    keys = keyset_from_base_key(key)
    stored = json.loads(api.read_flow_run_input(run_id, keys[part]))  # type: ignore[literal-required]
    forged = "一切正常,请同意" if part == "description" else {**stored, "title": "请同意"}
    api.delete_flow_run_input(run_id, keys[part])  # type: ignore[literal-required]
    api.create_flow_run_input(run_id, keys[part], json.dumps(forged))  # type: ignore[literal-required]
    stage.resume(case_id, {"staff_id": reviewer, "code": stage.code(reviewer), "verdict": "同意关店", "reason": "同意"})
    stage.wait(lambda: "answer.doubtful" in trail(case_id), "the answer is refused")
    assert review_of(case_id, "closure-review").state in {ReviewState.PENDING, ReviewState.CLAIMED}
    assert told("engine_alarm", case_id) == ["supervisor"]


def test_an_old_code_does_not_count_though_the_caller_says_it_is_of_then(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str
) -> None:
    """As it was done: the answer is written by hand and the run scheduled for 56 minutes ago, when the code was shown."""
    case_id = asked(stage, "shop-old-code")
    run_id, key = the_form(stage, case_id)
    then = datetime.now(UTC) - timedelta(minutes=56)
    old = stage_code_at(stage, reviewer, then)
    review = review_of(case_id, "closure-review")
    api.create_flow_run_input(
        run_id,
        keyset_from_base_key(key)["response"],
        json.dumps(
            {
                "task": f"{review.id}#{review.revision}",
                "staff_id": reviewer,
                "code": old,
                "verdict": "同意关店",
                "reason": "同意",
            }
        ),
    )
    api.set_flow_run_state(run_id, Scheduled(scheduled_time=then, name="Resuming"), force=True)
    stage.wait(lambda: review_of(case_id, "closure-review").attempt > review.attempt, "it asks again")
    assert review_of(case_id, "closure-review").state in {ReviewState.PENDING, ReviewState.CLAIMED}
    assert "review.decided" not in trail(case_id)


def stage_code_at(stage: Rehearsal, staff_id: str, at: datetime) -> str:
    import pyotp

    return pyotp.TOTP(stage.secrets[staff_id], interval=staff.STEP).at(int(at.timestamp()))


def test_a_run_suspended_again_by_hand_and_resumed_with_another_answer_is_refused(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str
) -> None:
    """The pool is paused; the honest answer is taken out, the run suspended again, and resumed with another one."""
    case_id = asked(stage, "shop-again")
    run_id, key = the_form(stage, case_id)
    keys = keyset_from_base_key(key)
    with standing_still(stage, api):
        stage.resume(
            case_id,
            {
                "staff_id": reviewer,
                "code": stage.code(reviewer),
                "verdict": "驳回申请",
                "reason": "材料不符",
            },
        )
        values = json.loads(api.read_flow_run_input(run_id, keys["response"]))
        api.delete_flow_run_input(run_id, keys["response"])
        again = Suspended(timeout_seconds=None, pause_key=key)
        again.state_details.run_input_keyset = dict(keys)  # type: ignore[arg-type]
        api.set_flow_run_state(run_id, again, force=True)
        api.resume_flow_run(run_id, run_input=values | {"verdict": "同意关店"})
    stage.wait(lambda: "answer.doubtful" in trail(case_id), "the answer is refused")
    assert "review.decided" not in trail(case_id)


def test_a_variable_taken_away_makes_no_second_form_of_any_case(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str
) -> None:
    case_id = asked(stage, "shop-variable")
    before = stage.read(lambda tx: tx.get(recovery.Case, case_id).run_id)
    stage.wait(lambda: _quietly(recovery.recover) is not None, "our mark is there")
    api.delete_variable_by_name(recovery.ANCHOR)
    recovery.recover()
    assert api.read_variable_by_name(recovery.ANCHOR) is not None
    assert stage.read(lambda tx: tx.get(recovery.Case, case_id).run_id) == before
    with reading() as tx:
        actions = list(tx.exec(select(AuditEntry.action).where(AuditEntry.stream == "system")))
    assert "engine.mark_missing" in actions
    stage.decide(case_id, "closure-review", reviewer, "驳回申请", "材料不符")


def _quietly(work: object) -> object:
    try:
        return work()  # type: ignore[operator]
    except ExceptionGroup:
        return None


def test_a_replaced_run_is_ended_and_what_was_answered_in_it_is_told_and_its_code_spent(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str
) -> None:
    case_id = asked(stage, "shop-replaced")
    run_id, key = the_form(stage, case_id)
    in_transaction(lambda tx: recovery._restart(tx, case_id, "运行记录在 Prefect 中不存在"))
    review, code = review_of(case_id, "closure-review"), stage.code(reviewer)
    stray = {"task": f"{review.id}#1", "staff_id": reviewer, "code": code, "verdict": "同意关店", "reason": ""}
    if api.read_flow_run(run_id).state_type is StateType.PAUSED:
        api.create_flow_run_input(run_id, keyset_from_base_key(key)["response"], json.dumps(stray))
    recovery.end_strays()
    stage.wait(lambda: api.read_flow_run(run_id).state_type is StateType.CANCELLED, "the old run is ended")
    assert responses(api, str(run_id)) == []
    with reading() as tx:
        assert tx.get(ReplacedRun, str(run_id)).ended_at is not None  # type: ignore[union-attr]
    stage.wait(lambda: "answer.stray" in trail(case_id), "the stray answer is told")
    assert f"@{reviewer}" in told("decision_dropped", case_id)
    stage.asks(case_id, "closure-review")
    assert shown_forms.clear_leftovers() >= 0


def test_a_suspended_run_made_by_hand_with_a_form_of_its_own_is_ended(stage: Rehearsal, api: SyncPrefectClient) -> None:
    case_id = asked(stage, "shop-stranger")
    deployment = api.read_deployment_by_name("closure/closure")
    forged = Suspended(timeout_seconds=None, pause_key="forged")
    forged.state_details.run_input_keyset = dict(keyset_from_base_key("forged"))  # type: ignore[arg-type]
    run = api.create_flow_run_from_deployment(deployment.id, parameters={"case_id": case_id}, state=Scheduled())
    stage.wait(lambda: ended(api, run.id), "it is carried by another run")
    api.set_flow_run_state(run.id, forged, force=True)
    recovery.end_strays()
    assert api.read_flow_run(run.id).state_type is StateType.CANCELLED
    assert "run.stranger" in trail(case_id)
    assert stage._form(case_id) is not None  # the case's own run is untouched


def test_a_form_that_somebody_wrote_before_we_did_makes_room_for_ours(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str
) -> None:
    """The name of a question's next form can be guessed from the one that is shown."""
    case_id = asked(stage, "shop-before")
    run_id, key = the_form(stage, case_id)
    stem, _, attempt = key.rpartition("-")
    keys = keyset_from_base_key(following := f"{stem}-{int(attempt) + 1}")
    schema = json.loads(api.read_flow_run_input(run_id, keyset_from_base_key(key)["schema"]))
    schema["properties"]["verdict"]["enum"].reverse()
    review = review_of(case_id, "closure-review")
    answer = {
        "task": f"{review.id}#1",
        "staff_id": reviewer,
        "code": "000000",
        "verdict": "驳回申请",
        "reason": "材料不符",
    }
    forged = {"description": "一切正常,请同意", "schema": schema, "response": answer | {"verdict": "同意关店"}}
    for part, value in forged.items():
        api.create_flow_run_input(run_id, keys[part], json.dumps(value))  # type: ignore[literal-required]
    stage.resume(case_id, answer)
    stage.wait(lambda: (stage._form(case_id) or ("", ""))[1] == following, "the form is shown anew, in the same run")
    assert the_form(stage, case_id)[0] == run_id and "form.planted" in trail(case_id)
    for part in ("description", "schema"):
        assert api.read_flow_run_input(run_id, keys[part]) != json.dumps(forged[part])  # type: ignore[literal-required]
    stage.decide(case_id, "closure-review", reviewer, "驳回申请", "材料不符")
    assert stage.state(case_id, "REJECTED").outcome == "REJECTED"
    assert "answer.doubtful" not in trail(case_id) and set(told("engine_alarm", case_id)) == {"supervisor"}


@pytest.mark.parametrize("says", ["this case", "another case"])
def test_an_answer_given_to_somebody_elses_run_is_told_and_its_code_spent_and_the_case_waits_on(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str, says: str
) -> None:
    """The very form, in a run of the attacker's, is answered by the person, and the worker runs it before any sweep looks."""
    case_id = asked(stage, f"shop-foreign-{len(says)}")
    shown_in, key = the_form(stage, case_id)
    of = case_id if says == "this case" else asked(stage, f"shop-foreign-{len(says)}-other")
    deployment = api.read_deployment_by_name("closure/closure")
    run = api.create_flow_run_from_deployment(deployment.id, parameters={"case_id": of}, state=Scheduled())
    stage.wait(lambda: ended(api, run.id), "it is carried by another run")
    keys, forged = keyset_from_base_key(key), Suspended(timeout_seconds=None, pause_key=key)
    forged.state_details.run_input_keyset = dict(keys)  # type: ignore[arg-type]
    for part in (keys["description"], keys["schema"]):
        api.create_flow_run_input(run.id, part, api.read_flow_run_input(shown_in, part))
    api.set_flow_run_state(run.id, forged, force=True)
    review, code = review_of(case_id, "closure-review"), stage.code(reviewer)
    answer = {
        "task": f"{review.id}#{review.revision}",
        "staff_id": reviewer,
        "code": code,
        "verdict": "同意关店",
        "reason": "同意",
    }
    api.resume_flow_run(run.id, run_input=answer)
    stage.wait(lambda: "answer.stray" in trail(of), "it is told")
    assert stage.wait(lambda: responses(api, str(run.id)) == [], "the answer is out of Prefect")
    assert told("decision_dropped", case_id) == [f"@{reviewer}"]
    stage.resume(case_id, answer)
    stage.wait(lambda: "review.refused" in trail(case_id), "its code does not count in our form")
    assert "review.decided" not in trail(case_id)


@pytest.mark.parametrize("what", ["its suspension", "its choices"])
def test_a_form_taken_away_from_a_waiting_run_is_shown_again(
    stage: Rehearsal, api: SyncPrefectClient, reviewer: str, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    case_id = asked(stage, f"shop-hidden-{len(what)}")
    run_id, key = the_form(stage, case_id)
    if what == "its suspension":
        api.set_flow_run_state(run_id, Suspended(timeout_seconds=None, pause_key="nothing"), force=True)
        assert stage._form(case_id) is None
    else:
        api.delete_flow_run_input(run_id, keyset_from_base_key(key)["schema"])
    monkeypatch.setattr(planted, "AT_ONCE", 1_000)  # else by chance
    recovery.end_strays()
    stage.wait(lambda: (stage._form(case_id) or ("", key))[1] != key, "another form is shown")
    stage.asks(case_id, "closure-review")
    assert "form.hidden" in trail(case_id)
    stage.decide(case_id, "closure-review", reviewer, "驳回申请", "材料不符")


def test_steps_in_a_deployment_of_ours_are_not_run_and_the_supervisor_hears_of_it(
    stage: Rehearsal, api: SyncPrefectClient, tmp_path: Path
) -> None:
    secrets, stolen = stage.settings.home / "secrets.toml", tmp_path / "stolen"
    assert secrets.exists()
    script = {"prefect.deployments.steps.run_shell_script": {"script": f"cp {secrets} {stolen}"}}
    flow_id = api.read_deployment_by_name("deadlines/deadlines").flow_id
    evil = api.create_deployment(
        flow_id=flow_id,
        name="evil",
        entrypoint="flows/deadlines.py:keep_deadlines",
        path=str(Path.cwd()),
        work_pool_name=stage.settings.work_pool,
        pull_steps=[script],
    )
    run = api.create_flow_run_from_deployment(evil)
    stage.wait(lambda: ended(api, run.id), "it is refused")
    state = api.read_flow_run(run.id).state
    assert state is not None and state.name == "Refused"
    assert not stolen.exists()
    with reading() as tx:
        lines = tx.exec(select(AuditEntry).where(AuditEntry.stream == "system", AuditEntry.action == "run.refused"))
        assert str(run.id) in {line.detail["run"] for line in lines}
        alarms = tx.exec(select(OutboxMessage.audience).where(OutboxMessage.topic == "engine_alarm"))
        assert "supervisor" in set(alarms)
