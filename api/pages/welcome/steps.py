"""The steps of the first run: their order, their frame, and which one comes next."""

from __future__ import annotations

from typing import Any

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from api.pages.door.visit import Visit
from api.pages.look.rendering import link
from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from config.settings import Settings
from engine.integrations import integrations
from models.download import Download
from models.invitation import Invitation

STEPS = (
    ("welcome/you", marked("You")),
    ("welcome/plex", marked("Plex")),
    ("welcome/folders", marked("Folders")),
    ("welcome/keys", marked("Keys")),
    ("welcome/download", marked("A first download")),
    ("welcome/invite", marked("Invite")),
)
_PATHS = tuple(path for path, _words in STEPS)


def shown(visit: Visit, path: str, status: int = 200, **values: Any) -> Response:
    """A step as a page.

    Args:
        visit: the request.
        path: of the step; its template is named after it.
        status: of HTTP.
        values: that the template names.
    """
    at = _PATHS.index(path)
    return visit.show(
        f"{path}.html",
        status=status,
        steps=[(link(each.removesuffix("/you")), _(words)) for each, words in STEPS],
        number=at + 1,
        previous=_PATHS[at - 1] if at > 1 else "",
        following=_PATHS[at + 1] if at + 1 < len(_PATHS) else "",
        **values,
    )


def left_at(db: Session, settings: Settings) -> str:
    """The first step whose matter is not settled, by what is there; of keys all are optional."""
    plex = integrations.get(db, settings, "plex")
    if plex.enabled and not plex.configured:
        return "welcome/plex"
    if db.scalar(select(Download.id).limit(1)) is None:
        others = (integrations.get(db, settings, name) for name in ("overseerr", "tmdb"))
        is_set = bool(settings.smtp_url) or any(view.configured for view in others)
        return "welcome/download" if is_set else "welcome/folders"
    if db.scalar(select(Invitation.id).limit(1)) is None:
        return "welcome/invite"
    return ""
