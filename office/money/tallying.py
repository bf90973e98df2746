"""A tally made anew, when somebody's SQL or an upgrade left an account without one: by a supervisor, and on the record."""

from __future__ import annotations

from sqlmodel import col, or_, select

from models.books import Account, Transfer
from models.reviews import Role
from office.base.db import Tx
from office.money import ledger, tallies
from office.money.tallies import Tally
from office.record import audit
from office.staff import staff
from office.staff.staff import Proof


def tally_anew(tx: Tx, account_id: str, by: str, code: str) -> Proof:
    """A supervisor has an account's tally made anew from its transfers, once its books are right again.

    Only where there is none of ours: one that contradicts the books stands, and says what is missing. What it leaves is
    still compared with the other side of each transfer.
    """
    proof = staff.prove(tx, by, code)
    if not proof.ok:
        return proof
    if Role.SUPERVISOR not in staff.find(tx, by).roles:
        return Proof(ok=False, sentence="只有主管可以重新封存账户累计")
    account = tx.exec(select(Account).where(Account.id == account_id).with_for_update()).one_or_none()
    if account is None:
        return Proof(ok=False, sentence=f"没有账户 {account_id},可用 dianwu books show 查看")
    if tallies.opened(account_id, account.tally) is not None:
        return Proof(ok=False, sentence=f"{account_id} 的累计封印完好;与账簿不符时,请先查清缺少或多出的分录")
    either = or_(col(Transfer.debit_account) == account_id, col(Transfer.credit_account) == account_id)
    tally = Tally()
    for one in tx.exec(select(Transfer).where(either).execution_options(yield_per=1_000)):
        if not ledger.sealed(one):
            return Proof(ok=False, sentence=f"分录 {one.key} 不是系统所记,查清之前不能重新封存")
        debits = one.amount_fen if one.debit_account == account_id else 0
        tally = tally.after(debits, one.amount_fen - debits, one.posted_at)
    if tally.totals != (account.debit_fen, account.credit_fen):
        return Proof(ok=False, sentence=f"{account_id} 的余额与分录之和不符,查清之前不能重新封存")
    account.tally = tallies.sealed(account_id, tally)
    tx.add(account)
    audit.record(
        tx,
        "system",
        "books.tallied",
        actor=f"staff/{by}",
        account=account_id,
        transfers=tally.transfers,
        text=f"账户 {account_id} 的累计按 {tally.transfers} 笔分录重新封存",
    )
    return Proof(ok=True, sentence=f"{account_id} 的累计已按 {tally.transfers} 笔分录重新封存")
