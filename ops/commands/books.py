"""``dianwu books``: prove that the books are right, and read what is in them."""

from __future__ import annotations

import typer
from sqlmodel import col, func, select

from models.books import Account, Transfer
from models.money import yuan
from models.shops import Shop
from office.base.db import in_transaction, reading
from office.money.tallying import tally_anew
from ops.commands.terminal import JSON_OPTION, ask_code, cell, person, print_json, refuse, say, staff_no, table
from tasks.payouts import contradictions, unanswered
from tasks.shops import settling
from tasks.sight import proof

app = typer.Typer(no_args_is_help=True)


@app.command("check")
def check(as_json: bool = JSON_OPTION) -> None:
    """核对全部账簿：分录、余额、打款与案件是否一致。"""
    with reading() as tx:
        problems, contradicted = list(proof.check(tx)), contradictions.lines(tx)
        freed, silent = [one.line for one in settling.freed(tx)], unanswered.lines(tx)
        accounts = tx.exec(select(func.count()).select_from(Account)).one()
        transfers = tx.exec(select(func.count()).select_from(Transfer)).one()
    if as_json:
        print_json(
            {
                "accounts": accounts,
                "transfers": transfers,
                "problems": problems,
                "contradictions": contradicted,
                "freed": freed,
                "unanswered": silent,
            }
        )
        raise typer.Exit(1 if problems or contradicted else 0)
    for problem in problems:
        say(f"✗ {problem}", "red")
    for line in contradicted:
        say(f"✗ 银行回执有矛盾，尚未核清：{line}", "red")
    for line in (*freed, *silent):
        say(f"! {line}", "yellow")
    if contradicted and not problems:
        refuse(f"账簿一致，但有 {len(contradicted)} 笔银行回执矛盾尚未核清")
    if problems:
        refuse(f"账簿有 {len(problems)} 处不一致")
    say(f"✓ 账簿一致：{accounts} 个账户，{transfers} 笔分录", "green")


@app.command("reseal")
def reseal(
    account: str = typer.Argument(..., metavar="账户", help="如 shop/店铺/deposit"),
    by: str = typer.Option(..., "--by", metavar="工号", parser=staff_no, help="由哪位主管封存"),
    code: str = typer.Option("", "--code", help="主管的动态口令；不给则提示输入，输入时不显示"),
) -> None:
    """账簿查清后，由主管凭动态口令重新封存一个账户的累计。"""
    with reading() as tx:
        boss = person(tx, by).id
    given = code or ask_code()
    proof = in_transaction(lambda tx: tally_anew(tx, account, boss, given))
    if not proof.ok:
        refuse(proof.sentence)
    say(f"✓ {proof.sentence}", "green")


@app.command("show")
def show(shop: str = typer.Option("", help="只看某店铺"), as_json: bool = JSON_OPTION) -> None:
    """显示各账户余额。"""
    with reading() as tx:
        if shop and tx.get(Shop, shop) is None:
            refuse(f"没有编号为 {shop} 的店铺")
        query = select(Account).order_by(col(Account.id))
        accounts = list(tx.exec(query.where(Account.shop_id == shop) if shop else query))
        names = dict(tx.exec(select(Shop.id, Shop.name)).all())
    if as_json:
        print_json(
            [
                {
                    "account": one.id,
                    "shop_id": one.shop_id,
                    "kind": one.kind,
                    "debit_fen": one.debit_fen,
                    "credit_fen": one.credit_fen,
                    "balance_fen": one.balance_fen,
                }
                for one in accounts
            ]
        )
        return
    table(
        "账户余额",
        ["归属", "科目", "借方合计", "贷方合计", "余额", "账户"],
        [
            [
                cell(names.get(one.shop_id, one.shop_id) if one.shop_id else "平台", limit=40),
                one.kind.label,
                yuan(one.debit_fen),
                yuan(one.credit_fen),
                cell(yuan(one.balance_fen), "bold"),
                one.id,
            ]
            for one in accounts
        ],
        empty="还没有任何账户",
    )
