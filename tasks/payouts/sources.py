"""How a kind of case pays, where the money of a payout comes from, and amounts that nobody may read yet."""

from __future__ import annotations

from models.books import OF_PLATFORM, AccountKind, Transfer
from models.cases import Case
from models.money import Money
from models.payouts import Payee, Payout, PayoutState
from office.base.db import Tx
from office.base.vault import opened_json, place_in, seal_json
from office.money import ledger
from office.money.ledger import platform_account, shop_account
from office.process import Pays, office


class PermitRefused(RuntimeError):
    """Money was about to move without a permit that fits. A bug or an attack, never an outcome."""


def pays(case: Case) -> Pays:
    """How this kind of case pays; raises :class:`PermitRefused` for one that never does."""
    process = office().kinds.get(case.kind)
    if process is None or process.pays is None:
        raise PermitRefused(f"{case.id}: a case of {case.kind} pays nothing")
    return process.pays


def account_of(source: AccountKind, shop_id: str) -> str:
    """The account of this kind: the platform's own, or the shop's."""
    return platform_account(source) if source in OF_PLATFORM else shop_account(shop_id, source)


def fund(tx: Tx, case: Case, attempt: int, source: AccountKind, amount: Money, key: str = "") -> None:
    """What the platform pays out of its own pocket it puts in first, as far as it is not there: never merchants' money."""
    if source not in OF_PLATFORM:
        return
    missing = Money(fen=max(0, amount.fen - ledger.balance(tx, platform_account(source)).fen))
    ledger.post(
        tx,
        key or f"{case.id}/funded/{attempt}",
        debit=platform_account(AccountKind.CASH),
        credit=platform_account(source),
        amount=missing,
        reason="payout.funded",
        clause=pays(case).clause,
        case_id=case.id,
    )


def payee_of(payout: Payout) -> Payee:
    sealed = {name: value for name, value in opened_json(payout, "payee_sealed").items() if name != "fen"}
    return Payee.model_validate(sealed)


def shop_told(payout: Payout) -> str:
    """The shop that the bank was told, and that its answer names again."""
    return payout.shop_id or payout.case_id


def amount_of(payout: Payout) -> int:
    """The amount that the bank was told, in fen, also of one that was or is covered."""
    return int(opened_json(payout, "payee_sealed").get("fen", payout.amount_fen))


def reveal(tx: Tx, case: Case, payout: Payout) -> Money:
    """The amount may be read from now on; what covered it beyond that goes back to its source. Twice does nothing."""
    actual = amount_of(payout)
    if payout.covered:
        payout.covered = False
        tx.add(payout)
        if payout.state is PayoutState.SETTLED:
            _uncover(tx, case, payout, payout.amount_fen - actual)
    return Money(fen=actual)


def paid_instead(tx: Tx, payout: Payout, fen: int) -> None:
    """The bank has proved that it paid another amount than it was told: whoever has the account finds that one there."""
    sealed = opened_json(payout, "payee_sealed") | {"fen": fen}
    payout.payee_sealed = seal_json(sealed, place_in(payout, "payee_sealed"))
    tx.add(payout)


def settled(tx: Tx, case: Case, payout: Payout) -> None:
    """The money is out; of an amount that may be read already, no more than that has left us."""
    if not payout.covered:
        _uncover(tx, case, payout, payout.amount_fen - amount_of(payout))


def _uncover(tx: Tx, case: Case, payout: Payout, over: int) -> None:
    ledger.post(
        tx,
        f"{case.id}/uncovered/{payout.attempt}",
        debit=platform_account(AccountKind.CASH),
        credit=account_of(payout.source, payout.shop_id or ""),
        amount=Money(fen=max(0, over)),
        reason="payout.uncovered",
        clause=pays(case).clause,
        case_id=case.id,
    )


def cover_again(tx: Tx, case: Case, payout: Payout) -> None:
    """Before a revealed payment that came back is undone as a whole: what had covered it is put back first."""
    before = tx.get(Transfer, f"{case.id}/uncovered/{payout.attempt}")
    if before is not None:
        ledger.post(
            tx,
            f"{case.id}/covered-again/{payout.attempt}",
            debit=before.credit_account,
            credit=before.debit_account,
            amount=Money(fen=before.amount_fen),
            reason="payout.uncovered",
            clause=pays(case).clause,
            case_id=case.id,
        )
