"""`/plex`, continued: collections, and the pictures of everything."""

from __future__ import annotations

from typing import Any

from flask import Response, after_this_request, request

from api.operations.caching import HEADERS, MEDIUM, SHORT, cacheable, kept
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Access, Answers, Takes
from api.resources.media_rows import item_rows
from api.resources.plex import blueprint
from api.resources.plex_rows import MediaCollectionDetailsSchema, MediaCollectionSchema, collection_row
from api.wire.fields import Choice, PageQuery, Schema, Text, page_data, page_of
from engine.errors import NotFound
from engine.paging import Page
from engine.permissions import Permission
from engine.plex.catalogue import artwork, current, live_queries
from engine.plex.catalogue import collections as collection_rows
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue
from engine.plex.catalogue.live_queries import PlexSilent

__all__ = ["blueprint"]

_YEAR = 31_536_000  # seconds
_AGE = {"Age": "On a 503: seconds since Plex last answered this, where it ever did."}


class ArtworkQuery(Schema):
    """An address as items have it; only `width` may be another."""

    kind = Choice(artwork.KINDS, required=True)
    width = Choice([str(width) for width in artwork.WIDTHS], metadata={"description": "Pixels."})
    v = Text(40, required=True, metadata={"description": "The version."})
    sig = Text(100, required=True, metadata={"description": "The signature."})


@blueprint.operation(
    "GET",
    "/libraries/<id:library_key>/collections",
    Access(Permission.MEDIA_READ),
    cacheable(page_of(MediaCollectionSchema)),
    Takes(query=PageQuery),
)
def list_library_collections(call: Call, query: dict[str, Any], library_key: str) -> Response:
    """The collections of a library, by title."""
    found = current.need(call.db, call.settings)

    def build() -> dict[str, Any]:
        section = current.section(call.db, found, library_key)
        page = collection_rows.listing(call.db, found, section, **query)
        return page_data(page, [collection_row(call.settings, row) for row in page.items])

    return kept(call, MEDIUM, found.stamp, build)


@blueprint.operation(
    "GET",
    "/collections/<id:collection_id>",
    Access(Permission.MEDIA_READ),
    cacheable(MediaCollectionDetailsSchema, errors=(502,), headers=_AGE),
    Takes(query=PageQuery),
    own_units=True,
)
def get_plex_collection(call: Call, query: dict[str, Any], collection_id: str) -> Response:
    """A collection and what is in it, in its order; Plex is asked for that at most every five minutes."""
    user_id = call.identity.user_id
    rating_key = collection_id.removeprefix(artwork.COLLECTION)
    with call.runtime.reading() as db:
        found = current.need(db, call.settings, user_id)
        if rating_key == collection_id:
            raise NotFound("There is no such collection.")
        row = collection_rows.get(db, found, rating_key)
        db.expunge(row)
    members = _members(call, found, rating_key)

    def build() -> dict[str, Any]:
        with call.runtime.reading() as db:
            ids = catalogue_items.by_keys(db, found, members)
            page, limit = query["page"], query["limit"]
            items = catalogue_items.rows(db, ids[(page - 1) * limit : page * limit])
            rows = item_rows(db, call.settings, found, user_id, items)
        paged = page_data(Page(items, page, limit, len(ids)), rows)
        return collection_row(call.settings, row) | paged | {"syncedAt": found.synced_at}

    return kept(call, MEDIUM, f"{found.stamp}\n{found.watched}\n{members}", build)


@blueprint.operation(
    "GET",
    "/artwork/<id:picture_id>",
    PUBLIC,
    Answers({200: None, 304: None}, errors=(403, 404, 502), headers={"ETag": HEADERS["ETag"]}),
    Takes(query=ArtworkQuery),
    limit=None,  # a page of posters is many requests at once, and each address is one of ours
    own_units=True,
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


def _members(call: Call, found: Catalogue, rating_key: str) -> list[str]:
    """The keys of a collection's items by Plex; where it does not answer, `Age` is that of its last answer."""
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
