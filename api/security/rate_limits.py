"""Rate limits of requests: counted for the user or address, shown in the headers of each answer."""

from __future__ import annotations

from typing import Literal

from flask import Flask, Response, current_app, g, request

from api.extensions import parts
from api.wire.unversioned_paths import PREFIX
from engine.identity.sessions import Identity
from engine.rate_limits.limits import Asker, Endpoint, Name, RateLimiter, RateLimitExceeded, Spent
from engine.rate_limits.sliding_windows import Verdict

__all__ = [
    "HEADERS",
    "Counted",
    "Spent",
    "charge",
    "give_back",
    "headers_of",
    "init_app",
    "limiter_of",
    "spend",
]

Counted = Literal["tier", Endpoint]

HEADERS = {
    "X-RateLimit-Limit": "Requests that the tightest limit of this request allows in its window.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When the next one comes back, in Unix seconds.",
}
_NAME = "medianest-rate-limits"
_INSTEAD_OF_TIER = frozenset({"poll", "suggest", "page"})


def init_app(app: Flask, limiter: RateLimiter) -> None:
    """Count requests that reach no operation, and show on every answer what is left."""
    app.extensions[_NAME] = limiter
    app.before_request(_charge_unrouted)
    app.after_request(_show)


def charge(identity: Identity | None, limit: Counted) -> None:
    """Count this request for its tier, and for `limit` where that is another; for some of them alone.

    Raises:
        RateLimitExceeded: too many came before.
    """
    asker = Asker.of(identity, request.remote_addr)
    names: list[Name] = [] if limit in _INSTEAD_OF_TIER else [asker.tier]
    if limit != "tier":
        names.append(limit)
    if request.path.startswith(PREFIX):
        names.append("api")
    names.append("global")
    _take(names, asker, None)


def spend(identity: Identity | None, name: Spent, email: str | None) -> None:
    """Count one of what only a view knows, such as a submission; `email` for limits of an e-mail address.

    Raises:
        RateLimitExceeded: there were too many before.
    """
    _take([name], Asker.of(identity, request.remote_addr), email)


def give_back(identity: Identity | None, name: Spent, email: str | None) -> None:
    """Undo `spend`."""
    _limiter().give_back(parts().runtime.settings, name, Asker.of(identity, request.remote_addr), email)


def _take(names: list[Name], asker: Asker, email: str | None) -> None:
    try:
        verdict = _limiter().take(parts().runtime.settings, names, asker, email)
    except RateLimitExceeded as refused:
        g.rate_limit = refused.verdict
        raise
    before: Verdict | None = g.get("rate_limit")
    if verdict is not None and (before is None or verdict.remaining < before.remaining):
        g.rate_limit = verdict


def _charge_unrouted() -> None:
    """Count an unknown path or method for its address, except preflight requests (OPTIONS)."""
    if request.url_rule is None and request.method != "OPTIONS":
        charge(None, "tier")


def _show(response: Response) -> Response:
    response.headers.update(headers_of(g.get("rate_limit")))
    return response


def headers_of(verdict: Verdict | None) -> dict[str, str]:
    """The headers that show what is left; none where nothing was counted."""
    if verdict is None:
        return {}
    shown = (verdict.rate.amount, verdict.remaining, verdict.reset)
    return dict(zip(HEADERS, map(str, shown), strict=True))


def limiter_of(app: Flask) -> RateLimiter:
    """The limiter of an application."""
    found: RateLimiter = app.extensions[_NAME]
    return found


def _limiter() -> RateLimiter:
    return limiter_of(current_app)
