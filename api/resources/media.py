"""`/media`: the catalogue over all libraries."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.caching import SHORT, cacheable, kept
from api.operations.call import Call
from api.operations.declaration import Access, Takes
from api.resources.media_rows import (
    ItemsPage,
    ItemsQuery,
    MediaDetailsSchema,
    item_row,
    item_rows,
    version_rows,
)
from api.wire.fields import Flag, Text, page_data
from engine.paging import Page
from engine.permissions import Permission
from engine.plex.catalogue import current
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.filters import Wanted
from engine.plex.watching import states as watch_states
from engine.plex.watching import work as watch_refresh
from engine.plex.watching.states import NEVER

blueprint = Blueprint("media", "/media", "The catalogue over all libraries.", limit="media")

_USUAL_TYPES = ("movie", "show")


class CatalogueQuery(ItemsQuery):
    """Which items of the catalogue."""

    library = Text(50, metadata={"description": "The key of a library. Default: all that are not hidden."})
    imdb = Text(50)
    tmdb = Text(50)
    tvdb = Text(50)
    deleted = Flag(load_default=False, metadata={"description": "true: what Plex has no more, instead."})


@blueprint.operation(
    "GET", "", Access(Permission.MEDIA_READ), cacheable(ItemsPage), Takes(query=CatalogueQuery)
)
def list_media(call: Call, query: dict[str, Any]) -> Response:
    """Films and shows of all libraries; empty where no Plex server is configured."""
    user_id = call.identity.user_id
    watch_refresh.request(call.runtime, user_id)
    found = current.find(call.db, call.settings, user_id)
    page, limit, sort = query.pop("page"), query.pop("limit"), query.pop("sort")
    library, kind = query.pop("library", None), query.pop("type", None)

    def build() -> dict[str, Any]:
        if found is None:
            return page_data(Page([], page, limit, 0), []) | {"syncedAt": None}
        libraries = current.sections(call.db, found)
        keys = [one.key for one in libraries if one.key == library or (library is None and not one.hidden)]
        wanted = Wanted(tuple(keys), _USUAL_TYPES if kind is None else (kind,), **query)
        items = catalogue_items.listing(call.db, found, user_id, wanted, sort=sort, page=page, limit=limit)
        rows = item_rows(call.db, call.settings, found, user_id, items.items)
        return page_data(items, rows) | {"syncedAt": found.synced_at}

    return kept(call, SHORT, "" if found is None else f"{found.stamp}\n{found.watched}", build)


@blueprint.operation(
    "GET", "/items/<id:item_id>", Access(Permission.MEDIA_READ), cacheable(MediaDetailsSchema)
)
def get_media_item(call: Call, item_id: str) -> Response:
    """One item with its versions, and the seasons of a show or the episodes of a season."""
    user_id = call.identity.user_id
    watch_refresh.request(call.runtime, user_id)
    found = current.need(call.db, call.settings, user_id)

    def build() -> dict[str, Any]:
        item = catalogue_items.get(call.db, found, item_id)
        below = catalogue_items.children(call.db, item)
        seen = watch_states.of_items(call.db, user_id, found.server_id, [item, *below])
        lineage = catalogue_items.lineage(call.db, found, [item, *below])
        paths = Permission.INTEGRATIONS_CONFIGURE in call.identity.permissions
        return item_row(call.settings, item, seen.get(item.id, NEVER), lineage) | {
            "versions": version_rows(item, paths=paths),
            "children": [
                item_row(call.settings, child, seen.get(child.id, NEVER), lineage) for child in below
            ],
            "syncedAt": found.synced_at,
        }

    return kept(call, SHORT, f"{found.stamp}\n{found.watched}", build)
