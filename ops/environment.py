"""The environment of everything that talks to Prefect: where it is, and how it should behave.

Nothing here imports Prefect at the top: Prefect reads its environment once, when it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tasks.settings import Settings


def environment(given: Settings) -> dict[str, str]:
    """What the parts find in their environment: where Prefect is, and how it should behave."""
    auth = given.prefect_auth.get_secret_value()
    own: Mapping[str, str] = {
        "PREFECT_HOME": str(given.home / "prefect"),
        "PREFECT_API_URL": given.prefect_api,
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_CLI_COLORS": "false",
        "DO_NOT_TRACK": "1",
    }
    secret = {"PREFECT_SERVER_API_AUTH_STRING": auth, "PREFECT_API_AUTH_STRING": auth} if auth else {}
    return {**os.environ, **own, **secret}


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
