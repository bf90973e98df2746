"""What can be set about a worker, and the defaults. Environment variables are read here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def _default_processes() -> int:
    return min(4, 2 * (os.cpu_count() or 1))


def _default_state_dir() -> Path:
    home = os.environ.get("PREFECT_HOME") or "~/.prefect"
    return Path(home).expanduser() / "dianwu-worker"


@dataclass(frozen=True)
class WorkerSettings:
    """Each field is set by the environment variable `DIANWU_WORKER_<FIELD>`; seconds and megabytes as named."""

    processes: int = field(default_factory=_default_processes)
    """Warm processes, and so segments running at one time."""
    recycle_after: int = 500
    """Segments after which a process is replaced, so that leaks stay bounded."""
    max_rss_mb: int = 600
    """Resident memory above which a process is replaced after its segment."""
    poll_seconds: float = 5.0
    """How often to ask for due runs when no event came: the net, not the way."""
    grace_seconds: float = 30.0
    """How long running segments may finish after SIGTERM or SIGINT."""
    cancel_grace_seconds: float = 10.0
    """How long a cancelled flow may clean up before its process is killed."""
    start_seconds: float = 120.0
    """How long a new process may take to report that it is warm."""
    state_dir: Path = field(default_factory=_default_state_dir)
    """Where the journal of runs in hand is kept; must outlive the worker, shared by workers of one machine."""

    authority: str = "ops.deploy:authority"
    """Which runs may be executed: ``module:function`` that makes an :class:`ops.worker.authority.Authority`."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> WorkerSettings:
        """Read `DIANWU_WORKER_*`; raises ValueError naming the variable when a value makes no sense."""
        env = os.environ if env is None else env
        kinds = {"processes": int, "recycle_after": int, "max_rss_mb": int, "state_dir": Path, "authority": str}
        values: dict[str, Any] = {}
        for name in cls.__dataclass_fields__:
            variable = f"DIANWU_WORKER_{name.upper()}"
            if not (text := env.get(variable)):
                continue
            try:
                value = kinds.get(name, float)(text)
            except ValueError as error:
                raise ValueError(f"{variable}={text!r}: {error}") from error
            if isinstance(value, (int, float)) and value <= 0:
                raise ValueError(f"{variable}={text!r} must be above zero")
            values[name] = value
        return cls(**values)
