"""Links in messages: those by which a recipient decides something once, and those that switch a channel off."""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.errors import NotFound
from engine.secrets import keys
from engine.secrets.digests import digest
from models.base import new_id
from models.delivery import ActionLink

LIFETIME = timedelta(hours=24)
DECIDE = "decide"  # about a request: approve or deny

_now = func.clock_timestamp


def make(db: Session, user_id: str, action: str, subject_id: str) -> str:
    """The token of a link by which a user may do something once within 24 hours; only its digest is kept."""
    token = secrets.token_urlsafe(24)
    db.add(
        ActionLink(
            id=new_id("lnk"),
            digest=digest(token),
            user_id=user_id,
            action=action,
            subject_id=subject_id,
            expires_at=_now() + LIFETIME,
        )
    )
    return token


def find(db: Session, token: str, *, lock: bool = False) -> ActionLink:
    """A link that may still be used.

    Raises:
        NotFound: there is none, it was used, or it is too old.
    """
    query = select(ActionLink).where(
        ActionLink.digest == digest(token), ActionLink.used_at.is_(None), ActionLink.expires_at > _now()
    )
    found = db.scalars(query.with_for_update() if lock else query).one_or_none()
    if found is None:
        raise NotFound("This link was used already, or is older than a day. Open the request itself instead.")
    return found


def use(db: Session, link: ActionLink) -> None:
    """Note that a link was used."""
    link.used_at = _now()


def unsubscribe_token(settings: Settings, channel_id: str) -> str:
    """What a link carries that switches a channel off; it never expires."""
    signature = keys.sign(settings, keys.UNSUBSCRIBE, channel_id.encode())[:16]
    return f"{channel_id}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def unsubscribed_channel(settings: Settings, token: str) -> str:
    """The channel that such a link is for.

    Raises:
        NotFound: it was not made by us.
    """
    channel_id, _, written = token.rpartition(".")
    try:
        signature = base64.urlsafe_b64decode(written + "==")
    except (binascii.Error, ValueError):
        signature = b""
    if len(signature) != 16 or not keys.signer(settings, keys.UNSUBSCRIBE, channel_id.encode(), signature):
        raise NotFound("This link is not one of ours.")
    return channel_id


def forget_old(db: Session) -> None:
    """Drop links that expired a week ago."""
    db.execute(delete(ActionLink).where(ActionLink.expires_at < _now() - timedelta(days=7)))
