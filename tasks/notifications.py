"""Tasks of telling people: sending mails, and messages to their channels."""

from __future__ import annotations

from engine.job_names import Job
from engine.job_registry import send_mail
from engine.mails.work import MAIL
from engine.notifications import delivery_work
from tasks.app import app
from tasks.work import work_off


@app.task(name=Job.MAIL.value)
def mail() -> None:
    """Send the next mail."""
    work_off(MAIL, send_mail)


@app.task(name=Job.DELIVER.value)
def deliver() -> None:
    """Send the next message to a channel."""
    work_off(delivery_work.DELIVER, delivery_work.work)
