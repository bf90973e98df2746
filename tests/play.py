"""Playing the outside world: the platform that sends, the people who decide, the bank that answers, the clock."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyotp
from sqlmodel import col, select

from flows.inline import InlineEngine
from models.books import AccountKind
from models.cases import Case, CaseDeadline, CaseKind
from models.messages import Channel, OutboxMessage
from models.reviews import Review, Role
from models.shops import Shop
from notifications.catalogue import restore
from notifications.rendering import render
from office.base.clock import VirtualClock
from office.base.db import Tx, in_transaction, prepared, reading
from office.cases import confirmations, deadlines, decisions, merchants, objections, reviews, routing, timekeeping
from office.cases import gates as review_gates
from office.cases.locks import lock_case
from office.cases.markdown import markdown
from office.files import evidence
from office.money import ledger
from office.record import audit, chain_proof, inbox, outbox
from office.record.inbox import Arrival, Receipt
from office.record.sending import Item, NotYet, Skip
from office.staff import staff
from office.staff.guard import Place
from policies.policy import policy_at
from tasks import agreement, delivery, outbox_words
from tasks.shops import demands
from tests.beginnings import act

if TYPE_CHECKING:
    from tests.beginnings import Begun

RAW_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}")
START = datetime(2026, 11, 19, 2, 0, tzinfo=UTC)
"""Thursday, 19 November 2026, 10:00 in Beijing."""

SILENCE = timedelta(seconds=policy_at(START).deadlines.lapse_after_seconds)
"""How long after its due time a merchant's window lapses."""

PEOPLE = {
    "li-na": ("李娜", [Role.CLOSURE_REVIEWER]),
    "zhao-min": ("赵敏", [Role.CLOSURE_REVIEWER]),
    "wang-fang": ("王芳", [Role.FINANCE]),
    "chen-jie": ("陈杰", [Role.FINANCE]),
    "sun-lei": ("孙磊", [Role.ARBITRATOR]),
    "zhou-yan": ("周妍", [Role.ARBITRATOR]),
    "wu-tao": ("吴涛", [Role.MERCHANT_SERVICE]),
    "xu-jing": ("徐静", [Role.INVOICE_CLERK]),
    "tang-yu": ("唐宇", [Role.OPENING_REVIEWER]),
    "he-qiang": ("何强", [Role.SUPERVISOR]),
    "gao-yuan": ("高远", [Role.SUPERVISOR]),
}

PAYEE = {
    "method": "CORPORATE_ACCOUNT",
    "name": "宁波晨光文具有限公司",
    "account_no": "3301040160000121234",
    "bank_name": "中国银行宁波市分行",
}
FILES: dict[str, bytes] = {}
"""Files of the merchants' papers by hash: what an example names is staged when it is sent."""


def paper(name: str, kind: str = "OTHER", content: bytes = b"") -> dict[str, Any]:
    """A document as an event names it. Its file is staged by whoever sends it in a story (:meth:`Office.stage`)."""
    content = content or f"%PDF-1.7 {name}".encode()
    sha256 = hashlib.sha256(content).hexdigest()
    FILES[sha256] = content
    return {"name": name, "kind": kind, "sha256": sha256}


PAPERS = [paper("营业执照.pdf", "BUSINESS_LICENCE"), paper("开户许可.pdf", "ACCOUNT_PERMIT")]
REPORT, JUDGMENT = paper("鉴定报告.pdf"), paper("民事判决书.pdf")
UNSENT = {"name": "鉴定报告.pdf", "kind": "OTHER", "sha256": "ef" * 32}
"""A document whose file nobody ever stages."""


class Carrier:
    """Carries cases in the test's thread and keeps every fault, so that no test passes over a broken story."""

    def __init__(self, inner: InlineEngine, clock: VirtualClock) -> None:
        self.inner, self.clock = inner, clock
        self.faults: list[Exception] = []
        self.woken: list[tuple[str, datetime]] = []
        """Whose run was asked to go on, and when."""

    def signal(self, case_id: str) -> None:
        self.woken.append((case_id, self.clock.at))
        try:
            self.inner.signal(case_id)
        except (Skip, NotYet):
            raise
        except Exception as fault:
            self.faults.append(fault)
            raise

    def retag(self, case_id: str) -> None:
        self.inner.retag(case_id)


@prepared
def _asked(after: int) -> Any:
    """What the platform was asked after a message, and for which shop."""
    asked = select(OutboxMessage.id, OutboxMessage.shop_id).where(col(OutboxMessage.id) > after)
    return asked.where(OutboxMessage.topic == "facts.requested")


class Numbers:
    """What tests number things by. It begins anew with every office, so that offices that begin alike do to the letter."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._last = 0

    def __next__(self) -> int:
        self._last += 1
        return self._last


NUMBERS = Numbers()


class Office:
    """The back office as a test drives it. Every act is followed by everything that follows from it."""

    def __init__(
        self, clock: VirtualClock, engine: InlineEngine | None = None, secrets: Mapping[str, str] | None = None
    ) -> None:
        self.clock = clock
        self.engine = engine or InlineEngine()
        self.carrier = Carrier(self.engine, clock)
        self.secrets: dict[str, str] = {}
        self.platform_answers = True
        """Whether the platform answers ``facts.requested``, with the facts it reported last."""
        self.reported: dict[str, dict[str, Any]] = {}
        """The facts the platform reported last, by shop."""
        self.answered = 0
        """The last message in which the platform was asked for something that it has looked at."""
        self.number = 0
        """How many messages it has numbered."""
        self.begun: Begun | None = None
        if secrets is not None:  # its staff are enrolled
            self.secrets = dict(secrets)
            return
        for staff_id, (name, roles) in PEOPLE.items():
            enrolled = in_transaction(lambda tx, i=staff_id, n=name, r=roles: staff.enrol(tx, i, n, r))  # type: ignore[misc]
            self.secrets[staff_id] = enrolled.secret

    def numbered(self) -> int:
        """The number its next message gets."""
        self.number += 1
        return self.number

    # ── the platform ──

    def receive(
        self, type_: str, data: dict[str, Any], message_id: str = "", happened: datetime | None = None
    ) -> Receipt:
        """A signed event reaches the door; nothing else happens yet."""
        body = {"type": type_, "timestamp": (happened or self.clock.at).isoformat(), "data": data}
        arrival = Arrival(
            source="platform",
            message_id=message_id or f"msg-{self.numbered()}",
            type=type_,
            shop_id=data.get("shop_id"),
            case_id=data.get("case_id"),
            body=json.dumps(body, ensure_ascii=False).encode(),
        )
        return inbox.receive(arrival, routing.on_conflict)

    @act
    def send(self, type_: str, data: dict[str, Any], message_id: str = "", happened: datetime | None = None) -> Receipt:
        """A signed event reaches the door and everything that follows is done."""
        receipt = self.receive(type_, data, message_id, happened)
        self.settle()
        return receipt

    def settle(self) -> None:
        """Let the inbox be read, runs be woken and messages be delivered until nothing is left to do."""
        for _ in range(60):
            done = delivery.round_trip(self.carrier)
            if self.carrier.faults:
                raise self.carrier.faults.pop()
            if done == 0 and not self._platform_is_asked():
                return
        raise AssertionError("the office does not come to rest")

    def _platform_is_asked(self) -> bool:
        """Have the platform answer what it was asked since it last looked; ``False`` when it says nothing."""
        with reading() as tx:
            asked = [(row, shop_id) for row, shop_id in _asked(tx, self.answered) if shop_id in self.reported]
        if not asked or not self.platform_answers:
            return False
        self.answered = max(row for row, _ in asked)
        for shop_id in sorted({shop_id for _, shop_id in asked}):
            self.receive("shop.snapshot", self._facts(shop_id))
        return True

    def _facts(self, shop_id: str) -> dict[str, Any]:
        return {"shop_id": shop_id, "as_of": self.clock.at.isoformat(), "facts": self.reported[shop_id]}

    @act
    def open_shop(self, shop_id: str = "shop-1", deposit_fen: int = 400_000, **changes: Any) -> str:
        """A registered enterprise with its deposit paid and nothing open."""
        shop = {
            "shop_id": shop_id,
            "name": "晨光文具",
            "entity_type": "ENTERPRISE",
            "owner_account_id": f"acct-{shop_id}",
            "owner_name": "林晓",
            "licence_name": "宁波晨光文具有限公司",
            "uscc": "91330226MA2AB1C2D8",
            "taxpayer_type": "GENERAL",
            "categories": ["服饰"],
            "contacts": ["mailto://owner@example.com"],
        } | changes
        self.send("shop.registered", shop)
        if deposit_fen:
            self.pay_deposit(shop_id, deposit_fen)
        self.snapshot(shop_id)
        return shop_id

    @act
    def pay_deposit(self, shop_id: str, fen: int, channel: str = "BANK", **changes: Any) -> None:
        self.send(
            "deposit.paid",
            {
                "shop_id": shop_id,
                "payment_id": f"pay-{self.numbered()}",
                "amount_fen": fen,
                "channel": channel,
                "payer_account": "3301040160000121234",
                "paid_at": self.clock.at.isoformat(),
            }
            | changes,
        )

    def deduct(
        self, fen: int, number: str = "ded-1", reason: str = "LATE_SHIPMENT", shop_id: str = "shop-1", **changes: Any
    ) -> Receipt:
        """The platform takes from a deposit; the merchant may appeal."""
        deduction = {"shop_id": shop_id, "deduction_id": number, "amount_fen": fen, "reason": reason}
        return self.send("deposit.deducted", deduction | {"clause": "发货规则", "appealable": True} | changes)

    @act
    def snapshot(self, shop_id: str = "shop-1", **facts: Any) -> None:
        """The platform reports facts as of now; a second later it is a moment later."""
        self.clock.advance(timedelta(seconds=1))
        self.reported[shop_id] = facts
        self.send("shop.snapshot", self._facts(shop_id))

    # ── the merchant ──

    @act
    def request_closure(self, shop_id: str = "shop-1", **changes: Any) -> Case:
        return self._open(
            "closure.requested",
            {
                "shop_id": shop_id,
                "account_id": f"acct-{shop_id}",
                "reason": "STRATEGY_CHANGE",
                "reason_text": "转做线下门店",
            }
            | changes,
        )

    @act
    def stage(self, shop_id: str, *documents: dict[str, Any]) -> list[str]:
        """The files of these papers reach us, of those that :func:`paper` made; their ids."""
        found = [
            evidence.stage(shop_id, document["name"], io.BytesIO(FILES[document["sha256"]])).id
            for document in documents
            if document.get("sha256") in FILES
        ]
        self.settle()
        return found

    @act
    def upload(self, shop_id: str, name: str, content: bytes) -> str:
        """One file reaches us; its id."""
        return evidence.stage(shop_id, name, io.BytesIO(content)).id

    def bank_proof(self, shop_id: str | None = "shop-1", content: bytes = b"%PDF-1.7 0017") -> dict[str, str]:
        """What finance fills in about the bank's proof: its number, and the file that they have staged for the shop."""
        number = {"proof": "回单 20261204-0017"}
        return number | (
            {"paper": evidence.stage(shop_id, "回单.pdf", io.BytesIO(content), evidence.PROOF).id} if shop_id else {}
        )

    @act
    def request_refund(
        self, shop_id: str = "shop-1", fen: int = 400_000, *, staged: bool = True, **changes: Any
    ) -> Case:
        """An application with its papers, which are staged before unless the story is about that."""
        data: dict[str, Any] = {
            "shop_id": shop_id,
            "account_id": f"acct-{shop_id}",
            "amount_fen": fen,
            "payee": PAYEE,
            "documents": PAPERS,
        } | changes
        if staged:
            self.stage(shop_id, *data["documents"])
        return self._open("refund.requested", data)

    @act
    def propose_forced_closure(self, shop_id: str = "shop-1", **changes: Any) -> Case:
        """A proposal with its paper, which is staged before."""
        data: dict[str, Any] = {
            "shop_id": shop_id,
            "proposal_id": "prop-1",
            "violation": "售卖假冒商品",
            "clause": "DED-7",
            "description": "抽检 3 批次均为假冒商品。",
            "proposed_by": "risk-17",
            "documents": [REPORT],
        } | changes
        self.stage(shop_id, *data["documents"])
        return self._open("forced_closure.proposed", data)

    @act
    def propose_correction(self, shop_id: str = "shop-1", **changes: Any) -> Case:
        """A court's judgment against a ruling with its paper, which is staged before."""
        data: dict[str, Any] = {
            "shop_id": shop_id,
            "ruling_id": "rul-1",
            "court": "杭州互联网法院",
            "judgment_no": "(2026)浙0192民初1号",
            "judged_on": self.clock.at.isoformat(),
            "summary": "判决认定商家已按时发货。",
            "proposed_by": "legal-3",
            "documents": [JUDGMENT],
        } | changes
        self.stage(shop_id, *data["documents"])
        return self._open("ruling.correction_proposed", data)

    @act
    def _open(self, type_: str, data: dict[str, Any]) -> Case:
        """Send what opens a case; the case it has opened."""
        message_id = f"msg-{self.numbered()}"
        self.send(type_, data, message_id)
        with reading() as tx:
            case = tx.exec(select(Case).where(Case.origin == f"platform/{message_id}")).one()
            tx.expunge(case)
            return case

    @act
    def merchant_answers(
        self, case: Case, text: str = "已补齐", *documents: dict[str, Any], staged: bool = True
    ) -> None:
        if staged:
            self.stage(case.shop_id or "", *documents)
        self.send("merchant.answered", self._from_owner(case) | {"text": text, "documents": list(documents)})

    @act
    def withdraw(self, case: Case) -> None:
        kind = "closure" if case.kind is CaseKind.CLOSURE else "refund"
        self.send(f"{kind}.withdrawn", self._from_owner(case))

    @act
    def correct_payee(self, case: Case, **changes: Any) -> None:
        self.send("refund.payee_corrected", self._from_owner(case) | {"payee": PAYEE | changes})

    def _from_owner(self, case: Case) -> dict[str, Any]:
        return {"shop_id": case.shop_id, "account_id": f"acct-{case.shop_id}", "case_id": case.id}

    @act
    def closed_shop(self, shop_id: str = "shop-1", **changes: Any) -> str:
        """A shop that has been closed the ordinary way."""
        self.open_shop(shop_id, **changes)
        case = self.request_closure(shop_id)
        self.decide(case, "li-na", "APPROVE")
        self.snapshot(shop_id)
        assert self.case(case.id).outcome == "CLOSED"
        return shop_id

    # ── staff ──

    @act
    def hire(self, staff_id: str, *roles: str) -> None:
        """One more person, with these roles."""
        held = [Role(role) for role in roles]
        self.secrets[staff_id] = in_transaction(lambda tx: staff.enrol(tx, staff_id, staff_id, held)).secret

    def code(self, staff_id: str) -> str:
        """The code the person's device shows now; half a minute passes first, so that it is a fresh one."""
        self.clock.advance(timedelta(seconds=30))
        return pyotp.TOTP(self.secrets[staff_id], interval=staff.STEP).at(int(self.clock.at.timestamp()))

    def question(self, case: Case | str) -> Review:
        """The open question of a case."""
        case_id = case if isinstance(case, str) else case.id
        with reading() as tx:
            query = select(Review).where(Review.case_id == case_id, col(Review.state).in_(review_gates.OPEN))
            found = list(tx.exec(query))
            tx.expunge_all()
        assert len(found) == 1, f"{case_id} has {len(found)} open questions"
        assert not RAW_TIME.search(markdown(found[0].dossier)), "a time as machines write it, in front of people"
        return found[0]

    def answer(
        self, review: Review, staff_id: str, verdict: str, reason: str = "", code: str | None = None, **extra: Any
    ) -> review_gates.Outcome:
        """Answer a question as it was shown, and let everything that follows happen."""
        given = review_gates.Answer(
            review_id=review.id,
            revision=review.revision,
            staff_id=staff_id,
            verdict=verdict,
            reason=reason,
            extra=extra,
            code=self.code(staff_id) if code is None else code,
        )
        outcome = in_transaction(lambda tx: decisions.decide(tx, given))
        self.settle()
        return outcome

    @act
    def decide(self, case: Case | str, staff_id: str, verdict: str, reason: str = "理由充分", **extra: Any) -> None:
        """Answer the case's open question and insist that it was taken."""
        outcome = self.answer(self.question(case), staff_id, verdict, reason, **extra)
        assert outcome.accepted, outcome.sentence

    def fill_in(
        self,
        review: Review,
        staff_id: str,
        verdict: str,
        reason: str = "理由充分",
        code: str | None = None,
        **extra: Any,
    ) -> review_gates.Outcome:
        """Answer a question through Prefect's form, and let everything that follows happen."""
        given = review_gates.Answer(
            review_id=review.id,
            revision=review.revision,
            staff_id=staff_id,
            verdict=verdict,
            reason=reason,
            extra=extra,
            code=self.code(staff_id) if code is None else code,
            through=Place.FORM,
        )

        def judged(tx: Tx) -> review_gates.Outcome:
            """What the resumed run does first; that it was resumed is not forgotten when its worker dies."""
            outbox.wake(tx, lock_case(tx, review.case_id))
            return confirmations.take_form_answer(tx, review.id, reviews.gate_of(review), given)

        outcome = in_transaction(judged)
        self.settle()
        return outcome

    def confirm(self, review: Review, staff_id: str, code: str | None = None) -> review_gates.Outcome:
        """Confirm at the terminal what was answered through the form."""
        proof = self.code(staff_id) if code is None else code
        outcome = in_transaction(lambda tx: confirmations.confirm(tx, review.id, staff_id, proof))
        self.settle()
        return outcome

    def object_to(self, review: Review, staff_id: str, words: str = "我选的是驳回") -> review_gates.Outcome:
        """Object at the terminal to what was recorded."""
        proof = self.code(staff_id)
        outcome = in_transaction(lambda tx: objections.dispute(tx, review.id, staff_id, proof, words))
        self.settle()
        return outcome

    # ── the bank ──

    @act
    def bank(
        self, request_no: str, what: str = "settled", fen: int = 400_000, shop_id: str = "shop-1", reason: str = ""
    ) -> None:
        self.send(
            f"payout.{what}",
            {
                "shop_id": shop_id,
                "request_no": request_no,
                "amount_fen": fen,
                "at": self.clock.at.isoformat(),
                "reason": reason,
            },
        )

    # ── time ──

    @act
    def pass_time(self, **by: float) -> None:
        """Time passes and the sweep runs once at the end of it."""
        self.clock.advance(timedelta(**by))
        self.sweep()

    def sweep(self) -> None:
        routing.route_due()
        timekeeping.sweep()
        demands.sweep()
        in_transaction(reviews.look_after)
        self.settle()

    # ── looking ──

    def case(self, case_id: str) -> Case:
        with reading() as tx:
            case = tx.get(Case, case_id)
            assert case is not None
            tx.expunge(case)
            return case

    def latest(self, shop_id: str = "shop-1") -> Case:
        """The case opened last for a shop."""
        with reading() as tx:
            query = select(Case).where(Case.shop_id == shop_id)
            found = max(tx.exec(query), key=lambda case: (case.opened_at, case.received_at))
            tx.expunge(found)
            return found

    def cases(self) -> list[Case]:
        with reading() as tx:
            return list(tx.exec(select(Case).order_by(col(Case.opened_at))))

    def shop(self, shop_id: str = "shop-1") -> Shop:
        with reading() as tx:
            shop = tx.get(Shop, shop_id)
            assert shop is not None
            tx.expunge(shop)
            return shop

    def deadline(self, case: Case | str, key: str) -> CaseDeadline:
        with reading() as tx:
            found = deadlines.find(tx, case if isinstance(case, str) else case.id, key)
            assert found is not None, key
            tx.expunge(found)
            return found

    def balance(self, kind: AccountKind, shop_id: str = "shop-1") -> int:
        with reading() as tx:
            return ledger.shop_balance(tx, shop_id, kind).fen

    def platform_balance(self, kind: AccountKind) -> int:
        with reading() as tx:
            return ledger.balance(tx, ledger.platform_account(kind)).fen

    def outbox(self, channel: Channel | None = None, topic: str = "") -> list[OutboxMessage]:
        with reading() as tx:
            query = select(OutboxMessage).order_by(col(OutboxMessage.id))
            found = [
                row
                for row in tx.exec(query)
                if (channel is None or row.channel == channel) and (not topic or row.topic == topic)
            ]
            tx.expunge_all()
            return found

    def told(self, case: Case | str | None = None) -> list[str]:
        """Names of the messages the merchant was sent, in order."""
        case_id = case.id if isinstance(case, Case) else case
        return [row.topic for row in self.outbox(Channel.MERCHANT) if case_id is None or row.case_id == case_id]

    def staff_told(self, topic: str = "") -> list[str]:
        """Whom the messages of that name for staff went to, in order: ``finance``, ``supervisor`` …"""
        return [row.audience for row in self.outbox(Channel.STAFF, topic)]

    def refusals(self) -> list[tuple[str, str]]:
        """Clause and sentence of every message the platform was told is refused."""
        return [(event["clause"], event["sentence"]) for event in self.events("message.refused")]

    def reviews(self, case: Case | str) -> list[Review]:
        """Every question the case has asked, first first."""
        case_id = case if isinstance(case, str) else case.id
        with reading() as tx:
            found = list(tx.exec(select(Review).where(Review.case_id == case_id).order_by(col(Review.opened_at))))
            tx.expunge_all()
            return found

    def message(self, topic: str) -> dict[str, Any]:
        """The fields of the one message of that name to a merchant."""
        found = self.messages(topic)
        assert len(found) == 1, f"{len(found)} messages {topic}"
        return found[0]

    def messages(self, topic: str, channel: Channel = Channel.MERCHANT) -> list[dict[str, Any]]:
        """The fields of each message of that name, in order."""
        return [outbox.body(row) for row in self.outbox(channel, topic)]

    def letters(self, topic: str) -> list[str]:
        """What merchants read in the messages of that name, in order."""
        rows = self.outbox(Channel.MERCHANT, topic)
        return [render(restore(topic, outbox_words.made(Item.of(row))), merchants.context()).text for row in rows]

    def events(self, type_: str) -> list[dict[str, Any]]:
        """Payloads of the events written for subscribers."""
        return [outbox_words.made(Item.of(row))["data"] for row in self.outbox(Channel.EVENT, type_)]

    def books(self) -> list[str]:
        """What is wrong with the books; nothing, ever."""
        with reading() as tx:
            return list(ledger.check(tx))

    def trail(self, stream: str) -> list[str]:
        """Actions in a stream's audit, in order."""
        with reading() as tx:
            return [line.action for line in audit.timeline(tx, stream)]

    def chains(self) -> list[str]:
        """What is wrong with the audit chains, or with rows that they speak of; nothing, ever."""
        with reading() as tx:
            return [*chain_proof.verify(tx), *agreement.check(tx)]
