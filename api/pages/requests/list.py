"""`/requests`: one's own, those that one follows, and for who may decide all of them."""

from __future__ import annotations

from typing import Any, Literal, cast
from urllib.parse import urlencode

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.pages.discover.finding import poster_of
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.rendering import link
from api.pages.look.shell import Kind
from api.pages.look.words import gettext as _
from api.pages.requests import words
from api.wire.fields import Choice, Lines, PageQuery, Schema, Text
from engine.errors import ValidationFailed
from engine.media_requests import deciding, listing
from engine.media_requests.listing import SORTS, Scope
from engine.permissions import Permission

pages = PageBlueprint("requests")

HERE = "requests"
# What is shown together, by its name in the address.
VIEWS = {
    "pending": ("pending",),
    "moving": ("approved", "processing"),
    "available": ("available",),
    "denied": ("denied",),
    "failed": ("failed",),
}
_SCOPES: tuple[Literal["own", "followed", "all"], ...] = ("own", "followed", "all")


class RequestsPageQuery(PageQuery):
    """Which requests."""

    scope = Choice(_SCOPES)
    view = Choice(list(VIEWS))
    query = Text(100, strip=True)
    media_type = Choice(["movie", "tv", "video"])
    sort = Choice(SORTS, load_default="newest")


class DecisionForm(Schema):
    """What is decided about several."""

    action = Choice(["approve", "deny"])
    approve = Text(80)
    ids = ma.fields.List(Text(80), load_default=list, validate=validate.Length(max=500))
    reason = Lines(1000, 0, strip=True)


@pages.page("/requests", Permission.MEDIA_REQUEST, query=RequestsPageQuery)
def requests_page(visit: Visit, query: dict[str, Any]) -> Response:
    """Requests, newest first; who may decide sees everybody's."""
    manages = visit.visitor.may(Permission.REQUESTS_MANAGE)
    chosen = query.get("scope") or ("all" if manages else "both")
    scope = cast(Scope, "both" if chosen == "all" and not manages else chosen)
    view = query.get("view")
    found = listing.find(
        visit.db,
        visit.settings,
        visit.identity.user_id,
        scope=scope,
        statuses=VIEWS[view] if view else (),
        media_type=query.get("media_type"),
        query=query.get("query"),
        sort=query["sort"],
        page=query["page"],
        limit=query["limit"],
    )

    def at(view: str | None = None, scope: str | None = query.get("scope"), page: int | None = None) -> str:
        given = {
            "scope": scope,
            "view": view,
            "query": query.get("query"),
            "media_type": query.get("media_type"),
            "sort": query["sort"] if query["sort"] != "newest" else None,
            "page": page,
        }
        parameters = urlencode({_camel(name): value for name, value in given.items() if value})
        return link(HERE) + (f"?{parameters}" if parameters else "")

    counts = listing.counts(visit.db, visit.identity.user_id, scope)
    return visit.show(
        "requests.html",
        HERE,
        found=found,
        counts={name: sum(counts[status] for status in some) for name, some in VIEWS.items()},
        query=query,
        view=view,
        scope=query.get("scope"),
        at=at,
        manages=manages,
        words=words,
        poster=poster_of(visit),
    )


@pages.form("/requests/decide", Permission.REQUESTS_MANAGE, back=HERE, own_units=True)
def decide_requests(visit: Visit) -> Response:
    """Approve one, or decide all that are ticked; each is judged on its own."""
    entered = visit.entered(DecisionForm)
    if entered.get("approve"):
        results = deciding.approve_all(visit.runtime, [entered["approve"]], visit.actor)
    elif not entered["ids"]:
        raise ValidationFailed(_("Choose at least one first."))
    elif entered.get("action") == "deny":
        reason = entered.get("reason") or None
        results = deciding.deny_all(visit.runtime, entered["ids"], visit.actor, reason)
    else:
        results = deciding.approve_all(visit.runtime, entered["ids"], visit.actor)
    refused = any(one.error for one in results)
    kind: Kind = "degraded" if refused else "done"
    return visit.go(visit.back(HERE), words.decided(results), kind)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
