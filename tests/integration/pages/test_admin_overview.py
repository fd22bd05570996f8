"""The overview and the pages behind it: queues, syncs, webhooks, the audit log."""

from __future__ import annotations

from typing import Any

import pytest
from door import Door
from factories import make_download, make_user
from page_visits import PageVisits, title_of, words_of
from sqlalchemy import func, select

from config.celery import QUEUES
from engine.monitoring import beat_pulse
from engine.plex.sync import runs
from engine.webhooks import inbox
from models.audit import AuditEntry
from models.heartbeat import Heartbeat
from models.integration import Integration
from models.queue import Queue
from models.sync_run import SyncRun
from models.webhook import Webhook

_now = func.clock_timestamp


@pytest.fixture
def well(own_door: Door) -> PageVisits:
    """An admin of an installation of which all is well."""
    with own_door.runtime.unit_of_work() as db:
        db.add(Heartbeat(name="worker@here", queues=",".join(QUEUES), owner={}, seen_at=_now()))
    own_door.runtime.redis.set(beat_pulse.KEY, "1")
    own_door.runtime.settings.check_folders()
    return PageVisits(own_door, "admin")


def test_all_is_well_where_all_is(well: PageVisits) -> None:
    answer = well.get("admin")

    assert title_of(answer) == "All is well"
    said = words_of(answer)
    assert "Redis" in said
    assert "PostgreSQL" in said
    assert "one is there" in said
    assert "No download failed." in said


def test_the_sentence_names_what_is_not_well(well: PageVisits) -> None:
    checked = {"ok": False, "message": "Nothing listens there.", "at": "2026-11-12T18:31:00Z"}
    with well.door.runtime.unit_of_work() as db:
        db.add(
            Integration(
                name="overseerr",
                url="http://192.0.2.4:5055",
                token="not read",
                options={"checked": checked},
                updated_at=_now(),
            )
        )
        db.add(Queue(name="media", paused_at=_now(), paused_by=well.person.id))
    well.door.runtime.redis.delete(beat_pulse.KEY)

    answer = well.get("admin")

    assert title_of(answer) == "All is well but the timetable, Overseerr, and Looking at links"
    said = words_of(answer)
    assert "Overseerr: offline Nothing listens there." in said
    assert "Looking at links: paused" in said


def test_it_is_told_without_redis(as_admin: PageVisits) -> None:
    assert "Redis" in title_of(as_admin.get("admin"))


def test_failures_are_counted_by_cause(well: PageVisits) -> None:
    private = {"kind": "private", "message": "Somebody's words.", "advice": "", "retryable": False}
    with well.door.runtime.unit_of_work() as db:
        user = make_user(db)
        for _number in range(3):
            make_download(db, user, status="failed", ended_at=_now(), error=private)
        make_download(
            db, user, status="failed", ended_at=_now() - func.make_interval(0, 0, 0, 2), error=private
        )

    assert "The video is private. 3 " in well.see("admin")


def test_the_report_has_nothing_that_is_private(well: PageVisits) -> None:
    page = well.get("admin").text
    report = page[page.index('id="report-text"') : page.index("</textarea>")]

    assert "database: online, PostgreSQL" in report
    assert "queue downloads: 0 waiting" in report
    settings = well.door.runtime.settings
    for private in (settings.data_dir, settings.database_url, settings.redis_url, settings.secret_key, "@"):
        assert str(private) not in report


def test_a_queue_is_paused_and_resumed(well: PageVisits) -> None:
    assert "Downloads: nothing new begins." in well.told("admin/queues/downloads/pause")
    assert "Paused" in well.see("admin/queues")

    assert "Downloads: it goes on." in well.told("admin/queues/downloads/resume")
    assert "Paused" not in well.see("admin/queues")
    with well.door.runtime.reading() as db:
        actions = (
            select(AuditEntry.action).where(AuditEntry.actor_id == well.person.id).order_by(AuditEntry.id)
        )
        assert list(db.scalars(actions)) == ["queue.paused", "queue.resumed"]


def test_the_queue_of_the_housekeeping_says_why_not(well: PageVisits) -> None:
    assert "The maintenance queue can't be paused" in well.told("admin/queues/maintenance/pause")


def test_a_sync_needs_a_server(as_admin: PageVisits) -> None:
    assert title_of(as_admin.get("admin/syncs")) == "Plex is not connected yet"
    assert "No Plex server is configured." in as_admin.told("admin/syncs")


def test_syncs_are_listed_reported_and_cancelled(as_admin: PageVisits) -> None:
    section = {"key": "1", "title": "Films", "type": "movie", "mode": "full", "listed": 12, "heldBack": 0}
    section |= {"created": 3, "updated": 0, "deleted": 0, "unchanged": 9, "complete": True, "seconds": 2.0}
    with as_admin.door.runtime.unit_of_work() as db:
        run, _new = runs.start(db, full=True, trigger="night")
        run.sections = [section | {"note": None}]
        run.counts = {"created": 3, "updated": 0, "deleted": 0, "unchanged": 9}
        sync_id = run.id

    assert "everything, every night" in as_admin.see("admin/syncs")
    report = as_admin.see(f"admin/syncs/{sync_id}")
    assert "This sync waits for a worker" in report
    assert "Films all of it 12 3 0 0 2 sec" in report

    assert "The sync ends." in as_admin.told(f"admin/syncs/{sync_id}/cancel")
    assert title_of(as_admin.get(f"admin/syncs/{sync_id}")) == "This sync was cancelled"
    with as_admin.door.runtime.reading() as db:
        assert db.get_one(SyncRun, sync_id).status == "cancelled"


def received(door: Door, **payload: Any) -> str:
    """The id of a webhook that failed."""
    with door.runtime.unit_of_work() as db:
        found = inbox.receive(db, source="plex", payload=payload, address="192.0.2.7")
        row = db.get_one(Webhook, found.id)
        row.status, row.ended_at, row.attempt = "failed", _now(), 3
        row.error = {"kind": "x", "message": "Plex did not answer.", "advice": "Wait.", "retryable": True}
        return row.id


def test_webhooks_are_found_inspected_and_handled_again(as_admin: PageVisits) -> None:
    first = received(as_admin.door, event="library.new", note="<b>one</b>")
    second = received(as_admin.door, event="media.play")

    assert "media.play" not in as_admin.see("admin/webhooks?event=library.new&status=failed")
    page = as_admin.get(f"admin/webhooks/{first}")
    assert title_of(page) == "plex told us: library.new"
    assert "&lt;b&gt;one&lt;/b&gt;" in page.text
    assert "Plex did not answer." in page.text

    assert "It is handled again." in as_admin.told(f"admin/webhooks/{first}/replay")
    assert "One is handled again." in as_admin.told("admin/webhooks/replay", {"ids": [first, second]})
    with as_admin.door.runtime.reading() as db:
        assert {db.get_one(Webhook, each).status for each in (first, second)} == {"received"}


def test_who_did_what_can_be_found(as_admin: PageVisits) -> None:
    as_admin.told("admin/queues/media/pause")

    mine = as_admin.see(f"admin/audit?actor={as_admin.person.id}&action=queue.")
    assert "Paused a queue" in mine
    assert "Nothing fits" in as_admin.see(f"admin/audit?actor={as_admin.person.id}&to=2020-01-01")
    assert "Nothing fits" in as_admin.see(f"admin/audit?actor={as_admin.person.id}&outcome=denied")


@pytest.mark.parametrize("path", ["admin/syncs/sync-0", "admin/webhooks/wh-0", "admin/users/user-0"])
def test_what_is_not_there_is_said(as_admin: PageVisits, path: str) -> None:
    assert as_admin.get(path).status_code == 404
