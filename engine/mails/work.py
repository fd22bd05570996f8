"""The work of a mail: rendered, and handed to the mail server at most once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.errors import ServiceUnavailable
from engine.job_names import Job
from engine.jobs.kinds import JobKind, growing_pause
from engine.jobs.runner import Attempt, GiveUp
from engine.mails import mails
from engine.mails import texts as mail_texts
from engine.mails.sending import NOT_CONFIGURED, UNKNOWN_OUTCOME, send_once
from engine.mails.texts import MailText, Template
from models.mail import Mail

log = structlog.get_logger(__name__)

# From a requested address to the recipient and the template's details; None: there is no such account.
LateDetails = Callable[[Session, Settings, str], tuple[str, Mapping[str, str]] | None]

_ATTEMPTS = 12  # over about two hours: greylisting servers accept later
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 3600.0


def _forget(db: Session, row: Mail) -> None:
    """Delete the details of a mail that has ended."""
    if row.ended_at is not None:
        row.details = None


MAIL = JobKind(
    job=Job.MAIL,
    model=Mail,
    running="sending",
    attempts=lambda settings: _ATTEMPTS,
    pause=lambda settings, attempt: growing_pause(_FIRST_PAUSE, _LONGEST_PAUSE, attempt),
    changed=_forget,
)


class _InTheClear:
    """A mail in a developer's log, the only way to its link; not a string, so that redaction leaves it alone."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return f"\n\n{self._text}"


def work(attempt: Attempt[Mail], late: Mapping[Template, LateDetails]) -> Mapping[str, Any]:
    """Write the mail and send it; one whose account does not exist ends without having been sent.

    The details of most mails are in their rows; those of the templates in `late` are made now, by their function.

    `handed_over_at` is committed right before the server is given the text. Whoever finds it set does not send.

    Raises:
        Retry: the server can't be reached, or does not want it now.
        GiveUp: it never will, there is none, or the mail may have been sent already.
    """
    row, settings = attempt.row, attempt.runtime.settings
    if row.handed_over_at is not None:
        raise GiveUp(UNKNOWN_OUTCOME)
    written = _write(attempt, late)
    if written is None:
        return {}
    recipient, text = written
    if settings.smtp_url:
        send_once(attempt, settings, recipient, text)
    elif settings.app_env == "development":
        log.info("mail.written", recipient=recipient, subject=text.subject, text=_InTheClear(text.plain))
    else:
        log.warning("mail.not_configured", template=row.template)
        raise GiveUp(NOT_CONFIGURED)
    return {}


def _write(attempt: Attempt[Mail], late: Mapping[Template, LateDetails]) -> tuple[str, MailText] | None:
    """Recipient and text; None where there is no account to write to."""
    row, settings = attempt.row, attempt.runtime.settings
    template = Template(row.template)
    if template in late:
        with attempt.runtime.unit_of_work() as db:
            made = late[template](db, settings, row.recipient)
        return made and (made[0], mail_texts.render(template, made[1]))
    try:
        return row.recipient, mail_texts.render(template, mails.details_of(settings, row))
    except ServiceUnavailable as error:
        said = {"kind": "unreadable", "message": error.message, "advice": "Ask for the mail again."}
        raise GiveUp({**said, "retryable": False}) from error
