"""The transfers of an application, the account they verify, and the wrong amounts that count against it (OPN-10)."""

from __future__ import annotations

from sqlmodel import col, or_, select

from models.cases import Case
from models.opening import OpeningTransfer, Part, TransferState
from models.payouts import Payee
from office.base.db import Tx
from office.base.vault import keyed_hash, opened_json
from office.cases.cases import rules
from policies.deadlines import reckon
from policies.payees import account_key
from tasks.opening import parts
from tasks.opening.request import OpeningAsked

AMOUNT = "opening-amount"
"""The kind of wait, and of deadline, for the amount to be entered."""
BANK = "opening-bank"
"""The kind of deadline for the bank to say what has become of the transfer."""
UNDER_WAY = (TransferState.SENT, TransferState.ARRIVED)


def key_of(number: int) -> str:
    return f"{AMOUNT}/{number}"


def of_case(tx: Tx, case_id: str) -> list[OpeningTransfer]:
    """The transfers of an application, first first."""
    query = select(OpeningTransfer).where(OpeningTransfer.case_id == case_id)
    return list(tx.exec(query.order_by(col(OpeningTransfer.number))))


def find(tx: Tx, case_id: str, number: int) -> OpeningTransfer | None:
    query = select(OpeningTransfer).where(OpeningTransfer.case_id == case_id, OpeningTransfer.number == number)
    return tx.exec(query).first()


def payee(tx: Tx, case: Case) -> Payee:
    """The account that is being verified, as the merchant gave it."""
    row = parts.find(tx, case.id, Part.ACCOUNT)
    if row is None:
        raise LookupError(f"{case.id} has given no account")
    return Payee.model_validate(opened_json(row, "fields_sealed"))


def hash_of(account: Payee) -> str:
    return keyed_hash(f"account/{account_key(account.account_no)}")


# ── tries ────────────────────────────────────────────────────────────────────


def wrong_before(tx: Tx, case: Case, account_hash: str, *, lock: bool = False) -> int:
    """Wrong amounts that count together: of the merchant's account or to the bank account, whichever are more, in the
    policy's time and over all applications; the rows are locked, so that two at once see each other."""
    numbers, account = rules(case).opening, OpeningAsked.of(case).account_id
    since = tx.now - (reckon(tx.now, numbers.tries_within, "OPN-10").due - tx.now)
    ours = or_(col(OpeningTransfer.account_id) == account, col(OpeningTransfer.account_hash) == account_hash)
    query = select(OpeningTransfer).where(ours, col(OpeningTransfer.sent_at) >= since)
    query = query.order_by(col(OpeningTransfer.request_no)).execution_options(populate_existing=True)
    rows = list(tx.exec(query.with_for_update() if lock and tx.postgres else query))
    return max(
        sum(row.tries for row in rows if row.account_id == account),
        sum(row.tries for row in rows if row.account_hash == account_hash),
    )


def tries_left(tx: Tx, case: Case, row: OpeningTransfer) -> int:
    numbers = rules(case).opening
    over_all = numbers.tries_per_payee - wrong_before(tx, case, row.account_hash)
    return max(0, min(numbers.transfer_tries - row.tries, over_all))
