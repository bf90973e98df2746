"""The processes of this installation: the one list. A line here, and forms, sweep, inbox, doctor and views know it."""

from __future__ import annotations

from office.cases import confirmations, reviews
from office.process import open_with
from tasks.appeal import appeals
from tasks.arbitration import arbitration, compensation
from tasks.closure import closures
from tasks.forced_closure import forced_closures, held_receivables
from tasks.invoicing import billables, freezes, invoices, releases
from tasks.payouts import bank_inquiries, payouts
from tasks.refund import refunds
from tasks.shops import bans, demands, deposits, facts, shops

PROCESSES = (
    reviews.PROCESS,
    confirmations.PROCESS,
    shops.PROCESS,
    facts.PROCESS,
    payouts.PROCESS,
    deposits.PROCESS,
    bans.PROCESS,
    demands.PROCESS,
    closures.PROCESS,
    forced_closures.PROCESS,
    held_receivables.PROCESS,
    refunds.PROCESS,
    bank_inquiries.PROCESS,
    appeals.PROCESS,
    *arbitration.PROCESSES,
    compensation.PROCESS,
    billables.PROCESS,
    freezes.PROCESS,
    releases.PROCESS,
    invoices.PROCESS,
)


def open_office() -> None:
    """Make them known to everything in this process of the machine."""
    open_with(PROCESSES)
