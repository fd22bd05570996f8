"""Signing in with Plex: a PIN of plex.tv that belongs to the browser that asked for it, and works once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine import audit
from engine.accounts import plex_access, plex_accounts, profile
from engine.accounts.plex_access import AccessRefused
from engine.accounts.plex_accounts import Admitted
from engine.accounts.sign_in import sign_in
from engine.audit import Actor, Subject
from engine.clients.plex.errors import PinGone
from engine.clients.plex.tv import PlexTv, auth_url, link_url
from engine.clients.plex.tv_answers import Pin
from engine.errors import Forbidden, NotFound
from engine.identity import confirmation
from engine.identity.sessions import Device, Identity, SignedIn
from engine.permissions import Permission
from engine.runtime import Runtime
from engine.secrets.digests import digest
from models.plex_pin import PlexPin
from models.user import User

ASK_EVERY = timedelta(seconds=1)  # what plex.tv asks of its clients, for one PIN
_KEPT = timedelta(hours=1)  # beyond its life

_now = func.clock_timestamp


@dataclass(frozen=True)
class Begun:
    """A PIN, and where it is claimed: `qr_url` for one of four characters, `auth_url` for a strong one."""

    pin: Pin
    qr_url: str | None
    auth_url: str | None


def begin(
    runtime: Runtime,
    *,
    nonce: str,
    client_name: str | None,
    strong: bool,
    forward: Callable[[Pin], str] | None = None,
) -> Begun:
    """Ask plex.tv for a PIN and bind it to a browser.

    Args:
        runtime: for settings and units of work; none is open while plex.tv is asked.
        nonce: what only that browser has.
        client_name: shown to the person at plex.tv.
        strong: for the flow over plex.tv's own page, else four characters to type.
        forward: where that page leads back to; the first page where it is None.

    Raises:
        NotFound: Plex is switched off.
        PlexUnreachable: plex.tv gave no PIN.
    """
    _refuse_if_off(runtime)
    identifier = plex_access.client_identifier(runtime)
    with plex_access.conversation(runtime, device_name=client_name) as tv:
        pin = tv.make_pin(strong=strong)
        with runtime.unit_of_work() as db:
            row = insert(PlexPin).values(
                id=pin.id,
                nonce_hash=digest(nonce),
                # Its life as plex.tv tells it, but from our clock, which may differ from theirs.
                expires_at=_now() + timedelta(seconds=pin.expires_in),
            )
            if db.scalar(row.on_conflict_do_nothing().returning(PlexPin.id)) is None:
                raise tv.unusable("a PIN that was given out before")
    if strong:
        back = runtime.settings.public_base if forward is None else forward(pin)
        return Begun(pin, None, auth_url(identifier, pin.code, back))
    return Begun(pin, link_url(pin.code), None)


def verify(
    runtime: Runtime, pin_id: str, *, nonce: str, remember_me: bool, device: Device
) -> SignedIn | None:
    """Sign in whoever claimed a PIN; None while nobody has.

    Raises:
        NotFound: the PIN is unknown, used, expired or another browser's, or Plex is switched off.
        Forbidden: they have no access to our server, or their account is disabled; the PIN is used up.
        PlexUnreachable: that can't be found out now; the PIN stays good.
    """
    admitted = _admitted(runtime, pin_id, nonce)
    if admitted is None:
        return None
    with runtime.unit_of_work() as db:
        _use(db, pin_id)
        user = plex_accounts.of_admitted(db, runtime.settings, admitted, device.address)
        if user.disabled_at is None:
            return sign_in(db, runtime.settings, user, method="plex", device=device, remember_me=remember_me)
        subject = Subject("user", user.id, user.name)
    words = "This account is disabled."
    raise audit.refusal(Forbidden(words), "auth.plex_refused", subject, reason=words)


def link(
    runtime: Runtime, pin_id: str, *, nonce: str, mine: Identity, password: str | None, actor: Actor
) -> User | None:
    """Link the Plex account of whoever claimed a PIN to one's own, which it then signs in to; None while nobody has.

    Who may configure the server can do so before there is one, to find it through their account.

    Raises:
        ValidationFailed, WrongPassword, ConfirmationRequired: as for `profile.prove`.
        NotFound: as for `verify`.
        Forbidden: the Plex account has no access to our server.
        Conflict: it belongs to somebody else, or the user has another one; the PIN stays good.
        PlexUnreachable: that can't be found out now.
    """
    with runtime.unit_of_work() as db:
        profile.prove(db, mine, password, actor)
    may_configure = Permission.INTEGRATIONS_CONFIGURE in mine.permissions
    admitted = _admitted(runtime, pin_id, nonce, before_setup=may_configure)
    if admitted is None:
        return None
    with runtime.unit_of_work() as db:
        _use(db, pin_id)
        return plex_accounts.link(db, runtime.settings, mine.user_id, admitted, actor)


def confirm(runtime: Runtime, pin_id: str, *, nonce: str, mine: Identity, actor: Actor) -> datetime | None:
    """Prove a person anew by a PIN that was claimed with the Plex account linked to their own; None while nobody has.

    Returns until when that counts on this device.

    Raises:
        NotFound: as for `verify`.
        Forbidden: it was claimed with another Plex account, or that has no access to our server; the PIN is used up.
        PlexUnreachable: that can't be found out now; the PIN stays good.
    """
    admitted = _admitted(runtime, pin_id, nonce, before_setup=True)
    if admitted is None:
        return None
    with runtime.unit_of_work() as db:
        _use(db, pin_id)
        user = db.get_one(User, mine.user_id)
        if user.plex_id == admitted.account.id:
            return confirmation.note(db, runtime.settings, mine, actor, method="plex")
        subject = Subject("user", user.id, user.name)
    refused = Forbidden("The PIN was claimed with another Plex account than the one that is linked to yours.")
    raise audit.refusal(
        refused, "auth.confirmed", subject, outcome="failure", method="plex", reason="another account"
    )


def forget_old(db: Session) -> None:
    """Drop PINs whose time is long over."""
    db.execute(delete(PlexPin).where(PlexPin.expires_at < _now() - _KEPT))


def _admitted(runtime: Runtime, pin_id: str, nonce: str, *, before_setup: bool = False) -> Admitted | None:
    """The Plex account that claimed a PIN and may use our server; None: none has, or plex.tv was asked just now."""
    _refuse_if_off(runtime)
    with runtime.unit_of_work() as db:
        if not _turn(db, pin_id, nonce):
            return None
    with plex_access.conversation(runtime) as tv:
        token = _claim(runtime, tv, pin_id)
        if token is None:
            return None
        try:
            return plex_access.admit(runtime, tv, token, before_setup=before_setup)
        except AccessRefused as refused:
            account = refused.account
            subject = None if account is None else Subject("plex_account", account.id, account.username)
            with runtime.unit_of_work() as db:
                _use(db, pin_id)
            raise audit.refusal(refused, "auth.plex_refused", subject, reason=refused.message) from None


def _turn(db: Session, pin_id: str, nonce: str) -> bool:
    """Take the right to ask plex.tv about a PIN: at most once a second for each PIN.

    Raises:
        NotFound: it is not a live PIN of this browser.
    """
    mine = (
        PlexPin.id == pin_id,
        PlexPin.nonce_hash == digest(nonce),
        PlexPin.used_at.is_(None),
        PlexPin.expires_at > _now(),
    )
    rested = func.coalesce(PlexPin.asked_at < _now() - ASK_EVERY, True)
    turn = update(PlexPin).where(*mine, rested).values(asked_at=_now()).returning(PlexPin.id)
    if db.scalar(turn) is not None:
        return True
    if db.scalar(select(PlexPin.id).where(*mine)) is None:
        raise _gone()
    return False


def _claim(runtime: Runtime, tv: PlexTv, pin_id: str) -> str | None:
    try:
        return tv.claimed(pin_id)
    except PinGone:
        with runtime.unit_of_work() as db:
            db.execute(update(PlexPin).where(PlexPin.id == pin_id).values(expires_at=_now()))
        raise _gone() from None


def _use(db: Session, pin_id: str) -> None:
    """Use a PIN up; exactly one of any number of concurrent calls succeeds.

    Raises:
        NotFound: another call used it first.
    """
    used = update(PlexPin).where(PlexPin.id == pin_id, PlexPin.used_at.is_(None)).values(used_at=_now())
    if db.scalar(used.returning(PlexPin.id)) is None:
        raise _gone()


def _refuse_if_off(runtime: Runtime) -> None:
    if not runtime.settings.plex_enabled:
        raise NotFound("Plex sign-in is switched off here.")


def _gone() -> NotFound:
    return NotFound(
        "There is no such PIN: it was used, has expired, or belongs to another browser. Begin again."
    )
