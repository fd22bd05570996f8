"""The delivery job: one message to one channel, by mail at most once after DATA, through Apprise at least once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.clients import apprise_targets
from engine.clients.apprise_targets import Message, TargetFailed
from engine.errors import ServiceUnavailable
from engine.job_names import Job
from engine.jobs.attempt_process import run_isolated
from engine.jobs.kinds import JobKind, growing_pause
from engine.jobs.runner import Attempt, GiveUp, Retry
from engine.mails.sending import NOT_CONFIGURED, UNKNOWN_OUTCOME, send_once
from engine.notifications import deliveries, letters, planning
from engine.notifications.letters import Letter
from engine.secrets import secret_box
from models.delivery import Delivery, NotificationChannel
from models.user import User

_ATTEMPTS = 10  # over about an hour
_SECONDS = 40.0  # for one message through Apprise
# What services take for a call to everybody in a room, and for a mention; somebody's comment must not make one.
_MENTION = re.compile(r"@(?=everyone\b|here\b|channel\b|all\b)|<(?=[@!#])")
_ZERO_WIDTH_SPACE = "\u200b"

_NO_ADDRESS = {
    "kind": "no_address",
    "message": "This account has no e-mail address that is known to be theirs.",
    "advice": "Enter one below Account.",
    "retryable": False,
}


def _changed(db: Session, row: Delivery) -> None:
    """A channel shows why its last message failed, until one arrives."""
    if row.status not in {"completed", "failed"} or row.channel_id is None:
        return
    channel = db.get(NotificationChannel, row.channel_id)
    if channel is not None:
        channel.error = (row.error or {}).get("message") if row.status == "failed" else None


DELIVER = JobKind(
    job=Job.DELIVER,
    model=Delivery,
    running="sending",
    attempts=lambda settings: _ATTEMPTS,
    pause=lambda settings, attempt: growing_pause(5.0, 1200.0, attempt),
    changed=_changed,
)


def work(attempt: Attempt[Delivery]) -> Mapping[str, Any]:
    """Send the message; one that nobody is to get any more ends as cancelled.

    Raises:
        Retry: the service can't be reached, or does not want it now.
        GiveUp: it never will, or a mail may have been taken already.
        Fenced, CancelRequested, ShuttingDown: see `engine.jobs`.
    """
    row, runtime = attempt.row, attempt.runtime
    if row.handed_over_at is not None:
        raise GiveUp(UNKNOWN_OUTCOME)
    with runtime.unit_of_work() as db:
        channel = None if row.channel_id is None else db.get(NotificationChannel, row.channel_id)
        user = None if row.user_id is None else db.get(User, row.user_id)
        told = deliveries.notifications_of(db, row.id)
        if not (told or row.type == deliveries.TEST) or not _is_wanted(row, channel, user):
            return {"status": DELIVER.cancelled}
        letter = letters.write(db, runtime.settings, row, user, told)
        address = None if user is None else user.mailbox
    try:
        if row.kind == "email":
            _mail(attempt, address, letter)
        else:
            _apprise(attempt, _url(runtime.settings, row, channel), letter)
    except Retry as failed:
        if row.type == deliveries.TEST:  # who tries a channel is there now, and not in an hour
            raise GiveUp(failed.error) from failed
        raise
    return {}


def _is_wanted(row: Delivery, channel: NotificationChannel | None, user: User | None) -> bool:
    """Whether the channel is there and on, and its user may still sign in."""
    if row.kind == deliveries.INSTALLATION:
        return True
    if channel is None or user is None or user.disabled_at is not None or user.deleted_at is not None:
        return False
    return channel.enabled or row.type == deliveries.TEST


def _mail(attempt: Attempt[Delivery], address: str | None, letter: Letter) -> None:
    settings = attempt.runtime.settings
    if not settings.smtp_url:
        raise GiveUp(NOT_CONFIGURED)
    if address is None:
        raise GiveUp(_NO_ADDRESS)
    send_once(attempt, settings, address, letter.mail, letter.headers)


def _url(settings: Settings, row: Delivery, channel: NotificationChannel | None) -> str:
    """The address of Apprise that a message goes to.

    Raises:
        GiveUp: it can't be read, or is none of `NOTIFY_URLS` any more.
    """
    if channel is None:
        for url in settings.notify_urls:
            if planning.target_of(url) == row.target:
                return url
        message = "It went to an address that is not in NOTIFY_URLS any more."
        raise GiveUp(
            {"kind": "gone", "message": message, "advice": "Nothing needs to be done.", "retryable": False}
        )
    try:
        return secret_box.opened(settings, channel.id, channel.url or "")
    except ServiceUnavailable as error:
        said = {"kind": "unreadable", "message": error.message, "advice": "Enter the address again."}
        raise GiveUp({**said, "retryable": False}) from error


def _apprise(attempt: Attempt[Delivery], url: str, letter: Letter) -> None:
    settings = attempt.runtime.settings
    title, body = (_MENTION.sub(rf"\g<0>{_ZERO_WIDTH_SPACE}", text) for text in (letter.title, letter.body))
    try:
        run_isolated(
            attempt,
            apprise_targets.send,
            Message(url, title, body, settings.notify_allow_private_networks),
            on_signal=lambda _: {},
            silence_limit=lambda: _SECONDS,
            deadline=_SECONDS,
            memory=apprise_targets.MEMORY,
        )
    except TargetFailed as failed:
        said = {"kind": failed.kind, "message": failed.message, "advice": failed.advice}
        raise (Retry if failed.passing else GiveUp)({**said, "retryable": failed.passing}) from None
