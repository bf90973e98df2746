"""The questions of an application: 主体审核, 证书审核, 店铺审核 (OPN-6, OPN-9, OPN-11, OPN-16)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import col, select

from models.base import Labelled
from models.cases import Case
from models.dossier import Findings, Table, Text
from models.event_parts import DocumentKind
from models.opening import OpeningTransfer, Part, Stage
from models.reviews import Review, Role
from office.base.db import Tx
from office.cases import approvals, dossier
from office.cases.cases import rules
from office.cases.gates import Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.files import papers
from policies.approvals import Seen
from policies.opening import read_items
from tasks.opening import parts, sight
from tasks.opening.request import OpeningAsked


class OpeningVerdict(Labelled):
    APPROVE = "APPROVE", "审核通过"
    ASK = "ASK", "退回补充"
    REJECT = "REJECT", "驳回申请"


class TransferVerdict(Labelled):
    PROVED = "PROVED", "凭银行证明通过"
    AGAIN = "AGAIN", "再打一次款"
    OTHER_ACCOUNT = "OTHER_ACCOUNT", "请商家更换账户"
    REJECT = "REJECT", "驳回申请"


def _dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    """The same for every step: what would follow, findings, what was brought, the papers, what has changed since."""
    shop, findings = shop_of(tx, case), sight.findings_now(tx, case)
    now = sight.seen_now(tx, case, findings)
    gate = next(one for one in GATES.values() if one.name == review.gate)
    blocked = sum(finding.blocking for finding in findings)
    warning = f"存在 {blocked} 项阻断事项:须退回补充或驳回,不能通过。" if blocked else "没有阻断事项。"
    return dossier.of(
        f"{gate.title} · {case.kind.label} · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, sight.TERMS)),
        ("检查结果", (Findings.of(findings), Text.of(warning))),
        ("申请", sight.applied(tx, case)),
        ("商家提交的信息", sight.brought(tx, case)),
        ("与上一次申请的差异", sight.differences(tx, case)),
        ("材料", papers.part(tx, case, review)),
        facts=now.terms,
        blocking=now.blocking,
        links_until=papers.links_until(tx, case, review),
    )


def _check(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    """Nobody approves over what blocks, or on papers nobody can open; who asks again says what, a line each."""
    if given.verdict == OpeningVerdict.ASK:
        return _items(case, given)
    if given.verdict != OpeningVerdict.APPROVE:
        return None
    if blocked := [finding for finding in sight.findings_now(tx, case) if finding.blocking]:
        return f"存在 {len(blocked)} 项阻断事项,不能通过,请退回补充或驳回:{blocked[0].sentence}({blocked[0].clause})"
    return papers.refusal(tx, case, "OPN-7")


def _items(case: Case, given: Answer) -> str | None:
    found, unread = read_items(str(given.extra.get("items", "")))
    stage, entity = OpeningAsked.of(case).stage, OpeningAsked.of(case).entity_type
    can: list[Part | DocumentKind] = [*sorted(parts.stage_parts(stage, entity)), *sorted(parts.stage_papers(stage))]
    words = "、".join(one.label for one in can if one is not DocumentKind.OTHER)
    if unread:
        return f"「需重新提交的材料」每行写一项,格式为「名称:原因」,看不懂:{unread[0]}。名称可选:{words}"
    if foreign := [what for what in found if what not in {one.value for one in can}]:
        return f"这一步不能要求重新提交「{foreign[0]}」。名称可选:{words}"
    return None if found else f"退回补充须写明需重新提交的材料和原因,每行一项(名称:原因)。名称可选:{words}"


def _both_ticked(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    """Signature and seal are confirmed apart (OPN-9)."""
    if given.verdict == OpeningVerdict.APPROVE:
        ticks = {"signature": "签字", "seal": "盖章"}
        if missing := [word for name, word in ticks.items() if given.extra.get(name) is not True]:
            return f"须分别勾选确认申请表上的签字和盖章,尚未确认:{'、'.join(missing)}(OPN-9)"
    return _check(tx, case, review, given)


def _transfer_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    """What was sent and entered so far, without any amount; the account by its tail."""
    shop = shop_of(tx, case)
    account = parts.find(tx, case.id, Part.ACCOUNT)
    rows = tx.exec(
        select(OpeningTransfer).where(OpeningTransfer.case_id == case.id).order_by(col(OpeningTransfer.number))
    )
    sent = list(rows)
    history = Table.of(
        ("打款", "提交时间", "到账时间", "填错次数", "结果"),
        [
            (
                f"第 {row.number} 笔",
                dossier.when(row.sent_at),
                dossier.when(row.settled_at),
                str(row.tries),
                row.state.label,
            )
            for row in sent
        ],
    )
    now = Seen.of(
        {
            "account": account.sha256 if account else "",
            "transfers": [[row.number, row.state, row.tries] for row in sent],
            "documents": sorted([one["kind"], one.get("sha256") or ""] for one in OpeningAsked.of(case).documents),
        }
    )
    why = "打款验证的次数已用尽,或该账号、该账户累计填错次数已达上限。请凭银行证明核验账户归属,或再给一次机会。"
    return dossier.of(
        f"对公账户人工核验 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _TRANSFER_TERMS)),
        ("为什么需要您", Text.of(why)),
        ("打款记录", history),
        ("申请", sight.applied(tx, case)),
        ("商家提交的信息", sight.brought(tx, case)),
        ("材料", papers.part(tx, case, review)),
        facts=now.terms,
        links_until=papers.links_until(tx, case, review),
    )


_TRANSFER_TERMS = {"account": "对公账户", "transfers": "打款记录", "documents": "材料"}


def _proof_is_here(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    """Whoever passes an account without the transfer names the bank's proof, which opens (ambiguity 26)."""
    if given.verdict != TransferVerdict.PROVED:
        return None
    named = str(given.extra.get("paper", "")).strip()
    return papers.unfit(tx, case.shop_id or "", named, "银行证明文件", "OPN-10", proof=True)


_ITEMS = {
    "items": {
        "title": "需重新提交的材料",
        "type": "string",
        "maxLength": 2000,
        "default": "",
        "format": "textarea",
        "description": "选择「退回补充」时必填,每行一项,格式「名称:原因」,例如「营业执照:已过期,请提交最新的」",
    }
}
_REASONED = frozenset({OpeningVerdict.REJECT})

ENTITY = Gate(
    name="opening-entity",
    title="入驻主体审核",
    roles=(Role.OPENING_REVIEWER,),
    verdicts=OpeningVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).opening.entity_sla,
    clause="OPN-6",
    reason_required=_REASONED,
    fields=_ITEMS,
    check=_check,
    consequences={
        "APPROVE": "进入下一步(企业:数字证书和打款验证;个人:店铺完善)",
        "ASK": "逐项把原因告知商家,限期重新提交,已通过的无需再交",
        "REJECT": "结束申请,理由会告知商家,商家可以重新申请",
    },
)

CERTIFICATE = Gate(
    name="opening-certificate",
    title="数字证书申请表审核",
    roles=(Role.OPENING_REVIEWER,),
    verdicts=OpeningVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).opening.certificate_sla,
    clause="OPN-9",
    reason_required=_REASONED,
    fields={
        "signature": {
            "title": "申请表上有法人签字",
            "type": "boolean",
            "default": False,
            "description": "打开文件看到签字后再勾选",
        },
        "seal": {
            "title": "申请表上有企业公章",
            "type": "boolean",
            "default": False,
            "description": "打开文件看到公章后再勾选",
        },
        **_ITEMS,
    },
    check=_both_ticked,
    consequences={
        "APPROVE": "向对公账户打入一笔随机金额,由商家填写验证",
        "ASK": "逐项把原因告知商家,限期重新提交",
        "REJECT": "结束申请,理由会告知商家,商家可以重新申请",
    },
)

TRANSFER = Gate(
    name="opening-transfer",
    title="对公账户人工核验",
    roles=(Role.FINANCE,),
    verdicts=TransferVerdict,
    dossier=_transfer_dossier,
    window=lambda case: rules(case).opening.transfer_sla,
    clause="OPN-10",
    reason_required=frozenset(TransferVerdict),
    fields={
        "paper": {
            "title": "银行证明文件",
            "type": "string",
            "maxLength": 40,
            "default": "",
            "description": "选择「凭银行证明通过」时必填:银行或财务为该店铺上传文件(POST /evidence)后返回的编号 EV-…",
        }
    },
    check=_proof_is_here,
    consequences={
        "PROVED": "不再打款,账户视为已验证,进入店铺审核",
        "AGAIN": "向同一账户再打一笔随机金额",
        "OTHER_ACCOUNT": "把理由告知商家,请其提交另一个对公账户,再打款",
        "REJECT": "结束申请,理由会告知商家",
    },
)

SHOP = Gate(
    name="opening-shop",
    title="店铺审核",
    roles=(Role.OPENING_REVIEWER,),
    verdicts=OpeningVerdict,
    dossier=_dossier,
    window=lambda case: rules(case).opening.shop_sla,
    clause="OPN-11",
    reason_required=_REASONED,
    fields=_ITEMS,
    check=_check,
    consequences={
        "APPROVE": "请商家签署在线合同、缴纳保证金;缴足即开店",
        "ASK": "逐项把原因告知商家,限期重新提交",
        "REJECT": "结束申请,理由会告知商家,商家可以重新申请",
    },
)

GATES: Mapping[Stage, Gate] = {Stage.MATERIALS: ENTITY, Stage.CERTIFICATE: CERTIFICATE, Stage.FINISHING: SHOP}
"""Which question follows which stage of the merchant's."""
