"""Webhooks of Overseerr and Seerr: they only say where to look, whatever their template holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from door import API, Person, data_of
from sqlalchemy import text
from village import Village

from engine.jobs.runner import run_next
from engine.webhooks import secrets
from engine.webhooks.work import WEBHOOK, work
from tests.fakes.overseerr_server import APPROVED, DECLINED

FILM = {"tmdbId": "949", "mediaType": "movie"}


def told(village: Village, message: Any) -> tuple[str, str]:
    """Have Overseerr tell something; status and outcome of the webhook."""
    with village.runtime.reading() as db:
        proof = secrets.overseerr_authorization(db, village.door.runtime.settings)
    headers = {"Authorization": proof}
    answer = village.door.stranger().post(f"{API}/webhooks/overseerr", json=message, headers=headers)
    assert answer.status_code == 200
    assert run_next(village.runtime, WEBHOOK, work)
    village.work()
    with village.runtime.reading() as db:
        row = db.execute(text("SELECT status, outcome FROM webhooks ORDER BY id DESC LIMIT 1")).one()
    return str(row.status), str(row.outcome)


@pytest.fixture
def admin(seerr_village: Village) -> Person:
    return seerr_village.door.person("admin")


def rows(admin: Person) -> list[tuple[str, str]]:
    return [(row["tmdbId"], row["status"]) for row in data_of(admin.get("/admin/requests"))["items"]]


@pytest.mark.parametrize(
    "message",
    [
        {"request": {"request_id": "{number}"}},
        {"media": {"tmdbId": "949", "media_type": "movie"}, "request": {"request_id": ""}},
        {"media": {"tmdbId": 949, "title": "Heat"}},
        {"media": {"tmdb_id": "949"}, "request": None, "extra": "{{extra}}"},
        {"media": {"tmdbId": "949", "media_type": "{{media_type}}"}, "request": {"request_id": "999999"}},
    ],
    ids=["number", "title", "seed", "snake", "leftovers"],
)
def test_a_request_that_was_made_there_appears_here(
    seerr_village: Village, admin: Person, message: dict[str, Any]
) -> None:
    made = seerr_village.overseerr.made("movie", 949)
    said = json.loads(json.dumps(message).replace("{number}", str(made["id"])))
    for _ in range(2):
        status, _ = told(seerr_village, {"notification_type": "MEDIA_PENDING", **said})
        assert status == "processed"
        assert rows(admin) == [("949", "pending")]
        with seerr_village.runtime.unit_of_work() as db:
            db.execute(text("UPDATE webhooks SET created_at = created_at - interval '1 hour'"))


def test_what_it_says_is_not_believed(seerr_village: Village, admin: Person) -> None:
    ann = seerr_village.door.person()
    row = data_of(ann.post("/media/request", json=FILM))
    admin.post(f"/media/requests/{row['id']}/approve", json={})
    seerr_village.work()
    (made,) = seerr_village.overseerr.requests.values()
    message = {"media": {"tmdbId": "949", "media_type": "movie", "status": "AVAILABLE"}}
    message["request"] = {"request_id": str(made["id"])}

    for event in ("MEDIA_AVAILABLE", "MEDIA_DECLINED", "MEDIA_FAILED"):
        told(seerr_village, {"notification_type": event, **message})
        assert rows(admin) == [("949", "processing")]
    with seerr_village.runtime.reading() as db:
        assert db.scalar(text("SELECT count(*) FROM sync_runs WHERE trigger = 'webhook'")) == 1

    made["status"] = DECLINED
    told(seerr_village, {"notification_type": "MEDIA_DECLINED", **message, "image": "x"})
    assert rows(admin) == [("949", "failed")]


def test_one_that_names_nothing_has_all_compared(seerr_village: Village) -> None:
    status, outcome = told(seerr_village, {"notification_type": "MEDIA_PENDING", "media": [], "request": "x"})
    assert status == "processed"
    assert "all requests are compared" in outcome


@pytest.mark.parametrize("fault", ["403", "html", "odd", "reset"])
def test_an_overseerr_that_dies_behind_its_message(seerr_village: Village, admin: Person, fault: str) -> None:
    made = seerr_village.overseerr.made("movie", 949)
    seerr_village.overseerr.fault = fault
    message = {"notification_type": "MEDIA_PENDING", "request": {"request_id": str(made["id"])}}
    assert told(seerr_village, message)[0] == "processed"
    assert rows(admin) == []
    seerr_village.overseerr.fault = None
    seerr_village.compare()
    assert rows(admin) == [("949", "pending")]


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("test_notification", "processed"),
        ("media_pending_movie", "processed"),
        ("media_auto_approved_movie", "processed"),
        ("media_available_series", "processed"),
        ("issue_created_movie", "processed"),
        ("issue_reported_custom_template", "ignored"),
    ],
)
def test_recorded_ones(
    seerr_village: Village, admin: Person, fixtures: Callable[[str], Path], name: str, status: str
) -> None:
    message = json.loads(fixtures(f"overseerr/webhooks/{name}.json").read_bytes())
    numbers = message.get("media") or {}
    if tmdb_id := numbers.get("tmdbId"):
        kind = "tv" if numbers.get("media_type") == "tv" else "movie"
        seerr_village.overseerr.known[kind, int(tmdb_id)] = {"title": "Told", "tvdb": 1}
        seerr_village.overseerr.made(
            kind, int(tmdb_id), status=APPROVED, seasons=(1,) if kind == "tv" else ()
        )
    assert told(seerr_village, message)[0] == status
    expected = [(tmdb_id, "processing")] if name.startswith("media_") else []
    assert rows(admin) == expected
    told_admin = [type_ for type_, _ in seerr_village.notices(admin.id)]
    assert told_admin == (["overseerr.issue"] if name == "issue_created_movie" else [])
