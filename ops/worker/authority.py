"""What a run may make this machine execute: the flows of our own code that were deployed from here, and nothing the API says.

Whoever reaches Prefect's API may create deployments and runs and change those that are there. So a deployment and a run are
only asked *which* of the known flows is meant; where its code is and what it is called come from here. Whatever else they
carry (steps before the flow, storage, an environment, a command, another entrypoint, parameters of another shape) is not
left out in silence: the run fails with the reason, and ``report`` hears of it.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse

from models.text import shortened


class Refused(Exception):
    """This run must not be executed; ``str`` says why."""


@dataclass(frozen=True)
class Known:
    """One flow that may run, and its parameters: name → the pattern its whole value must have."""

    entrypoint: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Refusal:
    """A run that was not executed, as people are told of it."""

    run_id: str
    run_name: str
    deployment: str
    reason: str


def _to_nobody(refusal: Refusal) -> None:
    """For authorities of which nobody needs to hear."""


@dataclass(frozen=True)
class Authority:
    """The flows of one code root, by the name of their deployment."""

    root: str
    flows: Mapping[str, Known]
    report: Callable[[Refusal], None] = _to_nobody
    """Called in a thread before the run is failed; raises when it could not be told, and is then asked again."""

    def entrypoints(self) -> Iterable[tuple[str, str]]:
        """Root and entrypoint of everything that may run, to be imported ahead of time."""
        return ((self.root, known.entrypoint) for known in self.flows.values())

    def code_of(
        self, template: Mapping[str, Any], deployment: DeploymentResponse | None, flow_run: FlowRun
    ) -> tuple[str, str]:
        """Root and entrypoint of what this run may execute; raises :class:`Refused`, whatever it meets."""
        try:
            return self._code_of(template, deployment, flow_run)
        except Refused:
            raise
        except Exception as fault:
            raise Refused(f"what it carries cannot be judged ({type(fault).__name__})") from fault

    def _code_of(
        self, template: Mapping[str, Any], deployment: DeploymentResponse | None, flow_run: FlowRun
    ) -> tuple[str, str]:
        if deployment is None:
            raise Refused("the run belongs to no deployment")
        known = self.known(deployment)
        for sentence in (*in_pool(template), *in_deployment(deployment), *in_run(flow_run)):
            raise Refused(sentence)
        _judge_parameters(known, flow_run.parameters)
        return self.root, known.entrypoint

    def known(self, deployment: DeploymentResponse) -> Known:
        """The flow that this deployment stands for, if it still says so itself."""
        known = self.flows.get(deployment.name)
        if known is None:
            raise Refused(f"{deployment.name!r} was not deployed from here")
        if deployment.entrypoint != known.entrypoint:
            raise Refused(
                f"deployment {deployment.name!r} names another entrypoint than ours: {deployment.entrypoint!r}"
            )
        if not same_place(deployment.path, self.root):
            raise Refused(f"deployment {deployment.name!r} names another code root than ours: {deployment.path!r}")
        return known


def in_pool(template: Mapping[str, Any]) -> Iterable[str]:
    """What a work pool would give its runs beyond the names we gave it: anything at all is too much."""
    configuration = template.get("job_configuration") or {}
    variables = (template.get("variables") or {}).get("properties") or {}
    for name, value in configuration.items():
        if value not in (None, "", {}, []) and str(value).strip() != f"{{{{ {name} }}}}":
            yield f"the work pool sets: {name}"
    for name, schema in variables.items():
        if isinstance(schema, Mapping) and schema.get("default") not in (None, "", {}, []):
            yield f"the work pool gives a default to: {name}"


def in_deployment(deployment: DeploymentResponse) -> Iterable[str]:
    """What a deployment of ours never carries."""
    name = deployment.name
    if deployment.pull_steps:
        yield f"deployment {name!r} has pull steps"
    if deployment.storage_document_id is not None:
        yield f"deployment {name!r} names a storage block"
    if deployment.infrastructure_document_id is not None:
        yield f"deployment {name!r} names an infrastructure block"
    if deployment.job_variables:
        yield f"deployment {name!r} has job variables: {', '.join(sorted(deployment.job_variables))}"


def in_run(flow_run: FlowRun) -> Iterable[str]:
    """What a run of ours never carries."""
    if flow_run.job_variables:
        yield f"the run has job variables: {', '.join(sorted(flow_run.job_variables))}"
    if flow_run.infrastructure_document_id is not None:
        yield "the run names an infrastructure block"


def _judge_parameters(known: Known, given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        pattern = known.parameters.get(name)
        if pattern is None:
            raise Refused(f"the run has a parameter that the flow does not take: {shortened(name, 60)!r}")
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise Refused(f"the run's parameter {name!r} is not of its known shape")
    if missing := known.needed - given.keys():
        raise Refused(f"the run lacks the parameter {', '.join(sorted(missing))}")


def load(name: str) -> Authority:
    """The authority that ``module:function`` makes. The name comes from this machine's settings, never from the API."""
    module, _, function = name.partition(":")
    made = getattr(importlib.import_module(module), function)()
    if not isinstance(made, Authority):
        raise TypeError(f"{name} does not make an Authority")
    return made


def same_place(named: str | None, ours: Path | str) -> bool:
    """Whether a path that the API names is a folder of ours; one that no file system knows is not."""
    try:
        return bool(named) and os.path.realpath(named or "") == os.path.realpath(ours)
    except ValueError:
        return False


def here(path: Path) -> str:
    """A code root as it is compared."""
    return os.path.realpath(path)
