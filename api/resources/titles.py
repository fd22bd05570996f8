"""`/media/search` and its like: films and series of TMDB, with what is there of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.availability_rows import AvailabilitySchema, availability_row
from api.wire.envelope import success
from api.wire.errors import InvalidRequest
from api.wire.fields import Choice, Count, PageQuery, Pagination, Schema, Text, nullable, page_data, required
from engine.media_requests import availability
from engine.media_requests.availability import NOTHING, Availability, TitleIds
from engine.paging import Page
from engine.permissions import Permission
from engine.titles import lists, titles
from engine.titles.list_pages import TitlePage
from engine.titles.lists import ListType
from engine.titles.titles import PHOTO_SIZE, POSTER_SIZE, TitleFacts, picture
from models.user import User

blueprint = Blueprint("titles", "/media", "Films and series, as TMDB knows them.", limit="media")

TYPES = ("movie", "tv", "all")
_WITHOUT_TMDB = (502, 503)


class TitleSchema(Schema):
    """A film or series."""

    id = required(ma.fields.String, about="At TMDB.")
    title = ma.fields.String(required=True)
    original_title = nullable(ma.fields.String)
    type = ma.fields.String(required=True, validate=validate.OneOf(["movie", "tv"]))
    year = nullable(ma.fields.Integer)
    poster = nullable(ma.fields.String, about="TMDB's address of it.")
    overview = nullable(ma.fields.String)
    rating = nullable(ma.fields.Float, about="0 to 10, by TMDB's users.")
    availability = ma.fields.Nested(AvailabilitySchema, required=True)


class TitlesPagination(Pagination):
    """Where a page of titles stands in its list."""

    total_results = required(ma.fields.Integer, about="The same as totalItems.")


class TitlesSchema(Schema):
    """A page of titles."""

    results = ma.fields.List(ma.fields.Nested(TitleSchema), required=True)
    pagination = ma.fields.Nested(TitlesPagination, required=True)
    stale = required(ma.fields.Boolean, about="TMDB could not be asked: this is what it said before.")
    fetched_at = nullable(ma.fields.DateTime, about="When TMDB said it.")


class CastSchema(Schema):
    """Somebody who plays in it."""

    name = ma.fields.String(required=True)
    role = nullable(ma.fields.String)
    job = nullable(ma.fields.String)
    photo = nullable(ma.fields.String)


class TrailerSchema(Schema):
    """A trailer."""

    name = ma.fields.String(required=True)
    url = ma.fields.String(required=True)
    site = ma.fields.String(required=True)


class TitleIdsSchema(Schema):
    """Its ids elsewhere."""

    tmdb = ma.fields.String(required=True)
    imdb = nullable(ma.fields.String)
    tvdb = nullable(ma.fields.String)


class TitleSeasonSchema(Schema):
    """A season, and what is there of it."""

    number = ma.fields.Integer(required=True)
    name = ma.fields.String(required=True)
    episodes = required(ma.fields.Integer, about="That are announced.")
    aired = ma.fields.Integer(required=True)
    air_date = nullable(ma.fields.Date)
    poster = nullable(ma.fields.String)


class TitleCollectionSchema(Schema):
    """The collection that a film belongs to."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    poster = nullable(ma.fields.String)


class TitleDetailsSchema(TitleSchema):
    """A film or series with all that TMDB tells of it."""

    runtime = nullable(ma.fields.Integer, about="Minutes.")
    genres = ma.fields.List(ma.fields.String(), required=True)
    cast = ma.fields.List(ma.fields.Nested(CastSchema), required=True)
    crew = ma.fields.List(ma.fields.Nested(CastSchema), required=True)
    trailers = ma.fields.List(ma.fields.Nested(TrailerSchema), required=True)
    content_rating = nullable(ma.fields.String)
    released_at = nullable(ma.fields.Date)
    status = nullable(ma.fields.String, about="In TMDB's words.")
    ids = ma.fields.Nested(TitleIdsSchema, required=True)
    seasons = ma.fields.List(ma.fields.Nested(TitleSeasonSchema), required=True)
    collection = nullable(ma.fields.Nested, TitleCollectionSchema)
    similar = ma.fields.List(ma.fields.Nested(TitleSchema), required=True)
    stale = required(ma.fields.Boolean, about="TMDB could not be asked: this is what it said before.")
    fetched_at = ma.fields.DateTime(required=True)


class ListQuery(PageQuery):
    """Which titles."""

    type = Choice(TYPES, load_default="all")


class TitleSearchQuery(ListQuery):
    """What to look for."""

    query = Text(
        200, strip=True, required=True, metadata={"description": "Words of a title, in any language."}
    )
    year = Count(1870, 2200)


@blueprint.operation(
    "GET",
    "/search",
    Access(Permission.MEDIA_READ),
    Answers({200: TitlesSchema}, errors=_WITHOUT_TMDB),
    Takes(query=TitleSearchQuery),
    limit="search",
    own_units=True,
)
def search_titles(call: Call, query: dict[str, Any]) -> Response:
    """Films and series whose title has the words; while TMDB is away, what it answered before."""
    if not query["query"]:
        raise InvalidRequest({"query": ["Must have a word."]})
    return _listed(
        call,
        query,
        lambda page, limit, language: lists.search(
            call.runtime,
            query["query"],
            query["type"],
            year=query.get("year"),
            page=page,
            limit=limit,
            language=language,
        ),
    )


@blueprint.operation(
    "GET",
    "/trending",
    Access(Permission.MEDIA_READ),
    Answers({200: TitlesSchema}, errors=_WITHOUT_TMDB),
    Takes(query=ListQuery),
    own_units=True,
)
def list_trending(call: Call, query: dict[str, Any]) -> Response:
    """What people look at this week."""
    return _list(call, query, lists.trending)


@blueprint.operation(
    "GET",
    "/popular",
    Access(Permission.MEDIA_READ),
    Answers({200: TitlesSchema}, errors=_WITHOUT_TMDB),
    Takes(query=ListQuery),
    own_units=True,
)
def list_popular(call: Call, query: dict[str, Any]) -> Response:
    """What is popular at the moment."""
    return _list(call, query, lists.popular)


@blueprint.operation(
    "GET",
    "/upcoming",
    Access(Permission.MEDIA_READ),
    Answers({200: TitlesSchema}, errors=_WITHOUT_TMDB),
    Takes(query=ListQuery),
    own_units=True,
)
def list_upcoming(call: Call, query: dict[str, Any]) -> Response:
    """Films that come to the cinemas, and series with new episodes."""
    return _list(call, query, lists.upcoming)


@blueprint.operation(
    "GET",
    "/movie/<id:tmdb_id>",
    Access(Permission.MEDIA_READ),
    Answers({200: TitleDetailsSchema}, errors=_WITHOUT_TMDB),
    own_units=True,
)
def get_movie(call: Call, tmdb_id: str) -> Response:
    """A film, by its id at TMDB."""
    return _details(call, "movie", tmdb_id)


@blueprint.operation(
    "GET",
    "/tv/<id:tmdb_id>",
    Access(Permission.MEDIA_READ),
    Answers({200: TitleDetailsSchema}, errors=_WITHOUT_TMDB),
    own_units=True,
)
def get_series(call: Call, tmdb_id: str) -> Response:
    """A series, by its id at TMDB."""
    return _details(call, "tv", tmdb_id)


def _list(call: Call, query: dict[str, Any], ask: Callable[..., TitlePage]) -> Response:
    kind = cast(ListType, query["type"])
    return _listed(
        call,
        query,
        lambda page, limit, language: ask(call.runtime, kind, page=page, limit=limit, language=language),
    )


def _listed(call: Call, query: dict[str, Any], ask: Callable[[int, int, str], TitlePage]) -> Response:
    page, limit = query["page"], query["limit"]
    found = ask(page, limit, _language(call))
    there = _availability(call, found.titles)
    rows = [_row(one, there.get(one.key, NOTHING)) for one in found.titles]
    data = page_data(Page(rows, page, limit, found.total), rows)
    data["pagination"]["totalResults"] = found.total
    return success(
        {
            "results": data["items"],
            "pagination": data["pagination"],
            "stale": found.stale,
            "fetchedAt": found.fetched_at,
        }
    )


def _details(call: Call, type_: Literal["movie", "tv"], tmdb_id: str) -> Response:
    language = _language(call)
    found = titles.look_up(call.runtime, type_, tmdb_id, language=language)
    with call.runtime.reading() as db:
        beside = titles.similar_of(db, found, language)
    there = _availability(call, [found, *beside])
    row = TitleDetailsSchema.row(
        found,
        **_common(found, there[found.key]),
        genres=list(found.genres),
        cast=[_person(one) for one in found.cast],
        crew=[_person(one) for one in found.crew],
        trailers=list(found.trailers),
        released_at=found.released,
        ids={"tmdb": found.tmdb_id, "imdb": found.imdb_id, "tvdb": found.tvdb_id},
        seasons=[
            TitleSeasonSchema.row(season, poster=picture(season.poster, POSTER_SIZE))
            for season in found.seasons
        ],
        collection=found.collection
        and {**found.collection, "poster": picture(found.collection["poster"], POSTER_SIZE)},
        similar=[_row(one, there.get(one.key, NOTHING)) for one in beside],
        stale=found.old,
        fetched_at=found.as_of,
    )
    return success(row)


def _row(found: TitleFacts, there: Availability) -> dict[str, Any]:
    return TitleSchema.row(found, **_common(found, there))


def _common(found: TitleFacts, there: Availability) -> dict[str, Any]:
    return {
        "id": found.tmdb_id,
        "poster": picture(found.poster, POSTER_SIZE),
        "availability": availability_row(there),
    }


def _person(one: Any) -> dict[str, Any]:
    return {
        "name": one["name"],
        "role": one.get("role"),
        "job": one.get("job"),
        "photo": picture(one.get("photo"), PHOTO_SIZE),
    }


def _availability(call: Call, found: Sequence[TitleFacts]) -> dict[tuple[str, str], Availability]:
    with call.runtime.reading() as db:
        return availability.of(db, call.settings, list(map(TitleIds.of, found)))


def _language(call: Call) -> str:
    with call.runtime.reading() as db:
        user = db.get(User, call.identity.user_id)
    return (user is not None and user.language) or "en"
