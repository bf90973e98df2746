"""Rehearsal: plays the platform, the merchants and the staff against a running stack, through its real doors.

Events are signed and sent over HTTP; people answer through Prefect's own resume API with real one-time codes.
Used by the demonstration and by the tests that start the whole stack.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import httpx
import pyotp
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.input.run_input import keyset_from_base_key
from sqlmodel import col, select
from standardwebhooks import Webhook

from models.cases import Case, Side
from models.reviews import Review, Role
from models.shops import Shop
from office.base import clock
from office.base.db import Tx, in_transaction, reading
from office.base.settings import Settings
from office.cases import deadlines, reviews
from office.runs import engine
from office.staff import staff

R = TypeVar("R")

PATIENCE = 90.0
"""Seconds after which a rehearsal gives up on something that should have happened."""

PEOPLE: dict[str, tuple[str, list[Role]]] = {
    "li-na": ("李娜", [Role.CLOSURE_REVIEWER]),
    "wang-fang": ("王芳", [Role.FINANCE]),
    "chen-jie": ("陈杰", [Role.FINANCE]),
    "sun-lei": ("孙磊", [Role.ARBITRATOR]),
    "zhou-yan": ("周妍", [Role.ARBITRATOR]),
    "qian-li": ("钱莉", [Role.ARBITRATOR]),
    "wu-tao": ("吴涛", [Role.MERCHANT_SERVICE]),
    "xu-jing": ("徐静", [Role.INVOICE_CLERK]),
    "tang-yu": ("唐宇", [Role.OPENING_REVIEWER]),
    "he-qiang": ("何强", [Role.SUPERVISOR]),
    "gao-yuan": ("高远", [Role.SUPERVISOR]),
}


class NotAsExpected(RuntimeError):
    """Something differs from what it should be; the sentence says what."""


class Rehearsal:
    """The outside world of one running stack."""

    def __init__(self, given: Settings) -> None:
        self.settings = given
        self.secrets: dict[str, str] = {}
        self._spent: dict[str, int] = {}
        self._people: dict[str, tuple[str, list[Role]]] = {}
        self._codes = threading.RLock()
        self._numbers = itertools.count(1)
        self._run = f"{int(time.time())}"
        self._http = httpx.Client(timeout=30, trust_env=False)

    # ── staff ──

    def enrol_everybody(self) -> None:
        for staff_id, (name, roles) in PEOPLE.items():
            self.enrol(staff_id, name, roles)

    def enrol(self, staff_id: str, name: str, roles: list[Role]) -> None:
        self._people[staff_id] = (name, roles)
        self.secrets[staff_id] = in_transaction(lambda tx: staff.enrol(tx, staff_id, name, roles, rests=False)).secret

    def send_stand_ins_home(self) -> None:
        """Whoever only lent a code while the scenes were set is nobody whom a newcomer is to meet."""
        for staff_id in self._people.keys() - PEOPLE.keys():
            in_transaction(lambda tx, staff_id=staff_id: staff.set_active(tx, staff_id, False))  # type: ignore[misc]

    def code(self, staff_id: str) -> str:
        """A code of this person later than any used; waits for the next one when all in reach are spent.

        The code before the one that is shown is still taken, but not when its time is nearly over.
        """
        while (code := self._fresh(staff_id)) is None:
            time.sleep(1)
        return code

    def _fresh(self, staff_id: str) -> str | None:
        totp = pyotp.TOTP(self.secrets[staff_id], interval=staff.STEP)
        step, gone = divmod(int(time.time()), staff.STEP)
        with self._codes:  # several stories may ask the same person at once
            for candidate in range(step - 1 if gone < staff.STEP // 2 else step, step + 2):
                if candidate > self._spent.get(staff_id, 0):
                    self._spent[staff_id] = candidate
                    return totp.at(candidate * staff.STEP)
        return None

    def _somebody(self, staff_id: str) -> dict[str, str]:
        """Who answers, with a code: that person, or a colleague of the same name and roles while theirs are all spent."""
        number, person = 1, staff_id
        with self._codes:
            while (code := self._fresh(person)) is None:
                number, person = number + 1, f"{staff_id}-{number + 1}"
                if person not in self.secrets:
                    self.enrol(person, *self._people[staff_id])
        return {"staff_id": person, "code": code}

    def resume(self, case_id: str, answer: dict[str, Any]) -> SetStateStatus | None:
        """Answer the form a case shows now, as the UI would: Prefect's word on it.

        ``None`` when there is no form, or Prefect went away before it said anything: whether the answer was taken
        is then for the caller to see.
        """
        form = self._form(case_id)
        if form is None:
            return None
        run_id, key = form

        def give() -> SetStateStatus:
            client = engine.client()
            schema = json.loads(client.read_flow_run_input(run_id, keyset_from_base_key(key)["schema"]))
            filled = {name: field["default"] for name, field in schema["properties"].items() if "default" in field}
            return client.resume_flow_run(run_id, run_input=filled | answer).status

        return _reach(give)

    def _form(self, case_id: str) -> tuple[UUID, str] | None:
        """The suspended run of a case and the pause key of the form it shows now, if it shows one."""
        with reading() as tx:
            case = tx.get(Case, case_id)
            waiting = reviews.waiting(tx, case_id=case_id)
        if case is None or case.run_id is None or not waiting or waiting[0].pause_key is None:
            return None
        run_id, key = UUID(case.run_id), waiting[0].pause_key
        run = _reach(lambda: engine.client().read_flow_run(run_id))
        if run is None or run.state is None or not run.state.is_paused():
            return None
        return (run_id, key) if run.state.state_details.run_input_keyset == keyset_from_base_key(key) else None

    def decide(self, case_id: str, gate: str, staff_id: str, verdict: str, reason: str = "", **extra: Any) -> None:
        """Answer the question of that gate with a real code, and wait until the decision is recorded.

        When the run that read the answer was lost, the form comes back and is answered again, as a person would.
        """
        review_id = self.wait(lambda: self._question(case_id, gate), f"{case_id} asks {gate}").id
        answer = {"verdict": verdict, "reason": reason, **extra}
        answered = -1

        def taken() -> bool:
            nonlocal answered
            now = self._question(case_id, gate)
            if now is None or now.id != review_id:
                return True
            fresh = now.attempt > answered and self._form(case_id)
            if fresh and self.resume(case_id, answer | self._somebody(staff_id)) is SetStateStatus.ACCEPT:
                answered = now.attempt
            return False

        self.wait(taken, f"{case_id} takes the answer to {gate}")

    def refused(self, case_id: str, gate: str, answer: dict[str, Any], expected: str) -> str:
        """Give an answer that must be turned away; returns the sentence the operator then reads."""
        shown = self.asks(case_id, gate)
        self.resume(case_id, answer)

        def told() -> str:
            now = self._question(case_id, gate)
            if now is not None and now.attempt > shown.attempt:
                return now.notice if expected in now.notice else ""
            if now is not None and self._form(case_id):
                self.resume(case_id, answer)
            return ""

        sentence: str = self.wait(told, f"{case_id} explains why the answer was refused ({expected})")
        return sentence

    def _question(self, case_id: str, gate: str) -> Review | None:
        with reading() as tx:
            found = [review for review in reviews.waiting(tx, case_id=case_id) if review.gate == gate]
            tx.expunge_all()
        return found[0] if found else None

    # ── the platform ──

    def send(self, type_: str, data: dict[str, Any], message_id: str = "") -> httpx.Response:
        """Post a signed event to the door; raises when it is not taken."""
        answer = self.post(type_, data, message_id)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise NotAsExpected(f"{type_}: HTTP {answer.status_code} {answer.text}")
        return answer

    def post(self, type_: str, data: dict[str, Any], message_id: str = "") -> httpx.Response:
        """Post a signed event to the door, whatever comes back; again while nobody is there, as a platform does."""
        message_id = message_id or f"demo-{self._run}-{next(self._numbers)}"
        now = datetime.now(UTC)
        body = json.dumps({"type": type_, "timestamp": self.now().isoformat(), "data": data}, ensure_ascii=False)
        secret = self.settings.platform_secrets[0].get_secret_value()
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(secret).sign(message_id, now, body),
            "content-type": "application/json",
        }
        url = f"{self.settings.door_url}/webhooks/platform"
        answer: list[httpx.Response] = self.wait(
            lambda: _reach(lambda: [self._http.post(url, content=body.encode(), headers=headers)]), url
        )
        return answer[0]

    def document(self, shop_id: str, name: str, content: bytes, kind: str = "OTHER") -> dict[str, Any]:
        """A document as an event names it, staged before."""
        self.upload(shop_id, name, content)
        return {"name": name, "kind": kind, "sha256": hashlib.sha256(content).hexdigest()}

    def upload(self, shop_id: str, name: str, content: bytes) -> str:
        """Stage a piece of evidence at the door, as the merchant portal does, again while nobody is there; its id."""
        headers = {"authorization": f"Bearer {self.settings.api_tokens[0].get_secret_value()}"}
        url = f"{self.settings.door_url}/evidence"

        def give() -> list[httpx.Response]:
            return [self._http.post(url, data={"shop_id": shop_id}, files={"file": (name, content)}, headers=headers)]

        self.wait(lambda: self.read(lambda tx: tx.get(Shop, shop_id)), f"{shop_id} is registered")
        answer: httpx.Response = self.wait(lambda: _reach(give), url)[0]
        if answer.status_code != httpx.codes.CREATED:
            raise NotAsExpected(f"evidence: HTTP {answer.status_code} {answer.text}")
        found: str = answer.json()["id"]
        return found

    def sweep(self) -> None:
        """Have a sweep run from now on, and wait until it is done: one asked for while the minute's runs is passed over."""
        client = engine.client()

        def start() -> FlowRun:
            return client.create_flow_run_from_deployment(client.read_deployment_by_name("deadlines/deadlines").id)

        def ended(run: FlowRun) -> StateType | None:
            found = _reach(lambda: client.read_flow_run(run.id))
            return found.state.type if found and found.state and found.state.is_final() else None

        def has_run() -> bool:
            run = self.wait(lambda: _reach(start), "Prefect knows the sweep")
            return self.wait(lambda: ended(run), "the sweep has run") is not StateType.CANCELLED

        self.wait(has_run, "a sweep of its own has run")

    def now(self) -> datetime:
        """What time it is for cases."""
        return in_transaction(lambda tx: tx.now)

    def advance(self, by: timedelta) -> datetime:
        """Move the demonstration's clock."""
        return in_transaction(lambda tx: clock.advance(tx, by))

    def snapshot(self, shop_id: str, **facts: Any) -> None:
        self.send("shop.snapshot", {"shop_id": shop_id, "as_of": self.now().isoformat(), "facts": facts})

    # ── looking ──

    def case_of(self, shop_id: str, kind: str) -> str:
        """The id of the shop's newest case of that kind, once there is one."""

        def found() -> str | None:
            with reading() as tx:
                query = select(Case.id).where(Case.shop_id == shop_id, Case.kind == kind)
                return tx.exec(query.order_by(col(Case.opened_at).desc())).first()

        return self.wait(found, f"{shop_id} has a {kind} case")

    def cases_of(self, shop_id: str, kind: str) -> list[str]:
        """The shop's cases of that kind, oldest first."""
        with reading() as tx:
            query = select(Case.id).where(Case.shop_id == shop_id, Case.kind == kind)
            return list(tx.exec(query.order_by(col(Case.opened_at))))

    def rests(self, case_id: str) -> bool:
        """Whether the case waits for something that has a due time."""
        with reading() as tx:
            return deadlines.next_due(tx, case_id, Side.MERCHANT) is not None

    def state(self, case_id: str, state: str) -> Case:
        """Wait until the case is in a state (or has that outcome)."""

        def reached() -> Case | None:
            with reading() as tx:
                case = tx.get(Case, case_id)
                if case is not None and case.state == state:
                    tx.expunge(case)
                    return case
            return None

        return self.wait(reached, f"{case_id} is {state}")

    def asks(self, case_id: str, gate: str) -> Review:
        """Wait until the form of that gate is shown in Prefect."""
        review: Review = self.wait(
            lambda: (found := self._question(case_id, gate)) and self._form(case_id) and found, f"{case_id} asks {gate}"
        )
        return review

    def wait(self, look: Callable[[], Any], what: str, patience: float = 0) -> Any:
        """Look again and again, ever less often, until there is something; raises :class:`NotAsExpected` when patience ends.

        Many may wait at once, and what they wait for shares the machine with them.
        """
        patience = patience or PATIENCE
        give_up, pause = time.monotonic() + patience, 0.05
        while True:
            if seen := look():
                return seen
            if time.monotonic() > give_up:
                raise NotAsExpected(f"after {patience:.0f} s still not so: {what}")
            time.sleep(pause)
            pause = min(pause * 1.2, 1.0)

    def read(self, work: Callable[[Tx], Any]) -> Any:
        with reading() as tx:
            return work(tx)


def _reach(call: Callable[[], R]) -> R | None:
    """What the call returns, or ``None`` while the other side is away."""
    try:
        return call()
    except (httpx.TransportError, ObjectNotFound, PrefectHTTPStatusError):
        return None
