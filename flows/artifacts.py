"""Artifacts: what a long run shows of itself in the Prefect UI; nothing where no run carries the story."""

from __future__ import annotations

from collections.abc import Iterable

from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.context import FlowRunContext

from tasks.releasing import Page


def progress(title: str, case_id: str, steps: Iterable[tuple[int, int]]) -> None:
    """Take the steps, with a progress bar while a run carries them; none where nothing is left."""
    artifact = None
    for done, of in steps:
        progress = min(100.0, 100.0 * done / max(of, 1))
        if artifact is not None:
            update_progress_artifact(artifact, progress=progress)  # type: ignore[arg-type]
        elif FlowRunContext.get() is not None:
            artifact = create_progress_artifact(progress=progress, description=f"{title} · {case_id}")
    if artifact is not None:
        update_progress_artifact(artifact, progress=100.0)  # type: ignore[arg-type]


def result(page: Page) -> None:
    """A page that stays with the run."""
    if FlowRunContext.get() is not None:
        create_markdown_artifact(page.markdown, key=page.key, description=page.title)
