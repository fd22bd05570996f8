"""The delivery job: one message to one channel, by mail at most once after DATA, through Apprise at least once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from engine.mails.texts import MailText, written
from engine.notifications import deliveries, links
from engine.secrets import secret_box
from models.delivery import Delivery, NotificationChannel
from models.notification import Notification
from models.user import User

_ATTEMPTS = 10  # over about an hour
_SECONDS = 40.0  # for one message through Apprise

_GONE = {
    "kind": "channel_gone",
    "message": "Its channel was removed or switched off.",
    "advice": "Nothing needs to be done.",
    "retryable": False,
}
_PAGES = {"request": "requests", "download": "downloads", "item": "item"}


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


@dataclass(frozen=True)
class _Letter:
    """What is told: title and text for services, the whole mail for the mail server."""

    title: str
    body: str
    mail: MailText
    unsubscribe: str


def work(attempt: Attempt[Delivery]) -> Mapping[str, Any]:
    """Send the message.

    Raises:
        Retry: the service can't be reached, or does not want it now.
        GiveUp: it never will, the channel is gone, or a mail may have been taken already.
        Fenced, CancelRequested, ShuttingDown: see `engine.jobs`.
    """
    row, runtime = attempt.row, attempt.runtime
    if row.handed_over_at is not None:
        raise GiveUp(UNKNOWN_OUTCOME)
    with runtime.unit_of_work() as db:
        channel = None if row.channel_id is None else db.get(NotificationChannel, row.channel_id)
        user = db.get(User, row.user_id)
        if channel is None or user is None or user.disabled_at is not None or user.deleted_at is not None:
            raise GiveUp(_GONE)
        if not channel.enabled and row.type != deliveries.TEST:
            raise GiveUp(_GONE)
        told = deliveries.notifications_of(db, row.id)
        letter = _written(db, runtime.settings, row, channel, user, told)
        address = user.mailbox
    if channel.kind == "email":
        _mail(attempt, runtime.settings, address, letter)
    else:
        _apprise(attempt, channel, letter)
    return {}


def _mail(attempt: Attempt[Delivery], settings: Settings, address: str | None, letter: _Letter) -> None:
    if not settings.smtp_url:
        raise GiveUp(NOT_CONFIGURED)
    if address is None:
        raise GiveUp(
            {
                "kind": "no_address",
                "message": "This account has no e-mail address that is known to be theirs.",
                "advice": "Enter one below Account.",
                "retryable": False,
            }
        )
    one_click = {
        "List-Unsubscribe": f"<{letter.unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    send_once(attempt, settings, address, letter.mail, one_click)


def _apprise(attempt: Attempt[Delivery], channel: NotificationChannel, letter: _Letter) -> None:
    settings = attempt.runtime.settings
    try:
        url = secret_box.opened(settings, channel.id, channel.url or "")
    except ServiceUnavailable as error:
        said = {"kind": "unreadable", "message": error.message, "advice": "Enter the address again."}
        raise GiveUp({**said, "retryable": False}) from error
    message = Message(
        url=url, title=letter.title, body=letter.body, allow_private=settings.notify_allow_private_networks
    )
    try:
        run_isolated(
            attempt,
            apprise_targets.send,
            message,
            on_signal=lambda _: {},
            silence_limit=lambda: _SECONDS,
            deadline=_SECONDS,
            memory=apprise_targets.MEMORY,
        )
    except TargetFailed as failed:
        said = {"kind": failed.kind, "message": failed.message, "advice": failed.advice}
        raise (Retry if failed.passing else GiveUp)({**said, "retryable": failed.passing}) from None


def _written(
    db: Session,
    settings: Settings,
    row: Delivery,
    channel: NotificationChannel,
    user: User,
    told: Sequence[Notification],
) -> _Letter:
    base = settings.public_base
    token = links.unsubscribe_token(settings, channel.id)
    unsubscribe = f"{settings.api_base}/api/v1/notifications/unsubscribe/{token}"
    page = f"{base}/unsubscribe/{token}"
    if row.type == deliveries.TEST:
        title, parts = "This channel works", ["You are told here of what you chose in MediaNest."]
        places: list[tuple[str, str]] = []
    else:
        title = (
            told[0].title if len(told) == 1 else f"{sum(one.count for one in told)} notices from MediaNest"
        )
        parts = [one.message if len(told) == 1 else f"{one.title}. {one.message}" for one in told]
        places = [place for one in told for place in _places(db, base, user, one)]
    body = "\n\n".join([*parts, *(f"{label}: {url}" for label, url in places)])
    after = [f"You get these mails since you chose so. To end them: {page}"]
    mail = written(title, [f"Hello {user.name},", *parts], places, after)
    return _Letter(title, body, mail, unsubscribe)


def _places(db: Session, base: str, user: User, told: Notification) -> list[tuple[str, str]]:
    """Where a notification leads: what it is about, and the page that asks for a decision."""
    found = []
    if told.details and told.details.get("actions") and told.subject_id is not None and told.count == 1:
        token = links.make(db, user.id, "decide", told.subject_id)
        found.append(("Approve or deny", f"{base}/decide/{token}"))
    if told.subject_kind in _PAGES and told.count == 1:
        found.append(("Open", f"{base}/{_PAGES[told.subject_kind]}/{told.subject_id}"))
    elif told.type.startswith("request."):
        found.append(("Open", f"{base}/requests"))
    return found
