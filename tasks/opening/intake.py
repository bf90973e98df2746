"""What the merchant's side sends about an application: asked for, brought, withdrawn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.cases import Case, CaseKind, CaseState, WaitState
from models.event_parts import DocumentKind
from models.messages import InboxMessage
from models.opening import Part
from models.opening_events import (
    OfApplication,
    OpeningAccount,
    OpeningBasics,
    OpeningEntity,
    OpeningLinks,
    OpeningPapers,
    OpeningRequested,
    OpeningTraining,
    OpeningWithdrawn,
    ReopeningRequested,
)
from models.payouts import PayeeMethod
from models.shops import Shop, ShopState
from office.base.db import Tx
from office.base.vault import keyed_hash, place, seal_json
from office.cases import cases, deadlines
from office.cases.merchants import shop_of
from office.files import papers
from office.record import audit, outbox
from office.record.inbox import Refused, look_again
from policies import opening as policy_of_opening
from policies.deadlines import in_time
from policies.masking import mask_accounts
from tasks.opening import admission, parts, transfer
from tasks.opening.parts import TASKS
from tasks.opening.request import OpeningAsked
from tasks.shops import shops, states
from tasks.shops.applications import DEPOSIT
from tasks.shops.questions import own_open_case, take_back

# ── how an application begins ────────────────────────────────────────────────


def request(tx: Tx, event: OpeningRequested, message: InboxMessage) -> None:
    """A merchant applies; the shop's number is theirs from now on, and the shop is not open (OPN-2)."""
    shop = tx.get(Shop, event.shop_id)
    if shop is not None and not (_applies(tx, shop) and shop.owner_account_id == event.account_id):
        raise Refused(f"店铺编号 {event.shop_id} 已被使用,请换用新的店铺编号;已关闭的店铺请申请重新开店", "OPN-2")
    if shop is None:
        shop = Shop(
            id=event.shop_id,
            name=f"{event.owner_name}申请的店铺",
            entity_type=event.entity_type,
            owner_account_id=event.account_id,
            owner_name=event.owner_name,
            categories=list(event.categories),
            registered_at=message.received_at,
            state=ShopState.APPLYING,
            official_account=event.official_account,
        )
        states.put(tx, shop, ShopState.APPLYING)
        look_again(tx, shop.id)
    if event.contacts:
        shop.contacts_sealed = seal_json(list(event.contacts), place(Shop, "contacts_sealed", shop.id))
        tx.add(shop)
    before = _ended(tx, shop, CaseKind.OPENING)
    case = _opened(tx, shop, CaseKind.OPENING, event, message, before, "OPN-2")
    if before is not None:
        parts.copy(tx, before, case, *Part)


def _applies(tx: Tx, shop: Shop) -> bool:
    """Whether the number is still being applied for, or the application it is opened by ended before its licence was renewed."""
    return shop.state is ShopState.APPLYING or admission.unrenewed(tx, shop, CaseKind.OPENING)


def request_again(tx: Tx, event: ReopeningRequested, message: InboxMessage) -> None:
    """A merchant wants a closed shop back: a case, also what will be refused (REO-2).

    Papers, entity and account are brought anew (REO-3); name and training are there from the last time.
    """
    shop = shops.find_shop(tx, event.shop_id)
    before = _ended(tx, shop, CaseKind.REOPENING)
    if before is not None and (shop.closed_at is None or before.opened_at < shop.closed_at):
        before = None
    case = _opened(tx, shop, CaseKind.REOPENING, event, message, before, "REO-2", owner_name=shop.owner_name)
    if before is not None:
        parts.copy(tx, before, case, *Part)
    elif first := max(opened_before(tx, shop.id), key=lambda one: one.opened_at, default=None):
        parts.copy(tx, first, case, Part.BASICS, Part.TRAINING)


def _opened(
    tx: Tx,
    shop: Shop,
    kind: CaseKind,
    event: OpeningRequested | ReopeningRequested,
    message: InboxMessage,
    before: Case | None,
    clause: str,
    **known: str,
) -> Case:
    """The case, with what the application before it leaves to it."""
    left = OpeningAsked.of(before) if before else None
    asked = OpeningAsked(
        **event.model_dump(exclude={"shop_id", "contacts"}),
        **known,
        before=before.id if before else "",
        documents=left.documents if left else (),
        asked_again=left.asked_again if left else {},
    )
    return cases.open_case(
        tx,
        kind,
        origin=message.origin,
        received_at=message.received_at,
        shop=shop,
        request=asked.model_dump(mode="json"),
        actor=f"merchant/{event.account_id}",
        clause=clause,
        text=f"商家申请{kind.label}:{event.entity_type.label},{'、'.join(event.categories)}",
    )


def _ended(tx: Tx, shop: Shop, kind: CaseKind) -> Case | None:
    """The last application of this kind that ended so that it is taken up again."""
    ended = [case for state in admission.ENDED if (case := cases.last_concluded(tx, shop.id, kind, state))]
    return max(ended, key=lambda case: case.opened_at, default=None)


def opened_before(tx: Tx, shop_id: str) -> list[Case]:
    """The applications by which the shop was opened, the first time and again."""
    found = (cases.last_concluded(tx, shop_id, kind, CaseState.OPENED) for kind in parts.KINDS)
    return [case for case in found if case is not None]


# ── what is brought ──────────────────────────────────────────────────────────


def _case(tx: Tx, event: OfApplication, message: InboxMessage, clause: str, part: Part | None = None) -> Case:
    """The application the merchant speaks about, locked; refuses what came too late or belongs to another step."""
    case = own_open_case(tx, event.case_id, event.account_id, None, clause)
    if case.kind not in parts.KINDS or case.shop_id != event.shop_id:
        raise Refused(f"案件 {event.case_id} 不是该店铺的入驻申请", clause)
    for wait in cases.open_waits(tx, case.id, TASKS):
        deadline = deadlines.find(tx, case.id, wait.key)
        if deadline is not None and not in_time(message.received_at, deadline.due_at):
            raise Refused("提交期限已过,本次申请将关闭;可重新申请,已提交的资料无需重复提交", deadline.clause)
    asked = OpeningAsked.of(case)
    if part is not None and part not in parts.stage_parts(asked.stage, asked.entity_type) | _again(case):
        raise Refused(f"当前步骤为「{asked.stage.label}」,暂不接收「{part.label}」;如需变更请联系平台客服", clause)
    return case


def _again(case: Case) -> frozenset[Any]:
    return frozenset(policy_of_opening.named(what) for what in OpeningAsked.of(case).asked_again)


def basics(tx: Tx, event: OpeningBasics, message: InboxMessage) -> None:
    """Name, introduction and contacts (OPN-3)."""
    case = _case(tx, event, message, "OPN-3", Part.BASICS)
    shop = shop_of(tx, case)
    if parts.name_taken(tx, shop.id, event.name):
        raise Refused("店铺名称已被其他店铺或申请使用,请更换名称", "OPN-3")
    if event.contacts:
        shop.contacts_sealed = seal_json(list(event.contacts), place(Shop, "contacts_sealed", shop.id))
    if shop.state is ShopState.APPLYING:
        shops.call(shop, event.name)
        case.subject = event.name
    tx.add(shop)
    shown = {"name": event.name, "introduction": event.introduction, "contact_name": event.contact_name}
    parts.put(tx, case, Part.BASICS, shown, {"phone": event.phone}, message.received_at)


def entity(tx: Tx, event: OpeningEntity, message: InboxMessage) -> None:
    """The entity and its legal person, declared true (OPN-8)."""
    case = _case(tx, event, message, "OPN-8", Part.ENTITY)
    if not event.declared_true:
        raise Refused("请确认所填主体和法人信息真实有效后再提交", "OPN-8")
    shown = {
        "licence_name": event.licence_name,
        "uscc": event.uscc,
        "legal_person": event.legal_person,
        "licence_until": event.licence_until.isoformat() if event.licence_until else "",
        "taxpayer_type": event.taxpayer_type.value if event.taxpayer_type else "",
    }
    number = "".join(filter(str.isalnum, event.identity_no)).upper()  # however it is divided, it is the same number
    identity = keyed_hash(f"identity/{number}")
    before = parts.find(tx, case.id, Part.ENTITY)
    if before is not None and cases.find_wait(
        tx, case.id, DEPOSIT
    ):  # its account is verified, its deposit is asked for
        same = before.fields | {"licence_until": shown["licence_until"]}
        if (shown, identity) != (same, before.identity_hash):
            raise Refused("此时只接收换发后的营业执照有效期;主体、法人信息有变化的请联系平台客服", "OPN-8")
    parts.put(
        tx,
        case,
        Part.ENTITY,
        shown,
        {"identity_no": number},
        message.received_at,
        identity=identity,
    )


def training(tx: Tx, event: OpeningTraining, message: InboxMessage) -> None:
    """The platform records the training (OPN-5)."""
    case = _case(tx, event, message, "OPN-5", Part.TRAINING)
    shown = {"course": event.course, "completed_at": min(event.completed_at, tx.now).isoformat()}
    parts.put(tx, case, Part.TRAINING, shown, {}, message.received_at)


def account(tx: Tx, event: OpeningAccount, message: InboxMessage) -> None:
    """The corporate account that is verified (OPN-10); its name must be that of the licence, or of the operator."""
    case = _case(tx, event, message, "OPN-10", Part.ACCOUNT)
    payee = event.payee.payee()
    if payee.method is not PayeeMethod.CORPORATE_ACCOUNT:
        raise Refused("打款验证须提供对公账户", "OPN-10")
    if not parts.own_account(tx, case, payee.name):
        raise Refused("对公账户户名须与营业执照名称一致", "OPN-10")
    shown = {"payee": payee.masked, "name": payee.name, "bank_name": payee.bank_name}
    parts.put(tx, case, Part.ACCOUNT, shown, payee.model_dump(mode="json"), message.received_at)


def links(tx: Tx, event: OpeningLinks, message: InboxMessage) -> None:
    """Qualifications in words and shops elsewhere (OPN-11)."""
    case = _case(tx, event, message, "OPN-11", Part.LINKS)
    shown = {
        "qualifications": mask_accounts(event.qualifications),
        "other_shops": [shop.model_dump(mode="json") for shop in event.other_shops],
    }
    parts.put(tx, case, Part.LINKS, shown, {}, message.received_at)


def paper(tx: Tx, event: OpeningPapers, message: InboxMessage) -> None:
    """Papers; what is sent of a kind stands instead of what was sent of that kind before (OPN-4, OPN-7)."""
    kinds = list(dict.fromkeys(document.kind for document in event.documents))
    case = _case(tx, event, message, policy_of_opening.clause_of(kinds[0]))
    asked = OpeningAsked.of(case)
    if foreign := [kind for kind in kinds if kind not in parts.stage_papers(asked.stage) | _again(case)]:
        raise Refused(
            f"当前步骤为「{asked.stage.label}」,暂不接收「{'、'.join(kind.label for kind in foreign)}」",
            policy_of_opening.clause_of(foreign[0]),
        )
    given = [document.model_dump(mode="json") for document in event.documents]
    kept = [one for one in asked.documents if DocumentKind(one["kind"]) not in kinds]
    parts.note(tx, case, documents=[*kept, *given])
    absent = papers.absent(tx, case.shop_id or "", given)
    said = f",其中未收到文件(请上传):{'、'.join(absent)}" if absent else ""
    audit.record(
        tx,
        case.id,
        "opening.papers",
        actor=f"merchant/{event.account_id}",
        public=True,
        documents=len(given),
        clause=policy_of_opening.clause_of(kinds[0]),
        text=f"商家已提交:{'、'.join(kind.label for kind in kinds)}{said}",
    )
    parts.came(tx, case, *kinds)


def withdraw_request(tx: Tx, event: OpeningWithdrawn, message: InboxMessage) -> None:
    """The merchant takes the application back, until its deposit is asked for (OPN-2)."""
    case = _case_to_withdraw(tx, event)
    take_back(tx, case, event.account_id, message.received_at, TASKS)
    for wait in cases.open_waits(tx, case.id):
        cases.close_wait(tx, wait, WaitState.CANCELLED)
    outbox.wake(tx, case)


def _case_to_withdraw(tx: Tx, event: OpeningWithdrawn) -> Case:
    case = own_open_case(tx, event.case_id, event.account_id, None, "OPN-2")
    if case.kind not in parts.KINDS:
        raise Refused(f"案件 {event.case_id} 不是入驻申请", "OPN-2")
    if cases.find_wait(tx, case.id, DEPOSIT):
        raise Refused("店铺审核已通过,等待缴纳保证金;不再开店请申请关店,已缴部分关店后退还", "OPN-13")
    return case


def may_send(tx: Tx, case: Case) -> Iterable[str]:
    """Only what the case's step takes."""
    if case.concluded_at is not None or case.withdrawn_at is not None or case.state is CaseState.SUBMITTED:
        return
    asked = OpeningAsked.of(case)
    takes = parts.stage_parts(asked.stage, asked.entity_type) | _again(case)
    for part, type_ in EVENTS.items():
        if part in takes:
            yield type_
    if parts.stage_papers(asked.stage) or takes & set(DocumentKind):
        yield OpeningPapers.type
    yield from transfer.may_send(tx, case)
    if not cases.find_wait(tx, case.id, DEPOSIT):
        yield OpeningWithdrawn.type


def view(tx: Tx, case: Case) -> dict[str, Any]:
    """What the merchant has still to bring, while they are asked."""
    if case.concluded_at is not None or not cases.open_waits(tx, case.id, TASKS):
        return {}
    return {"missing": tuple(need.model_dump() for need in parts.missing(tx, case))}


EVENTS = {
    Part.BASICS: OpeningBasics.type,
    Part.ENTITY: OpeningEntity.type,
    Part.TRAINING: OpeningTraining.type,
    Part.ACCOUNT: OpeningAccount.type,
    Part.LINKS: OpeningLinks.type,
}
"""By which event each part comes."""
