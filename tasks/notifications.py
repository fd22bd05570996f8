"""Tasks of telling people: sending mails."""

from __future__ import annotations

from engine.job_names import Job
from engine.job_registry import send_mail
from engine.mails.work import MAIL
from tasks.app import app
from tasks.work import work_off


@app.task(name=Job.MAIL.value)
def mail() -> None:
    """Send the next mail."""
    work_off(MAIL, send_mail)
