"""The webhook job: has the sender's handler process a message, idempotently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from engine.job_names import Job
from engine.jobs.kinds import JobKind
from engine.jobs.runner import Attempt, Keeper
from engine.webhooks import overseerr, plex
from engine.webhooks.meaning import Handler
from models.webhook import Webhook

log = structlog.get_logger(__name__)

WEBHOOK = JobKind(
    job=Job.WEBHOOK, model=Webhook, running="processing", queued="received", completed="processed"
)

# By source; messages of other sources are stored and ignored.
HANDLERS: Mapping[str, Handler] = {"plex": plex.handle, "overseerr": overseerr.handle}


def work(attempt: Attempt[Webhook]) -> Mapping[str, Any]:
    """Handle the message in one transaction, then do what follows from it.

    One without a handler, or that its handler ignores, ends as `ignored`.
    """
    row, runtime = attempt.row, attempt.runtime
    handle = HANDLERS.get(row.source)
    if handle is None:
        return {"status": "ignored", "outcome": f"Nothing here understands messages of {row.source}."}
    with runtime.unit_of_work() as db:
        outcome = handle(db, runtime.settings, row)
    if outcome.then is not None:
        with Keeper(attempt):
            outcome.then(runtime)
    log.info("webhook.done", source=row.source, event_name=row.event, ignored=outcome.ignored)
    ended = {"status": "ignored"} if outcome.ignored else {}
    return {"outcome": outcome.words, **ended}
