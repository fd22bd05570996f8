"""The rows of Plex servers and their libraries, and the circuit breaker of a server.

The breaker opens after 3 consecutive calls without an answer: for 5 seconds, then twice as long after each further
failure, up to 5 minutes. All processes share it, in the server's row. Only calls on behalf of people respect it
(`asking`): syncs have their own schedule, and connection tests are meant to find out.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import Select, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.clients.plex.library import PlexError, PlexUnreachable
from engine.clients.plex.queries import SECONDS, PlexQuestions
from engine.errors import PlexUnreachable as Unreachable
from engine.plex.answers.parsing import int_of, text_of, time_of
from engine.plex.server import connection as connections
from engine.plex.server import paths
from engine.plex.server.connection import NAME, PlexConnection
from engine.runtime import Runtime
from models.integration import Integration
from models.plex_library import PlexSection, PlexServer
from models.sync_run import SyncRun

FAILURES = 3  # consecutive failures that open the breaker
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
UNSEEN = timedelta(minutes=20)  # without an answer: the server counts as offline, unless syncs are rarer
_PROBE = timedelta(seconds=15)  # for the probing call (half-open); then another one may try
_NOTED_EVERY = timedelta(minutes=1)

State = Literal["online", "degraded", "offline", "disabled"]

_now = func.clock_timestamp


@contextmanager
def asking(runtime: Runtime, *, seconds: float = SECONDS) -> Iterator[PlexQuestions]:
    """A client for our server, for one short call or a few on behalf of somebody who waits::

        with servers.asking(runtime) as plex:
            sessions = plex.entries("/status/sessions")

    The outcome counts for the breaker of all processes. Hold no transaction meanwhile.

    Args:
        runtime: for units of work.
        seconds: for each question.

    Raises:
        NotFound: Plex is switched off, or no server is configured.
        PlexUnreachable: (of `engine.errors`) the breaker is open; says for how long.
        PlexError: (of the client) as the calls inside raise it.
    """
    found, server_id, probing, news = _turn(runtime)
    try:
        with PlexQuestions(
            found.url, found.token, found.client_id, verify=found.verify, seconds=seconds
        ) as plex:
            yield plex
    except PlexError as error:
        with runtime.unit_of_work() as db:
            if isinstance(error, PlexUnreachable):
                failed(db, found, error, probing=probing)
            elif server_id is not None and news:
                answered(db, server_id)
        raise
    if server_id is not None and news:
        with runtime.unit_of_work() as db:
            answered(db, server_id)


def resting(db: Session, server_id: str) -> int | None:
    """Seconds until the breaker lets a call through; None: it is closed."""
    left = func.extract("epoch", PlexServer.open_until - _now())
    seconds = db.scalar(select(left).where(PlexServer.id == server_id))
    return max(1, math.ceil(seconds)) if seconds is not None and seconds > 0 else None


def state(db: Session, settings: Settings) -> State:
    """The state of the server as last seen, without a call to it."""
    where, row = connections.address(db, settings), db.get(Integration, NAME)
    if where is None or not (settings.plex_token or (row is not None and row.token)):
        return "disabled"
    found = connections.server_id(db, settings)
    server = None if found is None else db.get(PlexServer, found)
    went_wrong = _last_sync_failed(db, row)
    if server is None:
        return "offline" if went_wrong else "degraded"
    longest = max(UNSEEN, timedelta(seconds=settings.plex_sync_seconds + 300))
    if server.failures >= FAILURES or db.scalar(select(_now() - longest > server.seen_at)):
        return "offline"
    return "degraded" if went_wrong or server.last_error else "online"


def met(
    db: Session, connection: PlexConnection, identity: Mapping[str, Any], facts: Mapping[str, Any]
) -> str:
    """Store a server that has just accepted our token; returns its id."""
    server_id = str(identity["machineIdentifier"])
    passed = facts.get("myPlexSubscription")
    values = {
        "name": str(facts.get("friendlyName") or "Plex"),
        "version": str(facts.get("version") or identity.get("version") or "") or None,
        "platform": str(facts.get("platform") or "") or None,
        "url": connection.url,
        "plex_pass": None if passed is None else str(passed).lower() in {"1", "true"},
        "seen_at": _now(),
        "failures": 0,
        "open_until": None,
        "last_error": None,
    }
    query = insert(PlexServer).values(id=server_id, **values)
    db.execute(query.on_conflict_do_update(index_elements=["id"], set_=values))
    _name(db, connection, server_id)
    return server_id


def failed(db: Session, connection: PlexConnection, error: PlexError, *, probing: bool = False) -> None:
    """Count a call without an answer; consecutive ones open the breaker, for longer each time.

    Calls that were in flight when the breaker opened do not prolong the pause: only the `probing` one does.
    """
    server = db.scalars(_of(connection).with_for_update()).first()
    if server is None:
        return
    server.last_error = str(error)
    if not isinstance(error, PlexUnreachable):
        return
    if probing or resting(db, server.id) is None:
        server.failures += 1
        if server.failures >= FAILURES:
            pause = timedelta(seconds=5 * 2 ** min(10, server.failures - FAILURES))
            server.open_until = _now() + min(pause, LONGEST_PAUSE)


def answered(db: Session, server_id: str) -> None:
    """Close the breaker: a call was answered."""
    stale = PlexServer.seen_at < _now() - _NOTED_EVERY
    db.execute(
        update(PlexServer)
        .where(PlexServer.id == server_id)
        .where(or_(PlexServer.failures > 0, PlexServer.open_until.is_not(None), stale))
        .values(failures=0, open_until=None, last_error=None, seen_at=_now())
    )


def synced(db: Session, server_id: str, trouble: str | None = None) -> None:
    """Record a completed sync; `trouble` says which libraries could not be read."""
    values = {"synced_at": _now(), "seen_at": _now(), "last_error": trouble}
    db.execute(update(PlexServer).where(PlexServer.id == server_id).values(**values))


def section_keys(db: Session, server_id: str) -> set[str]:
    """The keys of the libraries that are not marked as gone."""
    present = select(PlexSection.key).where(PlexSection.server_id == server_id, PlexSection.gone_at.is_(None))
    return set(db.scalars(present))


def note_sections(
    db: Session, server_id: str, entries: Sequence[Mapping[str, Any]], absent: Collection[str]
) -> tuple[dict[str, PlexSection], list[PlexSection]]:
    """Update the rows of the listed libraries; returns them by key, and those that are gone.

    The latter are returned as they were before: one whose `gone_at` is set was already missing the last time. A library
    that is neither listed nor `absent` stays as it is.
    """
    known = {
        section.key: section
        for section in db.scalars(select(PlexSection).where(PlexSection.server_id == server_id))
    }
    for position, entry in enumerate(entries):
        key, uuid = str(entry["key"]), text_of(entry.get("uuid"))
        section = known.get(key)
        if section is None or (section.uuid and uuid and section.uuid != uuid):
            section = known[key] = _fresh(db, section, server_id, key)
        section.uuid = uuid
        section.title = text_of(entry.get("title")) or key
        section.type = str(entry["type"])
        section.agent = text_of(entry.get("agent"))
        section.hidden = bool(int_of(entry.get("hidden")))
        section.position = position
        section.locations = paths.locations(entry)
        section.scanned_at = time_of(entry.get("scannedAt"))
        section.gone_at = None
    db.flush()
    listed = {str(entry["key"]) for entry in entries}
    gone = [
        section for key, section in known.items() if key not in listed and (section.gone_at or key in absent)
    ]
    for section in gone:
        db.expunge(section)
    db.execute(
        update(PlexSection)
        .where(PlexSection.server_id == server_id, PlexSection.key.in_(absent), PlexSection.gone_at.is_(None))
        .values(gone_at=_now())
    )
    return {key: section for key, section in known.items() if key in listed}, gone


def mark_section(db: Session, server_id: str, key: str, marks: Mapping[str, Any]) -> None:
    """Update the row of a library after a pass."""
    mine = (PlexSection.server_id == server_id, PlexSection.key == key)
    db.execute(update(PlexSection).where(*mine).values(**marks))


def _fresh(db: Session, old: PlexSection | None, server_id: str, key: str) -> PlexSection:
    """A new row for a library whose key Plex gave to another one before."""
    if old is not None:
        old.full_at = old.changed_mark = old.updated_mark = old.held_back = None
        return old
    section = PlexSection(
        server_id=server_id,
        key=key,
        count=0,
        items=None,
        locations=[],
        full_at=None,
        changed_mark=None,
        updated_mark=None,
        held_back=None,
    )
    db.add(section)
    return section


def _name(db: Session, connection: PlexConnection, server_id: str) -> None:
    """Store the `machineIdentifier` of the server where an admin configured an address that did not answer then."""
    chosen = func.coalesce(Integration.options, literal({}, JSONB)).concat({"machineIdentifier": server_id})
    db.execute(
        update(Integration)
        .where(Integration.name == NAME, Integration.url == connection.url)
        .where(Integration.options["machineIdentifier"].astext.is_(None))
        .values(options=chosen)
    )


def _turn(runtime: Runtime) -> tuple[PlexConnection, str | None, bool, bool]:
    """The connection, the server's id, whether this call is the probing one, and whether to record its success."""
    with runtime.reading() as db:
        found = connections.required(db, runtime.settings)
        server = db.scalars(_of(found)).first()
        if server is None:
            return found, None, False, False
        old = bool(db.scalar(select(_now() - _NOTED_EVERY > server.seen_at)))
        rests = resting(db, server.id)
    if server.failures < FAILURES:
        return found, server.id, False, server.failures > 0 or old
    if rests is not None or not _may_probe(runtime, server.id):
        raise _left_alone(rests or math.ceil(FIRST_PAUSE.total_seconds()))
    return found, server.id, True, True


def _may_probe(runtime: Runtime, server_id: str) -> bool:
    """Take the one probing call of a half-open breaker; True if this call may try."""
    over = or_(PlexServer.open_until.is_(None), PlexServer.open_until <= _now())
    mine = update(PlexServer).where(PlexServer.id == server_id, over)
    with runtime.unit_of_work() as db:
        taken = mine.values(open_until=_now() + _PROBE).returning(PlexServer.id)
        return db.scalar(taken) is not None


def _left_alone(seconds: int) -> Unreachable:
    message = "The Plex server does not answer and is left alone for a moment: try again later."
    return Unreachable(message, retry_after=seconds)


def _of(connection: PlexConnection) -> Select[PlexServer]:
    """The row of the server behind a connection."""
    if connection.machine_id is not None:
        return select(PlexServer).where(PlexServer.id == connection.machine_id)
    query = select(PlexServer).where(PlexServer.url == connection.url)
    return query.order_by(PlexServer.seen_at.desc()).limit(1)


def _last_sync_failed(db: Session, row: Integration | None) -> bool:
    """Whether the last sync under the present configuration failed."""
    query = select(SyncRun.status, SyncRun.ended_at).where(SyncRun.ended_at.is_not(None))
    last = db.execute(query.where(SyncRun.status != "cancelled").order_by(SyncRun.id.desc()).limit(1)).first()
    if last is None or last.status != "failed":
        return False
    return row is None or bool(row.updated_at < last.ended_at)
