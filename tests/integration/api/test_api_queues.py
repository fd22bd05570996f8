"""Queues and priorities over HTTP, for those who look after them."""

from __future__ import annotations

from door import Door, Person, data_of, refused

from engine.downloads.sources import host_breaker

URL = "http://127.0.0.1/film.mp4"


def test_a_paused_queue_is_shown_and_says_so_to_who_waits(ann: Person, admin: Person) -> None:
    row = data_of(ann.post("/youtube/download", json={"url": URL}))
    paused = data_of(admin.post("/admin/queues/downloads/pause"))
    assert (paused["name"], paused["paused"], paused["pausedBy"]) == ("downloads", True, admin.id)
    assert data_of(ann.get(f"/youtube/downloads/{row['id']}"))["waitingFor"]["kind"] == "paused"
    (listed,) = data_of(ann.get("/youtube/downloads"))["items"]
    assert listed["waitingFor"]["message"] == "An admin has paused the downloads."
    assert data_of(admin.post("/admin/queues/downloads/resume"))["paused"] is False
    assert data_of(ann.get(f"/youtube/downloads/{row['id']}"))["waitingFor"]["kind"] == "turn"


def test_all_queues_are_listed_with_throttled_hosts(door: Door, admin: Person) -> None:
    with door.runtime.unit_of_work() as db:
        host_breaker.throttle(db, "youtube", "bot_check", 900)
    rows = data_of(admin.get("/admin/queues"))["queues"]
    assert [row["name"] for row in rows] == [
        "downloads", "plex", "webhooks", "media", "notifications", "requests", "maintenance",
    ]  # fmt: skip
    (host,) = rows[0]["throttledHosts"]
    assert (host["host"], host["reason"]) == ("youtube", "bot_check")
    assert host["until"].endswith("Z")


def test_queues_that_can_not_be_paused(admin: Person) -> None:
    refused(admin.post("/admin/queues/films/pause"), 404, "NOT_FOUND")
    refused(admin.post("/admin/queues/maintenance/pause"), 409, "CONFLICT")


def test_priority_moves_what_waits(ann: Person, admin: Person) -> None:
    row = data_of(ann.post("/youtube/download", json={"url": URL + "?2"}))
    path = f"/admin/downloads/{row['id']}"
    assert data_of(admin.request("PATCH", path, json={"priority": 3}))["priority"] == 3
    refused(admin.request("PATCH", path, json={"priority": 11}), 400, "VALIDATION_ERROR")
    refused(admin.request("PATCH", path, json={"priority": "up"}), 400, "VALIDATION_ERROR")
    ann.delete(f"/youtube/downloads/{row['id']}")
    refused(admin.request("PATCH", path, json={"priority": 1}), 409, "CONFLICT")


def test_who_does_not_look_after_them_may_not(ann: Person) -> None:
    refused(ann.get("/admin/queues"), 403, "FORBIDDEN")
    refused(ann.post("/admin/queues/downloads/pause"), 403, "FORBIDDEN")
    refused(ann.post("/admin/queues/downloads/resume"), 403, "FORBIDDEN")
    refused(ann.request("PATCH", "/admin/downloads/dl-1", json={"priority": 1}), 403, "FORBIDDEN")
