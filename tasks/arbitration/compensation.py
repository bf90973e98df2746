"""Deducted money after its ruling was annulled: merchant service agrees it, finance confirms it, the books post it once.

Shared by appeal, withdrawal and correction (ARB-8). Nothing is credited by itself.
"""

from __future__ import annotations

from sqlmodel import select

from models.arbitration import Handling, MoneyReturn, Ruling, WithdrawalReason
from models.base import Labelled
from models.books import AccountKind
from models.cases import Case, CaseKind
from models.dossier import Items, Quote, Strong, Text
from models.money import Money
from models.reviews import Review, Role
from models.shops import ShopState
from models.text import has_text
from notifications import appeal as words
from office.base.db import Tx
from office.cases import approvals, dossier, merchants
from office.cases.cases import rules
from office.cases.effects import effects_of
from office.cases.gates import Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.cases.reviews import decided
from office.money.ledger import shop_balance
from office.process import Process
from office.record import audit
from policies import appeal as rules_of_appeal
from policies.appeal import Split
from policies.approvals import Seen
from tasks.arbitration import matter_rows
from tasks.arbitration.request import Concerned, WithdrawalAsked
from tasks.arbitration.rulings import find_ruling, ruling_part
from tasks.invoicing import freezes
from tasks.shops import demands
from tasks.shops.questions import shop_part

effect = effects_of("compensation")


class ServiceVerdict(Labelled):
    AGREED = "AGREED", "已与商家达成一致"
    UNREACHED = "UNREACHED", "未联系上,稍后再联系"


class FinanceVerdict(Labelled):
    CONFIRM = "CONFIRM", "确认入账"
    SEND_BACK = "SEND_BACK", "退回商服"


def handling_of(review: Review) -> Handling | None:
    """The handling chosen in merchant service's form, by its label or its code."""
    return _handling(review.answer.get("handling"))


def _handling(given: object) -> Handling | None:
    return next((handling for handling in Handling if given in {handling.value, handling.label}), None)


def owed(tx: Tx, case: Case) -> Ruling:
    """The ruling whose money is being talked about: the first of the case's that is not settled, or the last of all."""
    rulings = [ruling for name in _objects(case) if (ruling := find_ruling(tx, name)) is not None]
    if not rulings:
        raise LookupError(f"{case.id} is about no ruling")
    return next((ruling for ruling in rulings if tx.get(MoneyReturn, ruling.id) is None), rulings[-1])


def _objects(case: Case) -> list[str]:
    """One withdrawn arbitration may have had several rulings with money; every other case is about one."""
    asked = Concerned.of(case)
    return list(asked.objects or [asked.object])


def split_now(tx: Tx, ruling: Ruling, handling: Handling) -> Split:
    """Where the money would go as the books stand."""
    arrears = shop_balance(tx, ruling.shop_id, AccountKind.ARREARS)
    return rules_of_appeal.split_return(
        Money(fen=ruling.deduction_fen), Money(fen=ruling.arrears_fen), arrears, handling
    )


def moves_money(split: Split) -> bool:
    return bool(split.to_deposit or split.to_receivable or split.to_arrears)


def _reason(case: Case) -> WithdrawalReason | None:
    """Why the arbitration was withdrawn, where that is what the case is about."""
    return WithdrawalAsked.of(case).reason if case.kind is CaseKind.WITHDRAWAL else None


@effect("判断是否需要财务确认", kept_as="needs_finance")
def to_finance(tx: Tx, case: Case, round: int) -> bool:
    """To finance, if what was agreed can move money: another person has to confirm it; ``False`` if it cannot."""
    unmoved = agreed(tx, case, round)[0] is Handling.NO_MONEY and owed(tx, case).arrears_fen == 0
    return not unmoved or case.kind is CaseKind.WITHDRAWAL  # what is left with the buyer is decided by two, too (WDR-1)


def agreed(tx: Tx, case: Case, round: int) -> tuple[Handling, Review]:
    """What merchant service agreed in this round."""
    review = decided(tx, case.id, SERVICE.name, round)
    handling = handling_of(review) if review else None
    if review is None or handling is None:
        raise LookupError(f"{case.id}: nothing was agreed in round {round}")
    return handling, review


@effect("处理赔付款")
def settle(tx: Tx, case: Case, round: int) -> bool:
    """Carry out what was agreed, once per ruling, and tell the merchant; ``False`` while another ruling's is left, or when
    the books or the shop are no longer as both saw them (ambiguity 23)."""
    ruling = owed(tx, case)
    if tx.get(MoneyReturn, ruling.id) is not None:
        return True
    handling, service = agreed(tx, case, round)
    given = approvals.insist(tx, case, round, (SERVICE, ServiceVerdict.AGREED), (FINANCE, FinanceVerdict.CONFIRM))
    split = split_now(tx, ruling, handling)
    if not approvals.stand(tx, given, _seen(tx, case)):
        return False  # what they agreed or confirmed is no longer what would be posted: merchant service is asked again
    if moves_money(split) and len(given) < 2:
        raise PermissionError(f"{case.id}: money would move without finance")
    matter_rows.post_return(
        tx, ruling, split, f"return/{ruling.id}", reason="compensation.returned", clause="ARB-8", case=case
    )
    freezes.settle_shop(tx, ruling.shop_id)
    people = [str(review.decided_by) for review in given]
    tx.add(
        MoneyReturn(
            ruling_id=ruling.id,
            case_id=case.id,
            handling=handling,
            to_deposit_fen=split.to_deposit.fen,
            to_receivable_fen=split.to_receivable.fen,
            to_arrears_fen=split.to_arrears.fen,
            by=people,
            at=tx.now,
        )
    )
    audit.record(
        tx,
        case.id,
        "compensation.returned",
        clause="ARB-8",
        public=True,
        handling=handling,
        people=people,
        text=f"赔付款处理完毕:{split.text()}",
    )
    told = words.CompensationReturned(
        shop_name=shop_of(tx, case).name,
        case_id=case.id,
        ruling_id=ruling.called,
        deduction_fen=ruling.deduction_fen,
        handling=handling.label,
        to_deposit_fen=split.to_deposit.fen,
        to_receivable_fen=split.to_receivable.fen,
        to_arrears_fen=split.to_arrears.fen,
        agreed=handling is not Handling.BUYER_KEEPS,
        reason=_why(case, service),
    )
    merchants.tell(tx, told, f"{case.id}/returned/{ruling.id}", case=case)
    demands.look(tx, shop_of(tx, case))  # what came back may be all that was missing
    tx.flush()
    return tx.get(MoneyReturn, owed(tx, case).id) is not None


def _why(case: Case, service: Review) -> str:
    """What the merchant reads of why this becomes of the money: the ground of the withdrawal and what was written."""
    ground = _reason(case)
    return "。".join(filter(None, (f"仲裁撤销原因:{ground.label}" if ground else "", service.reason)))


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, ruling = shop_of(tx, case), owed(tx, case)
    service = decided(tx, case.id, SERVICE.name, review.round) if review.gate == FINANCE.name else None
    chosen = handling_of(service) if service else None
    options = (
        [chosen]
        if chosen
        else [
            handling
            for handling in Handling
            if not _not_for_this_shop(shop.state, handling) and not _not_for_this_case(case, handling)
        ]
    )
    ground = _reason(case)
    proposed = rules_of_appeal.proposed_handling(ground, rules(case)) if ground else None
    preview = Items.of(
        (Strong(text=handling.label), f":{split_now(tx, ruling, handling).text()}") for handling in options
    )
    said = None
    if service:
        words = f"联系方式:{service.answer.get('contact', '')}\n{service.reason}"
        said = Quote.of(words, f"{service.decided_by}:{chosen.label if chosen else ''}")
    before = [found for earlier in range(1, review.round) if (found := decided(tx, case.id, SERVICE.name, earlier))]
    history = Items.of(f"第 {found.round} 次:{found.reason}({dossier.when(found.decided_at)})" for found in before)
    return dossier.of(
        f"赔付款处理 · {shop.name} · {case.id}",
        ("将如何入账", preview),
        (
            "规则建议",
            Text.of(f"撤销原因「{ground.label}」:{proposed.label}。须由商服选择、财务确认,结果和原因告知商家(WDR-1)。")
            if ground and proposed
            else None,
        ),
        ("商服与商家的约定", said),
        ("判责", ruling_part(ruling)),
        ("店铺", shop_part(tx, shop)),
        ("此前联系记录", history),
        facts=_seen(tx, case).terms,
        sum_fen=ruling.deduction_fen,
    )


def _seen(tx: Tx, case: Case) -> Seen:
    """What both agree to, the same for both: where the money of this ruling would go by each handling."""
    ruling = owed(tx, case)
    splits = {handling.value: split_now(tx, ruling, handling).model_dump() for handling in Handling}
    return Seen.of({"ruling": ruling.id, "splits": splits, "shop": shop_of(tx, case).state})


def _not_for_this_shop(state: ShopState, handling: Handling) -> bool:
    return state is ShopState.FORCED_CLOSED and handling in {Handling.TO_DEPOSIT, Handling.TO_ARREARS}


def _not_for_this_case(case: Case, handling: Handling) -> bool:
    """After an appeal or a judgment the money is the merchant's: only a withdrawal can leave it with the buyer."""
    return handling is Handling.BUYER_KEEPS and case.kind is not CaseKind.WITHDRAWAL


def _others(tx: Tx, case: Case) -> set[str]:
    """Everybody who decided anything else in the case: whoever agreed the handling does not confirm it."""
    query = select(Review.decided_by).where(Review.case_id == case.id, Review.gate != "compensation-finance")
    return {staff_id for staff_id in tx.exec(query) if staff_id}


def _says_what_was_agreed(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    if given.verdict != ServiceVerdict.AGREED:
        return None
    handling = _handling(given.extra.get("handling"))
    if handling is None:
        return "请选择与商家约定的处理方式(ARB-8)"
    if _not_for_this_case(case, handling):
        return "判责已被推翻,赔付款应退还商家,不能选择归买家所有(ARB-8)"
    if handling is Handling.BUYER_KEEPS and not has_text(given.reason, 2):
        return "赔付款不退还商家的,必须填写理由,理由会告知商家(WDR-1)"
    if not has_text(str(given.extra.get("contact", "")), 2):
        return "请填写联系商家的方式与时间(ARB-8)"
    if _not_for_this_shop(shop_of(tx, case).state, handling):
        return "店铺已被强制关店,款项不能退回保证金,请选择其他处理方式(REF-10)"
    return None


def _still_as_agreed(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    handling, service = agreed(tx, case, review.round)
    if given.verdict == FinanceVerdict.CONFIRM and _not_for_this_shop(shop_of(tx, case).state, handling):
        return "店铺已被强制关店,款项不能退回保证金,请退回商服重新与商家约定(REF-10)"
    if given.verdict == FinanceVerdict.CONFIRM and not approvals.stand(tx, [service], _seen(tx, case)):
        return "商服约定之后入账预览或店铺状态有变化,请退回商服重新与商家约定(ARB-8)"
    return None


SERVICE = Gate(
    name="compensation-service",
    title="商服联系商家",
    roles=(Role.MERCHANT_SERVICE,),
    verdicts=ServiceVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).appeal.service_sla,
    clause="ARB-8",
    reason_required=frozenset({ServiceVerdict.UNREACHED}),
    check=_says_what_was_agreed,
    consequences={"AGREED": "涉及资金的,交财务确认后按上方预览入账", "UNREACHED": "记录本次联系,任务继续保留"},
    fields={
        "contact": {
            "title": "联系记录",
            "type": "string",
            "maxLength": 200,
            "default": "",
            "description": "何时以何种方式联系到商家的哪位人员",
        },
        "handling": {
            "title": "约定的处理方式",
            "type": "string",
            "enum": ["", *(handling.label for handling in Handling)],
            "default": "",
            "description": "与商家达成一致时必选",
        },
    },
)

FINANCE = Gate(
    name="compensation-finance",
    title="赔付款入账确认",
    roles=(Role.FINANCE,),
    verdicts=FinanceVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).appeal.finance_sla,
    clause="ARB-8",
    reason_required=frozenset({FinanceVerdict.SEND_BACK}),
    consequences={"CONFIRM": "按上方预览入账,仅一次", "SEND_BACK": "退回商服重新与商家约定"},
    excluded=_others,
    check=_still_as_agreed,
)

PROCESS = Process(name="compensation", asks=(SERVICE, FINANCE))
