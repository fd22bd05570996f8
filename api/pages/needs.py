"""What needs an admin: failures of the last days, services that are away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import marked, ngettext
from engine.monitoring import troubles
from engine.permissions import Permission

_SERVICES = {
    "redis": (marked("Redis is away"), marked("What happens is shown later than usual.")),
    "workers": (marked("No worker is there"), marked("Downloads and syncs wait until one starts.")),
    "beat": (marked("The timetable stands still"), marked("Nothing that is due at times begins.")),
    "plex": (marked("Plex does not answer"), marked("The library shows what was there last.")),
}
_WORKERS_PARTLY = (marked("A worker is missing"), marked("A part of the work waits until it is back."))
_PLEX_PARTLY = (marked("Plex answers only in part"), marked("Look at its last sync."))


class Need(NamedTuple):
    """Something that asks for an admin.

    Attributes:
        path: where it is looked at, below the root of the site.
        kind: of `parts/status.html`.
        words: what it is.
        about: a little more.
    """

    path: str
    kind: str
    words: str
    about: str


def needs_of(visit: Visit) -> Sequence[Need]:
    """What needs the visitor; nothing for those who do not look after the installation."""
    if not visit.visitor.may(Permission.OPERATIONS_VIEW):
        return []
    seen = troubles.lately(visit.db)
    found = []
    if seen.downloads:
        words = ngettext("%(num)d download failed", "%(num)d downloads failed", seen.downloads)
        found.append(
            Need(
                "admin/downloads?status=failed",
                "failed",
                words % {"num": seen.downloads},
                _again(seen.retryable),
            )
        )
    if seen.sync_id:
        about = _("The library shows what was there before.")
        found.append(
            Need(f"admin/syncs/{seen.sync_id}", "failed", _("The last sync with Plex failed"), about)
        )
    if seen.webhooks:
        words = ngettext("%(num)d webhook failed", "%(num)d webhooks failed", seen.webhooks)
        about = _("Each can be worked on again.")
        found.append(Need("admin/webhooks?status=failed", "failed", words % {"num": seen.webhooks}, about))
    return [*found, *_services(visit, sync_failed=seen.sync_id is not None)]


def _again(retryable: int) -> str:
    words = ngettext("%(num)d of them can be tried again", "%(num)d of them can be tried again", retryable)
    return words % {"num": retryable} if retryable else _("In the last two days.")


def _services(visit: Visit, *, sync_failed: bool) -> Sequence[Need]:
    found = []
    for name, state in visit.parts.health.check().services.items():
        if name not in _SERVICES or state in {"online", "disabled"}:
            continue
        if name == "plex" and state == "degraded":
            if sync_failed:
                continue  # that is why
            words = _PLEX_PARTLY
        else:
            words = _WORKERS_PARTLY if state == "degraded" else _SERVICES[name]
        path = "admin/integrations" if name == "plex" else "admin"
        found.append(Need(path, "degraded", _(words[0]), _(words[1])))
    return found
