"""The environment of everything that talks to Prefect: where it is, and how it should behave.

Nothing here imports Prefect at the top: Prefect reads its environment once, when it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from office.base.settings import Settings

SPARED: Mapping[str, str] = {
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",  # reads every waiting run again each five seconds
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",  # some 60 KB a case for Prefect's event feed
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",  # looks at every event for automations
}
"""Services of Prefect's server that our cases do without: how long one waits is ours to say, and what happened is in our
audit chain. Who wants the event feed or automations sets them to ``true``.
"""

BATCHED: Mapping[str, str] = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "2",
}
"""Prefect records each of a case's dozen task-run events in a transaction of its own unless it is told otherwise. In
batches a task shows up to two seconds later; a server killed meanwhile loses that display, never an effect.
"""


def environment(given: Settings) -> dict[str, str]:
    """What the parts find in their environment: where Prefect is, and how it should behave."""
    auth = given.prefect_auth.get_secret_value()
    own: Mapping[str, str] = {
        "PREFECT_HOME": str(given.home / "prefect"),
        "PREFECT_API_URL": given.prefect_api,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins(given)),
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # of runs only those that have ended
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(int(given.prefect_keep_hours * 3600)),
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_CLI_COLORS": "false",
        "DO_NOT_TRACK": "1",
    }
    secret = {"PREFECT_SERVER_API_AUTH_STRING": auth, "PREFECT_API_AUTH_STRING": auth} if auth else {}
    return {**SPARED, **BATCHED, **os.environ, **own, **secret}


def origins(given: Settings) -> list[str]:
    """The web pages that may speak to Prefect: its own, under each name this machine has for itself."""
    own = urlsplit(given.prefect_ui)
    here = ("127.0.0.1", "localhost") if given.loopback and not given.prefect_api_url else ()
    return sorted({f"{own.scheme}://{own.netloc}", *(f"http://{name}:{given.prefect_port}" for name in here)})


def apply(given: Settings) -> None:
    """Give this process the same environment, before anything of Prefect is imported."""
    os.environ.update({name: value for name, value in environment(given).items() if name.startswith("PREFECT_")})


def prefect_settings(given: Settings) -> dict[Any, Any]:
    """For this process: the same Prefect as the parts use, never one of its own."""
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, PREFECT_SERVER_ALLOW_EPHEMERAL_MODE

    auth = given.prefect_auth.get_secret_value()
    return {
        PREFECT_API_URL: given.prefect_api,
        PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: False,
        **({PREFECT_API_AUTH_STRING: auth} if auth else {}),
    }
