"""Oneself: one's profile, and one's password."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from factories import make_user
from sqlalchemy import func, select, update

from config.variables import Rate
from engine.identity import api_keys
from engine.identity.sessions import Identity
from engine.permissions import permissions_of
from engine.runtime import Runtime
from models.audit import AuditEntry
from models.base import new_id
from models.login import Login
from models.notification import Notification
from models.password_reset import PasswordReset
from models.user import User

NEW = "a new long password"


@pytest.fixture
def plex_only(door: Door) -> Person:
    """Somebody who signs in with Plex alone."""
    person = door.person()
    change(door.runtime, person, password_hash=None, plex_id=new_id("plex"), plex_username="annie")
    return person


def change(runtime: Runtime, person: Person, **values: Any) -> None:
    with runtime.unit_of_work() as db:
        db.execute(update(User).where(User.id == person.id).values(**values))


def edit(person: Person, **body: Any) -> Any:
    return person.request("PATCH", "/users/me", json=body)


def set_password(person: Person, current: str | None = PASSWORD, new: str = NEW) -> Any:
    body = {"newPassword": new} if current is None else {"currentPassword": current, "newPassword": new}
    return person.post("/users/me/password", json=body)


def sign_in(door: Door, email: str, password: str) -> int:
    body = {"email": email, "password": password}
    return door.stranger().post(f"{API}/auth/login", json=body).status_code


def audited(runtime: Runtime, person: Person, action: str) -> list[AuditEntry]:
    with runtime.unit_of_work() as db:
        mine = select(AuditEntry).where(AuditEntry.action == action, AuditEntry.actor_id == person.id)
        return list(db.scalars(mine.order_by(AuditEntry.id)))


def add_reset(runtime: Runtime, person: Person) -> None:
    with runtime.unit_of_work() as db:
        later = func.now() + timedelta(minutes=30)
        db.add(PasswordReset(id=new_id("rst"), user_id=person.id, token_hash=new_id("h"), expires_at=later))


def resets(runtime: Runtime, person: Person) -> int:
    with runtime.unit_of_work() as db:
        return db.scalar(select(func.count()).where(PasswordReset.user_id == person.id)) or 0


class TestProfile:
    def test_is_what_the_session_says(self, ann: Person) -> None:
        row = data_of(ann.get("/users/me"))

        assert row == data_of(ann.get("/auth/session"))["user"]
        assert (row["id"], row["email"], row["hasPassword"]) == (ann.id, ann.email, True)
        assert row["permissions"] == sorted(permissions_of("user"))

    def test_shows_what_plex_tells(self, door: Door, plex_only: Person) -> None:
        change(door.runtime, plex_only, email=None, plex_avatar="https://plex.tv/users/1/avatar")

        row = data_of(plex_only.get("/users/me"))

        assert (row["username"], row["plexUsername"], row["email"]) == ("annie", "annie", None)
        assert (row["avatarUrl"], row["hasPassword"]) == ("https://plex.tv/users/1/avatar", False)

    def test_the_name_is_ones_own_to_change(self, ann: Person, door: Door) -> None:
        assert data_of(edit(ann, name="  Anna "))["name"] == "Anna"

        (entry,) = audited(door.runtime, ann, "user.updated")
        assert (entry.subject_id, entry.outcome) == (ann.id, "success")
        assert entry.details is not None
        assert entry.details["changes"] == {"name": {"before": "Ann", "after": "Anna"}}

    @pytest.mark.parametrize("body", [{}, {"name": "Ann"}])
    def test_no_change_is_none(self, ann: Person, door: Door, body: dict[str, Any]) -> None:
        assert data_of(edit(ann, **body))["name"] == "Ann"
        assert data_of(edit(ann, email=ann.email.upper()))["email"] == ann.email

        assert not audited(door.runtime, ann, "user.updated")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("role", "super_admin"),
            ("tier", "premium"),
            ("id", "user-1"),
            ("permissions", ["users.manage"]),
            ("plexId", "1"),
            ("passwordHash", "x"),
            ("disabled", False),
            ("name", None),
            ("name", "  "),
            ("name", "x" * 101),
            ("name", 7),
            ("email", None),
            ("email", "nobody"),
            ("currentPassword", None),
        ],
    )
    def test_nothing_else_is(self, ann: Person, field: str, value: object) -> None:
        before = data_of(ann.get("/users/me"))

        error = refused(edit(ann, **{"name": "Eve", field: value}), 400, "VALIDATION_ERROR")

        assert list(error["details"]) == [field]
        assert data_of(ann.get("/users/me")) == before

    def test_a_guest_only_looks(self, door: Door) -> None:
        guest = door.person("guest")

        assert guest.get("/users/me").status_code == 200
        refused(edit(guest, name="X"), 403, "FORBIDDEN")
        refused(set_password(guest), 403, "FORBIDDEN")


class TestAddress:
    def test_changes_with_the_password_and_ends_resets(self, door: Door, ann: Person) -> None:
        add_reset(door.runtime, ann)
        fresh = f"{new_id('x')}@Example.com"

        assert data_of(edit(ann, email=fresh, currentPassword=PASSWORD))["email"] == fresh.lower()

        assert sign_in(door, fresh, PASSWORD) == 200
        assert sign_in(door, ann.email, PASSWORD) == 401
        assert resets(door.runtime, ann) == 0

    def test_does_not_without(self, ann: Person, door: Door) -> None:
        missing = refused(edit(ann, email="new@example.com"), 400, "VALIDATION_ERROR")
        refused(edit(ann, email="new@example.com", currentPassword="a canary"), 403, "FORBIDDEN")

        assert list(missing["details"]) == ["currentPassword"]
        assert data_of(ann.get("/users/me"))["email"] == ann.email
        (entry,) = audited(door.runtime, ann, "user.updated")
        assert entry.outcome == "failure"
        assert entry.details is not None
        assert entry.details["reason"] == "wrong password"
        assert "canary" not in str(entry.details)

    def test_two_at_once_do_not_share_one(self, door: Door) -> None:
        people, wanted = [door.person() for _ in range(6)], f"{new_id('x')}@example.com"

        def ask(person: Person) -> int:
            return int(edit(person, email=wanted, currentPassword=PASSWORD).status_code)

        with ThreadPoolExecutor(6) as pool:
            answers = sorted(pool.map(ask, people))

        assert answers == [200] * 6  # nobody is told who has it
        with door.runtime.unit_of_work() as db:
            holders = select(func.count()).where(User.email == wanted, User.email_claimed_at.is_(None))
            assert db.scalar(holders) == 1

    def test_that_plex_tells_of_somebody_keeps_nobody_from_it(
        self, ann: Person, plex_only: Person, door: Door
    ) -> None:
        address = f"{new_id('x')}@example.com"
        change(door.runtime, plex_only, email=address)

        assert data_of(edit(ann, email=address, currentPassword=PASSWORD))["email"] == address

    def test_without_a_password_needs_none(self, plex_only: Person) -> None:
        fresh = f"{new_id('x')}@example.com"

        assert data_of(edit(plex_only, email=fresh))["email"] == fresh

    def test_is_not_for_programs(self, door: Door, plex_only: Person) -> None:
        with door.runtime.unit_of_work() as db:
            owner = Identity(plex_only.id, "ses-1", "user", permissions_of("user"))
            key = api_keys.create(db, owner, name="x", permissions=permissions_of("user"))[1]

        def by_key(**body: Any) -> Any:
            return door.stranger().patch(f"{API}/users/me", headers={"X-Api-Key": key}, json=body)

        refused(by_key(email="mine@example.com"), 403, "FORBIDDEN")
        assert data_of(by_key(name="Annie"))["name"] == "Annie"


class TestPassword:
    def test_changes_and_signs_out_everywhere_else(self, door: Door, ann: Person) -> None:
        phone, tablet, bob = door.sign_in(ann.email), door.sign_in(ann.email), door.person()
        add_reset(door.runtime, ann)

        assert data_of(set_password(ann)) == {"ended": 2, "revokedKeys": 0}

        assert [each.get("/auth/session").status_code for each in (ann, phone, tablet, bob)] == [
            200,
            401,
            401,
            200,
        ]
        assert (sign_in(door, ann.email, PASSWORD), sign_in(door, ann.email, NEW)) == (401, 200)
        assert resets(door.runtime, ann) == 0
        (entry,) = audited(door.runtime, ann, "password.changed")
        assert (entry.outcome, entry.details and entry.details["sessions"]) == ("success", 2)
        assert NEW not in str(entry.details)

    def test_one_is_told(self, ann: Person, door: Door) -> None:
        set_password(ann)

        with door.runtime.unit_of_work() as db:
            told = db.scalars(select(Notification.type).where(Notification.user_id == ann.id)).all()
        assert told == ["security.password_changed"]

    def test_stays_when_the_current_one_is_wrong(self, door: Door, ann: Person) -> None:
        phone = door.sign_in(ann.email)

        refused(set_password(ann, "wrong"), 403, "FORBIDDEN")
        missing = refused(set_password(ann, None), 400, "VALIDATION_ERROR")

        assert list(missing["details"]) == ["currentPassword"]
        assert [each.get("/auth/session").status_code for each in (ann, phone)] == [200, 200]
        assert sign_in(door, ann.email, PASSWORD) == 200
        (entry,) = audited(door.runtime, ann, "password.changed")
        assert entry.outcome == "failure"

    def test_guessing_is_slowed_down(self, door: Door) -> None:
        limits = {"rate_limit_enabled": True, "rate_limit_account": (Rate(3, 900),)}
        with opened(door.runtime.settings, app_env="production", **limits) as there:
            ann = there.person()
            assert [set_password(ann).status_code, edit(ann, name="A").status_code] == [200, 200]
            answers = [set_password(ann, f"guess {number}").status_code for number in range(4)]

            assert answers == [403, 403, 403, 429]
            refused(set_password(ann, NEW), 429, "RATE_LIMIT_EXCEEDED")
            refused(edit(ann, email="x@example.com", currentPassword="guess"), 429, "RATE_LIMIT_EXCEEDED")
            assert edit(ann, name="B").status_code == 200
            assert sign_in(there, ann.email, NEW) == 200

    @pytest.mark.parametrize("new", ["short", "x" * 129, "nul\0in-it", None, 12345678])
    def test_has_a_length_and_no_nul(self, ann: Person, new: Any) -> None:
        error = refused(set_password(ann, new=new), 400, "VALIDATION_ERROR")

        assert list(error["details"]) == ["newPassword"]

    def test_two_changes_at_once_leave_one_that_holds(self, door: Door, ann: Person) -> None:
        phone = door.sign_in(ann.email)
        words = ["first new password", "second new password"]

        with ThreadPoolExecutor(2) as pool:
            answers = list(
                pool.map(
                    lambda each: set_password(each[0], new=each[1]), zip((ann, phone), words, strict=True)
                )
            )

        codes = [answer.status_code for answer in answers]
        assert codes.count(200) == 1
        assert sign_in(door, ann.email, words[codes.index(200)]) == 200
        assert sign_in(door, ann.email, words[1 - codes.index(200)]) == 401

    def test_the_first_one_of_a_plex_account_needs_no_other(self, door: Door, plex_only: Person) -> None:
        assert set_password(plex_only, None).status_code == 200

        assert sign_in(door, plex_only.email, NEW) == 200
        assert data_of(plex_only.get("/users/me"))["hasPassword"] is True
        refused(set_password(plex_only, None, "another password"), 400, "VALIDATION_ERROR")

    def test_but_an_address(self, door: Door, plex_only: Person) -> None:
        change(door.runtime, plex_only, email=None)

        refused(set_password(plex_only, None), 409, "CONFLICT")

    def test_ends_no_session_of_another_who_has_the_same_address(self, door: Door, ann: Person) -> None:
        with door.runtime.unit_of_work() as db:
            make_user(db, email=ann.email, plex_id=new_id("plex"))

        assert sign_in(door, ann.email, PASSWORD) == 200
        assert data_of(set_password(ann))["ended"] == 1


def test_a_session_that_ends_in_between_changes_nothing(door: Door, ann: Person) -> None:
    with door.runtime.unit_of_work() as db:
        db.execute(update(Login).where(Login.user_id == ann.id).values(revoked_at=func.now()))

    refused(set_password(ann), 401, "UNAUTHORIZED")
    refused(edit(ann, name="X"), 401, "UNAUTHORIZED")
