"""Integrations with other systems: configuration, connection test, state."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.redaction import without_credentials
from config.settings import Settings
from engine import audit, events
from engine.audit import Actor, Subject
from engine.clients import connection_test, overseerr_examination, tmdb
from engine.clients.connection_test import ConnectionTestFailed
from engine.errors import Conflict, NotFound, ValidationFailed
from engine.identity.confirmation import require_person
from engine.installation import client_identifier
from engine.integrations.kind import Given, Kind, KnownPeer, State, Target, Tested
from engine.integrations.plex import PlexKind
from engine.integrations.validation import accepted, accepted_options, same_place
from engine.runtime import Runtime
from engine.secrets import secret_box
from models.integration import Integration

_now = func.clock_timestamp


class _Overseerr(Kind):
    """Overseerr, or Seerr as it is called now."""

    name, title = "overseerr", "Overseerr"

    def environment(self, settings: Settings) -> Given:
        """`OVERSEERR_URL` and `OVERSEERR_API_KEY`."""
        return Given(settings.overseerr_url, settings.overseerr_api_key)

    def examine(self, target: Target) -> Tested:
        """Test address and API key."""
        overseerr_examination.examine(target.url, target.token, verify=target.verify)
        return Tested(ok=True)


class _Tmdb(Kind):
    """The Movie Database."""

    name, title, standard_url = "tmdb", "TMDB", tmdb.STANDARD_URL

    def environment(self, settings: Settings) -> Given:
        """`TMDB_URL` and `TMDB_TOKEN`."""
        return Given(settings.tmdb_url, settings.tmdb_token)

    def examine(self, target: Target) -> Tested:
        """Test address and token."""
        tmdb.examine(target.url, target.token, verify=target.verify)
        return Tested(ok=True)


PLEX = PlexKind()
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (PLEX, _Overseerr(), _Tmdb())}


@dataclass(frozen=True)
class View:
    """An integration; only the first five may be shown to everybody.

    Attributes:
        read_only: the environment sets something of it; `fixed` says what.
        url: without credentials.
        options: what is configured beside it.
    """

    name: str
    configured: bool
    enabled: bool
    state: State
    read_only: bool
    fixed: tuple[str, ...]
    source: Literal["environment", "database"] | None
    url: str | None
    token_configured: bool
    options: Mapping[str, Any]
    remembered: KnownPeer
    updated_at: datetime | None


@dataclass(frozen=True)
class Saved:
    """The result of a new configuration, which is stored whatever the test says."""

    view: View
    tested: Tested
    sync_id: str | None


def kind_of(name: str) -> Kind:
    """An integration by its name.

    Raises:
        NotFound: there is none.
    """
    kind = KINDS.get(name)
    if kind is None:
        raise NotFound(f"There is no such integration: there are {', '.join(KINDS)}.")
    return kind


def get(db: Session, settings: Settings, name: str) -> View:
    """One integration as it is configured, or not.

    Raises:
        NotFound: there is none of this name.
    """
    kind = kind_of(name)
    return _view(db, settings, kind, db.get(Integration, kind.name))


def listing(db: Session, settings: Settings) -> list[View]:
    """All integrations."""
    return [get(db, settings, name) for name in KINDS]


def test(runtime: Runtime, name: str, *, url: str | None, token: str | None) -> Tested:
    """Test the connection with the given values, or else the configured ones.

    The configured token is only sent to the configured address, so that nobody can have it sent elsewhere.

    Raises:
        NotFound: there is none of this name.
        Conflict: it is switched off, or nothing is configured.
        ValidationFailed: the URL is none, or a token is needed for it.
        ServiceUnavailable: the stored token was written with another `SECRET_KEY`.
    """
    kind = kind_of(name)
    _refuse_if_off(kind, runtime.settings)
    with runtime.unit_of_work() as db:
        row = db.get(Integration, kind.name)
        target, stored = _target(db, runtime.settings, kind, row, accepted(url, token))
    tested = _examined(kind, target)
    if stored:
        with runtime.unit_of_work() as db:
            _note_test(db, runtime.settings, kind, tested)
    return tested


def configure(runtime: Runtime, name: str, changes: Mapping[str, Any], actor: Actor) -> Saved:
    """Store the given values and keep the rest; tested, and stored even where the test fails.

    Args:
        runtime: for units of work; none is open while the other end is asked.
        name: of the integration.
        changes: `url`, `token`, and options by their names.
        actor: who does it.

    Raises:
        NotFound: there is none of this name.
        Conflict: it is switched off, or the environment sets what is given.
        ConfirmationRequired: the proof that a person asks is missing or too old.
        ValidationFailed: something is not accepted, or missing.
    """
    kind, settings = kind_of(name), runtime.settings
    require_person(actor, "integration.configured", _subject(kind))
    _refuse_if_off(kind, settings)
    _refuse_fixed(kind, settings, changes)
    access = accepted(changes.get("url"), changes.get("token"))
    options = accepted_options(kind, changes)
    with runtime.unit_of_work() as db:
        row = db.get(Integration, kind.name)
        known = _options(row)
        elsewhere = access.url and (row is None or not same_place(access.url, row.url or ""))
        if elsewhere or access.token:
            known.pop("machineIdentifier", None)  # any server at the address is accepted, unless one is named
        wanted = {name: value for name, value in {**known, **options}.items() if value is not None}
        target, _ = _target(db, settings, kind, row, access, wanted)
    tested = _examined(kind, target)
    with runtime.unit_of_work() as db:
        return _store(db, settings, kind, access, wanted, tested, actor)


def forget(db: Session, settings: Settings, name: str, actor: Actor) -> View:
    """Delete the stored configuration with its token; returns it as it was.

    Raises:
        NotFound: there is none of this name, or nothing is stored.
        Conflict: it is switched off, or only the environment configures it.
        ConfirmationRequired: the proof that a person asks is missing or too old.
    """
    kind = kind_of(name)
    require_person(actor, "integration.removed", _subject(kind))
    _refuse_if_off(kind, settings)
    row = db.scalars(select(Integration).where(Integration.name == kind.name).with_for_update()).one_or_none()
    given = kind.environment(settings)
    if (given.url and given.token) or (row is None and any(_names_of(given))):
        raise Conflict(f"The environment configures {kind.title}: change it there.")
    if row is None:
        raise NotFound(f"{kind.title} is not configured.")
    before = _view(db, settings, kind, row)
    db.delete(row)
    db.flush()
    kind.removed(db, settings)
    audit.record(db, "integration.removed", actor, _subject(kind))
    return before


def _store(
    db: Session,
    settings: Settings,
    kind: Kind,
    access: Given,
    options: Mapping[str, Any],
    tested: Tested,
    actor: Actor,
) -> Saved:
    before = db.scalars(
        select(Integration).where(Integration.name == kind.name).with_for_update()
    ).one_or_none()
    old = _identity(before)
    kept = {**options, **(kind.learned(tested) if not kind.environment(settings).url else {})}
    values = {
        "url": access.url or (before and before.url),
        "token": secret_box.sealed(settings, access.token) if access.token else before and before.token,
        "options": {**kept, "checked": _checked(tested)},
        "updated_at": _now(),
        "updated_by": actor.user_id,
    }
    changed = _changed(before, values, token=bool(access.token))
    query = insert(Integration).values(name=kind.name, **values)
    db.execute(query.on_conflict_do_update(index_elements=["name"], set_=values))
    db.expire_all()
    row = db.get(Integration, kind.name)
    sync_id = kind.saved(db, settings, tested, actor, moved=_identity(row) != old)
    audit.record(
        db,
        "integration.configured",
        actor,
        _subject(kind),
        changed=changed,
        url=without_credentials(str(values["url"] or kind.environment(settings).url)),
        test="ok" if tested.ok else tested.reason,
    )
    db.flush()
    return Saved(_view(db, settings, kind, row), tested, sync_id)


def _subject(kind: Kind) -> Subject:
    return Subject("integration", kind.name, kind.title)


def _view(db: Session, settings: Settings, kind: Kind, row: Integration | None) -> View:
    given, on = kind.environment(settings), kind.switched_on(settings)
    url = given.url or (row and row.url) or kind.standard_url
    token = bool(given.token or (row and row.token))
    configured, fixed = bool(url and token), tuple(_names_of(given))
    return View(
        name=kind.name,
        configured=configured,
        enabled=on,
        state=kind.state(db, settings, row) if configured and on else "disabled",
        read_only=bool(fixed),
        fixed=fixed,
        source="environment" if fixed else "database" if row is not None and (row.url or row.token) else None,
        url=without_credentials(url) if url else None,
        token_configured=token,
        options={name: _options(row).get(name) for name in kind.options},
        remembered=kind.remembered(db, settings, row),
        updated_at=None if row is None else row.updated_at,
    )


def _target(
    db: Session,
    settings: Settings,
    kind: Kind,
    row: Integration | None,
    access: Given,
    options: Mapping[str, Any] | None = None,
) -> tuple[Target, bool]:
    """The target of a test, and whether it equals the stored configuration."""
    given = kind.environment(settings)
    configured = given.url or (row and row.url) or kind.standard_url
    url = access.url or configured
    if not url:
        if options is None:
            raise Conflict(f"{kind.title} is not configured: give url and token.")
        raise ValidationFailed("The address is missing.", url="Is needed.")
    own = same_place(url, configured or "")
    token = access.token or given.token
    if not token and row is not None and row.token:
        if not own:
            raise ValidationFailed(
                "The token is missing: the stored one is only sent to the address that it was stored for.",
                token="Is needed for another address.",  # noqa: S106 - a message
            )
        token = secret_box.opened(settings, kind.name, row.token)
    if not token:
        raise ValidationFailed("The token is missing.", token="Is needed.")  # noqa: S106 - a message
    found = _options(row) if options is None else options
    expected = found.get("machineIdentifier") if own or options is not None else None
    target = Target(
        url=url,
        token=token,
        client_id=client_identifier(db),
        expected=None if given.url else expected,
        verify=found.get("verifyTls", True),
    )
    return target, own and not access.token and options is None


def _examined(kind: Kind, target: Target) -> Tested:
    began = time.monotonic()
    try:
        tested = connection_test.run_with_deadline(lambda: kind.examine(target))
    except ConnectionTestFailed as failed:
        tested = Tested(ok=False, reason=failed.reason, message=failed.message, advice=failed.advice)
    return replace(tested, seconds=time.monotonic() - began)


def _note_test(db: Session, settings: Settings, kind: Kind, tested: Tested) -> None:
    """Store the result beside the configuration; one of the environment alone gets a row for it."""
    if any(_names_of(kind.environment(settings))):
        only_it = insert(Integration).values(name=kind.name, updated_at=_now())
        db.execute(only_it.on_conflict_do_nothing(index_elements=["name"]))
    row = db.scalars(select(Integration).where(Integration.name == kind.name).with_for_update()).one_or_none()
    if row is not None:
        row.options = {**(row.options or {}), "checked": _checked(tested)}


def _checked(tested: Tested) -> dict[str, Any]:
    return {"ok": tested.ok, "message": tested.message, "at": events.timestamp(datetime.now(UTC))}


def _refuse_fixed(kind: Kind, settings: Settings, changes: Mapping[str, Any]) -> None:
    fixed = {name: name for name in _names_of(kind.environment(settings))}
    if "url" in fixed:
        fixed["machineIdentifier"] = "url"  # the server is the one at that address
    for name in sorted(fixed.keys() & changes.keys()):
        raise Conflict(f"The environment sets {fixed[name]} of {kind.title}, which wins: change it there.")


def _refuse_if_off(kind: Kind, settings: Settings) -> None:
    if not kind.switched_on(settings):
        raise Conflict(f"{kind.title} is switched off here ({kind.name.upper()}_ENABLED=false).")


def _names_of(given: Given) -> list[str]:
    return [name for name, value in (("url", given.url), ("token", given.token)) if value]


def _options(row: Integration | None) -> dict[str, Any]:
    found = dict((row is not None and row.options) or {})
    found.pop("checked", None)
    return found


def _identity(row: Integration | None) -> tuple[Any, ...] | None:
    return None if row is None else (row.url, _options(row).get("machineIdentifier"))


def _changed(before: Integration | None, values: Mapping[str, Any], *, token: bool) -> list[str]:
    """The names of what is new, for the audit log."""
    old, new = (
        _options(before),
        {name: value for name, value in values["options"].items() if name != "checked"},
    )
    names = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    if values["url"] != (before and before.url):
        names.add("url")
    return sorted(names | ({"token"} if token else set()))
