"""`/media/request` and `/media/requests`: what people ask for."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import Access, Answers, Takes
from api.resources.request_rows import (
    MEDIA_TYPES,
    CommentSchema,
    RequestDetailsSchema,
    RequestPage,
    RequestSchema,
    comment_row,
    details_row,
    request_row,
)
from api.wire.envelope import success
from api.wire.errors import InvalidRequest
from api.wire.fields import Choice, Lines, PageQuery, Schema, Text, page_data
from api.wire.unversioned_paths import PREFIX
from engine.formats import FORMATS, QUALITIES
from engine.media_requests import asking, deciding, following, listing, timeline
from engine.media_requests.asking import Wish
from engine.media_requests.listing import SORTS
from engine.media_requests.transitions import STATUSES
from engine.permissions import Permission

blueprint = Blueprint("media_requests", "/media", "What people ask for.", limit="media")

MOST_COMMENT = 1000
_LOCATION = {"Location": "Where the request is from now on."}
_MINE = Access(Permission.MEDIA_REQUEST)
_DECIDES = Access(Permission.REQUESTS_MANAGE)


class SeasonsField(ma.fields.Field[Any]):
    """Numbers of seasons, `all` or `latest`."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value in ("all", "latest"):
            return value
        numbers = isinstance(value, list) and 0 < len(value) <= asking.MOST_SEASONS
        if not numbers or not all(type(one) is int and 0 <= one <= 10_000 for one in value):
            raise ma.ValidationError("Must be all, latest, or a list of numbers of seasons.")
        return sorted(set(value))


class MediaRequestBody(Schema):
    """What is asked for: `tmdbId` and `mediaType` of a film or series, or `url` of a video."""

    tmdb_id = Text(20)
    media_type = Choice(MEDIA_TYPES)
    seasons = SeasonsField(
        metadata={
            "description": "Of a series; default: all that were aired, without specials (0).",
            "oneOf": [
                {"type": "string", "enum": ["all", "latest"]},
                {"type": "array", "items": {"type": "integer"}},
            ],
        }
    )
    url = Text(2000, metadata={"format": "uri"})
    quality = Choice(QUALITIES, allow_none=True)
    format = Choice(FORMATS, allow_none=True, metadata={"description": "Of a video."})
    download_path = Text(500, 0, allow_none=True, metadata={"description": "Of a video."})
    comment = Lines(MOST_COMMENT, 0, strip=True, allow_none=True)

    @ma.validates_schema
    def one_thing(self, data: dict[str, Any], **_: Any) -> None:
        """Either a title of TMDB, or a video."""
        if "url" in data:
            wrong: set[str] = {name for name in ("tmdb_id", "seasons") if name in data}
            if data.get("media_type") not in (None, "video"):
                wrong.add("media_type")
            if wrong:
                raise ma.ValidationError({name: ["Not for a video, which has a url."] for name in wrong})
            return
        missing = {name for name in ("tmdb_id", "media_type") if name not in data}
        if missing:
            raise ma.ValidationError({name: ["Is needed, or the url of a video."] for name in missing})
        if data["media_type"] == "video":
            raise ma.ValidationError({"url": ["Is needed for a video."]})
        wrong = set({name for name in ("format", "download_path") if name in data})
        if data["media_type"] == "movie" and "seasons" in data:
            wrong.add("seasons")
        if wrong:
            raise ma.ValidationError({name: [f"Not for a {data['media_type']}."] for name in wrong})


class RequestsQuery(PageQuery):
    """Which requests."""

    status = Choice(STATUSES)
    media_type = Choice(MEDIA_TYPES)
    query = Text(200, metadata={"description": "Words of the title."})
    sort = Choice(SORTS, load_default="newest")


class RequestChanges(Schema):
    """What changes; only while it is pending."""

    comment = Lines(MOST_COMMENT, 0, strip=True, allow_none=True)
    quality = Choice(asking.QUALITIES, allow_none=True)
    seasons = SeasonsField(
        metadata={
            "oneOf": [
                {"type": "string", "enum": ["all", "latest"]},
                {"type": "array", "items": {"type": "integer"}},
            ]
        }
    )


class ApprovalBody(Schema):
    """How it is fulfilled, where that is not as usual."""

    by = Choice(deciding.WAYS, metadata={"description": "Default: by what is set up."})
    tvdb_id = Text(20, validate=[validate.Regexp(r"[0-9]+\Z")])


class DenialBody(Schema):
    """Why."""

    reason = Lines(MOST_COMMENT, 0, strip=True, allow_none=True)


class CommentBody(Schema):
    """What to write below it."""

    text = Lines(MOST_COMMENT, strip=True, required=True)


@blueprint.operation(
    "POST",
    "/request",
    _MINE,
    Answers(
        {201: RequestSchema, 200: RequestSchema}, errors=(403, 404, 409, 429, 502, 503), headers=_LOCATION
    ),
    Takes(body=MediaRequestBody),
    own_units=True,
)
def request_media(call: Call, body: dict[str, Any]) -> Response:
    """Ask for a film, a series or a video. 201 with the new one, 200 with one that exists and is followed now."""
    values = {"media_type": "video", **body} if "url" in body else body
    asked = asking.ask(call.runtime, Wish(**values), call.actor, user_id=call.identity.user_id)
    with call.runtime.reading() as db:
        view = listing.get(db, call.settings, asked.request.id, call.identity.user_id, manages=True)
    location = {"Location": f"{PREFIX}/media/requests/{asked.request.id}"}
    return success(request_row(view), 201 if asked.created else 200, location)


@blueprint.operation("GET", "/requests", _MINE, Answers({200: RequestPage}), Takes(query=RequestsQuery))
def list_requests(call: Call, query: dict[str, Any]) -> Response:
    """What one asked for and what one follows."""
    page = listing.find(call.db, call.settings, call.identity.user_id, scope="both", **by_status(query))
    return success(page_data(page, [request_row(view) for view in page.items]))


@blueprint.operation("GET", "/requests/<id:request_id>", _MINE, Answers({200: RequestDetailsSchema}))
def get_request(call: Call, request_id: str) -> Response:
    """One request with all that happened to it."""
    view = listing.get(call.db, call.settings, request_id, call.identity.user_id, manages=_manages(call))
    return success(
        details_row(
            view,
            timeline.waiting_for(call.db, view),
            timeline.of(call.db, view.request),
            listing.comments(call.db, request_id),
        )
    )


@blueprint.operation(
    "PATCH",
    "/requests/<id:request_id>",
    _MINE,
    Answers({200: RequestSchema}, errors=(403, 409, 502, 503)),
    Takes(body=RequestChanges),
    own_units=True,
)
def change_request(call: Call, body: dict[str, Any], request_id: str) -> Response:
    """Change comment, quality or seasons of one's own request while it is pending."""
    if not body:
        raise InvalidRequest({"request": ["Give comment, quality or seasons."]})
    deciding.change(
        call.runtime,
        request_id,
        call.identity.user_id,
        manages=_manages(call),
        changes=body,
        actor=call.actor,
    )
    with call.runtime.reading() as db:
        view = listing.get(db, call.settings, request_id, call.identity.user_id, manages=_manages(call))
    return success(request_row(view))


@blueprint.operation(
    "DELETE", "/requests/<id:request_id>", _MINE, Answers({200: RequestSchema}, errors=(403, 409))
)
def delete_request(call: Call, request_id: str) -> Response:
    """Take one's own request back while it is pending; answers with the request as it was."""
    mine, manages = call.identity.user_id, _manages(call)
    view = listing.get(call.db, call.settings, request_id, mine, manages=manages)
    row = request_row(view)
    deciding.remove(call.db, request_id, mine, manages=manages, actor=call.actor)
    return success(row)


@blueprint.operation(
    "POST",
    "/requests/<id:request_id>/approve",
    _DECIDES,
    Answers({200: RequestSchema}, errors=(409,)),
    Takes(body=ApprovalBody),
)
def approve_request(call: Call, body: dict[str, Any], request_id: str) -> Response:
    """Approve a request; one that is approved already stays as it is."""
    deciding.approve(call.db, request_id, call.actor, **body)
    return _answered(call, request_id)


@blueprint.operation(
    "POST",
    "/requests/<id:request_id>/deny",
    _DECIDES,
    Answers({200: RequestSchema}, errors=(409,)),
    Takes(body=DenialBody),
)
def deny_request(call: Call, body: dict[str, Any], request_id: str) -> Response:
    """Deny a pending request; one that is denied already stays as it is."""
    deciding.deny(call.db, request_id, call.actor, body.get("reason") or None)
    return _answered(call, request_id)


@blueprint.operation(
    "POST", "/requests/<id:request_id>/reopen", _DECIDES, Answers({200: RequestSchema}, errors=(409,))
)
def reopen_request(call: Call, request_id: str) -> Response:
    """Have a denied request decided anew."""
    deciding.reopen(call.db, request_id, call.actor)
    return _answered(call, request_id)


@blueprint.operation(
    "POST",
    "/requests/<id:request_id>/retry",
    _DECIDES,
    Answers({200: RequestSchema}, errors=(409,)),
    Takes(body=ApprovalBody),
)
def retry_request(call: Call, body: dict[str, Any], request_id: str) -> Response:
    """Have a failed request handed on again, in the same way or another."""
    deciding.retry(call.db, request_id, call.actor, **body)
    return _answered(call, request_id)


@blueprint.operation("POST", "/requests/<id:request_id>/follow", _MINE, Answers({200: RequestSchema}))
def follow_request(call: Call, request_id: str) -> Response:
    """Be told of what becomes of a request that somebody else made."""
    following.follow(call.db, request_id, call.identity.user_id)
    return _answered(call, request_id)


@blueprint.operation(
    "DELETE", "/requests/<id:request_id>/follow", _MINE, Answers({200: RequestSchema}, errors=(409,))
)
def unfollow_request(call: Call, request_id: str) -> Response:
    """Be told no more; answers with the request as it is now."""
    mine = call.identity.user_id
    listing.get(call.db, call.settings, request_id, mine, manages=_manages(call))
    following.unfollow(call.db, request_id, mine)
    call.db.expire_all()
    return success(request_row(listing.get(call.db, call.settings, request_id, mine, manages=True)))


@blueprint.operation(
    "POST",
    "/requests/<id:request_id>/comments",
    _MINE,
    Answers({201: CommentSchema}),
    Takes(body=CommentBody),
)
def comment_on_request(call: Call, body: dict[str, Any], request_id: str) -> Response:
    """Write something below a request."""
    mine = call.identity.user_id
    listing.get(call.db, call.settings, request_id, mine, manages=_manages(call))
    row = deciding.comment(call.db, request_id, mine, body["text"], call.actor)
    (comment,) = [one for one in listing.comments(call.db, request_id) if one.id == row.id]
    return success(comment_row(comment), 201)


def by_status(query: dict[str, Any]) -> dict[str, Any]:
    """A query as `listing.find` takes it."""
    status = query.pop("status", None)
    return query | {"statuses": () if status is None else (status,)}


def _answered(call: Call, request_id: str) -> Response:
    view = listing.get(call.db, call.settings, request_id, call.identity.user_id, manages=_manages(call))
    return success(request_row(view))


def _manages(call: Call) -> bool:
    return Permission.REQUESTS_MANAGE in call.identity.permissions
