"""Users who sign in with Plex, identified by their plex.tv account id and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.accounts.account_notices import tell_admins_of_admin, tell_admins_of_unlinking, tell_of_plex
from engine.accounts.names import cleaned
from engine.accounts.users import normal_email
from engine.audit import SERVER, Actor, Subject
from engine.clients.plex.tv import Account
from engine.errors import Conflict, NotFound
from engine.identity import closing
from engine.identity.confirmation import require_person
from engine.permissions import ADMIN, ROLES, USER
from engine.plex.server.user_tokens import secret_name
from engine.secrets import secret_box
from models.base import new_id
from models.user import User

log = structlog.get_logger(__name__)
_now = func.clock_timestamp


@dataclass(frozen=True)
class Admitted:
    """A Plex account whose owner proved it and that may use our server.

    Attributes:
        owner: whether the server is theirs.
        server_id: machineIdentifier of the server; None where there is none yet.
    """

    account: Account
    owner: bool
    token: str = field(repr=False)
    server_id: str | None = None


def of_admitted(db: Session, settings: Settings, admitted: Admitted, address: str | None) -> User:
    """The user who belongs to a Plex account, made at the first sign-in; any number at once make one.

    Who lost access to the server and has it again is let in again; who was disabled by an admin stays so, and is
    returned unchanged. Never is anybody found by an e-mail address: what plex.tv says of it proves nothing.
    """
    account = admitted.account
    _hold(db, account.id)
    user = db.scalars(select(User).where(User.plex_id == account.id).with_for_update()).one_or_none()
    if user is None:
        email = account.email and normal_email(account.email)
        name = cleaned(account.title) or "Plex user"
        user = User(id=new_id("user"), plex_id=account.id, name=name, email=email, role=USER)
        db.add(user)
        db.flush()
        themself = Actor(user.id, address=address)
        audit.record(db, "user.created", themself, _subject(user), method="plex", role=user.role)
    if user.disabled_at is not None and user.disabled_reason != "plex":
        return user
    if user.disabled_at is not None:
        user.disabled_at = user.disabled_reason = None
        audit.record(db, "user.enabled", SERVER, _subject(user), reason="access to the Plex server again")
    # The owner of a server that an admin connected gets no role from that: they would make themself another admin.
    trusted = admitted.owner and settings.plex_owner_is_admin and bool(settings.plex_url)
    if trusted and ROLES.index(user.role) < ROLES.index(ADMIN):
        before, user.role = user.role, ADMIN
        reason = "owner of the Plex server"
        audit.record(
            db, "user.role_changed", SERVER, _subject(user), before=before, after=ADMIN, reason=reason
        )
        tell_admins_of_admin(db, settings, user, by=None)
    _note(db, settings, user, admitted)
    return user


def link(db: Session, settings: Settings, user_id: str, admitted: Admitted, actor: Actor) -> User:
    """Let a user sign in with a Plex account besides their password.

    Raises:
        Conflict: the Plex account is somebody else's, or they have another one already.
        NotFound: there is no such user any more.
    """
    _hold(db, admitted.account.id)
    owner = db.scalar(select(User.id).where(User.plex_id == admitted.account.id))
    if owner is not None and owner != user_id:
        raise Conflict("This Plex account belongs to another user here.")
    user = _locked(db, user_id)
    if user.plex_id not in {None, admitted.account.id}:
        raise Conflict("You have another Plex account linked: unlink it first.")
    user.plex_id = admitted.account.id
    _note(db, settings, user, admitted)
    audit.record(db, "user.updated", actor, _subject(user), plex="linked", plexId=user.plex_id)
    tell_of_plex(db, settings, user, user.plex_username, linked=True)
    db.refresh(user)
    return user


def unlink(db: Session, settings: Settings, user_id: str, actor: Actor) -> User:
    """Forget a user's Plex account and its token; they and the admins who manage users are told.

    Raises:
        NotFound: they have none.
        Conflict: they could not sign in any more.
        ConfirmationRequired: the proof that the person asks is missing or too old.
    """
    user = _locked(db, user_id)
    require_person(actor, "user.updated", _subject(user), plex="unlinked")
    if user.plex_id is None:
        raise NotFound("No Plex account is linked.")
    if user.password_hash is None:
        raise Conflict("You could not sign in any more: set a password first.")
    audit.record(db, "user.updated", actor, _subject(user), plex="unlinked", plexId=user.plex_id)
    tell_of_plex(db, settings, user, user.plex_username, linked=False)
    tell_admins_of_unlinking(db, user, user.plex_username)
    user.plex_id = user.plex_username = user.plex_avatar = user.plex_checked_at = None
    user.plex_server_id = user.plex_owner = None
    secret_box.drop(db, secret_name(user.id))
    db.flush()
    return user


def confirm(db: Session, user_id: str, server_id: str, *, owner: bool) -> None:
    """Note that plex.tv said just now that a user has access to a server, and whether it is theirs."""
    user = db.get(User, user_id)
    if user is not None and user.plex_id is not None:
        user.plex_checked_at = _now()
        user.plex_server_id, user.plex_owner = server_id, owner


def end_access(db: Session, user_id: str, why: str) -> None:
    """Disable a user who lost access to our server, by plex.tv's answer.

    They are disabled, with or without a password, and their sessions and keys end for good; until plex.tv says
    otherwise at their next sign-in with Plex, or an admin enables them. Admins and super admins keep their accounts.
    """
    user = db.scalars(select(User).where(User.id == user_id).with_for_update()).one_or_none()
    if user is None or user.plex_id is None or user.disabled_at is not None:
        return
    secret_box.drop(db, secret_name(user.id))
    audit.record(db, "auth.plex_refused", SERVER, _subject(user), outcome="denied", reason=why)
    stays = ROLES.index(user.role) >= ROLES.index(ADMIN)
    if not stays:
        ended = closing.close(db, user, "plex")
        counts: dict[str, Any] = {"sessions": ended.sessions, "keys": ended.keys}
        audit.record(db, "user.disabled", SERVER, _subject(user), reason=why, **counts)
    db.flush()
    log.warning("plex.access_ended", user=user.id, reason=why, disabled=not stays)


def _note(db: Session, settings: Settings, user: User, admitted: Admitted) -> None:
    """Store what plex.tv says of a user, and the token for the next check."""
    user.plex_username, user.plex_avatar = cleaned(admitted.account.username), admitted.account.avatar
    user.plex_checked_at = _now()
    if admitted.server_id is not None:
        user.plex_server_id, user.plex_owner = admitted.server_id, admitted.owner
    db.flush()
    secret_box.put(db, settings, secret_name(user.id), admitted.token)


def _hold(db: Session, plex_id: str) -> None:
    """Serialise making and linking of a user for this Plex account until the unit of work ends, by an advisory lock."""
    db.execute(select(func.pg_advisory_xact_lock(func.hashtext("plex account " + plex_id))))


def _locked(db: Session, user_id: str) -> User:
    user = db.scalars(select(User).where(User.id == user_id).with_for_update()).one_or_none()
    if user is None or user.deleted_at is not None:
        raise NotFound("There is no such user.")
    return user


def _subject(user: User) -> Subject:
    return Subject("user", user.id, user.name)
