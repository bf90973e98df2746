"""The processes of this installation: the one list. A line here, and forms, sweep, inbox, doctor and views know it."""

from __future__ import annotations

from office.cases import confirmations, review_clock
from office.process import open_with
from tasks.appeal import process as appeal
from tasks.arbitration import compensation
from tasks.arbitration import process as arbitration
from tasks.bindings import process as bindings
from tasks.closure import process as closure
from tasks.forced_closure import forced_closures, held_receivables
from tasks.invoicing import billables, exit_invoices, freeze_process, invoice_process, releases
from tasks.opening import process as opening
from tasks.payouts import bank_inquiries, payouts, unanswered
from tasks.refund import process as refund
from tasks.settlement import orders, returns, sides
from tasks.settlement import releases as settlement_releases
from tasks.shops import bans, contracts, demands, deposits, facts, figures, proposals, shops

PROCESSES = (
    review_clock.PROCESS,
    confirmations.PROCESS,
    shops.PROCESS,
    facts.PROCESS,
    figures.PROCESS,
    payouts.PROCESS,
    unanswered.PROCESS,
    deposits.PROCESS,
    bans.PROCESS,
    demands.PROCESS,
    proposals.PROCESS,
    bindings.PROCESS,
    contracts.PROCESS,
    *opening.PROCESSES,
    closure.PROCESS,
    forced_closures.PROCESS,
    held_receivables.PROCESS,
    refund.PROCESS,
    bank_inquiries.PROCESS,
    appeal.PROCESS,
    *arbitration.PROCESSES,
    compensation.PROCESS,
    billables.PROCESS,
    freeze_process.PROCESS,
    exit_invoices.PROCESS,
    releases.PROCESS,
    invoice_process.PROCESS,
    sides.PROCESS,
    orders.PROCESS,
    settlement_releases.PROCESS,
    returns.PROCESS,
)


def open_office() -> None:
    """Make them known to everything in this process of the machine."""
    open_with(PROCESSES)
