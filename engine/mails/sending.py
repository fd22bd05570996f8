"""Handing a mail to the mail server at most once, whatever job it belongs to: a row with `handed_over_at`."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from sqlalchemy import func

from config.settings import Settings
from engine.clients import smtp
from engine.clients.smtp import Interrupted, MailFailed, MailServer, OutcomeUnknown
from engine.jobs.lease import CancelRequested, Fenced
from engine.jobs.runner import Attempt, GiveUp, Keeper, Retry
from engine.jobs.shutdown import ShuttingDown
from engine.mails.texts import MailText

UNKNOWN_OUTCOME = {
    "kind": "unknown_outcome",
    "message": "The mail server was given the mail, but nobody knows whether it took it.",
    "advice": "It is not sent again, so that it does not arrive twice.",
    "retryable": False,
}
NOT_CONFIGURED = {
    "kind": "not_configured",
    "message": "There is no mail server to send with.",
    "advice": "Set SMTP_URL.",
    "retryable": False,
}


def send_once(
    attempt: Attempt[Any],
    settings: Settings,
    recipient: str,
    text: MailText,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send a mail in the name of a row, which notes that right before the server is given the text.

    Args:
        attempt: of a row with `handed_over_at`, which is not set yet.
        settings: with the mail server.
        recipient: the address.
        text: subject, plain text and HTML.
        headers: further ones.

    Raises:
        Retry: the server can't be reached, or does not want it now.
        GiveUp: it never will, or it may have it.
    """
    try:
        message = smtp.compose(
            message_id=attempt.row.id,
            sender=settings.mail_from,
            recipient=recipient,
            subject=text.subject,
            plain=text.plain,
            html=text.html,
        )
        for name, value in (headers or {}).items():
            message[name] = value
        _hand_over(attempt, MailServer.parse(settings.smtp_url), message)
    except OutcomeUnknown as error:
        raise GiveUp(UNKNOWN_OUTCOME) from error
    except MailFailed as failure:
        said = {"kind": failure.kind, "message": failure.message, "advice": failure.advice}
        if not failure.passing:
            raise GiveUp({**said, "retryable": False}) from failure
        attempt.write(handed_over_at=None)  # the server said that it did not take it
        raise Retry({**said, "retryable": True}) from failure


def _hand_over(attempt: Attempt[Any], server: MailServer, message: EmailMessage) -> None:
    """Send under a lease that is kept; noted in the row right before the server is given the text."""
    with Keeper(attempt) as keeper:

        def note() -> None:
            keeper.check()
            attempt.write(handed_over_at=func.clock_timestamp())

        def interrupted() -> bool:
            try:
                keeper.check()
            except (CancelRequested, ShuttingDown, Fenced):
                return True
            return False

        try:
            smtp.send(server, message, before_text=note, interrupted=interrupted)
        except Interrupted:
            keeper.check()
            raise
