"""`/`: one's downloads that are not finished, what has just arrived; for admins, problems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from flask import Response, request

from api.pages.admin.needs import needs_of
from api.pages.discover.finding import poster_of
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.library.title_cards import Card, cards, picture
from api.pages.requests import words as request_words
from api.wire.envelope import bare
from api.wire.unversioned_paths import PREFIX
from engine.arrivals import arrivals
from engine.downloads.shown import listing
from engine.media_requests import listing as requests
from engine.media_requests.listing import RequestView
from engine.permissions import Permission
from engine.plex.catalogue import current
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue
from engine.plex.watching import states as watch_states
from engine.plex.watching import work as watch_refresh

pages = PageBlueprint("home")

_MOVERS, _SHELF = 6, 12
_LATELY = timedelta(days=7)  # an arrival is news for so long


@dataclass(frozen=True)
class Arrived:
    """What came last into the library.

    Attributes:
        card: of it.
        since: when.
        is_mine: the visitor has downloaded it.
    """

    card: Card
    since: datetime | None
    is_mine: bool


@pages.before_request
def tell_programs() -> Response | None:
    """Answer a program that asks the root of the site for JSON with what is here."""
    accepted = request.accept_mimetypes
    if accepted["application/json"] <= accepted["text/html"]:
        return None
    documentation = f"{request.script_root}{PREFIX}/docs"
    return bare({"name": "MediaNest", "version": version("medianest"), "documentation": documentation})


@pages.page("/", Permission.PROFILE_READ)
def home_page(visit: Visit) -> Response:
    """The first page."""
    user_id = visit.identity.user_id
    watch_refresh.request(visit.runtime, user_id)
    found = current.find(visit.db, visit.settings, user_id)
    newest = [] if found is None else _newest(visit, found)
    return visit.show(
        "home.html",
        needs=needs_of(visit),
        movers=listing.moving(visit.db, user_id, _MOVERS) if visit.visitor.moving else [],
        moving=visit.visitor.moving,
        asked=_asked(visit),
        request_words=request_words,
        poster=poster_of(visit),
        may_download=visit.visitor.may(Permission.MEDIA_REQUEST),
        may_connect=visit.visitor.may(Permission.INTEGRATIONS_CONFIGURE),
        found=found,
        arrived=None if found is None else _arrived(visit, found, newest),
        begun=[] if found is None else _begun(visit, found),
        newest=newest,
        picture=lambda row, kind="poster", width=None: picture(visit, row, kind, width),
    )


def _asked(visit: Visit) -> Sequence[RequestView]:
    """The visitor's own requests that are not there yet, the newest first."""
    if not visit.visitor.may(Permission.MEDIA_REQUEST):
        return ()
    mine = visit.identity.user_id
    open_ones = ("pending", "approved", "processing", "failed")
    found = requests.find(
        visit.db, visit.settings, mine, scope="own", statuses=open_ones, page=1, limit=_MOVERS
    )
    return found.items


def _newest(visit: Visit, found: Catalogue) -> list[Card]:
    """The newest titles; of a series only what is newest of it."""
    libraries = current.sections(visit.db, found)
    recent = catalogue_items.recent(visit.db, found, libraries, page=1, limit=2 * _SHELF)
    newest: dict[str, Card] = {}
    for card in cards(visit, found, recent.items):
        newest.setdefault(card.poster.id, card)
    return list(newest.values())[:_SHELF]


def _begun(visit: Visit, found: Catalogue) -> list[Card]:
    ids = watch_states.begun(visit.db, visit.identity.user_id, found.server_id, _SHELF)
    return cards(visit, found, catalogue_items.rows(visit.db, ids))


def _arrived(visit: Visit, found: Catalogue, newest: list[Card]) -> Arrived | None:
    """The visitor's own newest arrival, else what is newest in the library."""
    mine = listing.newest(
        visit.db, owner_id=visit.identity.user_id, status="completed", page=1, limit=20
    ).items
    available = [state for state in arrivals.states(visit.db, mine).values() if _is_news(state)]
    latest = max(available, key=lambda state: state["since"], default=None)
    if latest is not None:
        rows = catalogue_items.rows(visit.db, [latest["itemId"]])
        if rows and rows[0].server_id == found.server_id:
            return Arrived(cards(visit, found, rows)[0], latest["since"], is_mine=True)
    return Arrived(newest[0], newest[0].row.added_at, is_mine=False) if newest else None


def _is_news(state: dict[str, Any]) -> bool:
    return bool(state["itemId"]) and datetime.now(UTC) - state["since"] < _LATELY
