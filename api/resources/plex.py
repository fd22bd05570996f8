"""`/plex`: the server, its libraries, search, collections and pictures; mostly from our own database."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, after_this_request, request
from marshmallow import validate

from api.operations.blueprint import Blueprint, Call
from api.operations.caching import HEADERS, LONG, MEDIUM, SHORT, kept
from api.resources.media_rows import (
    ItemsPage,
    ItemsQuery,
    MediaItemSchema,
    item_rows,
    picture_url,
)
from api.wire.fields import Choice, Count, PageQuery, Pagination, Schema, Text, page_data, page_of
from engine.errors import NotFound, UpstreamFailed
from engine.paging import Page
from engine.permissions import Permission
from engine.plex.catalogue import artwork, live_queries
from engine.plex.catalogue import collections as collection_rows
from engine.plex.catalogue import items as catalogue
from engine.plex.catalogue import version as shelf
from engine.plex.catalogue.items import Wanted
from engine.plex.catalogue.live_queries import PlexSilent
from engine.plex.catalogue.version import Shelf
from engine.plex.watching import refresh as watch_refresh
from engine.search import titles
from models.plex_library import PlexCollection, PlexSection

blueprint = Blueprint("plex", "/plex", "What is on the Plex server.", limit="media")

_YEAR = 31_536_000  # seconds
_AGE = {"Age": "On a 503: seconds since Plex last answered this, where it ever did."}


class MediaServerSchema(Schema):
    """The Plex server."""

    name = ma.fields.String(required=True)
    version = ma.fields.String(required=True, allow_none=True)
    platform = ma.fields.String(required=True, allow_none=True)
    machine_identifier = ma.fields.String(required=True)
    plex_pass = ma.fields.Boolean(required=True, allow_none=True)
    libraries = ma.fields.Integer(required=True)
    users = ma.fields.Integer(required=True)
    users_from = ma.fields.String(
        required=True,
        validate=validate.OneOf(("plex", "medianest")),
        metadata={
            "description": "plex: everybody whom the server knows; medianest: while it does not tell, those who "
            "signed in here with Plex."
        },
    )
    seen_at = ma.fields.DateTime(
        required=True, allow_none=True, metadata={"description": "When it last answered."}
    )
    synced_at = ma.fields.DateTime(required=True, allow_none=True)


class MediaLibrarySchema(Schema):
    """A library."""

    key = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    type = ma.fields.String(required=True, metadata={"description": "movie, show, artist or photo."})
    count = ma.fields.Integer(required=True, metadata={"description": "Films, shows, artists or photos."})
    seasons = ma.fields.Integer(required=True, allow_none=True)
    episodes = ma.fields.Integer(required=True, allow_none=True)
    hidden = ma.fields.Boolean(
        required=True, metadata={"description": "In Plex; then it is not in search and recently added."}
    )
    scanned_at = ma.fields.DateTime(required=True, allow_none=True)
    poster = ma.fields.String(required=True, allow_none=True)


class MediaLibrariesSchema(Schema):
    """A page of the libraries."""

    libraries = ma.fields.List(ma.fields.Nested(MediaLibrarySchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)
    synced_at = ma.fields.DateTime(required=True, allow_none=True)


class SearchQuery(PageQuery):
    """What to look for."""

    query = Text(200, strip=True, required=True)
    limit = Count(1, 100, load_default=25, metadata={"description": "Items a page."})


class RecentSchema(Schema):
    """What was added last."""

    items = ma.fields.List(ma.fields.Nested(MediaItemSchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)
    synced_at = ma.fields.DateTime(required=True, allow_none=True)


class MediaCollectionSchema(Schema):
    """A collection."""

    id = ma.fields.String(required=True)
    library = ma.fields.String(required=True)
    title = ma.fields.String(required=True)
    summary = ma.fields.String(required=True, allow_none=True)
    type = ma.fields.String(required=True, allow_none=True, metadata={"description": "Of what is in it."})
    smart = ma.fields.Boolean(required=True)
    child_count = ma.fields.Integer(required=True)
    added_at = ma.fields.DateTime(required=True, allow_none=True)
    updated_at = ma.fields.DateTime(required=True, allow_none=True)
    poster = ma.fields.String(required=True, allow_none=True)


class MediaCollectionDetailsSchema(MediaCollectionSchema):
    """A collection and a page of what is in it."""

    items = ma.fields.List(ma.fields.Nested(MediaItemSchema), required=True)
    pagination = ma.fields.Nested(Pagination, required=True)
    synced_at = ma.fields.DateTime(required=True, allow_none=True)


class ArtworkQuery(Schema):
    """An address as items have it; only `width` may be another."""

    kind = Choice(artwork.KINDS, required=True)
    width = Choice([str(width) for width in artwork.WIDTHS], metadata={"description": "Pixels."})
    v = Text(40, required=True, metadata={"description": "The version."})
    sig = Text(100, required=True, metadata={"description": "The signature."})


@blueprint.operation(
    "GET",
    "/server",
    permission=Permission.MEDIA_READ,
    answers={200: MediaServerSchema, 304: None},
    headers=HEADERS,
    errors=(404,),
    own_units=True,
)
def get_plex_server(call: Call) -> Response:
    """The server as it last answered; how many people it knows is asked of it once an hour."""
    with call.runtime.reading() as db:
        found = shelf.need(db, call.settings)
    if not found.server_id:
        raise PlexSilent
    try:
        users, source = live_queries.accounts(call.runtime, found), "plex"
    except (UpstreamFailed, NotFound):  # away, or a server that keeps no accounts
        with call.runtime.reading() as db:
            users, source = shelf.people(db), "medianest"

    def build() -> dict[str, Any]:
        with call.runtime.reading() as db:
            libraries = len(shelf.sections(db, found))
        return {
            "name": found.name,
            "version": found.version,
            "platform": found.platform,
            "machineIdentifier": found.server_id,
            "plexPass": found.plex_pass,
            "libraries": libraries,
            "users": users,
            "usersFrom": source,
            "seenAt": found.seen_at,
            "syncedAt": found.synced_at,
        }

    return kept(call, LONG, f"{found.stamp}\n{found.seen_at}\n{users}\n{source}", build)


@blueprint.operation(
    "GET",
    "/libraries",
    permission=Permission.MEDIA_READ,
    query=PageQuery,
    answers={200: MediaLibrariesSchema, 304: None},
    headers=HEADERS,
    errors=(404,),
)
def list_plex_libraries(call: Call, query: dict[str, Any]) -> Response:
    """The libraries in the server's order; of music and photos only how many there are."""
    found = shelf.need(call.db, call.settings)

    def build() -> dict[str, Any]:
        counted = shelf.counts(call.db, found)
        libraries, page, limit = shelf.sections(call.db, found), query["page"], query["limit"]
        rows = [_library_row(call, one, counted) for one in libraries[(page - 1) * limit : page * limit]]
        paged = page_data(Page(rows, page, limit, len(libraries)), rows)
        return {"libraries": rows, "pagination": paged["pagination"], "syncedAt": found.synced_at}

    return kept(call, LONG, found.stamp, build)


@blueprint.operation(
    "GET",
    "/libraries/<id:library_key>/items",
    permission=Permission.MEDIA_READ,
    query=ItemsQuery,
    answers={200: ItemsPage, 304: None},
    headers=HEADERS,
)
def list_library_items(call: Call, query: dict[str, Any], library_key: str) -> Response:
    """Films or shows of a library, or its seasons or episodes where that type is asked for."""
    user_id = call.identity.user_id
    watch_refresh.wish(call.runtime, user_id)
    found = shelf.need(call.db, call.settings, user_id)
    page, limit, sort = query.pop("page"), query.pop("limit"), query.pop("sort")
    kind = query.pop("type", None)

    def build() -> dict[str, Any]:
        usual = shelf.listed_type(shelf.section(call.db, found, library_key))
        types = tuple(one for one in (kind or usual,) if one and usual)
        wanted = Wanted((library_key,), types, **query)
        items = catalogue.listing(call.db, found, user_id, wanted, sort=sort, page=page, limit=limit)
        return _page(call, found, items)

    return kept(call, SHORT, f"{found.stamp}\n{found.watched}", build)


@blueprint.operation(
    "GET",
    "/search",
    permission=Permission.MEDIA_READ,
    query=SearchQuery,
    answers={200: ItemsPage, 304: None},
    headers=HEADERS,
    errors=(404,),
    limit="search",
)
def search_plex(call: Call, query: dict[str, Any]) -> Response:
    """Films, shows and episodes by words of their titles; films and shows come first."""
    found = shelf.need(call.db, call.settings, call.identity.user_id)

    def build() -> dict[str, Any]:
        libraries = shelf.sections(call.db, found)
        items = titles.search(
            call.db, found, libraries, query["query"], page=query["page"], limit=query["limit"]
        )
        return _page(call, found, items)

    return kept(call, MEDIUM, f"{found.stamp}\n{found.watched}", build)


@blueprint.operation(
    "GET",
    "/recently-added",
    permission=Permission.MEDIA_READ,
    query=PageQuery,
    answers={200: RecentSchema, 304: None},
    headers=HEADERS,
    errors=(404,),
)
def list_recently_added(call: Call, query: dict[str, Any]) -> Response:
    """The newest films and episodes over all libraries; of a season only its newest episode."""
    user_id = call.identity.user_id
    watch_refresh.wish(call.runtime, user_id)
    found = shelf.need(call.db, call.settings, user_id)

    def build() -> dict[str, Any]:
        libraries = shelf.sections(call.db, found)
        return _page(call, found, catalogue.recent(call.db, found, libraries, **query))

    return kept(call, MEDIUM, f"{found.stamp}\n{found.watched}", build)


@blueprint.operation(
    "GET",
    "/libraries/<id:library_key>/collections",
    permission=Permission.MEDIA_READ,
    query=PageQuery,
    answers={200: page_of(MediaCollectionSchema), 304: None},
    headers=HEADERS,
)
def list_library_collections(call: Call, query: dict[str, Any], library_key: str) -> Response:
    """The collections of a library, by title."""
    found = shelf.need(call.db, call.settings)

    def build() -> dict[str, Any]:
        section = shelf.section(call.db, found, library_key)
        page = collection_rows.listing(call.db, found, section, **query)
        return page_data(page, [_collection_row(call, row) for row in page.items])

    return kept(call, MEDIUM, found.stamp, build)


@blueprint.operation(
    "GET",
    "/collections/<id:collection_id>",
    permission=Permission.MEDIA_READ,
    query=PageQuery,
    answers={200: MediaCollectionDetailsSchema, 304: None},
    headers=HEADERS | _AGE,
    errors=(502,),
    own_units=True,
)
def get_plex_collection(call: Call, query: dict[str, Any], collection_id: str) -> Response:
    """A collection and what is in it, in its order; Plex is asked for that at most every five minutes."""
    user_id = call.identity.user_id
    rating_key = collection_id.removeprefix(artwork.COLLECTION)
    with call.runtime.reading() as db:
        found = shelf.need(db, call.settings, user_id)
        if rating_key == collection_id:
            raise NotFound("There is no such collection.")
        row = collection_rows.get(db, found, rating_key)
        db.expunge(row)
    members = _members(call, found, rating_key)

    def build() -> dict[str, Any]:
        with call.runtime.reading() as db:
            ids = catalogue.by_keys(db, found, members)
            page, limit = query["page"], query["limit"]
            items = catalogue.rows(db, ids[(page - 1) * limit : page * limit])
            rows = item_rows(db, call.settings, found, user_id, items)
        paged = page_data(Page(items, page, limit, len(ids)), rows)
        return _collection_row(call, row) | paged | {"syncedAt": found.synced_at}

    return kept(call, MEDIUM, f"{found.stamp}\n{found.watched}\n{members}", build)


@blueprint.operation(
    "GET",
    "/artwork/<id:picture_id>",
    permission=None,
    query=ArtworkQuery,
    answers={200: None, 304: None},
    content_type="image/*",
    headers={"ETag": HEADERS["ETag"]},
    errors=(403, 404, 502),
    own_units=True,
    limit=None,  # a page of posters is many requests at once, and each address is one of ours
)
def show_artwork(call: Call, query: dict[str, Any], picture_id: str) -> Response:
    """A poster or background, scaled by Plex: a JPEG, PNG or WebP; the address comes with each item."""
    kind: artwork.Kind = query["kind"]
    width = int(query.get("width", artwork.USUAL_WIDTH[kind]))
    artwork.check(call.settings, picture_id, kind, query["v"], query["sig"])
    shown = artwork.show(call.runtime, picture_id, kind, width, query["v"])
    age = f"max-age={_YEAR}, immutable" if shown.current else f"max-age={SHORT}"
    headers = {
        "Cache-Control": f"public, {age}",
        "Content-Disposition": "inline",
        "Cross-Origin-Resource-Policy": "cross-origin",  # the pages of FRONTEND_URL show it
    }
    response = Response(shown.picture.body, headers=headers, mimetype=shown.picture.type)
    response.add_etag()
    response.make_conditional(request)
    return response


def _members(call: Call, found: Shelf, rating_key: str) -> list[str]:
    """What Plex says is in a collection; a refusal tells how old its last answer is."""
    try:
        return live_queries.members(call.runtime, found, rating_key)
    except PlexSilent as error:
        age = error.age

        def tell(response: Response) -> Response:
            if age is not None:
                response.headers["Age"] = str(round(age))
            return response

        after_this_request(tell)
        raise


def _page(call: Call, found: Shelf, items: Page[Any]) -> dict[str, Any]:
    rows = item_rows(call.db, call.settings, found, call.identity.user_id, items.items)
    return page_data(items, rows) | {"syncedAt": found.synced_at}


def _library_row(call: Call, section: PlexSection, counted: dict[tuple[str, str], int]) -> dict[str, Any]:
    shows = section.type == "show"
    return {
        "key": section.key,
        "title": section.title,
        "type": section.type,
        "count": shelf.shown_count(section, counted),
        "seasons": counted.get((section.key, "season"), 0) if shows else None,
        "episodes": counted.get((section.key, "episode"), 0) if shows else None,
        "hidden": section.hidden,
        "scannedAt": section.scanned_at,
        "poster": picture_url(
            call.settings, artwork.LIBRARY + section.key, "poster", artwork.library_source(section)
        ),
    }


def _collection_row(call: Call, row: PlexCollection) -> dict[str, Any]:
    subject = artwork.COLLECTION + row.rating_key
    return {
        "id": subject,
        "library": row.section_key,
        "title": row.title,
        "summary": row.summary,
        "type": row.subtype,
        "smart": row.smart,
        "childCount": row.child_count,
        "addedAt": row.added_at,
        "updatedAt": row.updated_at,
        "poster": picture_url(call.settings, subject, "poster", row.thumb),
    }
