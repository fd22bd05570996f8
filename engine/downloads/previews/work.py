"""The work of a preview: one look at a URL, in a process of its own."""

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
_MEMORY = 2 << 30  # bytes: a page and the program that runs its scripts, no media


@dataclass(frozen=True)
class _PreviewRequest:
    url: str
    timeout: float
    work_dir: Path
    generic: bool
    allow_private: bool
    cookies: str | None = field(repr=False)


def work(attempt: Attempt[Preview]) -> Mapping[str, Any]:
    """Look at the URL; nobody waits for longer than `PREVIEW_SECONDS`, so there is one attempt, within that time.

    Raises:
        GiveUp: with the reason in words.
    """
    settings, row = attempt.runtime.settings, attempt.row
    folder = settings.work_dir / row.id
    folder.mkdir(parents=True, exist_ok=True)
    source = source_urls.meaning(row.url)
    look = _PreviewRequest(
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
            _look_at,
            look,
            on_signal=lambda _: {},
            silence_limit=lambda: settings.preview_seconds,
            deadline=_time_left(row, settings),
            memory=min(_MEMORY, settings.download_memory_limit),
        )
    except FetchError as error:
        # Nobody tries a look again but the person.
        advice = error.advice if error.retry == "never" else "Try again in a few minutes."
        said = {"kind": error.kind, "message": error.message, "advice": advice}
        raise GiveUp({**said, "retryable": error.retry != "never"}) from error
    except (Stuck, OverTime) as late:
        raise GiveUp(_TOO_LATE) from late
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"result": dataclasses.asdict(found)}


def _time_left(row: Preview, settings: Settings) -> float:
    """Seconds from its claim on for which somebody may still wait for the answer."""
    waited = (row.started_at - row.created_at).total_seconds() if row.started_at else 0.0
    return max(settings.preview_seconds - waited, 0.0)


def _look_at(look: _PreviewRequest, emit: Emit) -> PreviewResult:
    # Of this process alone; removed with the work folder, even after a kill.
    tempfile.tempdir = str(look.work_dir)
    return preview(
        look.url,
        timeout=look.timeout,
        generic=look.generic,
        allow_private=look.allow_private,
        cookies=look.cookies,
    )
