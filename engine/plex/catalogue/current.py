"""The catalogue that is shown: of which server, and a stamp (for ETags and caches) that changes with its content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Any
from urllib.parse import quote

from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from config.settings import Settings
from engine.errors import NotFound
from engine.plex.server.connection import NAME, NOT_CONFIGURED, refuse_if_off
from models.integration import Integration
from models.media import MediaItem, WatchState
from models.plex_library import PlexSection, PlexServer
from models.sync_run import SyncChange
from models.user import User

_SYNCED_TYPES = {"movie": "movie", "show": "show"}  # of a library, and what it lists
_MOST_TOTALS = 512


@dataclass(frozen=True)
class Catalogue:
    """The catalogue of the configured server, as of one query.

    Attributes:
        server_id: empty before the first sync; then the catalogue is empty too.
        synced_at: when a sync last completed.
        stamp: changes after every sync, and after every change within one.
        watched: changes with the watch state of the asking user.
    """

    server_id: str
    name: str
    version: str | None
    platform: str | None
    plex_pass: bool | None
    seen_at: datetime | None
    synced_at: datetime | None
    stamp: str
    watched: str

    def plex_url(self, rating_key: str) -> str:
        """The address of an item in Plex's web app, which finds the way to the server by itself."""
        key = quote(f"/library/metadata/{rating_key}", safe="")
        return f"https://app.plex.tv/desktop/#!/server/{quote(self.server_id, safe='')}/details?key={key}"


def find(db: Session, settings: Settings, user_id: str | None = None) -> Catalogue | None:
    """The catalogue, by one small query; None where Plex is switched off or no server is configured.

    Args:
        db: a session.
        settings: of this moment.
        user_id: the asking user, where watch states are shown.
    """
    if not settings.plex_enabled:
        return None
    row = db.execute(_query(settings, user_id)).one()
    url, token = settings.plex_url or row.url, settings.plex_token or row.has_token
    if not url or not token:
        return None
    stamp = f"{row.id}/{row.synced_at}/{row.change}"
    return Catalogue(
        row.id or "",
        row.name or "",
        row.version,
        row.platform,
        row.plex_pass,
        row.seen_at,
        row.synced_at,
        stamp,
        f"{row.watched_at}/{row.watched_count}" if user_id else "",
    )


def need(db: Session, settings: Settings, user_id: str | None = None) -> Catalogue:
    """As `find`.

    Raises:
        NotFound: no server is configured, or Plex is switched off.
    """
    refuse_if_off(settings)
    catalogue = find(db, settings, user_id)
    if catalogue is None:
        raise NotFound(NOT_CONFIGURED)
    return catalogue


def sections(db: Session, catalogue: Catalogue) -> Sequence[PlexSection]:
    """The libraries in the server's order, hidden ones included."""
    query = select(PlexSection).where(
        PlexSection.server_id == catalogue.server_id, PlexSection.gone_at.is_(None)
    )
    return db.scalars(query.order_by(PlexSection.position, PlexSection.key)).all()


def shown_keys(db: Session, catalogue: Catalogue) -> tuple[str, ...]:
    """The keys of the libraries that are not hidden in Plex."""
    return tuple(section.key for section in sections(db, catalogue) if not section.hidden)


def section(db: Session, catalogue: Catalogue, key: str) -> PlexSection:
    """One library.

    Raises:
        NotFound: the server has no such library.
    """
    found = db.get(PlexSection, (catalogue.server_id, key))
    if found is None or found.gone_at is not None:
        raise NotFound("There is no such library.")
    return found


def counts(db: Session, catalogue: Catalogue) -> dict[tuple[str, str], int]:
    """The number of live items by library and type; counted once for each stamp."""

    def count() -> dict[tuple[str, str], int]:
        query = select(MediaItem.section_key, MediaItem.type, func.count()).where(
            MediaItem.server_id == catalogue.server_id, MediaItem.deleted_at.is_(None)
        )
        rows = db.execute(query.group_by(MediaItem.section_key, MediaItem.type))
        return {(key, kind): number for key, kind, number in rows}

    found: dict[tuple[str, str], int] = remembered((catalogue.stamp, "counts"), count)
    return found


def people(db: Session) -> int:
    """How many users of ours have a Plex account that may use the server."""
    query = (
        select(func.count()).select_from(User).where(User.plex_id.is_not(None), User.disabled_at.is_(None))
    )
    return db.scalar(query) or 0


def shown_count(section: PlexSection, counted: dict[tuple[str, str], int]) -> int:
    """How many films, shows, artists or photos a library has."""
    kind = _SYNCED_TYPES.get(section.type)
    return section.count if kind is None else counted.get((section.key, kind), 0)


def listed_type(section: PlexSection) -> str | None:
    """The item type that a library lists, films or shows; None for libraries that are not in the catalogue."""
    return _SYNCED_TYPES.get(section.type)


def remembered(key: tuple[Any, ...], count: Callable[[], Any]) -> Any:
    """A count from this process's cache, else counted now; the first part of the key is a stamp.

    The count may be newer than the stamp, never older: the stamp was read before.
    """
    with _lock:
        if key in _totals:
            _totals.move_to_end(key)
            return _totals[key]
    found = count()
    with _lock:
        _totals[key] = found
        while len(_totals) > _MOST_TOTALS:
            _totals.popitem(last=False)
    return found


_totals: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
_lock = Lock()


def _query(settings: Settings, user_id: str | None) -> Any:
    one = select(literal(1).label("one")).subquery()
    of_user = select(func.max(WatchState.updated_at), func.count()).where(WatchState.user_id == user_id)
    watched = of_user.subquery().lateral() if user_id else None
    columns: list[ColumnElement[Any] | Any] = [
        Integration.url,
        Integration.token.is_not(None).label("has_token"),
        PlexServer.id,
        PlexServer.name,
        PlexServer.version,
        PlexServer.platform,
        PlexServer.plex_pass,
        PlexServer.seen_at,
        PlexServer.synced_at,
        select(func.max(SyncChange.id)).scalar_subquery().label("change"),
    ]
    if watched is not None:
        at, number = watched.c
        columns += [at.label("watched_at"), number.label("watched_count")]
    query = select(*columns).select_from(one).outerjoin(Integration, Integration.name == NAME)
    query = query.outerjoin(PlexServer, _ours(settings))
    if watched is not None:
        query = query.outerjoin(watched, literal(True))
    return query.order_by(PlexServer.seen_at.desc().nulls_last()).limit(1)


def _ours(settings: Settings) -> ColumnElement[bool]:
    """The configured server: the one that an admin chose, else the one that last answered at the address."""
    if settings.plex_url:
        return PlexServer.url == settings.plex_url
    chosen = Integration.options["machineIdentifier"].astext
    return or_(PlexServer.id == chosen, and_(chosen.is_(None), PlexServer.url == Integration.url))
