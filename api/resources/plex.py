"""`/plex`: the server, its libraries, search and what was added; mostly from our own database."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.caching import LONG, MEDIUM, SHORT, cacheable, kept
from api.operations.call import Call
from api.operations.declaration import Access, Takes
from api.resources.media_rows import ItemsPage, ItemsQuery, item_rows
from api.resources.plex_rows import MediaLibrariesSchema, MediaServerSchema, RecentSchema, library_row
from api.wire.fields import Count, PageQuery, Text, page_data
from engine.errors import NotFound, UpstreamFailed
from engine.paging import Page
from engine.permissions import Permission
from engine.plex.catalogue import current, live_queries
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue
from engine.plex.catalogue.filters import Wanted
from engine.plex.catalogue.live_queries import PlexSilent
from engine.plex.watching import work as watch_refresh
from engine.search import titles

blueprint = Blueprint("plex", "/plex", "What is on the Plex server.", limit="media")


class SearchQuery(PageQuery):
    """What to look for."""

    query = Text(200, strip=True, required=True)
    limit = Count(1, 100, load_default=25, metadata={"description": "Items a page."})


@blueprint.operation(
    "GET",
    "/server",
    Access(Permission.MEDIA_READ),
    cacheable(MediaServerSchema, errors=(404,)),
    own_units=True,
)
def get_plex_server(call: Call) -> Response:
    """The server as it last answered; how many people it knows is asked of it once an hour."""
    with call.runtime.reading() as db:
        found = current.need(db, call.settings)
    if not found.server_id:
        raise PlexSilent
    try:
        users, source = live_queries.accounts(call.runtime, found), "plex"
    except (UpstreamFailed, NotFound):  # away, or a server that keeps no accounts
        with call.runtime.reading() as db:
            users, source = current.people(db), "medianest"

    def build() -> dict[str, Any]:
        with call.runtime.reading() as db:
            libraries = len(current.sections(db, found))
        return MediaServerSchema.row(found, libraries=libraries, users=users, users_from=source)

    return kept(call, LONG, f"{found.stamp}\n{found.seen_at}\n{users}\n{source}", build)


@blueprint.operation(
    "GET",
    "/libraries",
    Access(Permission.MEDIA_READ),
    cacheable(MediaLibrariesSchema, errors=(404,)),
    Takes(query=PageQuery),
)
def list_plex_libraries(call: Call, query: dict[str, Any]) -> Response:
    """The libraries in the server's order; of music and photos only how many there are."""
    found = current.need(call.db, call.settings)

    def build() -> dict[str, Any]:
        counted = current.counts(call.db, found)
        libraries, page, limit = current.sections(call.db, found), query["page"], query["limit"]
        rows = [
            library_row(call.settings, one, counted) for one in libraries[(page - 1) * limit : page * limit]
        ]
        paged = page_data(Page(rows, page, limit, len(libraries)), rows)
        return {"libraries": rows, "pagination": paged["pagination"], "syncedAt": found.synced_at}

    return kept(call, LONG, found.stamp, build)


@blueprint.operation(
    "GET",
    "/libraries/<id:library_key>/items",
    Access(Permission.MEDIA_READ),
    cacheable(ItemsPage),
    Takes(query=ItemsQuery),
)
def list_library_items(call: Call, query: dict[str, Any], library_key: str) -> Response:
    """Films or shows of a library, or its seasons or episodes where that type is asked for."""
    found = _catalogue(call)
    page, limit, sort = query.pop("page"), query.pop("limit"), query.pop("sort")
    kind = query.pop("type", None)

    def build() -> dict[str, Any]:
        usual = current.listed_type(current.section(call.db, found, library_key))
        types = tuple(one for one in (kind or usual,) if one and usual)
        wanted = Wanted((library_key,), types, **query)
        items = catalogue_items.listing(
            call.db, found, call.identity.user_id, wanted, sort=sort, page=page, limit=limit
        )
        return _page(call, found, items)

    return kept(call, SHORT, f"{found.stamp}\n{found.watched}", build)


@blueprint.operation(
    "GET",
    "/search",
    Access(Permission.MEDIA_READ),
    cacheable(ItemsPage, errors=(404,)),
    Takes(query=SearchQuery),
    limit="search",
)
def search_plex(call: Call, query: dict[str, Any]) -> Response:
    """Films, shows and episodes by words of their titles; films and shows come first."""
    found = current.need(call.db, call.settings, call.identity.user_id)

    def build() -> dict[str, Any]:
        wanted = Wanted(current.shown_keys(call.db, found), titles.FOUND)
        text = query.pop("query")
        items = titles.search(call.db, found, call.identity.user_id, wanted, text, **query)
        return _page(call, found, items)

    return kept(call, MEDIUM, f"{found.stamp}\n{found.watched}", build)


@blueprint.operation(
    "GET",
    "/recently-added",
    Access(Permission.MEDIA_READ),
    cacheable(RecentSchema, errors=(404,)),
    Takes(query=PageQuery),
)
def list_recently_added(call: Call, query: dict[str, Any]) -> Response:
    """The newest films and episodes over all libraries; of a season only its newest episode."""
    found = _catalogue(call)

    def build() -> dict[str, Any]:
        libraries = current.sections(call.db, found)
        return _page(call, found, catalogue_items.recent(call.db, found, libraries, **query))

    return kept(call, MEDIUM, f"{found.stamp}\n{found.watched}", build)


def _catalogue(call: Call) -> Catalogue:
    """The catalogue with the user's watch states; has these read from Plex anew where they are old."""
    watch_refresh.request(call.runtime, call.identity.user_id)
    return current.need(call.db, call.settings, call.identity.user_id)


def _page(call: Call, found: Catalogue, items: Page[Any]) -> dict[str, Any]:
    rows = item_rows(call.db, call.settings, found, call.identity.user_id, items.items)
    return page_data(items, rows) | {"syncedAt": found.synced_at}
