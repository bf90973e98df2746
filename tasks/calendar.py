"""The calendar port: China's working days, with this installation's own corrections on top."""

from __future__ import annotations

import tomllib
from functools import lru_cache

from policies.workdays import WorkCalendar
from tasks.settings import settings


@lru_cache(maxsize=1)
def work_calendar() -> WorkCalendar:
    """Published days as packaged, with ``calendar.toml`` in the installation's home over them when it is there.

    A year's notice comes out in November or December; whoever cannot wait for a release of this program writes it
    into that file (format: ``policies/calendar/overrides.toml``) and runs ``dianwu calendar recount``.
    """
    file = settings().home / "calendar.toml"
    calendar = WorkCalendar()
    if file.exists():
        calendar = calendar.with_overrides(tomllib.loads(file.read_text(encoding="utf-8")))
    return calendar
