"""The declaration of freezes: what they hear and what every minute brings (INV-7, 10, 12)."""

from __future__ import annotations

from models.invoicing_events import ReceivablePaidOut, ReceivableSettled
from office.process import Process
from tasks.invoicing.freezes import pay_out, receive, sweep
from tasks.shops import shops

PROCESS = Process(
    name="freezes",
    hears={ReceivableSettled: shops.about_shop(receive), ReceivablePaidOut: shops.about_shop(pay_out)},
    every_minute={"statements": sweep},
)
