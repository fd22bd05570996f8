"""`/admin/syncs`: bringing the catalogue in step with Plex: what was done, and doing it now."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from api.wire.fields import Choice, Flag, PageQuery, Schema
from engine.integrations import integrations
from engine.permissions import Permission
from engine.plex.server import connection
from engine.plex.sync import runs

pages = PageBlueprint("admin.syncs")

_SHOWN = 200  # changes of one sync

RUN_STATES = {  # by status: the kind of status, and its word
    "queued": ("waiting", marked("Waiting")),
    "running": ("moving", marked("Running")),
    "completed": ("done", marked("Done")),
    "failed": ("failed", marked("Failed")),
    "cancelled": ("cancelled", marked("Cancelled")),
}
_TRIGGERS = {
    "schedule": marked("by the timetable"),
    "night": marked("every night"),
    "manual": marked("by hand"),
    "push": marked("told by Plex"),
    "webhook": marked("told by a webhook"),
}
_MODES = {
    "full": marked("all of it"),
    "incremental": marked("what changed"),
    "unchanged": marked("nothing had changed"),
    "counted": marked("only counted"),
    "gone": marked("not there any more"),
    "items": marked("single titles"),
    "failed": marked("failed"),
}
_TYPES = {
    "movie": marked("Film"),
    "show": marked("Series"),
    "season": marked("Season"),
    "episode": marked("Episode"),
    "artist": marked("Artist"),
    "album": marked("Album"),
    "track": marked("Track"),
}
_CHANGES = {
    "added": ("done", marked("Added")),
    "updated": ("moving", marked("Changed")),
    "removed": ("cancelled", marked("Removed")),
    "restored": ("done", marked("Back again")),
    "moved": ("moving", marked("Moved")),
}


class SyncsFilter(PageQuery):
    """Which syncs."""

    status = Choice(runs.STATUSES)


class SyncForm(Schema):
    """Which sync."""

    full = Flag(load_default=False)


@pages.page("/admin/syncs", Permission.INTEGRATIONS_CONFIGURE, query=SyncsFilter)
def syncs_page(visit: Visit, query: dict[str, Any]) -> Response:
    """All syncs, the newest first."""
    return visit.show(
        "admin/syncs.html",
        here="admin",
        found=runs.listing(visit.db, **query),
        chosen=query.get("status", ""),
        plex=integrations.get(visit.db, visit.settings, integrations.PLEX.name),
        states=RUN_STATES,
        triggers=_TRIGGERS,
    )


@pages.form("/admin/syncs", Permission.INTEGRATIONS_CONFIGURE, back="admin/syncs", limit="work")
def start_sync(visit: Visit) -> Response:
    """Start a sync, or join the one that is there."""
    full = visit.entered(SyncForm)["full"]
    run, new = runs.start_by_hand(visit.db, visit.settings, full=full, actor=visit.actor)
    told = _("The sync is on its way.") if new else _("A sync is on its way already: this is it.")
    return visit.go(f"admin/syncs/{run.id}", told)


@pages.page("/admin/syncs/<id:sync_id>", Permission.INTEGRATIONS_CONFIGURE)
def sync_page(visit: Visit, sync_id: str) -> Response:
    """One sync: each library, and each title that changed."""
    connection.refuse_if_off(visit.settings)
    run = runs.get(visit.db, sync_id)
    return visit.show(
        "admin/sync.html",
        here="admin",
        run=run,
        changes=runs.changes(visit.db, run.id, limit=_SHOWN),
        states=RUN_STATES,
        triggers=_TRIGGERS,
        modes=_MODES,
        types=_TYPES,
        kinds=_CHANGES,
    )


@pages.form("/admin/syncs/<id:sync_id>/cancel", Permission.INTEGRATIONS_CONFIGURE, back="admin/syncs")
def cancel_sync(visit: Visit, sync_id: str) -> Response:
    """Cancel a sync; what it has written stays."""
    runs.cancel_by_hand(visit.db, sync_id, visit.actor)
    return visit.go(visit.back("admin/syncs"), _("The sync ends. What it has written stays."))
