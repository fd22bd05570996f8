"""Tasks of the timetable: each takes its slot first, so that it runs once however many beats fire."""

from __future__ import annotations

import time
from datetime import timedelta

from engine import audit, paging
from engine.accounts import password_reset
from engine.downloads.previews import previews
from engine.identity import api_keys, sessions, socket_tickets
from engine.job_names import Job, periods
from engine.job_registry import KINDS
from engine.jobs.reconcile import reconcile as reconcile_jobs
from engine.jobs.slots import forget_slots, take_slot
from engine.mails import mails
from engine.monitoring.heartbeats import forget_dead
from engine.notifications import notifications
from engine.plex.sync import schedule as sync_schedule
from engine.webhooks import inbox
from tasks.app import app, bells_in_queue, runtime, settings
from tasks.outages import outlived

PERIODS = periods(settings)


@app.task(name=Job.RECONCILE.value)
def reconcile() -> None:
    """Give back what dead workers held, and ring for what waits in silence."""
    with outlived(Job.RECONCILE):
        with runtime().unit_of_work() as db:
            taken = take_slot(db, Job.RECONCILE.value, PERIODS[Job.RECONCILE])
        if taken:
            reconcile_jobs(runtime(), KINDS, bells_in_queue)


@app.task(name=Job.CLEAN_UP.value)
def clean_up() -> None:
    """Drop what has served its time."""
    with outlived(Job.CLEAN_UP), runtime().unit_of_work() as db:
        if take_slot(db, Job.CLEAN_UP.value, PERIODS[Job.CLEAN_UP]):
            paging.compact_counts(db)
            previews.forget_old(db, timedelta(hours=1))
            forget_slots(db, timedelta(days=7))
            forget_dead(db)
            sessions.forget_old(db, timedelta(days=30))
            socket_tickets.forget_old(db)
            api_keys.forget_old(db, timedelta(days=30))
            audit.forget_old(db, timedelta(days=runtime().settings.audit_days))
            password_reset.forget_old(db, timedelta(days=1))
            mails.forget_old(db, timedelta(days=7))
            notifications.forget_old(db, timedelta(days=90))
            inbox.forget_old(db, inbox.RETENTION)
            sync_schedule.forget_old(db, timedelta(days=30))


@app.task(name=Job.NOOP.value)
def noop(token: str) -> None:
    """Do nothing, and say when: the API's performance page measures the way here."""
    key = f"medianest:noop:{token}"
    pipe = runtime().redis.pipeline()
    pipe.lpush(key, repr(time.time()))
    pipe.expire(key, 60)
    pipe.execute()
