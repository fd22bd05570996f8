"""CORS: pages of other origins may call us from a browser where `FRONTEND_URL` names exactly their origin."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from flask import Flask, Response, request
from werkzeug.exceptions import MethodNotAllowed

from api.extensions import parts
from api.security import csrf
from api.security.authentication import KEY_HEADER
from api.wire import correlation

_ASKED_METHOD = "Access-Control-Request-Method"
_ACCEPTED = ("Authorization", "Content-Type", KEY_HEADER, csrf.HEADER, correlation.HEADER)
_SHOWN = (
    correlation.HEADER,
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Retry-After",
    "Location",
)
_REMEMBERED_SECONDS = 600  # a change of FRONTEND_URL is known to all browsers after that
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def init_app(app: Flask) -> None:
    """Answer preflight requests, and let the pages of allowed origins read our answers."""
    app.before_request(_preflight)
    app.after_request(_permit)


def allowed(origin: str | None, origins: Collection[str]) -> bool:
    """Whether an `Origin` header names one of some origins; `null` and `*` never do."""
    return origin is not None and origin in _as_browsers_say(tuple(origins))


@lru_cache(maxsize=64)
def _as_browsers_say(origins: tuple[str, ...]) -> frozenset[str]:
    """Origins in lower case and without the default port, as browsers write them (RFC 6454, 6.1)."""
    lowered = (origin.lower() for origin in origins)
    return frozenset(
        origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], "")) for origin in lowered
    )


def _preflight() -> Response | None:
    """Answer a preflight request: without authentication, and without calling a view."""
    if request.method != "OPTIONS" or _ASKED_METHOD not in request.headers:
        return None
    missed = request.routing_exception
    if not isinstance(missed, MethodNotAllowed):
        return None  # there is nothing at this path
    answer = Response(status=204)
    answer.vary.update((_ASKED_METHOD, "Access-Control-Request-Headers"))
    if _is_allowed():
        answer.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(missed.valid_methods or ()))
        answer.headers["Access-Control-Allow-Headers"] = ", ".join(_ACCEPTED)
        answer.headers["Access-Control-Max-Age"] = str(_REMEMBERED_SECONDS)
    return answer


def _permit(response: Response) -> Response:
    # A cache must not serve an answer for one origin to another.
    if "Vary" in response.headers:
        response.vary.add("Origin")
    else:
        response.headers["Vary"] = "Origin"  # without parsing a header
    if _is_allowed():
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = ", ".join(_SHOWN)
    return response


def _is_allowed() -> bool:
    return allowed(request.headers.get("Origin"), parts().runtime.settings.frontend_url)
