"""What Prefect keeps of people and shops goes with the runs that have ended, as soon as the setting says."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from office.base.settings import Settings
from ops.environment import environment

PERIOD = "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD"


@pytest.mark.parametrize(("hours", "seconds"), [(None, 72 * 3600), (1.5, 5400), (24 * 30, 2_592_000)])
def test_runs_that_have_ended_are_kept_as_long_as_the_setting_says(
    monkeypatch: pytest.MonkeyPatch, hours: float | None, seconds: int
) -> None:
    monkeypatch.delenv(PERIOD, raising=False)
    given = Settings() if hours is None else Settings(prefect_keep_hours=hours)
    found = environment(given)
    assert found[PERIOD] == str(seconds)
    assert "flow_runs" in found["PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED"]


def test_less_than_prefect_can_keep_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(prefect_keep_hours=1)
