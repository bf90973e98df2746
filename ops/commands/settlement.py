"""``dianwu settlement``: halves, statements, holds, and files of orders and after-sales."""

from __future__ import annotations

from pathlib import Path

import typer
from sqlmodel import col, select

from models.money import yuan
from models.settlement import Half
from office.base.db import in_transaction, reading
from office.record.inbox import Refused
from ops.commands.invoicing import STAFF, take_file, write_list
from ops.commands.terminal import CODE_OPTION as CODE
from ops.commands.terminal import ask_code, refuse, say, table, when

app = typer.Typer(no_args_is_help=True)

HALF = typer.Argument(..., metavar="结算期", help="例如 2026-03-1（1 日至 15 日）或 2026-03-2（16 日至月末）")
FILE = typer.Argument(..., metavar="文件", help="CSV（UTF-8 或 GBK）或 Parquet")
REJECTS = typer.Option(None, help="把被拒绝的行写入这个 CSV 文件", metavar="文件")


@app.command("halves")
def halves() -> None:
    """列出各结算期的进度。"""
    with reading() as tx:
        rows = list(tx.exec(select(Half).order_by(col(Half.id).desc())))
    table(
        "结算期",
        ["结算期", "状态", "案件", "起草", "店铺", "付款", "本期付款", "放行", "结算"],
        [
            [
                row.id,
                row.state.label,
                row.case_id or "",
                row.drafts,
                row.last_number,
                row.last_payout,
                yuan(row.totals.get("paid_fen", 0)),
                when(row.released_at),
                when(row.settled_at),
            ]
            for row in rows
        ],
        empty="还没有结算期",
    )


@app.command("run")
def run(half: str = typer.Argument("", metavar="结算期", help="例如 2026-03-1；不填则补开遗漏的结算期")) -> None:
    """开始一个已结束结算期的结算；已经开始过的不会重复，上一期未结算完毕时不能开始。"""
    from policies.invoicing import NotAPeriod
    from tasks.settlement import halves
    from tasks.settlement.request import HalfAsked

    try:
        opened = (
            [HalfAsked.of(in_transaction(lambda tx: halves.begin_half(tx, half))).half] if half else halves.catch_up()
        )
    except (Refused, NotAPeriod) as error:
        refuse(str(error))
    say(f"✓ {'、'.join(opened)} 已开始" if opened else "没有可以开始的结算期", "green")


@app.command("import-orders")
def import_orders(file: Path = FILE, rejects: Path | None = REJECTS) -> None:
    """导入确认收货的订单：合格的入账，不合格的逐行说明原因；同一文件再次导入不会重复入账。"""
    from tasks.settlement import order_files

    take_file(file, rejects, "订单编号", order_files.import_orders)


@app.command("import-aftersales")
def import_aftersales(file: Path = FILE, rejects: Path | None = REJECTS) -> None:
    """导入订单售后的当前状态：已结束的保持结束，较早的状态不会覆盖。"""
    from tasks.settlement import order_files

    take_file(file, rejects, "售后编号", order_files.import_aftersales)


@app.command("anomalies")
def anomalies(
    half: str = HALF,
    out: Path | None = typer.Option(None, "--out", help="默认 settlement-anomalies-<结算期>.csv", metavar="文件"),
) -> None:
    """把一个结算期的全部异常导出为 CSV。"""
    from policies.settlement import sentence
    from tasks.settlement import drafts

    with reading() as tx:
        rows = [
            (odd.kind.label, row.shop_id, row.shop_name, sentence(odd.kind, odd.value_fen, odd.before_fen))
            for row, odd in drafts.anomalies(tx, _read(half), limit=None)
        ]
    write_list(
        out or Path(f"settlement-anomalies-{half}.csv"), ["异常", "店铺编号", "店铺名称", "说明"], rows, "项异常"
    )


@app.command("held")
def held(
    half: str = HALF,
    out: Path | None = typer.Option(None, "--out", help="默认 settlement-held-<结算期>.csv", metavar="文件"),
) -> None:
    """把一个结算期中暂不打款的全部店铺及原因导出为 CSV。"""
    from tasks.settlement import drafts
    from tasks.settlement.releases import PARTLY

    with reading() as tx:
        rows = [
            (row.shop_id, row.shop_name, yuan(row.left_fen), row.hold.label or PARTLY, row.held_reason, row.held_by)
            for row in drafts.held(tx, _read(half))
        ]
    head = ["店铺编号", "店铺名称", "留存金额", "原因", "财务说明", "暂缓人"]
    write_list(out or Path(f"settlement-held-{half}.csv"), head, rows, "家店铺")


def _read(half: str) -> str:
    from policies.invoicing import NotAPeriod
    from policies.settlement import read_half

    try:
        return read_half(half)
    except NotAPeriod as error:
        refuse(str(error))


@app.command("release-held")
def release_held(
    half: str = HALF,
    shop_id: str = typer.Argument(..., metavar="店铺编号"),
    reason: str = typer.Option(..., help="为什么现在可以付款"),
    staff_id: str = STAFF,
    code: str = CODE,
) -> None:
    """放行此前由财务暂缓的一家店铺，立即提交银行付款（财务）。"""
    from tasks.settlement import releases

    proof = code or ask_code()
    outcome = in_transaction(lambda tx: releases.release_held(tx, _read(half), shop_id, staff_id, proof, reason))
    if not outcome.accepted:
        refuse(outcome.sentence)
    say(f"✓ {outcome.sentence}", "green")


@app.command("statement")
def statement(number: str = typer.Argument(..., metavar="结算单编号")) -> None:
    """生成（或重新生成）一份可打印的结算单，并说明它在哪里。"""
    from office.base.db import Tx
    from tasks.settlement import statements

    def work(tx: Tx) -> Path:
        found = statements.find(tx, number)
        if found is None:
            refuse(f"没有编号为 {number} 的结算单")
        return statements.write(tx, found)

    say(f"✓ {in_transaction(work)}", "green")


@app.command("check")
def check() -> None:
    """核对订单、结算单、付款与账簿是否一致。"""
    from tasks.settlement import proof

    with reading() as tx:
        wrong = list(proof.check(tx))
    for sentence in wrong:
        say(sentence, "red")
    if wrong:
        raise typer.Exit(1)
    say("✓ 订单、结算单、付款与账簿一致", "green")
