"""Who did not pay in time: what finance is shown, and what they may say (DEP-10)."""

from __future__ import annotations

from models.base import Labelled
from models.books import AccountKind
from models.cases import Case, CaseDeadline
from models.dossier import Items, Rows, Strong
from models.reviews import Review, Role
from models.shops import Capability
from models.windows import Reckoned
from office.base.db import Tx
from office.cases import approvals, cases, deadlines, dossier
from office.cases.cases import rules
from office.cases.gates import Answer, Dossier, Gate
from office.cases.merchants import shop_of
from office.cases.reviews import last_decider
from office.money.ledger import shop_balance
from policies.approvals import Seen
from tasks.shops.owed import missing
from tasks.shops.request import DepositDemanded

WINDOW = "deposit-window"
"""The kind of wait, and of deadline, that a demand has: one for each window the merchant was given."""


class OverdueVerdict(Labelled):
    LONGER = "LONGER", "延长期限"
    SUSPEND = "SUSPEND", "暂停营业,缴足后自动恢复"


def windows(tx: Tx, case: Case) -> list[CaseDeadline]:
    """The windows of a case, first first."""
    found = [deadlines.find(tx, case.id, wait.key) for wait in cases.waits(tx, case.id, WINDOW)]
    return [window for window in found if window is not None]


_TERMS = {"missing": "欠缴金额", "shop": "店铺状态", "longer": "已延长次数"}


def overdue_dossier(tx: Tx, case: Case, review: Review) -> Dossier:
    shop, numbers, granted = shop_of(tx, case), rules(case).deposit, DepositDemanded.of(case).longer
    lacks = missing(tx, shop)
    held = "、".join(capability.label for capability in Capability if capability.value in shop.capabilities)
    suspends = f"关闭 {held}," if held else "店铺尚未开通,保持不开通,"
    preview = Items.of(
        (
            (
                Strong(text="延长期限"),
                f":再给 {numbers.longer.n} 天,告知商家;已延长 {granted} 次,最多 {numbers.most_longer} 次,每次须由不同的人决定",
            ),
            (Strong(text="暂停营业"), f":{suspends}理由告知商家;缴足后自动恢复,无需再审"),
        )
    )
    owed = Rows.of(
        {
            "应缴保证金": str(lacks.required),
            "保证金余额": str(lacks.balance),
            "需补缴保证金": Strong(text=str(lacks.shortfall)),
            "应缴认证审核费": str(lacks.fee),
            "合计欠缴": Strong(text=str(lacks.total)),
        }
    )
    about = Rows.of(
        {
            "店铺": f"{shop.name}({shop.id})",
            "主体": shop.entity_type.label,
            "类目": "、".join(shop.categories),
            "状态": shop.state.label,
            "账上欠款": str(shop_balance(tx, shop.id, AccountKind.ARREARS)),
            "登记时间": dossier.when(shop.registered_at),
        }
    )
    given = Items.of(Reckoned.model_validate(row.reckoned).text() for row in windows(tx, case))
    now = Seen.of({"missing": lacks.total.fen, "shop": shop.state, "longer": granted})
    return dossier.of(
        f"保证金逾期未缴 · {shop.name} · {case.id}",
        (approvals.SINCE, approvals.changes_part(tx, case, review, now, _TERMS)),
        ("将发生什么", preview),
        ("欠缴", owed),
        ("已给期限", given),
        ("店铺", about),
        facts=now.terms,
        sum_fen=lacks.total.fen,
    )


def _not_for_ever(tx: Tx, case: Case, review: Review, given: Answer) -> str | None:
    most = rules(case).deposit.most_longer
    if given.verdict == OverdueVerdict.LONGER and DepositDemanded.of(case).longer >= most:
        return f"期限已延长 {DepositDemanded.of(case).longer} 次,达到上限 {most} 次,只能选择暂停营业(DEP-10)"
    return None


OVERDUE = Gate(
    name="deposit-overdue",
    title="保证金逾期处理",
    roles=(Role.FINANCE,),
    verdicts=OverdueVerdict,
    dossier=overdue_dossier,
    window=lambda case: rules(case).deposit.overdue_sla,
    clause="DEP-10",
    reason_required=frozenset(OverdueVerdict),
    check=_not_for_ever,
    consequences={
        "LONGER": "再给一个期限并告知商家,到期仍未缴足会再次提交另一人决定",
        "SUSPEND": "逐项关闭店铺能力,理由会告知商家;缴足后自动恢复",
    },
    excluded=lambda tx, case: last_decider(tx, case, "deposit-overdue"),
)
