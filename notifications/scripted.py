"""The scripted channel: a ``Notifier`` with a memory, for tests and rehearsals. Nothing leaves us."""

from __future__ import annotations

from collections.abc import Iterable

from notifications.channels import MERCHANT, Delivery, DeliveryFailed, Target
from notifications.rendering import Rendered


class ScriptedNotifier:
    """Keeps what it is given in ``sent``. ``without`` names audiences that have no channel; ``fail_next(n)``
    makes the next ``n`` sends raise ``DeliveryFailed``."""

    def __init__(self, without: Iterable[str] = ()) -> None:
        self.sent: list[tuple[Target, Rendered]] = []
        self._without = frozenset(without)
        self._failures = 0

    def fail_next(self, times: int = 1) -> None:
        self._failures += times

    def send(self, target: Target, rendered: Rendered) -> Delivery:
        if target.audience in self._without:
            whom = "商家" if target.audience == MERCHANT else f"角色「{target.audience}」"
            return Delivery(delivered=False, reason=f"已跳过：{whom}没有通知渠道")
        if self._failures:
            self._failures -= 1
            raise DeliveryFailed([("scripted", "按剧本失败")])
        self.sent.append((target, rendered))
        return Delivery(delivered=True, reason="已送达：scripted")

    def subjects(self, audience: str | None = None) -> list[str]:
        """Subjects of what was sent, in order, to everybody or to one audience."""
        return [rendered.subject for target, rendered in self.sent if audience in (None, target.audience)]
