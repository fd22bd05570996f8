"""`/welcome/download`: paste a link, and watch the first download arrive."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.welcome import steps
from api.wire.fields import Schema, Text
from engine.downloads import downloads
from engine.downloads.shown import listing
from engine.permissions import Permission

pages = PageBlueprint("welcome_download")
_PATH = "welcome/download"


class FirstDownloadForm(Schema):
    """What to download."""

    url = Text(2000, strip=True, required=True)


@pages.page("/welcome/download", Permission.MEDIA_REQUEST)
def first_download_page(visit: Visit, **_path: Any) -> Response:
    """One's newest download, and a field for a link."""
    newest = listing.newest(visit.db, owner_id=visit.identity.user_id, status=None, page=1, limit=1).items
    return steps.shown(visit, _PATH, newest=newest[0] if newest else None)


@pages.form("/welcome/download", Permission.MEDIA_REQUEST, again=first_download_page)
def ask_for_first_download(visit: Visit) -> Response:
    """Ask for a video."""
    url = visit.entered(FirstDownloadForm)["url"]
    _row, new = downloads.create(visit.db, visit.settings, user_id=visit.identity.user_id, url=url)
    if new:
        visit.spend("downloads")
    return visit.go(_PATH)
