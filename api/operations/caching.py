"""Answers that a client may cache, and then revalidate by `ETag` and `If-None-Match`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from flask import Response, request

from api.operations.call import Call
from api.operations.declaration import Answers
from api.wire.envelope import success
from api.wire.fields import Schema
from engine.secrets import keys

LONG, MEDIUM, SHORT = 3600, 300, 30  # seconds

HEADERS = {
    "ETag": "Names this answer; with it in `If-None-Match` the same answer is a 304.",
    "Cache-Control": "How long it may be kept without asking again.",
}
_PURPOSE = "entity tags"
_VARY = ("Authorization", "Cookie", "X-Api-Key")  # the answer is for the user who asked


def cacheable(
    schema: type[Schema], errors: Collection[int] = (), headers: Mapping[str, str] | None = None
) -> Answers:
    """What an operation declares whose view answers by `kept`."""
    return Answers({200: schema, 304: None}, errors, {**HEADERS, **(headers or {})})


def kept(call: Call, seconds: int, stamp: str, build: Callable[[], Any]) -> Response:
    """Answer with data that the client may cache, or with 304 where it has just these.

    Args:
        call: of an operation with a permission.
        seconds: for which the client may use it without asking again.
        stamp: differs whenever the data may differ; user, permissions and URL are added here.
        build: makes the data; not called for a 304.
    """
    who = f"{call.identity.user_id}\n{sorted(call.identity.permissions)}"
    told = f"{who}\n{stamp}\n{request.full_path}".encode()
    tag = keys.sign(call.settings, _PURPOSE, told)[:16].hex()
    if request.if_none_match.star_tag:
        build()  # `If-None-Match: *` is true only where there is something
    has_it = request.if_none_match.contains_weak(tag)
    response = Response(status=304) if has_it else success(build())
    response.set_etag(tag)
    response.headers["Cache-Control"] = f"private, max-age={seconds}"
    response.vary.update(_VARY)
    return response
