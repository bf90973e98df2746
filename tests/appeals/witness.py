"""Who hears what left us, and when: kept apart from everything that the code itself has written down."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta

from notifications.channels import MERCHANT, Delivery, Target
from notifications.rendering import Rendered
from notifications.scripted import ScriptedNotifier
from office.base.clock import VirtualClock

FILING, EVIDENCE = timedelta(days=7), timedelta(hours=72)
"""The two windows as the merchant is promised them (ARB-2, ARB-5)."""
HEADLINES = {
    "仲裁判责已生效": "ruling_effective",
    "保证金已扣除": "deposit_deducted",
    "申诉已受理": "appeal_received",
    "申诉未能受理": "appeal_refused",
    "申诉驳回通知，请补充凭证": "appeal_evidence_requested",
    "补充凭证已收到": "appeal_evidence_received",
    "申诉成立": "appeal_upheld",
    "申诉未成立": "appeal_dismissed",
    "申诉逾期关闭": "appeal_closed_timeout",
    "申诉终止": "appeal_moot",
    "仲裁已撤销": "arbitration_withdrawn",
    "仲裁未撤销": "arbitration_stays",
    "赔付款已处理": "compensation_returned",
    "判责已更正": "ruling_corrected",
    "仲裁裁定非商家责任": "merchant_cleared",
}
"""What a merchant reads in the subject line → the message's name. Reminders and top-up demands may come again."""
_SUBJECT = re.compile("】(.+?)：.*（(.+)）$")


class Witness(ScriptedNotifier):
    """The merchant's ear: notes when each message arrived; deaf until a given time."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.deaf_until = clock.at
        self.heard: list[tuple[str, str, datetime]] = []
        """Message, number of the case or ruling it is about, and when."""
        self.words: Counter[str] = Counter()
        """How often the very same text arrived."""

    def send(self, target: Target, rendered: Rendered) -> Delivery:
        if self.clock.at < self.deaf_until:
            self.fail_next()
        delivery = super().send(target, rendered)
        if target.audience == MERCHANT:
            self.words[rendered.text] += 1
            found = _SUBJECT.search(rendered.subject)
            if found and (name := HEADLINES.get(found[1])):
                self.heard.append((name, found[2], self.clock.at))
        return delivery

    def told(self) -> Counter[tuple[str, str]]:
        """(message, number) → how often it arrived."""
        return Counter((name, number) for name, number, _ in self.heard)

    def evidence_until(self, case_id: str) -> datetime | None:
        """The last second in which evidence counts, from when the rejection notice arrived; none while it has not."""
        found = [at for name, number, at in self.heard if (name, number) == ("appeal_evidence_requested", case_id)]
        return whole(found[0]) + EVIDENCE if found else None


def whole(moment: datetime) -> datetime:
    """To the second, as windows are kept (ambiguity 9)."""
    return moment.replace(microsecond=0)
