"""What deployments say, read from the server at most every two seconds each."""

from __future__ import annotations

import time
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

CURRENT_SECONDS = 2.0
"""How long what a deployment says is taken as current; changed files are noticed at every segment."""


class Deployments:
    def __init__(self) -> None:
        self._read: dict[UUID, tuple[float, DeploymentResponse]] = {}

    async def read(self, client: PrefectClient, deployment_id: UUID | None) -> DeploymentResponse | None:
        """The deployment; none when there is none (any more)."""
        if deployment_id is None:
            return None
        read, deployment = self._read.get(deployment_id, (0.0, None))
        if deployment is None or time.monotonic() - read > CURRENT_SECONDS:
            try:
                deployment = await client.read_deployment(deployment_id)
            except ObjectNotFound:
                self._read.pop(deployment_id, None)
                return None
            self._read[deployment_id] = (time.monotonic(), deployment)
        return deployment
