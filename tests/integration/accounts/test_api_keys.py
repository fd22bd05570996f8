"""API keys: made and ended by their owner, shown once, never able to do more than they may at the time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from door import API, Door, Person, data_of, refused
from sqlalchemy import func, select, text, update

from engine.identity import api_keys
from engine.identity.api_keys import MOST_KEYS
from engine.permissions import Permission
from engine.runtime import Runtime
from models.api_key import ApiKey
from models.audit import AuditEntry
from models.user import User

READ = ["profile.read"]


def make(person: Person, permissions: Any = READ, **more: Any) -> Any:
    body = {"name": "phone", "permissions": permissions, **more}
    return person.post("/users/me/api-keys", json=body)


def by_key(door: Door, key: str, path: str = "/users/me", method: str = "GET", **more: Any) -> Any:
    return door.stranger().open(API + path, method=method, headers={"X-Api-Key": key}, **more)


def change(runtime: Runtime, key_id: str, **values: Any) -> None:
    with runtime.unit_of_work() as db:
        db.execute(update(ApiKey).where(ApiKey.id == key_id).values(**values))


def test_a_key_in_the_place_of_a_token_gets_a_hint(door: Door, ann: Person) -> None:
    key = data_of(make(ann))["key"]
    answer = door.stranger().get(f"{API}/users/me", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 401
    assert "X-Api-Key" in answer.get_json()["error"]["message"]


class TestMaking:
    def test_a_key_is_shown_once_and_stored_hashed(self, door: Door, ann: Person) -> None:
        answer = make(ann, ["profile.read", "media.read", "profile.read"], name=" phone ")

        made = data_of(answer)
        key = made.pop("key")
        assert answer.status_code == 201
        assert made["id"].startswith("key-")
        assert (made["name"], made["permissions"]) == ("phone", ["media.read", "profile.read"])
        assert (made["expiresAt"], made["lastUsedAt"]) == (None, None)
        assert key.startswith(made["hint"])
        assert len(key) > 40
        assert data_of(ann.get("/users/me/api-keys")) == {"items": [made]}
        assert data_of(by_key(door, key))["id"] == ann.id
        with door.runtime.unit_of_work() as db:
            dump = str(db.execute(text("SELECT to_jsonb(k) FROM api_keys k")).all())
            dump += str(db.execute(text("SELECT to_jsonb(a) FROM audit_entries a")).all())
        assert key not in dump
        assert key[len(made["hint"]) :] not in dump

    def test_nobody_gives_a_key_what_they_lack(self, ann: Person) -> None:
        message = refused(make(ann, ["media.read", "users.manage", "settings.manage"]), 403, "FORBIDDEN")[
            "message"
        ]

        assert "users.manage" in message
        assert "settings.manage" in message
        assert "media.read" not in message
        assert data_of(ann.get("/users/me/api-keys"))["items"] == []

    def test_an_unknown_permission_is_told_the_known_ones(self, ann: Person) -> None:
        message = refused(make(ann, ["everything"]), 400, "VALIDATION_ERROR")["message"]

        assert all(permission in message for permission in Permission)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("permissions", []),
            ("permissions", None),
            ("permissions", "media.read"),
            ("permissions", [None]),
            ("permissions", ["media.read"] * 101),
            ("name", ""),
            ("name", " "),
            ("name", None),
            ("name", "x" * 101),
            ("expiresAt", "tomorrow"),
            ("expiresAt", "2020-01-01T00:00:00Z"),
            ("expiresAt", "2999-01-01T00:00:00Z"),
            ("expiresAt", "9999-12-31T23:59:59-14:00"),
            ("expiresAt", "2027-01-01T00:00:00"),
            ("expiresAt", 1),
            ("key", "mn_mine"),
            ("userId", "user-1"),
        ],
    )
    def test_takes_nothing_but_what_is_documented(self, ann: Person, field: str, value: object) -> None:
        error = refused(make(ann, **{field: value}), 400, "VALIDATION_ERROR")

        assert list(error["details"]) == [field]

    def test_there_are_so_many_and_no_more_even_at_once(self, ann: Person) -> None:
        with ThreadPoolExecutor(8) as pool:
            codes = [a.status_code for a in pool.map(lambda _: make(ann), range(MOST_KEYS + 8))]

        assert codes.count(201) == MOST_KEYS
        assert codes.count(409) == 8
        keys = data_of(ann.get("/users/me/api-keys"))["items"]
        ann.delete(f"/users/me/api-keys/{keys[0]['id']}")
        assert make(ann).status_code == 201

    def test_is_for_people_and_not_for_keys(self, door: Door, ann: Person) -> None:
        made = data_of(make(ann, ["profile.read", "profile.edit"]))
        body = {"name": "child", "permissions": READ}

        for method, path, more in (
            ("GET", "", {}),
            ("POST", "", {"json": body}),
            ("DELETE", f"/{made['id']}", {}),
        ):
            answer = by_key(door, made["key"], f"/users/me/api-keys{path}", method, **more)
            refused(answer, 403, "FORBIDDEN")

    def test_is_not_for_guests(self, door: Door) -> None:
        refused(make(door.person("guest")), 403, "FORBIDDEN")


class TestUse:
    def test_a_key_does_what_it_was_given_and_nothing_else(self, door: Door, ann: Person) -> None:
        key = data_of(make(ann))["key"]

        assert by_key(door, key).status_code == 200
        refused(by_key(door, key, "/youtube/downloads"), 403, "FORBIDDEN")
        refused(by_key(door, key, method="PATCH", json={"name": "X"}), 403, "FORBIDDEN")

    def test_not_what_its_owner_may_not_do_any_more(self, door: Door) -> None:
        boss = door.person("admin")
        key = data_of(make(boss, ["profile.read", "users.manage"]))["key"]
        assert by_key(door, key, "/admin/users").status_code == 200

        with door.runtime.unit_of_work() as db:
            db.execute(update(User).where(User.id == boss.id).values(role="user"))

        refused(by_key(door, key, "/admin/users"), 403, "FORBIDDEN")
        assert by_key(door, key).status_code == 200

    def test_a_key_that_ran_out_opens_nothing(self, door: Door, ann: Person) -> None:
        soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        made = data_of(make(ann, expiresAt=soon))
        assert by_key(door, made["key"]).status_code == 200

        change(door.runtime, made["id"], expires_at=func.now() - timedelta(seconds=1))

        refused(by_key(door, made["key"]), 401, "UNAUTHORIZED")

    @pytest.mark.parametrize("key", ["", "mn_", "mn_" + "A" * 43, "x" * 8000, "\xff", "' OR 1=1"])
    def test_an_invented_one_neither(self, door: Door, key: str) -> None:
        refused(by_key(door, key), 401, "UNAUTHORIZED")

    def test_its_last_use_is_told_to_the_minute(self, door: Door, ann: Person) -> None:
        made = data_of(make(ann))
        by_key(door, made["key"])
        (row,) = data_of(ann.get("/users/me/api-keys"))["items"]
        assert row["lastUsedAt"] is not None
        by_key(door, made["key"])
        assert data_of(ann.get("/users/me/api-keys"))["items"][0]["lastUsedAt"] == row["lastUsedAt"]

        change(door.runtime, made["id"], last_used_at=func.now() - timedelta(minutes=2))
        by_key(door, made["key"])

        assert data_of(ann.get("/users/me/api-keys"))["items"][0]["lastUsedAt"] > row["lastUsedAt"]


class TestEnding:
    def test_an_ended_key_opens_nothing_from_the_next_request(self, door: Door, ann: Person) -> None:
        made = data_of(make(ann))

        assert data_of(ann.delete(f"/users/me/api-keys/{made['id']}"))["id"] == made["id"]

        refused(by_key(door, made["key"]), 401, "UNAUTHORIZED")
        refused(ann.delete(f"/users/me/api-keys/{made['id']}"), 404, "NOT_FOUND")
        assert data_of(ann.get("/users/me/api-keys"))["items"] == []

    def test_is_its_owners_alone(self, door: Door, ann: Person) -> None:
        made = data_of(make(ann))

        for other in (door.person(), door.person("admin"), door.person("super_admin")):
            refused(other.delete(f"/users/me/api-keys/{made['id']}"), 404, "NOT_FOUND")
            assert data_of(other.get("/users/me/api-keys"))["items"] == []
        assert by_key(door, made["key"]).status_code == 200

    def test_both_are_written_down(self, ann: Person, door: Door) -> None:
        made = data_of(make(ann))
        ann.delete(f"/users/me/api-keys/{made['id']}")

        with door.runtime.unit_of_work() as db:
            mine = select(AuditEntry).where(AuditEntry.subject_id == made["id"]).order_by(AuditEntry.id)
            created, revoked = db.scalars(mine).all()
        assert (created.action, revoked.action) == ("key.created", "key.revoked")
        assert {created.actor_id, revoked.actor_id} == {ann.id}
        assert created.details is not None
        assert created.details["permissions"] == READ

    def test_after_a_while_its_row_goes_too(self, ann: Person, door: Door) -> None:
        ids = {name: data_of(make(ann, name=name))["id"] for name in ("live", "ended", "long ago", "ran out")}
        long_ago = func.now() - timedelta(days=31)
        change(door.runtime, ids["ended"], revoked_at=func.now())
        change(door.runtime, ids["long ago"], revoked_at=long_ago)
        change(door.runtime, ids["ran out"], expires_at=long_ago)

        with door.runtime.unit_of_work() as db:
            api_keys.forget_old(db, timedelta(days=30))
            left = set(db.scalars(select(ApiKey.name).where(ApiKey.user_id == ann.id)))

        assert left == {"live", "ended"}
