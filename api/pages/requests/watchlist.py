"""`/requests/watchlist`: having what one puts on one's Plex watchlist asked for."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.rendering import link
from api.pages.look.words import gettext as _
from api.pages.requests import words
from api.wire.fields import Flag, PageQuery, Schema
from engine.permissions import Permission
from engine.watchlists import own

pages = PageBlueprint("watchlist")

_PATH = "requests/watchlist"


class WatchlistForm(Schema):
    """Whether it is read from now on; off where it does not say."""

    on = Flag(load_default=False)


@pages.page("/requests/watchlist", Permission.MEDIA_REQUEST, query=PageQuery)
def watchlist_page(visit: Visit, query: dict[str, Any]) -> Response:
    """Whether it is read, and what became of each title."""

    def at(page: int) -> str:
        return f"{link(_PATH)}?page={page}"

    found = own.of(visit.db, visit.identity.user_id, **query)
    return visit.show("watchlist.html", here="requests", found=found, at=at, words=words)


@pages.form("/requests/watchlist", Permission.MEDIA_REQUEST, back=_PATH)
def switch_watchlist(visit: Visit) -> Response:
    """Opt in or out."""
    on = visit.entered(WatchlistForm)["on"]
    own.switch(visit.db, visit.identity.user_id, visit.actor, on=on)
    told = _("Your watchlist is read from now on.") if on else _("Your watchlist is not read any more.")
    return visit.go(_PATH, told)
