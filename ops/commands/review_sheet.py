"""A review at the terminal: found by its id or its case's, and shown."""

from __future__ import annotations

from sqlmodel import col, select

from models.cases import Case
from models.reviews import Review
from notifications.text import full_width
from office.base.db import Tx
from office.cases.reviews import gate_of
from ops.commands.terminal import countdown, markdown, refuse, say, table, when


def find_review(tx: Tx, given: str) -> Review:
    """The review of this id, or the one open review of the case of this id."""
    from office.cases.gates import OPEN

    review = tx.get(Review, given)
    if review is not None:
        return review
    if tx.get(Case, given) is None:
        refuse(f"没有编号为 {given} 的审核任务或案件")
    found = list(tx.exec(select(Review).where(Review.case_id == given, col(Review.state).in_(OPEN))))
    if len(found) != 1:
        refuse(f"案件 {given} 有 {len(found)} 个待处理的审核任务，请用任务编号指明")
    return found[0]


def print_review(tx: Tx, review: Review) -> None:
    from office.cases.forms import reason_needed
    from office.cases.markdown import markdown as drawn
    from tasks.sight.merchant import staff_name

    gate = gate_of(review)
    always = reason_needed(review, gate)
    say(f"{gate.title} · {review.id}（第 {review.round} 轮第 {review.seat} 位，第 {review.revision} 版）", "bold")
    due = f"到期 {when(review.due_at)}（{countdown(tx.now, review.due_at)}）"
    say(f"案件 {review.case_id} · {review.state.label} · {due}")
    if review.claimed_by:
        say(f"认领人：{staff_name(tx, review.claimed_by)}")
    if review.notice:
        say(f"⚠ {review.notice}", "yellow")
    markdown(drawn(review.dossier))
    table(
        "可选结论",
        ["代码", "结论", "后果", "理由"],
        [
            [
                word,
                gate.verdict(word).label,
                full_width(gate.consequences.get(word, "")),
                "必填" if always or word in gate.reason_required else "",
            ]
            for word in review.verdicts
        ],
    )
    if gate.fields:
        table(
            "可用 --set 填写",
            ["名称", "含义", "说明"],
            [[name, schema.get("title", name), schema.get("description", "")] for name, schema in gate.fields.items()],
        )


def exact(tx: Tx, review_id: str) -> str:
    if tx.get(Review, review_id) is None:
        refuse(f"没有编号为 {review_id} 的审核任务")
    return review_id
