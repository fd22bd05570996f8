"""`/admin`: is all well, and if not, what is to be done?"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from flask import Response

from api.pages.admin import service_words, syncs
from api.pages.admin.queues import QUEUE_NAMES
from api.pages.admin.webhooks import inbox as webhooks
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.formats import listed
from api.pages.look.rendering import link
from api.pages.look.words import gettext as _
from api.pages.look.words import ngettext
from config.celery import QUEUES
from engine.downloads import budget
from engine.downloads.shown import failures
from engine.downloads.shown.failures import FailureCause
from engine.monitoring import heartbeats, queues, services
from engine.monitoring.queues import QueueState
from engine.monitoring.services import Service
from engine.permissions import Permission
from engine.plex.sync import runs
from engine.webhooks import inbox
from models.heartbeat import Heartbeat

pages = PageBlueprint("admin.overview")

_LATELY = timedelta(hours=24)
_FEW = 5  # syncs and webhooks


@dataclass(frozen=True)
class Trouble:
    """A problem that an admin has to look at.

    Attributes:
        name: as the sentence on top of the page enumerates it.
        path: where it is looked after.
    """

    name: str
    kind: str
    words: str
    about: str
    path: str


@pages.page("/admin", Permission.OPERATIONS_VIEW, own_units=True)
def overview_page(visit: Visit) -> Response:
    """How everything is, in one look."""
    health = visit.parts.health.check()
    with visit.runtime.reading() as db:
        found = services.listing(db, visit.runtime, health)
        states, workers = queues.overview(db, QUEUES), heartbeats.alive(db)
        causes = failures.by_cause(db, _LATELY)
        troubles = [*_of_services(found), *_of_queues(states)]
        return visit.show(
            "admin/overview.html",
            here="admin",
            sentence=_sentence(troubles),
            troubles=[
                (link(trouble.path), trouble.kind, trouble.words, trouble.about) for trouble in troubles
            ],
            services=sorted(found, key=lambda service: not service_words.is_ill(service)),
            words=service_words,
            queues=states,
            queue_names=QUEUE_NAMES,
            workers=workers,
            causes=causes,
            failed=sum(cause.count for cause in causes),
            disks=budget.disks(visit.settings),
            flower=visit.settings.flower_port != 0,
            version=version("medianest"),
            report=_report(found, states, workers, causes),
            syncs=runs.listing(db, page=1, limit=_FEW).items,
            sync_states=syncs.RUN_STATES,
            webhooks=inbox.listing(db, page=1, limit=_FEW).items,
            webhook_states=webhooks.STATES,
        )


def _sentence(troubles: Sequence[Trouble]) -> str:
    if not troubles:
        return _("All is well")
    return _("All is well but {names}").format(names=listed(trouble.name for trouble in troubles))


def _of_services(found: Sequence[Service]) -> list[Trouble]:
    return [
        Trouble(
            service_words.in_sentence(each.name),
            service_words.STATES[each.state][0],
            _("{name}: {state}").format(
                name=service_words.name_of(each.name),
                state=_(service_words.STATES[each.state][1]).lower(),
            ),
            service_words.advice_for(each),
            service_words.PLACES.get(each.name, "admin#services"),
        )
        for each in found
        if service_words.is_ill(each)
    ]


def _of_queues(states: Sequence[QueueState]) -> list[Trouble]:
    return [
        Trouble(
            _(QUEUE_NAMES[state.name]),
            "degraded",
            _("{name}: paused").format(name=_(QUEUE_NAMES[state.name])),
            ngettext(
                "One waits until you let it go on.", "%(num)d wait until you let them go on.", state.depth
            )
            % {"num": state.depth},
            "admin/queues",
        )
        for state in states
        if state.paused_at is not None
    ]


def _report(
    found: Sequence[Service],
    states: Sequence[QueueState],
    workers: Sequence[Heartbeat],
    causes: Sequence[FailureCause],
) -> str:
    """Plain text for a bug report, in English: no address, no name, no path and nothing secret."""
    lines = [
        f"MediaNest {version('medianest')}, Python {platform.python_version()}, {platform.system()}",
        f"at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "",
        *(f"{each.name}: {each.state}" + _product(each) for each in found),
        f"live workers: {len(workers)}",
        "",
        *(
            f"queue {state.name}: {state.depth} waiting, {state.delayed} later, {state.running} running"
            + (", paused" if state.paused_at else "")
            + (f", blocked: {state.blocked}" if state.blocked else "")
            for state in states
        ),
        "",
        "failed downloads, 24 h: " + (", ".join(f"{cause.count} {cause.kind}" for cause in causes) or "none"),
    ]
    return "\n".join(lines)


def _product(service: Service) -> str:
    """Product and version; empty for an integration, whose server has a private name."""
    return f", {service.about}" if service.about and service.name in {"database", "redis"} else ""
