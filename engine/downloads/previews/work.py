"""The preview job: extracts a URL's metadata in a process of its own."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.settings import Settings
from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import PreviewResult
from engine.clients.ytdlp.entry import preview
from engine.downloads.previews import budget as preview_budget
from engine.downloads.sources import cookies
from engine.downloads.sources import urls as source_urls
from engine.job_names import Job
from engine.jobs.attempt_process import Emit, OverTime, Stuck, run_isolated
from engine.jobs.kinds import JobKind
from engine.jobs.runner import Attempt, GiveUp
from models.download import Preview

PREVIEW = JobKind(
    job=Job.PREVIEW,
    model=Preview,
    running="running",
    limits=preview_budget.limits,
    first=preview_budget.first,
    attempts=lambda settings: 1,
)


_TOO_LATE = {
    "kind": "too_slow",
    "message": "The site took too long to answer.",
    "advice": "Try again in a few minutes.",
    "retryable": True,
}
_MEMORY = 2 << 30  # bytes: a page and the JavaScript runtime for its scripts, no media


@dataclass(frozen=True)
class _PreviewSpec:
    url: str
    timeout: float
    work_dir: Path
    generic: bool
    allow_private: bool
    cookies: str | None = field(repr=False)


def work(attempt: Attempt[Preview]) -> Mapping[str, Any]:
    """Extract the URL in one attempt; clients wait for `PREVIEW_SECONDS` only, so it must end within that time.

    Raises:
        GiveUp: with the reason.
    """
    settings, row = attempt.runtime.settings, attempt.row
    folder = settings.work_dir / row.id
    folder.mkdir(parents=True, exist_ok=True)
    source = source_urls.meaning(row.url)
    spec = _PreviewSpec(
        url=source.normal,
        timeout=settings.preview_seconds,
        work_dir=folder,
        generic=source.budget != source_urls.YOUTUBE,
        allow_private=settings.download_allow_private_networks,
        cookies=cookies.for_attempt(attempt.runtime),
    )
    try:
        found = run_isolated(
            attempt,
            _run_preview,
            spec,
            on_signal=lambda _: {},
            silence_limit=lambda: settings.preview_seconds,
            deadline=_time_left(row, settings),
            memory=min(_MEMORY, settings.download_memory_limit),
        )
    except FetchError as error:
        # A preview is never retried by itself, only by the person.
        advice = error.advice if error.retry == "never" else "Try again in a few minutes."
        error_column = {"kind": error.kind, "message": error.message, "advice": advice}
        raise GiveUp({**error_column, "retryable": error.retry != "never"}) from error
    except (Stuck, OverTime) as late:
        raise GiveUp(_TOO_LATE) from late
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"result": dataclasses.asdict(found)}


def _time_left(row: Preview, settings: Settings) -> float:
    """Seconds after the claim for which the client still waits."""
    waited = (row.started_at - row.created_at).total_seconds() if row.started_at else 0.0
    return max(settings.preview_seconds - waited, 0.0)


def _run_preview(spec: _PreviewSpec, emit: Emit) -> PreviewResult:
    # Temporary files go into the work folder, which is removed even after a kill.
    tempfile.tempdir = str(spec.work_dir)
    return preview(
        spec.url,
        timeout=spec.timeout,
        generic=spec.generic,
        allow_private=spec.allow_private,
        cookies=spec.cookies,
    )
