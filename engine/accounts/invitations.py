"""Invitations: a link that makes one account, for people who have no Plex account."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode

from sqlalchemy import ColumnElement, and_, case, func, select, update
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.accounts import users
from engine.accounts.account_notices import tell_admins_of_admin
from engine.accounts.users import normal_email
from engine.audit import Actor, Subject
from engine.errors import Conflict, Forbidden, NotFound
from engine.identity.confirmation import require_person
from engine.identity.sessions import Identity
from engine.mails import mails
from engine.mails.texts import Template
from engine.notifications.notifications import notify
from engine.paging import Page
from engine.permissions import ADMIN, ROLES, is_admin, permissions_of
from engine.secrets.digests import digest
from engine.stores import locks
from models.base import new_id
from models.invitation import Invitation
from models.user import User

ROLES_TO_GIVE = ROLES[: ROLES.index(ADMIN) + 1]  # nobody is invited to be more
STATUSES = ("open", "accepted", "expired", "revoked")

_now = func.clock_timestamp
_OPEN = and_(
    Invitation.accepted_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > _now()
)
_STATUS: ColumnElement[str] = case(
    (Invitation.accepted_at.is_not(None), "accepted"),
    (Invitation.revoked_at.is_not(None), "revoked"),
    (Invitation.expires_at <= _now(), "expired"),
    else_="open",
)


@dataclass(frozen=True)
class ListedInvitation:
    """An invitation with its status at this moment, and the name of who invited."""

    row: Invitation
    status: str
    inviter: str | None


def create(
    db: Session, settings: Settings, *, by: Identity, email: str, role: str, actor: Actor
) -> tuple[Invitation, str]:
    """Invite an address, replacing an open invitation; returns the row and its link (the token is not stored).

    The link is mailed to them too, where mails can be sent.

    Raises:
        Forbidden: nobody can be invited to be more than an admin, or to more than the inviter (or their API key) may.
        ConfirmationRequired: an admin is invited.
        Conflict: the address belongs to somebody.
    """
    address = normal_email(email)
    inviter = _held(db, by.user_id)
    if inviter is None or not _may_give(inviter, role) or permissions_of(role) - by.permissions:
        refused = Forbidden(f"You can't invite anybody as {role}.")
        raise audit.refusal(refused, "invitation.created", Subject("invitation", None, address), role=role)
    if is_admin(role):
        require_person(actor, "invitation.created", Subject("invitation", None, address), role=role)
    users.refuse_taken(db, address, among_all=True)
    _one_at_a_time(db, address)  # so that the later one replaces the earlier
    db.execute(
        update(Invitation).where(Invitation.email == address, _OPEN).values(revoked_at=_now()),
        execution_options={"synchronize_session": False},
    )
    token = secrets.token_urlsafe(32)
    row = Invitation(
        id=new_id("inv"),
        email=address,
        role=role,
        invited_by=inviter.id,
        token_hash=digest(token),
        expires_at=_now() + timedelta(seconds=settings.invitation_seconds),
    )
    db.add(row)
    db.flush()
    db.refresh(row)
    url = f"{settings.public_base}/invitation?{urlencode({'token': token})}"
    audit.record(db, "invitation.created", actor, Subject("invitation", row.id, address), role=role)
    if mails.can_be_sent(settings):
        until = f"{row.expires_at:%d %B %Y, %H:%M} UTC"
        details = {"inviter": inviter.name, "url": url, "until": until}
        mails.queue(db, settings, template=Template.INVITATION, recipient=address, details=details)
    return row, url


def listing(db: Session, *, page: int, limit: int, status: str | None = None) -> Page[ListedInvitation]:
    """A page of all invitations, newest first."""
    query = select(Invitation, _STATUS.label("status"), User.name).outerjoin(
        User, User.id == Invitation.invited_by
    )
    if status is not None:
        query = query.where(_STATUS.in_([status]))
    total = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = db.execute(query.order_by(Invitation.id.desc()).offset((page - 1) * limit).limit(limit))
    return Page([ListedInvitation(row, state, name) for row, state, name in rows], page, limit, total)


def revoke(db: Session, invitation_id: str, actor: Actor) -> ListedInvitation:
    """Take an open invitation back.

    Raises:
        NotFound: there is none.
        Conflict: it is not open any more.
    """
    row = db.scalars(select(Invitation).where(Invitation.id == invitation_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound("There is no such invitation.")
    if db.scalar(select(Invitation.id).where(Invitation.id == row.id, _OPEN)) is None:
        raise Conflict("This invitation is not open any more.")
    row.revoked_at = _now()
    db.flush()
    db.refresh(row)
    audit.record(db, "invitation.revoked", actor, Subject("invitation", row.id, row.email))
    inviter = db.scalar(select(User.name).where(User.id == row.invited_by))
    return ListedInvitation(row, "revoked", inviter)


def accept(
    db: Session, settings: Settings, *, token: str, name: str, password: str, address: str | None
) -> User:
    """Make the account of an invitation, once, and tell who invited; of an admin the other admins, too.

    Raises:
        ValidationFailed: the password is too easy to guess; the invitation still holds.
        NotFound: it is unknown, used, revoked or expired, or whoever invited may not give its role any more.
        Conflict: somebody has come to sign in with the address.
    """
    query = select(Invitation).where(Invitation.token_hash == digest(token), _OPEN)
    row = db.scalars(query.with_for_update()).one_or_none()
    inviter = None if row is None or row.invited_by is None else _held(db, row.invited_by)
    if row is None or inviter is None or not _may_give(inviter, row.role):
        gone = NotFound("This invitation is not valid any more: ask for a new one.")
        subject = None if row is None else Subject("invitation", row.id, row.email)
        raise audit.refusal(gone, "invitation.accepted", subject, outcome="failure", reason="not valid")
    # Whoever else shows the address has it from plex.tv, which proves nothing.
    user = users.create(db, email=row.email, password=password, name=name, role=row.role, among_all=False)
    row.accepted_at, row.accepted_by = _now(), user.id
    db.flush()
    actor = Actor(user.id, None, address)
    audit.record(db, "invitation.accepted", actor, Subject("invitation", row.id, row.email), role=row.role)
    notify(
        db,
        inviter.id,
        type="invitation.accepted",
        title=f"{name} accepted your invitation",
        message=f"{name} ({row.email}) has an account now and can sign in.",
        subject=("user", user.id),
        by=user.id,
    )
    tell_admins_of_admin(db, settings, user, by=user.id)
    return user


def invited_address(db: Session, token: str) -> str | None:
    """The address that an invitation is for; None where it can't be accepted, as far as that is known before."""
    return db.scalar(select(Invitation.email).where(Invitation.token_hash == digest(token), _OPEN).limit(1))


def refuse_invited(db: Session, email: str) -> None:
    """Make sure that an address is not kept for somebody who is invited; holds until the end of the unit of work.

    Raises:
        Conflict: it is.
    """
    if is_invited(db, email):
        raise Conflict("This e-mail address is taken.")


def is_invited(db: Session, email: str) -> bool:
    """Whether an address is kept for somebody who is invited; holds until the end of the unit of work."""
    address = normal_email(email)
    _one_at_a_time(db, address)
    return db.scalar(select(Invitation.id).where(Invitation.email == address, _OPEN).limit(1)) is not None


def _held(db: Session, user_id: str) -> User | None:
    """The inviter, locked until the end of the unit of work, so that they are not demoted meanwhile."""
    query = select(User).where(User.id == user_id).with_for_update(read=True)
    return db.scalars(query.execution_options(populate_existing=True)).one_or_none()


def _one_at_a_time(db: Session, address: str) -> None:
    locks.hold(db, locks.named(locks.Named.INVITATION_TO, address))


def _may_give(inviter: User, role: str) -> bool:
    """Whether somebody may, at this moment, make an account of this role by inviting."""
    if inviter.disabled_at is not None or inviter.deleted_at is not None:
        return False
    return is_admin(inviter.role) and role in ROLES_TO_GIVE
