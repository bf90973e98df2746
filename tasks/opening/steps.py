"""开店入驻 and 重新开店, step by step (OPN, REO)."""

from __future__ import annotations

from collections.abc import Iterator

from models.cases import Case, CaseKind, CaseState, Finding, Side, WaitState
from models.event_parts import DocumentKind, TaxpayerType
from models.opening import Need, Part, Stage
from models.opening_told import ImportOffered, NeedShown, OpeningTasks
from models.outcomes import Refusal
from models.shops import Capability, Shop, ShopState
from notifications import opening as words
from office.base.calendar import work_calendar
from office.base.db import Tx, in_transaction, reading
from office.cases import approvals, cases, deadlines, merchants
from office.cases.cases import emit, rules
from office.cases.effects import effects_of, happened
from office.cases.locks import lock_case
from office.cases.merchants import ground, shop_of
from policies.appeal import SERVICE_HOW
from policies.deadlines import reckon, reminder_times
from policies.opening import COST_HINTS, licence_over, read_items
from tasks.opening import admission, certificate, parts, sight
from tasks.opening.parts import TASKS
from tasks.opening.request import OpeningAsked
from tasks.opening.review import GATES, TRANSFER, OpeningVerdict, TransferVerdict
from tasks.shops import applications, contracts, demands, facts, payees, shops, states

effect = effects_of("openings")


# ── the steps of the story ───────────────────────────────────────────────────


@effect("受理入驻申请")
def admit(tx: Tx, case: Case) -> Refusal | None:
    """Take the application up, or refuse it at once with the clause (OPN-1, OPN-18, DEP-4, REO-1, REO-2, REO-5)."""
    if (refusal := admission.refusal(tx, case)) is None:
        case.sole = f"application/{OpeningAsked.of(case).account_id}"
        tx.add(case)
        tx.flush()
    return _refused(tx, case, refusal)


@effect("核实欠款与结算")
def admit_money(tx: Tx, case: Case) -> Refusal | None:
    """Refuse to open a shop again that owes or has not been paid out, by facts that are new enough (REO-4)."""
    if case.withdrawn_at is not None:  # taken back while the facts were awaited
        return None
    facts.insist(tx, case)
    return _refused(tx, case, admission.owes(tx, shop_of(tx, case)))


def _refused(tx: Tx, case: Case, refusal: Refusal | None) -> Refusal | None:
    if refusal is None:
        return None
    cases.refuse(tx, case, refusal)
    told = words.OpeningRefused(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        matter=case.kind.label,
        received_at=case.received_at,
        grounds=(ground(refusal),),
        next_step=f"如有异议:{SERVICE_HOW}",
    )
    merchants.tell(tx, told, f"{case.id}/refused", case=case)
    return refusal


@effect("请商家提交资料")
def ask_for(tx: Tx, case: Case, stage: Stage, round: int) -> str:
    """Ask for what is missing, until when; silence will end the application, and they are told so. The stage's key."""
    key = f"{TASKS}/{stage}/{round}"
    parts.note(tx, case, stage=stage.value)
    wait = cases.open_wait(tx, case, key, TASKS, stage.label)
    if case.withdrawn_at is not None:  # taken back in the moment after the decision
        cases.close_wait(tx, wait, WaitState.CANCELLED)
        return key
    if stage is Stage.CERTIFICATE and round == 1:
        certificate.draw(tx, case)
    missing = parts.missing(tx, case)
    if not missing:
        cases.close_wait(tx, wait, WaitState.ANSWERED)
        return key
    due = reckon(tx.now, rules(case).opening.bring, missing[0].clause, work_calendar())
    hours = list(rules(case).reminders.merchant_hours_before)
    deadlines.start(tx, case, key, TASKS, Side.MERCHANT, due, reminder_times(due.due, hours, tx.now))
    cases.move(tx, case, CaseState.AWAITING_MATERIALS, f"等待商家:{stage.label}", clause=missing[0].clause)
    told = words.OpeningToDo(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        matter=case.kind.label,
        stage=stage.label,
        needed=needed(missing),
        due=due.due,
        hints=COST_HINTS if stage is Stage.MATERIALS and round == 1 else (),
    )
    merchants.tell(tx, told, f"{case.id}/{key}", case=case)
    event = OpeningTasks(
        shop_id=case.shop_id or "",
        case_id=case.id,
        stage=stage.value,
        due_at=due.due,
        missing=tuple(NeedShown(**need.model_dump()) for need in missing),
    )
    emit(tx, event, f"{case.id}/{key}", case)
    return key


def needed(missing: tuple[Need, ...]) -> tuple[words.NeededLine, ...]:
    """What is missing, as a letter says it."""
    return tuple(words.NeededLine(label=need.label, why=need.why, clause=need.clause) for need in missing)


def complete(case_id: str, key: str) -> bool:
    """Whether the merchant's stage is over: everything is here, or its window or the application has ended."""
    if cases.wait_state(case_id, key) is not WaitState.OPEN:
        return True
    with reading() as tx:  # most wake-ups find something missing: look before taking the lock
        if parts.missing(tx, cases.get(tx, case_id)):
            return False
    return in_transaction(lambda tx: parts.look(tx, lock_case(tx, case_id)))


@effect("逾期未提交,结束申请")
def lapse(tx: Tx, case: Case, stage: Stage, round: int) -> None:
    """Silence ends the application; what is here stays for the next one (OPN-6)."""
    deadline = deadlines.find(tx, case.id, f"{TASKS}/{stage}/{round}")
    told = words.OpeningLapsed(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        matter=case.kind.label,
        needed=needed(parts.missing(tx, case)),
        due=deadline.due_at if deadline else tx.now,
    )
    merchants.tell(tx, told, f"{case.id}/lapsed", case=case)
    clause = deadline.clause if deadline else "OPN-3"
    cases.conclude(tx, case, CaseState.LAPSED, "商家逾期未提交,本次申请关闭,可重新申请,已提交的资料保留", clause=clause)


@effect("检查入驻资料")
def check(tx: Tx, case: Case, stage: Stage, round: int) -> None:
    """Record what the rules find before a person is asked."""
    gate = GATES[stage]
    cases.keep_findings(tx, case, f"{gate.name}/{round}", sight.findings_now(tx, case))
    cases.move(tx, case, CaseState.UNDER_REVIEW, f"等待{gate.title}", clause=gate.clause)


@effect("退回补充")
def ask_again(tx: Tx, case: Case, stage: Stage, round: int) -> None:
    """Note what the reviewer wants again and why; the merchant is asked for it with the next stage (OPN-6)."""
    given = approvals.insist(tx, case, round, (GATES[stage], OpeningVerdict.ASK))
    items, _ = read_items(str(given[0].answer.get("items", ""))) if given else ({}, [])
    parts.note(tx, case, asked_again={**OpeningAsked.of(case).asked_again, **items})


@effect("驳回入驻申请")
def reject(tx: Tx, case: Case, reason: str) -> None:
    gates = ((gate, OpeningVerdict.REJECT) for gate in GATES.values())
    approvals.insist_last(tx, case, *gates, (TRANSFER, TransferVerdict.REJECT))
    told = words.OpeningRejected(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        matter=case.kind.label,
        decided_at=tx.now,
        reason=reason,
        appeal_how=SERVICE_HOW,
    )
    merchants.tell(tx, told, f"{case.id}/rejected", case=case)
    cases.conclude(tx, case, CaseState.REJECTED, f"审核未通过:{reason}", clause="OPN-6")


@effect("撤回入驻申请")
def withdraw(tx: Tx, case: Case) -> None:
    if case.concluded_at is not None:  # a ban was faster
        return
    told = words.OpeningWithdrawnLetter(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        matter=case.kind.label,
        withdrawn_at=case.withdrawn_at or tx.now,
    )
    merchants.tell(tx, told, f"{case.id}/withdrawn", case=case)
    cases.conclude(tx, case, CaseState.WITHDRAWN, "商家已撤回申请,已提交的资料保留", clause="OPN-2")


@effect("按审核结论推进")
def accept(tx: Tx, case: Case, stage: Stage, round: int) -> bool:
    """Act on an approval; ``False`` when what stands now is not what was approved (ambiguity 23).

    The last one lets the shop go on to contract and deposit, in the transaction that finds its name still free (OPN-3).
    """
    given = approvals.insist(tx, case, round, (GATES[stage], OpeningVerdict.APPROVE))
    if _by_facts(case, stage) and case.withdrawn_at is None:
        facts.insist(tx, case)
    shop = shops.find_shop(tx, case.shop_id or "")
    findings = sight.findings_now(tx, case)
    if case.withdrawn_at is not None or any(finding.blocking for finding in findings):
        return False
    if not approvals.stand(tx, given, sight.seen_now(tx, case, findings)):
        return False
    if stage is Stage.MATERIALS and case.kind is CaseKind.OPENING:
        _take_over(tx, case, shop)
    if stage is Stage.FINISHING:
        _to_deposit(tx, case, shop)
    return True


def rests_on_facts(case_id: str, stage: Stage) -> bool:
    """Whether the step needs facts that are new enough: the one that lets a closed shop open again (REO-4, ambiguity 27)."""
    with reading() as tx:
        return _by_facts(cases.get(tx, case_id), stage)


def _by_facts(case: Case, stage: Stage) -> bool:
    return case.kind is CaseKind.REOPENING and stage is Stage.FINISHING


def certifies(case_id: str) -> bool:
    """Whether the digital-certificate form is asked for (OPN-9, ambiguity 44)."""
    with reading() as tx:
        case = cases.get(tx, case_id)
        return OpeningAsked.of(case).entity_type in rules(case).opening.certificate_of


def transfers(case_id: str) -> bool:
    """Whether the account is verified by a random transfer (OPN-10, ambiguity 44)."""
    with reading() as tx:
        return parts.transfers(tx, cases.get(tx, case_id))


def _take_over(tx: Tx, case: Case, shop: Shop) -> None:
    """The shop is from now on what was reviewed."""
    asked, given = OpeningAsked.of(case), parts.of_case(tx, case.id)
    basics, entity = given[Part.BASICS].fields, given[Part.ENTITY].fields
    shops.call(shop, basics["name"])
    shop.entity_type, shop.categories = asked.entity_type, list(asked.categories)
    shop.owner_name, shop.licence_name, shop.uscc = entity["legal_person"], entity["licence_name"], entity["uscc"]
    shop.taxpayer_type = TaxpayerType(entity["taxpayer_type"]).value if entity["taxpayer_type"] else ""
    shop.official_account = bool(shop.official_account) or asked.official_account
    case.subject = shop.name
    payees.look(tx, shop)
    tx.add(shop)
    tx.add(case)


def _to_deposit(tx: Tx, case: Case, shop: Shop) -> None:
    """Contract first, then deposit; paid in full, the shop opens in the transaction that books the money (OPN-12, OPN-13)."""
    _take_over(tx, case, shop)
    parts.note(tx, case, stage=Stage.DEPOSIT.value)
    cases.open_wait(tx, case, applications.DEPOSIT, applications.DEPOSIT)
    cases.move(tx, case, CaseState.AWAITING_PAYMENT, "店铺审核通过,等待缴纳保证金", clause="OPN-13")
    contracts.offer(tx, case, shop, rules(case).opening.contract)
    shop.topup_demanded_fen = 0
    states.put(tx, shop, ShopState.AWAITING_DEPOSIT)
    demands.look(tx, shop)


def paid_or_over(case_id: str, number: int) -> bool:
    """Whether the application waits for its deposit no longer, or has to have its licence renewed before."""
    with reading() as tx:
        case, wait = cases.get(tx, case_id), cases.find_wait(tx, case_id, applications.DEPOSIT)
        waits = wait is not None and wait.state is WaitState.OPEN
        return not waits or happened(tx, case_id, renew, number) or any(_licence_over(tx, case))


def _licence_over(tx: Tx, case: Case) -> Iterator[Finding]:
    return licence_over(parts.licence_until(parts.of_case(tx, case.id)), tx.now)


@effect("请商家换发营业执照")
def renew(tx: Tx, case: Case, number: int) -> bool:
    """A licence that has run out since the last review is brought and reviewed anew before the shop opens (OPN-7); ``False``
    where it has not, or the application waits no longer."""
    wait, over = cases.find_wait(tx, case.id, applications.DEPOSIT), [*_licence_over(tx, case)]
    if not over or wait is None or wait.state is not WaitState.OPEN:
        return False
    what = (Part.ENTITY.value, DocumentKind.BUSINESS_LICENCE.value)
    parts.note(tx, case, stage=Stage.FINISHING.value, asked_again=dict.fromkeys(what, over[0].sentence))
    return True


@effect("确认开店结果")
def finish(tx: Tx, case: Case) -> None:
    """The shop is open, or its deposit was not paid in time: then it opens by itself when it is (OPN-13, DEP-10)."""
    wait = cases.find_wait(tx, case.id, applications.DEPOSIT)
    shop = shop_of(tx, case)
    if wait is None or wait.state is not WaitState.ANSWERED:
        text = "逾期未缴足保证金,本次申请关闭;缴足后店铺自动开通"
        cases.conclude(tx, case, CaseState.LAPSED, text, clause="OPN-13")
        return
    numbers = rules(case).opening
    elsewhere = _elsewhere(tx, case)
    platforms = tuple(platform for platform in numbers.import_from if platform in elsewhere)
    told = words.ShopOpenedLetter(
        shop_name=shop.name,
        case_id=case.id,
        matter=case.kind.label,
        opened_at=wait.closed_at or tx.now,
        capabilities=tuple(one.label for one in Capability if one.value in shop.capabilities),
        unsigned=contracts.blocks_settlement(tx, shop.id),
        import_from=tuple(platform.label for platform in platforms),
    )
    merchants.tell(tx, told, f"{case.id}/opened", case=case)
    if platforms:
        event = ImportOffered(shop_id=shop.id, case_id=case.id, platforms=platforms)
        emit(tx, event, f"{case.id}/import", case)
    cases.conclude(tx, case, CaseState.OPENED, "保证金已缴足,店铺已开通经营", clause="OPN-13")


def _elsewhere(tx: Tx, case: Case) -> set[str]:
    """The other platforms on which the merchant says they have a shop."""
    links = parts.find(tx, case.id, Part.LINKS)
    named = {shop.platform.value for shop in OpeningAsked.of(case).other_shops}
    return named | {str(shop["platform"]) for shop in (links.fields["other_shops"] if links else [])}
