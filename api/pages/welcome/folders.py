"""`/welcome/folders`: whether downloads can be written, and whether Plex sees them."""

from __future__ import annotations

import os
import shutil
from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.welcome import steps
from api.wire.fields import Schema, Text
from engine.integrations import integrations
from engine.permissions import Permission
from engine.plex.server import download_folder

pages = PageBlueprint("welcome_folders")


class FolderForm(Schema):
    """How the Plex server spells the folder of the downloads."""

    plex = Text(1000, strip=True, required=True)


@pages.page("/welcome/folders", Permission.INTEGRATIONS_CONFIGURE)
def folders_page(visit: Visit, **_path: Any) -> Response:
    """Where downloads go, and in which libraries they arrive."""
    folder = visit.settings.download_dir
    writable = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    view = integrations.get(visit.db, visit.settings, "plex")
    pairs = {pair["ours"]: pair["plex"] for pair in view.options.get("paths") or ()}
    return steps.shown(
        visit,
        "welcome/folders",
        folder=folder,
        writable=writable,
        free=shutil.disk_usage(folder).free if writable else 0,
        view=view,
        libraries=download_folder.libraries(visit.db, visit.settings),
        plex_folder=pairs.get(str(folder), str(folder)),
    )


@pages.form("/welcome/folders", Permission.INTEGRATIONS_CONFIGURE, again=folders_page, own_units=True)
def name_folder(visit: Visit) -> Response:
    """Say how the Plex server spells the folder of the downloads."""
    ours, theirs = str(visit.settings.download_dir), visit.entered(FolderForm)["plex"]
    with visit.runtime.reading() as db:
        known = integrations.get(db, visit.settings, "plex").options.get("paths") or ()
    pairs = [pair for pair in known if pair["ours"] != ours]
    if theirs != ours:
        pairs.append({"ours": ours, "plex": theirs})
    integrations.configure(visit.runtime, "plex", {"paths": pairs}, visit.actor)
    return visit.go("welcome/folders", _("Noted."))
