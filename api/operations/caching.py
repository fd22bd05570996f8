"""Answers that a client may keep for a while, and then ask whether they still hold (`ETag`, `If-None-Match`)."""

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
_VARY = ("Authorization", "Cookie", "X-Api-Key")  # an answer is for who asked


def cacheable(
    schema: type[Schema], errors: Collection[int] = (), headers: Mapping[str, str] | None = None
) -> Answers:
    """What an operation declares whose view answers by `kept`."""
    return Answers({200: schema, 304: None}, errors, {**HEADERS, **(headers or {})})


def kept(call: Call, seconds: int, stamp: str, build: Callable[[], Any]) -> Response:
    """Answer with data that may be kept, or with 304 where the client has just that.

    Args:
        call: of somebody who is known.
        seconds: for which the client need not ask again.
        stamp: another one whenever the data may be others; who asks, and for what, is added here.
        build: makes the data, when they are needed.
    """
    who = f"{call.identity.user_id}\n{sorted(call.identity.permissions)}"
    told = f"{who}\n{stamp}\n{request.full_path}".encode()
    tag = keys.sign(call.settings, _PURPOSE, told)[:16].hex()
    if request.if_none_match.star_tag:
        build()  # "whatever there is": only where there is something
    has_it = request.if_none_match.contains_weak(tag)
    response = Response(status=304) if has_it else success(build())
    response.set_etag(tag)
    response.headers["Cache-Control"] = f"private, max-age={seconds}"
    response.vary.update(_VARY)
    return response
