"""Receivables frozen by a ban: finance proposes to release or to forfeit them, a supervisor decides (DED-7, ambiguity 24)."""

from __future__ import annotations

from models.base import Labelled
from models.books import AccountKind
from models.cases import Case, CaseKind, CaseState, Finding
from models.closure_events import ReceivablesDecided
from models.deposits import BookFacts
from models.dossier import Findings, Items, Quote, Rows, Strong
from models.money import Money
from models.reviews import Review, Role
from notifications import closure as words
from office.base.db import Tx
from office.cases import approvals, dossier, merchants
from office.cases.cases import conclude, emit, move, rules
from office.cases.effects import effects_of
from office.cases.gates import Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.cases.reviews import decided, last_decider
from office.money import ledger
from office.money.ledger import platform_account, shop_account, shop_balance
from office.process import Process
from office.record import audit
from office.staff import people
from policies.appeal import SERVICE_HOW
from policies.approvals import Seen
from policies.obstacles import money_owed
from tasks.forced_closure.request import HeldReceivablesAsked
from tasks.invoicing import freezes
from tasks.payouts import contradictions
from tasks.shops import bans, facts, shops
from tasks.shops.questions import shop_part

effect = effects_of("held_receivables")


class HeldVerdict(Labelled):
    RELEASE = "RELEASE", "解冻,先抵扣欠款,余额可打款给商家"
    FORFEIT = "FORFEIT", "罚没"


class HeldSecondVerdict(Labelled):
    CONFIRM = "CONFIRM", "同意第一人的意见"
    AGAIN = "AGAIN", "不同意,退回重新提出意见"


@effect("受理封店货款处理")
def admit(tx: Tx, case: Case) -> None:
    move(tx, case, CaseState.UNDER_REVIEW, "货款因强制关店冻结,等待处理", clause="DED-7")


@effect("提交第二人决定")
def to_second(tx: Tx, case: Case, round: int) -> None:
    move(tx, case, CaseState.SECOND_REVIEW, "等待第二人决定", clause="DED-7")


@effect("退回第一人")
def back_to_first(tx: Tx, case: Case, round: int) -> None:
    move(tx, case, CaseState.UNDER_REVIEW, "退回重新提出意见", clause="DED-7")


@effect("处理封店货款")
def carry_out(tx: Tx, case: Case, round: int) -> CaseState | None:
    """Post what both have decided, of exactly the amount both have seen; ``None`` when it is another one by now."""
    given = approvals.insist(tx, case, round, (FIRST, HeldVerdict), (SECOND, HeldSecondVerdict.CONFIRM))
    shop = shop_of(tx, case)
    if len(given) < 2 or not approvals.stand(tx, given, _dossier(tx, case, given[-1]).seen):
        return None
    facts.insist(tx, case)
    held, arrears = _amounts(tx, case)
    forfeits = given[0].verdict == HeldVerdict.FORFEIT
    set_off = Money() if forfeits else Money(fen=min(held.fen, arrears.fen))
    rest = Money(fen=held.fen - set_off.fen)
    source = shop_account(shop.id, AccountKind.RECEIVABLE_BANNED)
    goes_to = platform_account(AccountKind.FORFEITURE) if forfeits else shop_account(shop.id, AccountKind.RECEIVABLE)
    ledger.post(
        tx,
        f"{case.id}/set-off",
        debit=source,
        credit=shop_account(shop.id, AccountKind.ARREARS),
        amount=set_off,
        reason="receivable.set_off",
        clause="DED-9",
        case_id=case.id,
    )
    ledger.post(
        tx,
        f"{case.id}/{'forfeit' if forfeits else 'release'}",
        debit=source,
        credit=goes_to,
        amount=rest,
        reason="receivable.forfeited" if forfeits else "receivable.freed",
        clause="DED-7",
        case_id=case.id,
    )
    freed = Money()
    if not forfeits:  # first what statements of the shop ought to hold (INV-7), then what is left may be paid out
        freezes.settle_statements(tx, shop.id)
        freed = shop_balance(tx, shop.id, AccountKind.RECEIVABLE)
        ledger.post(
            tx,
            f"{case.id}/freed",
            debit=shop_account(shop.id, AccountKind.RECEIVABLE),
            credit=shop_account(shop.id, AccountKind.RECEIVABLE_FREED),
            amount=freed,
            reason="receivable.freed",
            clause="DED-7",
            case_id=case.id,
        )
    outcome = CaseState.FORFEITED if forfeits else CaseState.RELEASED
    forfeited = rest if forfeits else Money()
    event = ReceivablesDecided(
        shop_id=shop.id,
        case_id=case.id,
        amount_fen=held.fen,
        released_fen=freed.fen,
        set_off_fen=set_off.fen,
        forfeited_fen=forfeited.fen,
        at=tx.now,
        clause="DED-7",
    )
    emit(tx, event, f"{case.id}/decided", case)
    told = words.ReceivablesDecided(
        shop_name=shop.name,
        case_id=case.id,
        decided_at=tx.now,
        amount_fen=held.fen,
        released_fen=freed.fen,
        set_off_fen=set_off.fen,
        withheld_fen=rest.fen - freed.fen - forfeited.fen,
        forfeited_fen=forfeited.fen,
        reason=given[0].reason,
        appeal_how=SERVICE_HOW,
    )
    merchants.tell(tx, told, f"{case.id}/decided", case=case)
    deciders = [str(review.decided_by) for review in given]
    said = f"罚没 {forfeited}" if forfeits else f"抵扣欠款 {set_off},解冻 {freed}"
    audit.record(tx, case.id, "receivable.decided", clause="DED-7", text=f"封店货款 {held}:{said}", people=deciders)
    conclude(tx, case, outcome, f"封店货款 {held}:{said}", clause="DED-7")
    return outcome


def _amounts(tx: Tx, case: Case) -> tuple[Money, Money]:
    shop = shop_of(tx, case)
    return (
        shop_balance(tx, shop.id, AccountKind.RECEIVABLE_BANNED),
        shop_balance(tx, shop.id, AccountKind.ARREARS),
    )


# ── what reviewers see ───────────────────────────────────────────────────────


_TERMS = {"held": "冻结金额", "arrears": "欠款", "verdict": "第一人意见"}


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, (held, arrears) = shop_of(tx, case), _amounts(tx, case)
    first = decided(tx, case.id, FIRST.name, review.round) if review.gate == SECOND.name else None
    said = None
    if first:
        said = Quote.of(
            first.reason, f"{first.decided_by}:", Strong(text=HeldVerdict(str(first.verdict)).label), "。理由:"
        )
    set_off = Money(fen=min(held.fen, arrears.fen))
    rest = Strong(text=str(Money(fen=held.fen - set_off.fen)))
    preview = Items.of(
        (
            (
                Strong(text="解冻"),
                ":先抵扣欠款 ",
                Strong(text=str(set_off)),
                ",其余 ",
                rest,
                " 扣除逾期未开票账单应冻结的部分(INV-7)后,可由平台打款给商家",
            ),
            (Strong(text="罚没"), ":", Strong(text=str(held)), " 归平台,商家可联系客服提出异议"),
        )
    )
    about = Rows.of(
        {
            "强制关店案件": HeldReceivablesAsked.of(case).ban or "—",
            "冻结货款": Strong(text=str(held)),
            "账上欠款": str(arrears),
            "正在打款途中的保证金": str(bans.on_the_way(tx, shop.id)),
        }
    )
    now = Seen.of({"held": held.fen, "arrears": arrears.fen}, _findings(tx, shop.id))
    return dossier.of(
        f"封店货款处理 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _TERMS)),
        ("将发生什么", preview),
        ("检查", Findings.of(now.blocking) if now.blocking else None),
        ("货款", about),
        ("店铺", shop_part(tx, shop)),
        ("第一人意见", said),
        facts=now.terms,
        blocking=now.blocking,
        sum_fen=held.fen,
    )


def _findings(tx: Tx, shop_id: str) -> list[Finding]:
    """What the shop owes by the platform's facts: nothing here can set it off, so it goes before a release; and what the
    bank contradicts itself about, while nobody knows what the shop has been paid (ambiguity 38)."""
    known, snapshot = shops.facts_of(tx, shop_id)
    owed = money_owed(known, snapshot.as_of if snapshot else None, BookFacts(), tx.now)
    return [*owed, *contradictions.findings(tx, shop_id)]


def _nothing_in_the_way(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict != HeldVerdict.RELEASE or not (found := _findings(tx, case.shop_id or "")):
        return None
    if found[0].code == contradictions.CODE:
        return f"{found[0].sentence}核清前不能解冻(DED-7)"
    return f"{found[0].sentence}还清前不能解冻,也不能在此抵扣;请等平台报送新的经营数据,或选择罚没(DED-7)"


def _proposer(tx: Tx, case: Case) -> set[str]:
    return people.meant(tx, HeldReceivablesAsked.of(case).proposed_by)


FIRST = Gate(
    name="held-first",
    title="封店货款处理",
    roles=(Role.FINANCE,),
    verdicts=HeldVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).forced_closure.receivables_sla,
    clause="DED-7",
    reason_required=frozenset(HeldVerdict),
    consequences={
        "RELEASE": "由主管决定后按上方预览解冻;商家在平台有欠款、银行回执未核清时不能选择",
        "FORFEIT": "由主管决定后全部罚没,理由会告知商家",
    },
    excluded=_proposer,
    check=_nothing_in_the_way,
)

SECOND = Gate(
    name="held-second",
    title="封店货款复核",
    roles=(Role.SUPERVISOR,),
    verdicts=HeldSecondVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).forced_closure.review_sla,
    clause="DED-7",
    reason_required=frozenset(HeldSecondVerdict),
    consequences={"CONFIRM": "按第一人的意见入账,仅一次,并告知商家", "AGAIN": "退回财务重新提出意见,货款继续冻结"},
    excluded=lambda tx, case: _proposer(tx, case) | last_decider(tx, case, FIRST.name),
    rests_on=FIRST.name,
)

PROCESS = Process(
    name="held-receivables",
    kind=CaseKind.HELD_RECEIVABLES,
    request=HeldReceivablesAsked,
    states=(CaseState.UNDER_REVIEW, CaseState.SECOND_REVIEW, CaseState.RELEASED, CaseState.FORFEITED),
    clause="DED-7",
    asks=(FIRST, SECOND),
)
