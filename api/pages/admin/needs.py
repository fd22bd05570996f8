"""What needs an admin: failures of the last days, services that are away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from api.pages.admin.service_words import PLACES, STATES, advice_for, is_ill, name_of
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import ngettext
from engine.monitoring import services, troubles
from engine.permissions import Permission


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
    if visit.visitor.undecided:
        words = ngettext(
            "One request waits for you", "%(num)d requests wait for you", visit.visitor.undecided
        )
        about = _("Approve, or deny with a reason.")
        words = words % {"num": visit.visitor.undecided}
        found.append(Need("requests?view=pending", "undecided", words, about))
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
    health = visit.parts.health.check()
    found = []
    for service in services.listing(visit.db, visit.runtime, health):
        if not is_ill(service) or (service.name == "plex" and service.state == "degraded" and sync_failed):
            continue  # the failed sync is told already
        words = {"service": name_of(service.name), "state": _(STATES[service.state][1])}
        path = PLACES.get(service.name, "admin")
        found.append(Need(path, "degraded", _("%(service)s: %(state)s") % words, advice_for(service)))
    return found
