"""What a merchant reads before one of their own windows ends."""

from __future__ import annotations

from typing import ClassVar

from notifications.message import Count, Line, MerchantCaseMessage, Moment


class MerchantDeadlineReminder(MerchantCaseMessage):
    """Something is still to be done: what, until when, how long is left, and what silence will mean."""

    name: ClassVar[str] = "merchant_deadline_reminder"
    clause: ClassVar[str] = "CLS-11"

    matter: Line
    """What has to be done, as a noun phrase: ``补充退保证金材料``."""
    due: Moment
    hours_left: Count
    silence: Line
    """What happens when nothing comes, as a full sentence."""
