"""Pictures of papers, made when the file has arrived and not when somebody waits for them."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from datetime import datetime, timedelta

from sqlmodel import col, select

from desk.pictures import DRAWN, LARGE, SHOWN, SMALL, NotDrawn, drawn
from models.evidence import EvidenceItem
from office.base.db import reading

logger = logging.getLogger("dianwu.desk")

EVERY = 15
"""Seconds between two looks for new files."""
BEFORE = timedelta(days=1)
"""How far back whoever starts the desk looks for files that came while it was down."""
AT_ONCE = 20
"""Files of one look; more of them wait for the next."""


def draw_new(after: datetime) -> datetime:
    """Draw the pages of files that were staged after this moment, as many as a page shows; returns up to when it came."""
    with reading() as tx:
        query = select(EvidenceItem).where(col(EvidenceItem.staged_at) > after)
        found = list(tx.exec(query.order_by(col(EvidenceItem.staged_at), col(EvidenceItem.id)).limit(AT_ONCE)))
        tx.expunge_all()
    for item in found:
        if item.media_type in DRAWN:
            with suppress(NotDrawn):  # whoever opens it reads that it cannot be shown
                _draw(item)
    return found[-1].staged_at if found else after


def _draw(item: EvidenceItem) -> None:
    _, pages = drawn(item, 1, SMALL)
    for number in range(1, min(pages, SHOWN) + 1):
        drawn(item, number, LARGE)


class Ahead(threading.Thread):
    """Draws in the background while the desk runs. Of the two processes that draw at a time it uses one."""

    def __init__(self) -> None:
        super().__init__(name="pictures", daemon=True)
        self._over = threading.Event()

    def run(self) -> None:
        with reading() as tx:
            after = tx.now - BEFORE
        while not self._over.wait(EVERY):
            try:
                after = draw_new(after)
            except Exception as error:  # noqa: BLE001 - the desk goes on without; pictures are made when they are looked at
                logger.error("pictures are not made ahead: %s", type(error).__name__)

    def stop(self) -> None:
        self._over.set()
