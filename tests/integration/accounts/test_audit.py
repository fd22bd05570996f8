"""The audit log: who did what to whom, from where; found by filters, forgotten in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from door import Door, Person, data_of, refused
from factories import make_download
from sqlalchemy import func, select, text, update

from engine import audit
from engine.audit import SERVER, Actor, Subject
from engine.errors import Conflict
from models.audit import AuditEntry
from models.user import User

COOKIES = "# Netscape HTTP Cookie File\n.example.com\tTRUE\t/\tTRUE\t4102444800\tSID\tvery-secret-value\n"


@pytest.fixture(autouse=True)
def nothing_yet(door: Door) -> None:
    with door.runtime.unit_of_work() as db:
        db.execute(text("TRUNCATE audit_entries"))


def entries(admin: Person, query: str = "") -> list[Any]:
    return list(data_of(admin.get(f"/admin/audit{query}"))["items"])


def actions(admin: Person, query: str = "") -> list[str]:
    return [entry["action"] for entry in entries(admin, query)]


class TestReading:
    def test_an_entry_says_who_what_whom_and_whence(self, door: Door, admin: Person) -> None:
        bob = door.person()
        headers = {"X-Correlation-ID": "trace-7"}
        admin.request("PATCH", f"/admin/users/{bob.id}/role", json={"role": "guest"}, headers=headers)

        (entry,) = entries(admin)

        assert entry.pop("id").startswith("aud-")
        assert datetime.fromisoformat(entry.pop("at")) <= datetime.now(UTC)
        assert entry["details"].pop("via").startswith("ses-")
        assert entry == {
            "action": "user.role_changed",
            "outcome": "success",
            "actor": {"id": admin.id, "name": "Ann"},
            "subject": {"kind": "user", "id": bob.id, "name": "Ann"},
            "address": "127.0.0.1",
            "correlationId": "trace-7",
            "details": {"before": "user", "after": "guest"},
        }

    def test_of_the_server_there_is_no_actor(self, admin: Person, door: Door) -> None:
        with door.runtime.unit_of_work() as db:
            audit.record(db, "user.disabled", SERVER)

        (entry,) = entries(admin)

        assert (entry["actor"], entry["subject"], entry["address"], entry["details"]) == (None,) * 4

    def test_names_stay_as_they_were(self, door: Door, admin: Person) -> None:
        bob = door.person("admin")
        bob.request("PATCH", "/users/me", json={"name": "Robert"})
        admin.delete(f"/admin/users/{bob.id}")

        deleted, renamed = entries(admin)

        assert deleted["subject"]["name"] == "Robert"
        assert renamed["actor"]["name"] == "Robert"
        assert renamed["details"]["changes"]["name"] == {"before": "Ann", "after": "Robert"}

    def test_pages_are_newest_first(self, admin: Person, door: Door) -> None:
        with door.runtime.unit_of_work() as db:
            for number in range(5):
                audit.record(db, f"test.number_{number}", SERVER)

        data = data_of(admin.get("/admin/audit?page=2&limit=2"))

        assert [entry["action"] for entry in data["items"]] == ["test.number_2", "test.number_1"]
        assert data["pagination"] == {
            "page": 2,
            "totalPages": 3,
            "totalItems": 5,
            "itemsPerPage": 2,
            "hasNext": True,
            "hasPrev": True,
        }

    def test_is_filtered_by_everything(self, door: Door, admin: Person) -> None:
        bob = door.person()
        with door.runtime.unit_of_work() as db:
            audit.record(db, "user.created", Actor(admin.id, None, "10.0.0.1"), Subject("user", bob.id))
            audit.record(db, "user.deleted", Actor(bob.id, None, "10.0.0.2"), Subject("user", "user-x"))
            audit.record(db, "userland.x", Actor(bob.id, None, "10.1.0.1"), outcome="denied")
            audit.record(db, "auth.signed_in", Actor(bob.id, None, "192.168.1.1"), outcome="failure")

        assert actions(admin, f"?actor={admin.id}") == ["user.created"]
        assert actions(admin, "?action=user.deleted") == ["user.deleted"]
        assert actions(admin, "?action=user.") == ["user.deleted", "user.created"]
        assert actions(admin, "?action=user") == []
        assert actions(admin, f"?subject={bob.id}") == ["user.created"]
        assert actions(admin, "?outcome=denied") == ["userland.x"]
        assert actions(admin, "?address=10.0.0.1") == ["user.created"]
        assert actions(admin, "?address=10.0.") == ["user.deleted", "user.created"]
        assert actions(admin, f"?actor={bob.id}&outcome=failure") == ["auth.signed_in"]
        assert actions(admin, "?action=%25.") == []

    def test_and_by_time(self, admin: Person, door: Door) -> None:
        with door.runtime.unit_of_work() as db:
            for name in ("early", "middle", "late"):
                audit.record(db, name, SERVER)
            db.flush()
            for day, name in enumerate(("early", "middle", "late"), 1):
                at = datetime(2026, 1, day, 12, tzinfo=UTC)
                db.execute(update(AuditEntry).where(AuditEntry.action == name).values(created_at=at))

        assert actions(admin, "?from=2026-01-02T12:00:00Z") == ["late", "middle"]
        assert actions(admin, "?to=2026-01-02T12:00:00Z") == ["early"]
        assert actions(admin, "?from=2026-01-02T00:00:00%2B02:00&to=2026-01-03T00:00:00Z") == ["middle"]
        assert actions(admin, "?from=2026-01-03T00:00:00Z&to=2026-01-01T00:00:00Z") == []
        assert actions(admin, "?from=0001-01-01T00:00:00%2B14:00&to=9999-12-31T23:59:59-14:00") != []

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("outcome=maybe", "outcome"),
            ("from=yesterday", "from"),
            ("to=2026-01-01T00:00:00", "to"),
            ("actor=", "actor"),
            ("action=%00", "action"),
            ("address=" + "x" * 301, "address"),
            ("limit=0", "limit"),
            ("since=2026-01-01T00:00:00Z", "since"),
        ],
    )
    def test_takes_nothing_but_what_is_documented(self, admin: Person, query: str, field: str) -> None:
        error = refused(admin.get(f"/admin/audit?{query}"), 400, "VALIDATION_ERROR")

        assert list(error["details"]) == [field]

    def test_is_for_those_who_look_after_users(self, door: Door) -> None:
        refused(door.person().get("/admin/audit"), 403, "FORBIDDEN")


class TestWriting:
    def test_stands_or_falls_with_the_change(self, door: Door, admin: Person) -> None:
        with pytest.raises(Conflict), door.runtime.unit_of_work() as db:
            audit.record(db, "user.deleted", SERVER)
            db.flush()
            raise Conflict("No.")

        assert entries(admin) == []

    def test_who_reaches_above_themselves_is_written_down(self, door: Door, admin: Person) -> None:
        chief, bob = door.person("super_admin"), door.person()
        new = {"email": "x@example.com", "name": "X", "password": "long enough", "role": "super_admin"}

        answers = [
            admin.delete(f"/admin/users/{chief.id}"),
            admin.request("PATCH", f"/admin/users/{chief.id}", json={"disabled": True}),
            admin.request("PATCH", f"/admin/users/{bob.id}/role", json={"role": "super_admin"}),
            admin.post("/admin/users", json=new),
        ]

        for answer in answers:
            refused(answer, 403, "FORBIDDEN")
        found = entries(admin)
        assert [(entry["action"], entry["subject"]["id"]) for entry in found] == [
            ("user.created", None),
            ("user.role_changed", bob.id),
            ("user.updated", chief.id),
            ("user.deleted", chief.id),
        ]
        assert {entry["outcome"] for entry in found} == {"denied"}

    def test_what_is_refused_for_another_reason_is_not(self, door: Door, admin: Person) -> None:
        bob = door.person()
        refused(
            admin.request("PATCH", f"/admin/users/{bob.id}", json={"email": admin.email}), 409, "CONFLICT"
        )
        refused(admin.delete("/admin/users/user-0"), 404, "NOT_FOUND")

        assert entries(admin) == []

    def test_lacking_a_permission_is_written_down(self, door: Door, admin: Person) -> None:
        ann = door.person()
        refused(ann.get("/admin/users"), 403, "FORBIDDEN")

        (entry,) = entries(admin)

        assert (entry["action"], entry["outcome"], entry["actor"]["id"]) == (
            "access.denied",
            "denied",
            ann.id,
        )
        assert entry["details"]["permission"] == "users.manage"

    def test_so_is_what_an_admin_does_to_others_downloads(self, door: Door, admin: Person) -> None:
        bob = door.person()
        with door.runtime.unit_of_work() as db:
            user = db.get_one(User, bob.id)
            queued = make_download(db, user, title="A film").id
            failed = make_download(db, user, status="failed", ended_at=func.now()).id

        admin.request("PATCH", f"/admin/downloads/{queued}", json={"priority": 5})
        admin.delete(f"/youtube/downloads/{queued}")
        admin.post(f"/youtube/downloads/{failed}/retry")

        retried, cancelled, moved = entries(admin)
        assert (moved["action"], moved["details"]["priority"]) == ("download.priority_changed_by_admin", 5)
        assert cancelled["action"] == "download.deleted_by_admin"
        assert cancelled["subject"] == {"kind": "download", "id": queued, "name": "A film"}
        assert (cancelled["details"]["owner"], cancelled["details"]["status"]) == (bob.id, "cancelled")
        assert (retried["action"], retried["subject"]["id"]) == ("download.retried_by_admin", failed)
        assert {entry["actor"]["id"] for entry in (moved, cancelled, retried)} == {admin.id}

    def test_but_not_what_one_does_to_ones_own(self, door: Door, admin: Person) -> None:
        with door.runtime.unit_of_work() as db:
            mine = make_download(db, db.get_one(User, admin.id)).id

        admin.delete(f"/youtube/downloads/{mine}")
        admin.post(f"/youtube/downloads/{mine}/retry")

        assert entries(admin) == []

    def test_so_are_queues_held_and_let_go(self, admin: Person) -> None:
        admin.post("/admin/queues/downloads/pause")
        admin.post("/admin/queues/downloads/resume")
        admin.post("/admin/queues/nothing/pause")

        assert actions(admin) == ["queue.resumed", "queue.paused"]
        assert entries(admin)[0]["subject"] == {"kind": "queue", "id": "downloads", "name": "downloads"}

    def test_so_are_cookies_but_never_their_values(self, admin: Person, door: Door) -> None:
        admin.request("PUT", "/admin/cookies", json={"cookies": COOKIES})
        admin.delete("/admin/cookies")

        deleted, stored = entries(admin)

        assert (stored["action"], deleted["action"]) == ("cookies.stored", "cookies.deleted")
        with door.runtime.unit_of_work() as db:
            dump = str(db.execute(text("SELECT to_jsonb(a) FROM audit_entries a")).all())
        assert "very-secret-value" not in dump


def test_old_entries_are_forgotten(admin: Person, door: Door) -> None:
    with door.runtime.unit_of_work() as db:
        for name in ("old", "young"):
            audit.record(db, name, SERVER)
        db.flush()
        past = func.now() - timedelta(days=366)
        db.execute(update(AuditEntry).where(AuditEntry.action == "old").values(created_at=past))

    with door.runtime.unit_of_work() as db:
        audit.forget_old(db, timedelta(days=365))

    with door.runtime.unit_of_work() as db:
        assert db.scalars(select(AuditEntry.action)).all() == ["young"]
