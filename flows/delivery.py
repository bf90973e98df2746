"""Delivery (投递), every minute: the net under the courier that runs beside the door.

Acts on every message that came in and delivers every notification, event and wake-up that is due, with retries.
"""

from __future__ import annotations

from prefect import flow

from office.runs.engine import PrefectEngine
from tasks.delivery import drain
from tasks.processes import open_office


@flow(
    name="delivery",
    description="投递（每分钟）：处理收件箱，发送通知、平台事件和案件唤醒，失败自动重试。",
    persist_result=False,
)
def deliver_everything() -> int:
    """Deliver until nothing is due; returns how many messages were handled."""
    open_office()
    return drain(PrefectEngine())
