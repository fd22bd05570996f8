"""The queue of mails: each a row with encrypted details, sent by `engine.mails.work`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import orjson
from sqlalchemy import delete, func
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.clients import smtp
from engine.clients.smtp import MailFailed, MailServer
from engine.correlation import correlation_id
from engine.errors import ValidationFailed
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.mails.texts import Template
from engine.secrets import secret_box
from models.base import new_id
from models.mail import Mail


def queue(
    db: Session,
    settings: Settings,
    *,
    template: Template,
    recipient: str,
    details: Mapping[str, str] | None = None,
) -> Mail:
    """Queue a mail, which a worker renders and sends once; its details are deleted afterwards, whatever the outcome.

    Args:
        db: the unit of work of what the mail tells of.
        settings: with the key that seals the details.
        template: which mail.
        recipient: the address.
        details: what the template needs; links in them may hold secrets.
    """
    row = Mail(
        id=new_id("mail"),
        status="queued",
        template=template,
        recipient=recipient,
        details=secret_box.sealed(settings, orjson.dumps(dict(details or {})).decode()),
        correlation_id=correlation_id(),
    )
    db.add(row)
    db.flush()
    enqueue(db, Job.MAIL)
    return row


def details_of(settings: Settings, row: Mail) -> dict[str, str]:
    """The decrypted details that were given to `queue`.

    Raises:
        ServiceUnavailable: it was sealed with another `SECRET_KEY`.
    """
    found: dict[str, str] = orjson.loads(secret_box.opened(settings, row.id, row.details or ""))
    return found


def can_be_sent(settings: Settings) -> bool:
    """Whether mails can be sent: to a server, or in development to the log."""
    return bool(settings.smtp_url) or settings.app_env == "development"


def try_server(url: str) -> None:
    """Connect to a mail server and sign in there.

    Args:
        url: as `SMTP_URL` takes it.

    Raises:
        ValidationFailed: it does not work; says what to do.
    """
    try:
        smtp.examine(MailServer.parse(url))
    except MailFailed as failed:
        raise ValidationFailed(
            "The mail server was not accepted, and nothing was stored.",
            smtpUrl=failed.message,
        ) from None


def forget_old(db: Session, age: timedelta) -> None:
    """Drop mails that ended longer than `age` ago."""
    db.execute(delete(Mail).where(Mail.ended_at < func.clock_timestamp() - age))
