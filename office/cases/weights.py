"""How much a decision weighs, and what follows from it before it counts."""

from __future__ import annotations

from typing import assert_never

from models.confirmations import Holding, Weight
from office.base.db import Tx
from office.base.settings import settings
from policies.office_numbers import DecisionPolicy
from policies.policy import policy_at


def weight(gate: str, rules: DecisionPolicy) -> Weight:
    """How much rests on a gate's decisions."""
    return Weight.ROUTINE if gate in rules.routine else Weight.WEIGHTY


def holding(tx: Tx, gate: str) -> Holding:
    """What an answer to this gate that came through Prefect waits for before it counts."""
    if weight(gate, policy_at(tx.now).decisions) is Weight.ROUTINE:
        return Holding.IMMEDIATE
    return Holding(settings().holding)


def follows(tx: Tx, gate: str) -> str:
    """What the form says will follow; nothing where an answer simply counts."""
    hours = policy_at(tx.now).decisions.objection.n
    match holding(tx, gate):
        case Holding.IMMEDIATE:
            return ""
        case Holding.WINDOW:
            return (
                f"提交后不会立即生效:系统会把所记录的结论发送到您本人的联系方式,{hours} 小时内您未提出异议即生效;"
                "也可在工作台打开该任务,或在终端执行 dianwu review confirm,立即确认。"
            )
        case Holding.CONFIRM:
            return (
                "提交后不会立即生效:须您本人在工作台打开该任务,或在终端执行 dianwu review confirm,加以确认。"
                "系统会把所记录的结论发送到您本人的联系方式。"
            )
        case unknown:
            assert_never(unknown)
