"""What whoever decides about an application is shown: what was brought, what is odd about it, what has changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from models.cases import Case, CaseKind, Finding
from models.dossier import Block, Items, Rows, Strong, Text, Words
from models.event_parts import DocumentKind, TaxpayerType
from models.opening import OpeningPart, Part, ThirdPartyPlatform
from office.base.db import Tx
from office.base.vault import mask, opened_json
from office.cases import cases, dossier
from office.cases.merchants import shop_of
from office.files import papers
from policies import opening as policy_of_opening
from policies.approvals import Seen
from policies.obstacles import ban_proposed
from policies.text import normalise_name
from tasks.opening import admission, parts
from tasks.opening.request import OpeningAsked

WORDS = {
    "name": "店铺名称", "introduction": "店铺简介", "contact_name": "联系人", "licence_name": "营业执照名称",
    "uscc": "统一社会信用代码", "legal_person": "法人(经营者)", "licence_until": "执照有效期至", "taxpayer_type": "纳税人类型",
    "course": "课程", "completed_at": "完成时间", "payee": "对公账户", "bank_name": "开户行", "qualifications": "资质说明",
    "other_shops": "第三方店铺",
}  # fmt: skip
ACCOUNT_NAME = "户名"


def findings_now(tx: Tx, case: Case) -> tuple[Finding, ...]:
    """What the rules find about the application at this moment, blocking ones first."""
    shop, asked = shop_of(tx, case), OpeningAsked.of(case)
    given = parts.of_case(tx, case.id)
    entity = given.get(Part.ENTITY)
    basics = given.get(Part.BASICS)
    fields = entity.fields if entity else {}
    found = [
        *policy_of_opening.entity_findings(
            asked.entity_type,
            fields.get("licence_name", ""),
            fields.get("uscc", ""),
            parts.licence_until(given),
            name_taken=basics is not None and parts.name_taken(tx, shop.id, basics.fields["name"]),
            banned=admission.is_banned(tx, case),
            same_business=parts.same_business(tx, shop.id, fields.get("uscc", "")),
            now=tx.now,
        ),
        *(admission.owed(tx, shop) if case.kind is CaseKind.REOPENING else ()),
        *ban_proposed(cases.open_by_kind(tx, shop.id, but=case.id, apart=()), tx.now),
        *_missing(tx, case),
        *_foreign_account(tx, case),
        *papers.findings(tx, case, "OPN-7"),
    ]
    return tuple(sorted(found, key=lambda finding: not finding.blocking))


def _foreign_account(tx: Tx, case: Case) -> Iterator[Finding]:
    """An account that was given before the business was named, and is not its own."""
    row = parts.find(tx, case.id, Part.ACCOUNT)
    if row is not None and not parts.own_account(tx, case, str(row.fields["name"])):
        yield Finding(
            code="account_name",
            clause="OPN-10",
            blocking=True,
            as_of=tx.now,
            sentence="对公账户户名与营业执照名称(经营者姓名)不一致,请商家更正。",
        )


def _missing(tx: Tx, case: Case) -> Iterator[Finding]:
    """What was here when the merchant's stage ended, and is not any more: a file that got lost, another category."""
    for need in parts.missing(tx, case):
        yield Finding(
            code=f"missing_{need.what.lower()}",
            clause=need.clause,
            blocking=True,
            as_of=tx.now,
            sentence=f"缺少「{need.label}」,请要求商家补充。",
        )


def seen_now(tx: Tx, case: Case, findings: tuple[Finding, ...]) -> Seen:
    """What an approval is about (ambiguity 23)."""
    asked = OpeningAsked.of(case)
    terms = {
        "stage": asked.stage,
        "entity": asked.entity_type,
        "categories": sorted(asked.categories),
        "parts": {part.value: row.sha256 for part, row in parts.of_case(tx, case.id).items()},
        "documents": sorted([one["kind"], one.get("sha256") or ""] for one in asked.documents),
    }
    return Seen.of(terms, findings)


TERMS = {
    "stage": "当前步骤",
    "entity": "主体类型",
    "categories": "类目",
    "parts": "提交的信息",
    "documents": "材料",
}


def applied(tx: Tx, case: Case) -> Rows:
    """What was applied for, and what the platform says about the account."""
    asked, shop = OpeningAsked.of(case), shop_of(tx, case)
    state = asked.account
    facts = [
        f"实名{'已' if state.real_name else '未'}认证",
        f"蓝V{'已' if state.blue_v else '未'}认证",
        f"粉丝 {state.fans}",
    ]
    rows = {
        "店铺": f"{shop.name}({shop.id})",
        "主体类型": asked.entity_type.label,
        "类目": "、".join(asked.categories),
        "入驻方式": asked.profile.label,
        "申请账号": asked.account_id,
        "账号情况": "、".join(facts),
        "自有商标": "有" if asked.own_trademark else "无",
        "收到时间": dossier.when(case.received_at),
    }
    if asked.other_shops:
        rows["申请时填写的第三方店铺"] = _elsewhere([one.model_dump(mode="json") for one in asked.other_shops])
    return Rows.of(rows)


def brought(tx: Tx, case: Case) -> list[Block]:
    """What was brought, a part after another; numbers of people and accounts by their tails."""
    found: list[Block] = []
    for part, row in parts.of_case(tx, case.id).items():
        found += [Text.of(Strong(text=part.label), f"({dossier.when(row.received_at)})"), Rows.of(_rows(row))]
    return found


def _rows(row: OpeningPart) -> dict[str, str]:
    shown = {_word(row.part, name): _value(name, value) for name, value in row.fields.items()}
    sealed = opened_json(row, "fields_sealed") or {}
    if row.part is Part.BASICS:
        shown["电话"] = mask(sealed.get("phone", ""))
    if row.part is Part.ENTITY:
        shown["证件号码"] = mask(sealed.get("identity_no", ""))
        shown["真实性"] = "商家已声明所填信息真实有效(OPN-8)"
    return shown


def _word(part: Part, name: str) -> str:
    return ACCOUNT_NAME if part is Part.ACCOUNT and name == "name" else WORDS.get(name, name)


def _value(name: str, value: Any) -> str:
    if name == "other_shops":
        return _elsewhere(value)
    if name == "taxpayer_type" and value:
        return TaxpayerType(value).label
    if name == "licence_until":
        return str(value) if value else "长期或不适用"
    if name == "completed_at":
        return dossier.when(datetime.fromisoformat(value))
    return str(value) if str(value).strip() else "(未填)"


def _elsewhere(shops: list[Mapping[str, Any]]) -> str:
    told = []
    for shop in shops:
        label = ThirdPartyPlatform(shop["platform"]).label
        ratings = f",评分 {'、'.join(shop['ratings'])}" if shop.get("ratings") else ""
        level = f",{shop['diamonds']} 钻" if shop.get("diamonds") else ""
        told.append(f"{label} {shop['name']}{ratings}{level} {shop.get('link') or ''}")
    return "\n".join(told) or "(未填)"


# ── differences to the last application ──────────────────────────────────────


def last_application(tx: Tx, case: Case) -> Case | None:
    """The application that came before this one for the same shop."""
    query = select(Case).where(
        Case.shop_id == case.shop_id,
        col(Case.kind).in_(parts.KINDS),
        Case.id != case.id,
        col(Case.opened_at) <= case.opened_at,
        col(Case.concluded_at).is_not(None),
    )
    rows = [one for one in tx.exec(query.order_by(col(Case.opened_at).desc())) if of_substance(tx, one)]
    return next(iter(rows), None)


def of_substance(tx: Tx, case: Case) -> bool:
    return bool(parts.of_case(tx, case.id))


def differences(tx: Tx, case: Case) -> list[Block]:
    """What is other than in the last application; for a shop that opens again without one, other than it is registered."""
    before = last_application(tx, case)
    if before is None:
        return _against_the_shop(tx, case) if case.kind is CaseKind.REOPENING else []
    one, other = OpeningAsked.of(before), OpeningAsked.of(case)
    lines = [
        *_other("主体类型", one.entity_type.label, other.entity_type.label),
        *_other("类目", "、".join(sorted(one.categories)), "、".join(sorted(other.categories))),
    ]
    old, new = parts.of_case(tx, before.id), parts.of_case(tx, case.id)
    for part, row in new.items():
        lines += _changed(part, old.get(part), row)
    lines += _papers_changed(one, other)
    ended = before.outcome.label if before.outcome else ""
    return _told(f"与 {before.id}({ended},{dossier.when(before.concluded_at)})相比:", lines)


def _told(head: str, lines: list[Words]) -> list[Block]:
    return [Text.of(head), Items.of(lines or ["没有变化"])]


def _other(word: str, old: str, new: str) -> list[Words]:
    if normalise_name(old) == normalise_name(new):
        return []
    return [(f"{word}:{old or '(无)'} → ", Strong(text=new or "(无)"))]


def _changed(part: Part, old: OpeningPart | None, new: OpeningPart) -> list[Words]:
    if old is None:
        return [f"{part.label}:新提交"]
    if old.sha256 == new.sha256:
        return []
    lines: list[Words] = [
        (f"{_word(part, name)}:{_value(name, old.fields.get(name, ''))} → ", Strong(text=_value(name, value)))
        for name, value in new.fields.items()
        if old.fields.get(name) != value
    ]
    if old.identity_hash != new.identity_hash:
        lines.append(("证件号码:", Strong(text="与上次不同")))
    return lines or [(f"{part.label}:", Strong(text="未显示的内容(电话、账号)与上次不同"))]


def _papers_changed(one: OpeningAsked, other: OpeningAsked) -> Iterator[Words]:
    def by_kind(asked: OpeningAsked) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for paper in asked.documents:
            found.setdefault(paper["kind"], set()).add(paper.get("sha256") or paper.get("url") or "")
        return found

    old, new = by_kind(one), by_kind(other)
    for kind in sorted(old.keys() | new.keys()):
        if old.get(kind) != new.get(kind):
            word = "新提交" if kind not in old else "不再提交" if kind not in new else "已更换文件"
            yield f"{DocumentKind(kind).label}:", Strong(text=word)


def _against_the_shop(tx: Tx, case: Case) -> list[Block]:
    shop, asked = shop_of(tx, case), OpeningAsked.of(case)
    entity = parts.find(tx, case.id, Part.ENTITY)
    fields = entity.fields if entity else {}
    lines = [
        *_other("主体类型", shop.entity_type.label, asked.entity_type.label),
        *_other("类目", "、".join(sorted(shop.categories)), "、".join(sorted(asked.categories))),
        *_other("法人(经营者)", shop.owner_name, fields.get("legal_person", "")),
        *_other("营业执照名称", shop.licence_name, fields.get("licence_name", "")),
        *_other("统一社会信用代码", shop.uscc, fields.get("uscc", "")),
    ]
    return _told("与店铺登记信息相比:", lines)
