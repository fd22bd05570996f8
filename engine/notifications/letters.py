"""A message as it is sent: of the notifications it tells of, in the language of its recipient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.mails.texts import MailText, written
from engine.notifications import deliveries, links, places, words
from models.delivery import Delivery
from models.notification import Notification
from models.user import User

Link = tuple[str, str]  # label and URL

_PHRASES = {
    "en": {
        "hello": "Hello {name},",
        "test": "This channel works",
        "test_text": "You are told here of what you chose in MediaNest.",
        "several": "{count} notifications from MediaNest",
        "digest": "Your day in MediaNest: {count} notifications",
        "decide": "Approve or deny",
        "open": "Open",
        "stop": "You get these mails since you chose so. To end them: {url}",
    },
    "de": {
        "hello": "Hallo {name},",
        "test": "Dieser Kanal funktioniert",
        "test_text": "Hier erfährst du, was du in MediaNest ausgewählt hast.",
        "several": "{count} Benachrichtigungen von MediaNest",
        "digest": "Dein Tag in MediaNest: {count} Benachrichtigungen",
        "decide": "Genehmigen oder ablehnen",
        "open": "Öffnen",
        "stop": "Du bekommst diese Mails, weil du es so eingestellt hast. So beendest du sie: {url}",
    },
}


@dataclass(frozen=True)
class Letter:
    """What is told: title and text for services, the whole mail for the mail server, and how it is ended."""

    title: str
    body: str
    mail: MailText
    headers: dict[str, str]


def write(
    db: Session, settings: Settings, row: Delivery, user: User | None, told: Sequence[Notification]
) -> Letter:
    """Write a message; makes the links by which its recipient decides about what it tells of.

    Args:
        db: a unit of work, for these links.
        settings: with our address.
        row: the delivery.
        user: who is told; None for a target of the installation, which gets no such links.
        told: the notifications.
    """
    language = "de" if user is not None and user.language == "de" else "en"
    phrases = _PHRASES[language]
    title, parts = _text(row, told, language)
    labelled = [link for one in told for link in _links(db, settings, user, one, phrases)]
    body = "\n\n".join([*parts, *(f"{label}: {url}" for label, url in labelled)])
    token = links.unsubscribe_token(settings, row.channel_id or "")
    hello = [phrases["hello"].format(name=user.name)] if user is not None else []
    stop = phrases["stop"].format(url=f"{settings.public_base}/unsubscribe/{token}")
    one_click = {
        "List-Unsubscribe": f"<{settings.api_base}/api/v1/notifications/unsubscribe/{token}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",  # RFC 8058
    }
    mail = written(title, [*hello, *parts], labelled, [stop], language=language)
    return Letter(title, body, mail, one_click)


def _text(row: Delivery, told: Sequence[Notification], language: str) -> tuple[str, list[str]]:
    """Title and paragraphs."""
    phrases = _PHRASES[language]
    if row.type == deliveries.TEST:
        return phrases["test"], [phrases["test_text"]]
    texts = [words.told(one, language) for one in told]
    if len(texts) == 1 and not row.digest:
        title, message = texts[0]
        return title, [message]
    title = phrases["digest" if row.digest else "several"].format(count=sum(one.count for one in told))
    return title, [f"{title}: {message}" for title, message in texts]


def _links(
    db: Session, settings: Settings, user: User | None, told: Notification, phrases: dict[str, str]
) -> list[Link]:
    """Where a notification leads: the page that asks for a decision, and the page of what it is about."""
    found = []
    wanted = bool(told.details and told.details.get("actions")) and told.count == 1
    if user is not None and wanted and told.subject_id is not None:
        token = links.make(db, user.id, links.DECIDE, told.subject_id)
        found.append((phrases["decide"], f"{settings.public_base}/decide/{token}"))
    if path := places.page_about(told):
        found.append((phrases["open"], f"{settings.public_base}/{path}"))
    return found
