"""`/admin/downloads`: the downloads of all users."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.downloads.own import listed
from api.wire.fields import Choice, PageQuery, Text
from engine.accounts import user_list, users
from engine.downloads.shown import listing
from engine.permissions import Permission

pages = PageBlueprint("admin_downloads")

HERE = "admin/downloads"
_MOST_USERS = 100  # that a filter may mean


class AllDownloadsQuery(PageQuery):
    """Which downloads, of whom."""

    status = Choice(list(listing.VIEWS))
    query = Text(100, strip=True)
    user = Text(100, strip=True)


@pages.page("/admin/downloads", Permission.REQUESTS_MANAGE, query=AllDownloadsQuery)
def all_downloads_page(visit: Visit, query: dict[str, Any]) -> Response:
    """The downloads of all users, or of those whose name or address has these words in it."""
    owner_ids, user = None, query.get("user")
    if user:
        found = user_list.listing(visit.db, page=1, limit=_MOST_USERS, search=user)
        owner_ids = [each.id for each in found.items]
    shown = listed(visit, visit.db, query, owner_ids, HERE, **({"user": user} if user else {}))
    names = users.names(visit.db, {row.user_id for row in shown["found"].items})
    return visit.show("admin/downloads.html", HERE, user=user, names=names, list=shown)
