"""`/`: what of mine moves, what has just arrived; for admins what needs somebody."""

from __future__ import annotations

from importlib.metadata import version

from flask import Response, request

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.wire.envelope import bare
from api.wire.unversioned_paths import PREFIX
from engine.permissions import Permission

pages = PageBlueprint("home")


@pages.before_request
def tell_programs() -> Response | None:
    """Answer a program that asks the root of the site for JSON with what is here."""
    if request.accept_mimetypes.best != "application/json":
        return None
    documentation = f"{request.script_root}{PREFIX}/docs"
    return bare({"name": "MediaNest", "version": version("medianest"), "documentation": documentation})


@pages.page("/", Permission.PROFILE_READ)
def home_page(visit: Visit) -> Response:
    """The first page."""
    return visit.show("home.html")
