"""An authority for tests whose flows are written on the spot: any file under the folders the test's environment names."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from prefect.client.schemas.responses import DeploymentResponse

from ops.worker.authority import Authority, Known, Refusal, Refused, here

ROOTS = "DIANWU_TEST_ROOTS"
TOLD = "DIANWU_TEST_TOLD"


@dataclass(frozen=True)
class Anything(Authority):
    """The code under any of the test's roots, whatever its deployment is called; all else is judged as ever."""

    def code_of(self, template, deployment, flow_run):
        root = here(Path(deployment.path)) if deployment and deployment.path else ""
        plain = flow_run.model_copy(update={"parameters": {}})
        return Authority.code_of(replace(self, root=root), template, deployment, plain)

    def known(self, deployment: DeploymentResponse) -> Known:
        if not any(self.root.startswith(root) for root in os.environ[ROOTS].split(os.pathsep)):
            raise Refused("not a root of this test")
        return Known(deployment.entrypoint or "")


def authority() -> Authority:
    """What workers of these tests execute; what they refuse is written to the test's file."""
    return Anything("", {}, _note)


def _note(refusal: Refusal) -> None:
    with Path(os.environ[TOLD]).open("a", encoding="utf-8") as told:
        told.write(f"{refusal.run_id} {refusal.reason}\n")
