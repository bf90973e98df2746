"""``dianwu import``, ``dianwu report`` and ``dianwu invoicing``: months, statements, files in and out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from sqlmodel import col, select

from models.invoicing import Period
from models.money import yuan
from office.base.db import in_transaction, reading
from office.cases.gates import Outcome
from office.record.inbox import Refused
from ops.commands.terminal import CODE_OPTION as CODE
from ops.commands.terminal import ask_code, number, refuse, say, staff_no, table, when

if TYPE_CHECKING:
    from office.items.batches import Recorded

importing = typer.Typer(no_args_is_help=True)
report = typer.Typer(no_args_is_help=True)
app = typer.Typer(no_args_is_help=True)

MOST_SHOWN = 50
STAFF = typer.Option(..., "--staff", help="您的工号", metavar="工号", parser=staff_no)


def _answer(outcome: Outcome) -> None:
    if not outcome.accepted:
        refuse(outcome.sentence)
    say(f"✓ {outcome.sentence}", "green")


@importing.command("billables")
def import_billables(
    file: Path = typer.Argument(..., metavar="文件", help="CSV（UTF-8 或 GBK）或 Parquet"),
    rejects: Path | None = typer.Option(None, help="把被拒绝的行写入这个 CSV 文件", metavar="文件"),
) -> None:
    """导入开票明细：合格的入账，不合格的逐行说明原因；同一文件再次导入不会重复入账。"""
    from tasks.invoicing.billable_files import import_file

    take_file(file, rejects, "明细编号", import_file)


def take_file(
    file: Path, rejects: Path | None, key: str, import_file: Callable[[Path, str], Iterator[tuple[int, int, Recorded]]]
) -> None:
    """Import a file with a progress bar; what was refused is shown line by line, all of it in the file of rejects."""
    import csv
    import getpass

    from rich.progress import Progress

    from notifications.text import full_width
    from office.items.encodings import UnreadableFile
    from tasks.invoicing.tax_report import harmless

    accepted, repeated, bad, assumed = 0, 0, 0, 0
    shown: list[list[object]] = []
    sink = rejects.open("w", encoding="utf-8-sig", newline="") if rejects else None
    sheet = csv.writer(sink) if sink else None
    if sheet:
        sheet.writerow(["行", key, "字段", "原因"])
    try:
        with Progress(transient=True) as progress:
            bar = progress.add_task("导入", total=None)
            for done, of, outcome in import_file(file, f"operator/{getpass.getuser()}"):
                progress.update(bar, completed=done, total=of)
                accepted, repeated = accepted + outcome.accepted, repeated + outcome.repeated
                bad, assumed = bad + len(outcome.rejected), assumed + outcome.assumed
                for line in outcome.rejected:
                    row = [line.position, line.item_id, line.field, full_width(line.reason)]
                    if sheet:
                        sheet.writerow([harmless(value) for value in row])
                    if len(shown) < MOST_SHOWN:
                        shown.append(row)
    except UnreadableFile as error:
        refuse(str(error))
    finally:
        if sink:
            sink.close()
    if shown:
        table(f"被拒绝的行（共 {bad} 行）", ["行", key, "字段", "原因"], shown)
    say(f"✓ 入账 {accepted:,} 条，重复 {repeated:,} 条，拒绝 {bad:,} 条", "green" if not bad else "yellow")
    if not accepted + repeated + bad:
        say("文件里只有表头，没有明细", "yellow")
    if assumed:
        say(f"其中 {assumed:,} 条的时间没有时区，已按北京时间读取", "yellow")
    if bad:
        raise typer.Exit(1)


@report.command("tax")
def tax(
    quarter: str = typer.Option(..., "--quarter", help="例如 2026Q3", metavar="季度"),
    out: Path | None = typer.Option(None, "--out", help=".csv 或 .parquet；默认 tax-<季度>.csv", metavar="文件"),
) -> None:
    """导出平台按季度报送的商家身份与收入信息。"""
    from policies.invoicing import NotAPeriod
    from tasks.invoicing import tax_report

    target = out or Path(f"tax-{quarter.upper()}.csv")
    try:
        count = tax_report.write(quarter, target)
    except NotAPeriod as error:
        refuse(str(error))
    say(f"✓ {count:,} 家商家，已写入 {target}", "green")


@app.command("months")
def months() -> None:
    """列出各账期的进度。"""
    with reading() as tx:
        rows = list(tx.exec(select(Period).order_by(col(Period.id).desc())))
    table(
        "账期",
        ["账期", "状态", "案件", "起草", "份数", "合计", "放行", "出账"],
        [
            [
                row.id,
                row.state.label,
                row.case_id or "",
                row.drafts,
                row.last_number,
                yuan(row.totals.get("total_fen", 0)),
                when(row.released_at),
                when(row.issued_at),
            ]
            for row in rows
        ],
        empty="还没有账期",
    )


@app.command("run")
def run(period: str = typer.Argument("", metavar="账期", help="例如 2026-10；不填则补开所有遗漏的月份")) -> None:
    """开始一个已结束月份的出账；已经开始过的不会重复。"""
    from policies.invoicing import NotAPeriod
    from tasks.invoicing import periods
    from tasks.invoicing.request import MonthAsked

    try:
        opened = (
            [MonthAsked.of(in_transaction(lambda tx: periods.open_month(tx, period))).period]
            if period
            else periods.catch_up()
        )
    except (Refused, NotAPeriod) as error:
        refuse(str(error))
    say(f"✓ {'、'.join(opened)} 已开始" if opened else "没有遗漏的月份", "green")


@app.command("anomalies")
def anomalies(
    period: str = typer.Argument(..., metavar="账期", help="例如 2026-10"),
    out: Path | None = typer.Option(None, "--out", help="默认 anomalies-<账期>.csv", metavar="文件"),
) -> None:
    """把一个账期草稿的全部异常导出为 CSV。"""
    from policies.invoicing import NotAPeriod, read_period, sentence
    from tasks.invoicing import drafts

    try:
        period = read_period(period)
    except NotAPeriod as error:
        refuse(str(error))
    with reading() as tx:
        rows = [
            (odd.kind.label, one.shop_id, one.shop_name, sentence(odd.kind, odd.value_fen, odd.before_fen))
            for one, odd in drafts.anomalies(tx, period, limit=None)
        ]
    write_list(out or Path(f"anomalies-{period}.csv"), ["异常", "店铺编号", "店铺名称", "说明"], rows, "项异常")


def write_list(target: Path, head: list[str], rows: Sequence[Sequence[str]], what: str) -> None:
    """A list as a spreadsheet opens it, and a line that says how long it is and where."""
    import csv

    from office.base.whole import whole
    from tasks.invoicing.tax_report import harmless

    with whole(target) as draft, draft.open("w", encoding="utf-8-sig", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(head)
        for row in rows:
            sheet.writerow([harmless(value) for value in row])
    say(f"✓ {len(rows):,} {what}，已写入 {target}", "green")


@app.command("release-held")
def release_held(
    period: str = typer.Argument(..., metavar="账期"),
    shop_id: str = typer.Argument(..., metavar="店铺编号"),
    reason: str = typer.Option(..., help="为什么现在可以出账"),
    staff_id: str = STAFF,
    code: str = CODE,
) -> None:
    """放行此前暂缓的一份账单（财务）。"""
    from tasks.invoicing import statements

    proof = code or ask_code()
    _answer(in_transaction(lambda tx: statements.release_held(tx, period, shop_id, staff_id, proof, reason)))


@app.command("statement")
def statement(number: str = typer.Argument(..., metavar="账单编号")) -> None:
    """生成（或重新生成）一份可打印的账单，并说明它在哪里。"""
    from office.base.db import Tx
    from tasks.invoicing import documents, statements

    def work(tx: Tx) -> Path:
        found = statements.find(tx, number)
        if found is None or found.number is None:
            refuse(f"没有编号为 {number} 的账单")
        return documents.write(tx, found)

    say(f"✓ {in_transaction(work)}", "green")


@app.command("waive-exit")
def waive_exit(
    case_id: str = typer.Argument(..., metavar="关店案件", parser=number),
    reason: str = typer.Option(..., help="豁免理由"),
    staff_id: str = STAFF,
    code: str = CODE,
) -> None:
    """豁免退店发票（主管）。"""
    from tasks.invoicing import exit_invoices

    proof = code or ask_code()
    _answer(in_transaction(lambda tx: exit_invoices.waive(tx, case_id, staff_id, proof, reason)))


@app.command("check")
def check() -> None:
    """核对明细、账单、发票、冻结与账簿是否一致。"""
    from tasks.invoicing import freeze_proof

    with reading() as tx:
        wrong = freeze_proof.check(tx)
    for sentence in wrong:
        say(sentence, "red")
    if wrong:
        raise typer.Exit(1)
    say("✓ 明细、账单、发票、冻结与账簿一致", "green")
