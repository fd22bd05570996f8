"""Tasks of telling people: sending mails."""

from __future__ import annotations

from engine.job_names import Job
from engine.mails import work as mail_work
from tasks.app import app
from tasks.work import work_off


@app.task(name=Job.MAIL.value)
def mail() -> None:
    """Send the next mail."""
    work_off(mail_work.MAIL, mail_work.work)
