"""`/plex/syncs` as an admin uses it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from door import Door, data_of, refused
from sqlalchemy import select
from syncing import Syncing, syncing

from engine.runtime import Runtime
from models.audit import AuditEntry
from tests.fakes.plex_server import populate

SYNCS = "/plex/syncs"


@pytest.fixture
def plex(runtime: Runtime) -> Iterator[Syncing]:
    with syncing(runtime) as made:
        populate(made.library, films=5, shows=1, episodes_per_show=3)
        yield made


def test_sync_by_hand_and_its_report(own_door: Door, plex: Syncing) -> None:
    admin = own_door.person("admin")

    answer = admin.post(SYNCS, json={})

    assert answer.status_code == 202
    row = data_of(answer)
    assert row["id"].startswith("sync-")
    assert answer.headers["Location"] == f"/api/v1/plex/syncs/{row['id']}"
    assert (row["status"], row["full"], row["trigger"], row["startedAt"]) == ("queued", False, "manual", None)
    again = admin.post(SYNCS, json={"full": True})
    assert (again.status_code, data_of(again)["id"], data_of(again)["full"]) == (200, row["id"], True)

    plex.attempt()

    report = data_of(admin.get(f"{SYNCS}/{row['id']}"))
    assert report["status"] == "completed"
    assert report["counts"] == {"created": 10, "updated": 0, "deleted": 0, "unchanged": 0}
    assert [line["title"] for line in report["sections"]] == ["Films", "TV Shows"]
    assert {change["change"] for change in report["changes"]} == {"added"}
    assert len(report["changes"]) == 10
    assert report["startedAt"] < report["finishedAt"]


def test_list_is_paged_and_filtered(own_door: Door, plex: Syncing) -> None:
    admin = own_door.person("admin")
    for _ in range(3):
        plex.sync()
    waiting = data_of(admin.post(SYNCS, json={}))
    page = data_of(admin.get(f"{SYNCS}?page=2&limit=2"))
    assert page["pagination"] | {"hasNext": None, "hasPrev": None} == {
        "page": 2, "totalPages": 2, "totalItems": 4, "itemsPerPage": 2, "hasNext": None, "hasPrev": None
    }  # fmt: skip
    assert [row["id"] for row in data_of(admin.get(f"{SYNCS}?status=queued"))["items"]] == [waiting["id"]]
    refused(admin.get(f"{SYNCS}?status=done"), 400, "VALIDATION_ERROR")


def test_cancelling(own_door: Door, plex: Syncing) -> None:
    admin = own_door.person("admin")
    row = data_of(admin.post(SYNCS, json={}))
    assert data_of(admin.delete(f"{SYNCS}/{row['id']}"))["status"] == "cancelled"
    refused(admin.delete(f"{SYNCS}/{row['id']}"), 409, "CONFLICT")
    refused(admin.delete(f"{SYNCS}/sync-nothing"), 404, "NOT_FOUND")
    refused(admin.get(f"{SYNCS}/sync-nothing"), 404, "NOT_FOUND")
    refused(admin.get(f"{SYNCS}/%00"), 404, "NOT_FOUND")
    refused(admin.delete(f"{SYNCS}/%00"), 404, "NOT_FOUND")
    assert not plex.attempt()
    with plex.runtime.reading() as db:
        entries = db.execute(select(AuditEntry.action, AuditEntry.actor_id, AuditEntry.subject_id)).all()
    assert [tuple(entry) for entry in entries] == [
        ("sync.started", admin.id, row["id"]),
        ("sync.cancelled", admin.id, row["id"]),
    ]


def test_failure_is_told_in_words(own_door: Door, plex: Syncing) -> None:
    admin = own_door.person("admin")
    plex.plex.library.owner.token = "another"
    run = plex.sync()
    error = data_of(admin.get(f"{SYNCS}/{run.id}"))["error"]
    assert (error["kind"], error["retryable"]) == ("unauthorized", False)
    assert "token" in error["message"]
    told = data_of(admin.get("/dashboard/notifications"))["items"]
    assert [(row["type"], row["subject"]) for row in told] == [
        ("sync.failed", {"kind": "sync", "id": run.id})
    ]


def test_without_a_server_and_without_permission(own_door: Door) -> None:
    refused(own_door.person("admin").post(SYNCS, json={}), 409, "CONFLICT")
    user = own_door.person("user")
    for answer in (user.get(SYNCS), user.post(SYNCS, json={}), user.delete(f"{SYNCS}/sync-1")):
        refused(answer, 403, "FORBIDDEN")
    refused(own_door.person("admin").post(SYNCS, json={"full": "yes"}), 400, "VALIDATION_ERROR")
