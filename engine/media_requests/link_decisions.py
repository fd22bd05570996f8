"""Deciding about a request by the link in a message, which stands for its recipient, once."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.audit import Actor
from engine.errors import Forbidden, NotFound
from engine.media_requests import deciding
from engine.notifications import links
from engine.permissions import Permission, permissions_of
from models.delivery import ActionLink
from models.media_request import MediaRequest
from models.user import User


def look_up(db: Session, token: str) -> MediaRequest:
    """The request that a link asks about; changes nothing, since scanners of mails follow links.

    Raises:
        NotFound: the link was used or is too old, or the request is gone.
        Forbidden: its recipient may not decide any more.
    """
    return _request(db, _link(db, token, lock=False))


def decide(
    db: Session, token: str, *, approve: bool, reason: str | None, address: str | None
) -> MediaRequest:
    """Approve or deny as the recipient of the link, with what they may do now; uses the link up.

    Args:
        db: the unit of work.
        token: of the link.
        approve: or deny.
        reason: why it is denied.
        address: of the client, for the audit log.

    Raises:
        NotFound, Forbidden: as `look_up`.
        Conflict: it was decided the other way meanwhile.
    """
    link = _link(db, token, lock=True)
    request = _request(db, link)
    actor = Actor(link.user_id, via=link.id, address=address)
    links.use(db, link)
    if approve:
        return deciding.approve(db, request.id, actor)
    return deciding.deny(db, request.id, actor, reason)


def _link(db: Session, token: str, *, lock: bool) -> ActionLink:
    link = links.find(db, token, lock=lock)
    user = db.get(User, link.user_id)
    active = user is not None and user.disabled_at is None and user.deleted_at is None
    if user is None or not active or Permission.REQUESTS_MANAGE not in permissions_of(user.role):
        raise Forbidden("This link belongs to somebody who may not decide about requests.")
    return link


def _request(db: Session, link: ActionLink) -> MediaRequest:
    request = db.get(MediaRequest, link.subject_id)
    if request is None:
        raise NotFound("The request was taken back.")
    return request
