"""The examiner: runs the doctor beside the door, so that what it finds reaches the supervisor and not only who asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable

from office.base.db import in_transaction
from ops.commands.doctor import examine
from ops.commands.health import Check, Health
from tasks.sight import examination

logger = logging.getLogger("dianwu.examiner")

EVERY_SECONDS = 600.0
CONSEQUENCE = "请运行 dianwu doctor 查看全部项目，并按其中的办法处理。同样的情况持续期间不再重复通知。"


class Examiner:
    """A thread that looks every ten minutes and tells what it finds twice in a row: a restart is no finding."""

    def __init__(self, look: Callable[[], Iterable[Check]] = examine) -> None:
        self._look = look
        self._before: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="examiner", daemon=True)

    def start(self) -> Examiner:
        self._thread.start()
        return self

    def stop(self, timeout: float = 10) -> None:
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            try:
                self.once()
            except Exception:  # whatever it was, it is in the log, and the next look may be able to tell
                logger.exception("the examination failed; trying again")

    def once(self) -> None:
        """Look once; the supervisor hears of what is wrong again, once while it lasts."""
        found: dict[str, str] = {}
        for check in self._look():
            if check.health is not Health.GOOD:
                said = f"{check.name}：{check.sentence}（{check.remedy}）"
                found[check.name] = f"{found[check.name]}；{said}" if check.name in found else said
        lasting = {name: said for name, said in found.items() if name in self._before}
        self._before = set(found)
        in_transaction(lambda tx: examination.report(tx, "doctor", "运行体检", lasting, CONSEQUENCE))
