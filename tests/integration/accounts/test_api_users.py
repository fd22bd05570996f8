"""Looking after users: finding, making, changing, disabling and deleting them, and who may do so to whom."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from door import API, PASSWORD, Door, Person, data_of, refused
from factories import make_download, make_user
from sqlalchemy import func, select, text

from api.resources.audit import AuditEntrySchema, audit_row
from api.resources.me import ApiKeySchema
from api.resources.user_rows import UserSchema, user_row
from api.resources.users import ManagedUserSchema, managed_user_row
from api.wire.fields import Schema
from engine.identity import api_keys, sessions
from engine.identity.sessions import Identity
from engine.permissions import Permission, permissions_of
from engine.runtime import Runtime
from engine.secrets import secret_box
from models.api_key import ApiKey
from models.audit import AuditEntry
from models.base import new_id
from models.download import Download
from models.invitation import Invitation
from models.login import Login
from models.notification import Notification
from models.password_reset import PasswordReset
from models.secret import Secret
from models.user import User

ANN = {"email": "Ann@Example.com", "name": "Ann", "password": PASSWORD}
UNKNOWN = ["user-0000000000000000000000000", "dl-0000000000000000000000000", "x"]

pytestmark = pytest.mark.usefixtures("empty_users")


def patch(person: Person, path: str, **body: Any) -> Any:
    return person.request("PATCH", path, json=body)


def make(runtime: Runtime, **values: Any) -> str:
    with runtime.unit_of_work() as db:
        return make_user(db, **values).id


def audited(runtime: Runtime, action: str) -> list[AuditEntry]:
    with runtime.unit_of_work() as db:
        return list(db.scalars(select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)))


def super_admins(runtime: Runtime) -> int:
    with runtime.unit_of_work() as db:
        live = select(func.count()).where(User.role == "super_admin", User.disabled_at.is_(None))
        return db.scalar(live) or 0


class TestList:
    def names(self, person: Person, query: str = "") -> list[str]:
        return [user["name"] for user in data_of(person.get(f"/admin/users{query}"))["users"]]

    def test_shows_a_page_as_documented(self, admin: Person, door: Door) -> None:
        john = make(
            door.runtime,
            email="user@example.com",
            name="John Doe",
            plex_id="7",
            plex_username="johndoe",
            plex_avatar="https://plex.tv/users/7/avatar",
            last_login_at=datetime(2023, 1, 15, 10, 30, tzinfo=UTC),
        )

        data = data_of(admin.get("/admin/users?page=1&limit=1&role=user"))

        (row,) = data["users"]
        assert row.pop("createdAt").endswith("Z")
        assert row == {
            "id": john,
            "email": "user@example.com",
            "name": "John Doe",
            "username": "johndoe",
            "requestsPerDays": None,
            "role": "user",
            "tier": "standard",
            "plexUsername": "johndoe",
            "avatarUrl": "https://plex.tv/users/7/avatar",
            "hasPassword": False,
            "disabled": False,
            "disabledReason": None,
            "lastLoginAt": "2023-01-15T10:30:00Z",
        }
        assert data["pagination"] == {
            "page": 1,
            "totalPages": 1,
            "totalItems": 1,
            "totalUsers": 1,
            "itemsPerPage": 1,
            "hasNext": False,
            "hasPrev": False,
        }

    def test_filters_by_role_and_status(self, admin: Person, door: Door) -> None:
        make(door.runtime, name="Guest", role="guest")
        make(door.runtime, name="Off", role="guest", disabled_at=func.now(), disabled_reason="plex")
        make(door.runtime, name="Gone", role="guest", disabled_at=func.now(), deleted_at=func.now())

        assert self.names(admin, "?role=guest&sort=name") == ["Guest", "Off"]
        assert self.names(admin, "?role=guest&status=active") == ["Guest"]
        assert self.names(admin, "?role=all&status=disabled") == ["Off"]

    @pytest.mark.parametrize(
        ("sought", "found"),
        [
            ("ANN", ["Annabel", "By address", "By Plex"]),
            ("100%25", ["100%"]),
            ("_", ["a_b"]),
            ("%5C", ["back\\slash"]),
            ("", ["100%", "Annabel", "By address", "By Plex", "a_b", "back\\slash"]),
            ("  ann ", ["Annabel", "By address", "By Plex"]),
            ("nobody", []),
        ],
    )
    def test_searches_text_and_not_patterns(
        self, admin: Person, door: Door, sought: str, found: list[str]
    ) -> None:
        for name, values in {
            "Annabel": {},
            "By address": {"email": "joanne@example.com"},
            "By Plex": {"email": None, "plex_username": "xXannXx"},
            "100%": {},
            "a_b": {},
            "back\\slash": {},
        }.items():
            make(door.runtime, **{"name": name, "email": f"{name[:1]}@example.org", **values})

        assert sorted(self.names(admin, f"?role=user&search={sought}")) == sorted(found)

    @pytest.mark.parametrize(
        ("sort", "order"),
        [
            ("name", "a B c"),
            ("name:desc", "c B a"),
            ("email:asc", "c a B"),
            ("email:desc", "a c B"),
            ("lastLoginAt:desc", "c a B"),
            ("lastLoginAt", "a c B"),
            ("role", "B a c"),
            ("role:desc", "c a B"),
            ("createdAt:asc", "c B a"),
            ("createdAt", "c B a"),
            ("createdAt:desc", "a B c"),
        ],
    )
    def test_sorts_by_any_column(self, admin: Person, door: Door, sort: str, order: str) -> None:
        early, late = datetime(2023, 1, 1, tzinfo=UTC), datetime(2023, 1, 2, tzinfo=UTC)
        make(door.runtime, name="c", email="a@x.org", role="user", last_login_at=late)
        make(door.runtime, name="B", email=None, role="guest")
        make(door.runtime, name="a", email="b@x.org", role="user", last_login_at=early)

        found = [name for name in self.names(admin, f"?sort={sort}") if name != "Ann"]

        if sort.startswith("role"):  # equals by age
            order = "B c a" if sort == "role" else "a c B"
        assert found == order.split()

    def test_pages_of_equals_neither_repeat_nor_miss_anybody(self, admin: Person, door: Door) -> None:
        everybody = {make(door.runtime, name="Same", last_login_at=None) for _ in range(7)}

        for sort in ("name", "lastLoginAt:desc", "role"):
            pages = [
                data_of(admin.get(f"/admin/users?role=user&limit=3&page={number}&sort={sort}"))["users"]
                for number in (1, 2, 3)
            ]
            seen = [user["id"] for page in pages for user in page]
            assert len(seen) == 7
            assert set(seen) == everybody

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("role=owner", "role"),
            ("status=deleted", "status"),
            ("sort=password_hash", "sort"),
            ("sort=name:up", "sort"),
            ("limit=101", "limit"),
            ("page=0", "page"),
            ("search=" + "x" * 101, "search"),
            ("search=%00", "search"),
            ("plexId=1", "plexId"),
        ],
    )
    def test_takes_nothing_but_what_is_documented(self, admin: Person, query: str, field: str) -> None:
        error = refused(admin.get(f"/admin/users?{query}"), 400, "VALIDATION_ERROR")

        assert list(error["details"]) == [field]


class TestCreate:
    def test_makes_somebody_who_can_sign_in(self, door: Door, admin: Person) -> None:
        answer = admin.post("/admin/users", json=ANN | {"role": "guest", "tier": "premium"})

        row = data_of(answer)
        assert answer.status_code == 201
        assert (row["email"], row["role"], row["tier"]) == ("ann@example.com", "guest", "premium")
        assert data_of(door.sign_in("ann@example.com").get("/auth/session"))["user"]["id"] == row["id"]
        (entry,) = audited(door.runtime, "user.created")
        assert (entry.actor_id, entry.subject_id, entry.subject_name) == (admin.id, row["id"], "Ann")
        assert PASSWORD not in str(entry.details)

    def test_is_a_standard_user_unless_told_otherwise(self, admin: Person) -> None:
        row = data_of(admin.post("/admin/users", json=ANN))

        assert (row["role"], row["tier"]) == ("user", "standard")

    @pytest.mark.parametrize(
        "values", [{"password_hash": "x"}, {"plex_id": "1"}, {"disabled_at": func.now()}]
    )
    def test_an_address_belongs_to_one_live_account(
        self, admin: Person, door: Door, values: dict[str, Any]
    ) -> None:
        make(door.runtime, email="ann@example.com", **values)

        refused(admin.post("/admin/users", json=ANN), 409, "CONFLICT")

    def test_ten_at_once_make_one(self, admin: Person, door: Door) -> None:
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(lambda _: admin.post("/admin/users", json=ANN).status_code, range(10)))

        assert sorted(answers) == [201] + [409] * 9

    def test_nobody_makes_one_who_may_do_more(self, admin: Person, chief: Person) -> None:
        refused(admin.post("/admin/users", json=ANN | {"role": "super_admin"}), 403, "FORBIDDEN")

        assert admin.post("/admin/users", json=ANN | {"role": "admin"}).status_code == 201
        other = ANN | {"email": "b@example.com", "role": "super_admin"}
        assert chief.post("/admin/users", json=other).status_code == 201

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", None),
            ("email", "ann"),
            ("name", " "),
            ("name", None),
            ("password", "short"),
            ("password", None),
            ("role", "owner"),
            ("role", None),
            ("tier", "gold"),
            ("id", "user-1"),
            ("plexId", "1"),
            ("permissions", ["users.manage"]),
            ("disabled", False),
        ],
    )
    def test_takes_nothing_but_what_is_documented(self, admin: Person, field: str, value: object) -> None:
        error = refused(admin.post("/admin/users", json=ANN | {field: value}), 400, "VALIDATION_ERROR")

        assert list(error["details"]) == [field]


class TestDetails:
    def test_tell_how_much_a_user_has(self, door: Door, admin: Person) -> None:
        bob = door.person()
        door.sign_in(bob.email).post("/auth/logout")
        with door.runtime.unit_of_work() as db:
            user = db.get_one(User, bob.id)
            make_download(db, user)
            make_download(db, user, status="completed", ended_at=func.now())
            key_for(db, bob.id)

        row = data_of(admin.get(f"/admin/users/{bob.id}"))

        assert row["counts"] == {"sessions": 1, "apiKeys": 1, "downloads": 2}
        assert row["id"] == bob.id

    @pytest.mark.parametrize("user_id", UNKNOWN)
    def test_who_is_not_there_is_not_found(self, admin: Person, user_id: str) -> None:
        refused(admin.get(f"/admin/users/{user_id}"), 404, "NOT_FOUND")
        refused(patch(admin, f"/admin/users/{user_id}", name="X"), 404, "NOT_FOUND")
        refused(patch(admin, f"/admin/users/{user_id}/role", role="user"), 404, "NOT_FOUND")
        refused(admin.delete(f"/admin/users/{user_id}"), 404, "NOT_FOUND")


class TestChange:
    def test_changes_what_is_given(self, admin: Person, door: Door) -> None:
        bob = make(door.runtime, name="Bob")

        row = data_of(
            patch(admin, f"/admin/users/{bob}", name="Rob", email="ROB@example.com", tier="premium")
        )

        assert (row["name"], row["email"], row["tier"]) == ("Rob", "rob@example.com", "premium")
        (entry,) = audited(door.runtime, "user.updated")
        assert entry.details is not None
        assert entry.details["changes"]["tier"] == {"before": "standard", "after": "premium"}

    @pytest.mark.parametrize("body", [{}, {"tier": "standard"}, {"name": "Bob", "disabled": False}])
    def test_no_change_is_none(self, admin: Person, door: Door, body: dict[str, Any]) -> None:
        bob = make(door.runtime, name="Bob")

        assert data_of(patch(admin, f"/admin/users/{bob}", **body))["name"] == "Bob"

        assert not audited(door.runtime, "user.updated")
        assert not audited(door.runtime, "user.enabled")

    def test_another_address_ends_the_resets_of_the_former(self, admin: Person, door: Door) -> None:
        bob = make(door.runtime, password_hash="x")
        with door.runtime.unit_of_work() as db:
            db.add(reset_of(bob))

        patch(admin, f"/admin/users/{bob}", email="new@example.com")

        with door.runtime.unit_of_work() as db:
            assert db.scalar(select(func.count()).select_from(PasswordReset)) == 0

    def test_a_taken_address_is_refused(self, admin: Person, door: Door) -> None:
        bob = make(door.runtime)
        make(door.runtime, email="taken@example.com")

        refused(patch(admin, f"/admin/users/{bob}", email="Taken@Example.com"), 409, "CONFLICT")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", None),
            ("email", None),
            ("tier", None),
            ("disabled", None),
            ("disabled", "true"),
            ("role", "admin"),
            ("password", PASSWORD),
            ("plexId", "1"),
        ],
    )
    def test_takes_nothing_but_what_is_documented(
        self, admin: Person, door: Door, field: str, value: object
    ) -> None:
        error = refused(
            patch(admin, f"/admin/users/{make(door.runtime)}", **{field: value}), 400, "VALIDATION_ERROR"
        )

        assert list(error["details"]) == [field]


class TestDisable:
    def test_ends_sessions_and_keys_at_once(self, door: Door, admin: Person) -> None:
        bob = door.person()
        with door.runtime.unit_of_work() as db:
            key = key_for(db, bob.id)

        row = data_of(patch(admin, f"/admin/users/{bob.id}", disabled=True))

        assert (row["disabled"], row["disabledReason"]) == (True, "admin")
        refused(bob.get("/auth/session"), 401, "UNAUTHORIZED")
        refused(door.stranger().get(f"{API}/users/me", headers={"X-Api-Key": key}), 401, "UNAUTHORIZED")
        (entry,) = audited(door.runtime, "user.disabled")
        assert entry.details is not None
        assert (entry.details["sessions"], entry.details["keys"]) == (1, 1)

    def test_enabling_brings_back_no_old_session(self, door: Door, admin: Person) -> None:
        bob = door.person()
        patch(admin, f"/admin/users/{bob.id}", disabled=True)
        patch(admin, f"/admin/users/{bob.id}", disabled=True)

        row = data_of(patch(admin, f"/admin/users/{bob.id}", disabled=False))

        assert (row["disabled"], row["disabledReason"]) == (False, None)
        refused(bob.get("/auth/session"), 401, "UNAUTHORIZED")
        assert door.sign_in(bob.email).get("/auth/session").status_code == 200
        assert len(audited(door.runtime, "user.disabled")) == len(audited(door.runtime, "user.enabled")) == 1

    def test_of_one_whom_plex_shut_out_is_for_good(self, admin: Person, door: Door) -> None:
        bob = make(door.runtime, disabled_at=func.now(), disabled_reason="plex")

        assert data_of(patch(admin, f"/admin/users/{bob}", disabled=True))["disabledReason"] == "admin"


class TestRole:
    def test_holds_from_the_next_request_and_keeps_the_session(self, door: Door, admin: Person) -> None:
        bob = door.person()
        refused(bob.get("/admin/users"), 403, "FORBIDDEN")

        assert data_of(patch(admin, f"/admin/users/{bob.id}/role", role="admin"))["role"] == "admin"
        assert bob.get("/admin/users").status_code == 200
        patch(admin, f"/admin/users/{bob.id}/role", role="guest")

        refused(bob.get("/admin/users"), 403, "FORBIDDEN")
        assert bob.get("/auth/session").status_code == 200
        first, second = audited(door.runtime, "user.role_changed")
        assert first.details is not None
        assert (first.details["before"], first.details["after"]) == ("user", "admin")
        assert second.subject_id == bob.id

    def test_a_demoted_ones_key_can_do_less(self, door: Door, admin: Person) -> None:
        bob = door.person("admin")
        with door.runtime.unit_of_work() as db:
            headers = {"X-Api-Key": key_for(db, bob.id, role="admin")}
        assert door.stranger().get(f"{API}/admin/users", headers=headers).status_code == 200

        patch(admin, f"/admin/users/{bob.id}/role", role="user")

        refused(door.stranger().get(f"{API}/admin/users", headers=headers), 403, "FORBIDDEN")
        assert door.stranger().get(f"{API}/users/me", headers=headers).status_code == 200

    def test_a_demoted_ones_invitations_do_not_hold(self, door: Door, admin: Person) -> None:
        bob = door.person("admin")
        with door.runtime.unit_of_work() as db:
            db.add(invitation(bob.id))

        patch(admin, f"/admin/users/{bob.id}/role", role="user")

        with door.runtime.unit_of_work() as db:
            assert db.scalars(select(Invitation.revoked_at)).one() is not None

    def test_the_same_again_is_no_change(self, admin: Person, door: Door) -> None:
        bob = make(door.runtime)

        assert patch(admin, f"/admin/users/{bob}/role", role="user").status_code == 200

        assert not audited(door.runtime, "user.role_changed")

    @pytest.mark.parametrize(
        "body", [{}, {"role": None}, {"role": "owner"}, {"role": "user", "tier": "premium"}]
    )
    def test_is_one_of_four(self, admin: Person, door: Door, body: dict[str, Any]) -> None:
        refused(patch(admin, f"/admin/users/{make(door.runtime)}/role", **body), 400, "VALIDATION_ERROR")


class TestRanks:
    def test_an_admin_raises_nobody_above_themselves(self, admin: Person, door: Door) -> None:
        bob = make(door.runtime)

        refused(patch(admin, f"/admin/users/{bob}/role", role="super_admin"), 403, "FORBIDDEN")
        refused(patch(admin, f"/admin/users/{admin.id}/role", role="super_admin"), 403, "FORBIDDEN")

    def test_an_admin_does_nothing_to_a_super_admin(self, admin: Person, chief: Person) -> None:
        refused(patch(admin, f"/admin/users/{chief.id}/role", role="user"), 403, "FORBIDDEN")
        refused(patch(admin, f"/admin/users/{chief.id}", disabled=True), 403, "FORBIDDEN")
        refused(patch(admin, f"/admin/users/{chief.id}", email="mine@example.com"), 403, "FORBIDDEN")
        refused(patch(admin, f"/admin/users/{chief.id}"), 403, "FORBIDDEN")
        refused(admin.delete(f"/admin/users/{chief.id}"), 403, "FORBIDDEN")
        assert data_of(admin.get(f"/admin/users/{chief.id}"))["role"] == "super_admin"

    def test_a_super_admin_may_make_and_unmake_their_like(self, chief: Person, door: Door) -> None:
        bob = make(door.runtime)

        assert data_of(patch(chief, f"/admin/users/{bob}/role", role="super_admin"))["role"] == "super_admin"
        assert data_of(patch(chief, f"/admin/users/{bob}/role", role="user"))["role"] == "user"

    def test_a_key_reaches_no_further_than_its_permissions(self, door: Door, admin: Person) -> None:
        bob = make(door.runtime)
        with door.runtime.unit_of_work() as db:
            small = key_for(db, admin.id, role="admin", permissions={Permission.USERS_MANAGE})
            users = permissions_of("user") | {Permission.USERS_MANAGE}
            larger = key_for(db, admin.id, role="admin", permissions=users)

        def by(key: str, path: str, **body: Any) -> Any:
            headers = {"X-Api-Key": key}
            return door.stranger().open(API + path, method="PATCH", headers=headers, json=body)

        refused(by(small, f"/admin/users/{bob}", email="mine@example.com"), 403, "FORBIDDEN")
        refused(by(larger, f"/admin/users/{bob}/role", role="admin"), 403, "FORBIDDEN")
        refused(by(larger, f"/admin/users/{admin.id}", email="mine@example.com"), 403, "FORBIDDEN")
        assert by(larger, f"/admin/users/{bob}", name="Rob").status_code == 200


class TestTheLastSuperAdmin:
    @pytest.mark.parametrize("others", [[], ["admin"], ["disabled"]])
    def test_stays(self, door: Door, chief: Person, others: list[str]) -> None:
        for role in others:
            off = {"disabled_at": func.now(), "role": "super_admin"} if role == "disabled" else {"role": role}
            make(door.runtime, **off)
        mine = f"/admin/users/{chief.id}"

        refused(patch(chief, f"{mine}/role", role="admin"), 409, "CONFLICT")
        refused(patch(chief, mine, disabled=True), 409, "CONFLICT")
        refused(chief.delete(mine), 409, "CONFLICT")
        assert chief.get("/auth/session").status_code == 200
        assert patch(chief, mine, name="Boss", disabled=False).status_code == 200

    def test_with_another_one_may_go(self, door: Door, chief: Person) -> None:
        door.person("super_admin")

        assert data_of(chief.delete(f"/admin/users/{chief.id}"))["role"] == "super_admin"

        refused(chief.get("/auth/session"), 401, "UNAUTHORIZED")

    @pytest.mark.parametrize("way", ["role", "disabled", "delete"])
    def test_is_left_when_all_turn_on_each_other_at_once(self, door: Door, way: str) -> None:
        for _ in range(5):
            chiefs = [door.person("super_admin") for _ in range(2)]
            together = Barrier(2)

            def turn(number: int, chiefs: list[Person] = chiefs, together: Barrier = together) -> int:
                victim = f"/admin/users/{chiefs[1 - number].id}"
                together.wait()
                if way == "delete":
                    return chiefs[number].delete(victim).status_code
                if way == "role":
                    return int(patch(chiefs[number], f"{victim}/role", role="user").status_code)
                return int(patch(chiefs[number], victim, disabled=True).status_code)

            with ThreadPoolExecutor(2) as pool:
                answers = sorted(pool.map(turn, range(2)))

            assert super_admins(door.runtime) == 1
            assert answers[0] == 200
            assert answers[1] in {401, 403, 409}
            with door.runtime.unit_of_work() as db:
                db.execute(text("TRUNCATE users CASCADE"))


class TestDelete:
    def test_leaves_no_trace_of_the_person(self, door: Door, admin: Person) -> None:
        with door.runtime.unit_of_work() as db:
            known = {
                "plex_id": "7",
                "plex_username": "bobby",
                "plex_avatar": "a",
                "plex_checked_at": func.now(),
            }
            bob = make_user(
                db, name="Bob", email="bob@example.com", tier="premium", password_hash="x", **known
            )
            sessions.start(
                db, door.runtime.settings, bob, remember_me=True, device=sessions.Device("phone", "10.0.0.1")
            )
            key_for(db, bob.id)
            db.add(reset_of(bob.id))
            db.add(Notification(id=new_id("ntf"), user_id=bob.id, type="x", title="x", message="x"))
            db.add(invitation(admin.id, email="bob@example.com", accepted_by=bob.id, accepted_at=func.now()))
            secret_box.put(db, door.runtime.settings, f"plex-user:{bob.id}", "token")

        row = data_of(admin.delete(f"/admin/users/{bob.id}"))

        assert (row["name"], row["email"], row["plexUsername"]) == ("Bob", "bob@example.com", "bobby")
        with door.runtime.unit_of_work() as db:
            for table in (ApiKey, PasswordReset, Notification, Secret, Invitation):
                assert db.scalar(select(func.count()).select_from(table)) == 0, table
            assert db.scalar(select(func.count()).where(Login.user_id == bob.id)) == 0
            left = db.get_one(User, bob.id)
            facts = {key: value for key, value in vars(left).items() if not key.startswith("_")}
        assert left.name == "Deleted user"
        assert (left.role, left.tier) == ("guest", "standard")
        assert left.deleted_at is not None
        assert left.disabled_at is not None
        personal = ("email", "password_hash", "plex_id", "plex_username", "plex_avatar", "plex_checked_at")
        assert [facts[name] for name in personal] == [None] * 6
        (entry,) = audited(door.runtime, "user.deleted")
        assert (entry.subject_id, entry.subject_name) == (bob.id, "Bob")

    def test_takes_effect_at_once_and_everywhere(self, door: Door, admin: Person) -> None:
        bob = door.person()

        admin.delete(f"/admin/users/{bob.id}")

        refused(bob.get("/auth/session"), 401, "UNAUTHORIZED")
        body = {"refreshToken": bob.signed_in["refreshToken"]}
        refused(bob.client.post(f"{API}/auth/refresh", json=body), 401, "UNAUTHORIZED")
        body = {"email": bob.email, "password": PASSWORD}
        refused(door.stranger().post(f"{API}/auth/login", json=body), 401, "UNAUTHORIZED")
        refused(admin.get(f"/admin/users/{bob.id}"), 404, "NOT_FOUND")
        refused(admin.delete(f"/admin/users/{bob.id}"), 404, "NOT_FOUND")
        refused(patch(admin, f"/admin/users/{bob.id}", name="X"), 404, "NOT_FOUND")
        refused(patch(admin, f"/admin/users/{bob.id}/role", role="user"), 404, "NOT_FOUND")
        listed = data_of(admin.get("/admin/users"))
        assert [user["id"] for user in listed["users"]] == [admin.id]
        assert listed["pagination"]["totalUsers"] == 1

    def test_frees_the_address(self, admin: Person, door: Door) -> None:
        first = data_of(admin.post("/admin/users", json=ANN))["id"]
        admin.delete(f"/admin/users/{first}")

        assert data_of(admin.post("/admin/users", json=ANN))["id"] != first

    def test_cancels_what_is_under_way_and_keeps_what_is_finished(self, door: Door, admin: Person) -> None:
        bob = door.person()
        held = {"lease_until": func.now() + timedelta(minutes=1)}
        file = {"path": "a.mp4", "size": 1, "container": "mp4", "height": None, "duration": None}
        with door.runtime.unit_of_work() as db:
            user, other = db.get_one(User, bob.id), db.get_one(User, admin.id)
            ids = {
                "queued": make_download(db, user).id,
                "running": make_download(db, user, status="downloading", **held).id,
                "finished": make_download(db, user, status="completed", ended_at=func.now(), file=file).id,
                "failed": make_download(db, user, status="failed", ended_at=func.now()).id,
                "another's": make_download(db, other).id,
            }

        admin.delete(f"/admin/users/{bob.id}")

        with door.runtime.unit_of_work() as db:
            rows = {name: db.get_one(Download, found) for name, found in ids.items()}
        assert rows["queued"].status == "cancelled"
        assert rows["queued"].ended_at is not None
        assert rows["running"].cancel_requested_at is not None  # its worker ends it
        assert rows["failed"].status == "failed"
        assert (rows["another's"].status, rows["another's"].cancel_requested_at) == ("queued", None)
        shown = data_of(admin.get(f"/youtube/downloads/{ids['finished']}"))
        assert (shown["status"], shown["userId"], shown["file"]) == ("completed", bob.id, file)
        (entry,) = audited(door.runtime, "user.deleted")
        assert entry.details is not None
        assert entry.details["cancelledDownloads"] == 2

    def test_lets_no_wish_slip_through_that_comes_at_the_same_moment(self, door: Door, admin: Person) -> None:
        for _ in range(8):
            bob = door.person()
            together = Barrier(5)

            def act(number: int, bob: Person = bob, together: Barrier = together) -> int:
                together.wait()
                if number == 0:
                    return admin.delete(f"/admin/users/{bob.id}").status_code
                wish = {"url": f"http://127.0.0.1/{number}.mp4"}
                return bob.post("/youtube/download", json=wish).status_code

            with ThreadPoolExecutor(5) as pool:
                deleted, *asked = pool.map(act, range(5))

            assert deleted == 200
            assert set(asked) <= {202, 401}
            with door.runtime.unit_of_work() as db:
                active = select(func.count()).where(Download.user_id == bob.id, Download.ended_at.is_(None))
                assert db.scalar(active) == 0

    def test_of_oneself_is_possible(self, admin: Person) -> None:
        assert admin.delete(f"/admin/users/{admin.id}").status_code == 200

        refused(admin.get("/auth/session"), 401, "UNAUTHORIZED")


def test_what_is_written_by_hand_is_what_is_documented() -> None:
    def names(schema: type[Schema]) -> set[str]:
        return {str(field.data_key) for field in schema().fields.values()}

    user = User(id="user-1", role="user")
    assert set(managed_user_row(user)) == names(ManagedUserSchema)
    assert set(user_row(user)) == names(UserSchema)
    assert set(ApiKeySchema.row(ApiKey())) == names(ApiKeySchema)
    assert set(audit_row(AuditEntry())) == names(AuditEntrySchema)


def key_for(db: Any, user_id: str, *, role: str = "user", permissions: Any = None) -> str:
    owner = Identity(user_id, "ses-1", role, permissions_of(role))
    wanted = permissions_of(role) if permissions is None else permissions
    return api_keys.create(db, owner, name="program", permissions=wanted)[1]


def reset_of(user_id: str) -> PasswordReset:
    later = func.now() + timedelta(minutes=30)
    return PasswordReset(id=new_id("rst"), user_id=user_id, token_hash=new_id("h"), expires_at=later)


def invitation(by: str, **values: Any) -> Invitation:
    later = func.now() + timedelta(days=7)
    defaults = {"id": new_id("inv"), "email": "x@example.com", "role": "admin", "token_hash": new_id("h")}
    return Invitation(**{**defaults, "invited_by": by, "expires_at": later, **values})
