"""`/admin/queues`: what waits, what runs, who works on it; pausing and resuming."""

from __future__ import annotations

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from config.celery import QUEUES
from engine.accounts import users
from engine.monitoring import heartbeats, queues
from engine.permissions import Permission

pages = PageBlueprint("admin.queues")

QUEUE_NAMES = {
    "downloads": marked("Downloads"),
    "plex": marked("Plex"),
    "webhooks": marked("Webhooks"),
    "media": marked("Looking at links"),
    "notifications": marked("Mails"),
    "requests": marked("Requests"),
    "maintenance": marked("Housekeeping"),
}


@pages.page("/admin/queues", Permission.OPERATIONS_VIEW)
def queues_page(visit: Visit) -> Response:
    """The queues and the workers that serve them."""
    states = queues.overview(visit.db, QUEUES)
    workers = heartbeats.alive(visit.db)
    return visit.show(
        "admin/queues.html",
        here="admin",
        queues=states,
        queue_names=QUEUE_NAMES,
        never_paused=queues.NEVER_PAUSED,
        pausers=users.names(visit.db, {state.paused_by for state in states if state.paused_by}),
        workers=[(worker, worker.queues.split(",")) for worker in workers],
        serving={name: sum(name in worker.queues.split(",") for worker in workers) for name in QUEUES},
        at_once=visit.settings.download_concurrency,
    )


@pages.form("/admin/queues/<id:name>/pause", Permission.REQUESTS_MANAGE, back="admin/queues")
def pause_queue(visit: Visit, name: str) -> Response:
    """Pause a queue."""
    state = queues.pause(visit.db, QUEUES, name, visit.actor)
    told = _("{queue}: nothing new begins. What runs goes on to its end.")
    return visit.go(visit.back("admin/queues"), told.format(queue=_(QUEUE_NAMES[state.name])))


@pages.form("/admin/queues/<id:name>/resume", Permission.REQUESTS_MANAGE, back="admin/queues")
def resume_queue(visit: Visit, name: str) -> Response:
    """Let a queue go on."""
    state = queues.resume(visit.db, QUEUES, name, visit.actor)
    told = _("{queue}: it goes on.")
    return visit.go(visit.back("admin/queues"), told.format(queue=_(QUEUE_NAMES[state.name])))
