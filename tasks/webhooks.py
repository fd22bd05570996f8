"""Tasks of webhooks: finding out what a message means."""

from __future__ import annotations

from engine.job_names import Job
from engine.webhooks import work as webhook_work
from tasks.app import app
from tasks.work import work_off


@app.task(name=Job.WEBHOOK.value)
def process() -> None:
    """Work on the next message."""
    work_off(webhook_work.WEBHOOK, webhook_work.work)
