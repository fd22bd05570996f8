"""Invitations: one link, one account, of a role that the inviter may still give."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from factories import make_user
from fakes.mail_server import MailServer
from sqlalchemy import func, select, text, update
from werkzeug.test import TestResponse

from config.settings import Settings
from engine.job_registry import send_mail
from engine.jobs.runner import run_next
from engine.mails import work as mail_work
from models.audit import AuditEntry
from models.invitation import Invitation
from models.mail import Mail
from models.user import User

ANN = "ann@example.com"


@pytest.fixture
def door(settings: Settings, mail_server: MailServer) -> Iterator[Door]:
    with opened(settings, smtp_url=mail_server.url(), public_url="https://media.example.com") as door:
        yield door


def invite(admin: Person, email: str = ANN, **more: Any) -> dict[str, Any]:
    answer = admin.post("/admin/invitations", json={"email": email, **more})
    assert answer.status_code == 201, answer.text
    return dict(data_of(answer))


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def accept(door: Door, url: str, name: str = "Ann", **more: Any) -> TestResponse:
    body = {"token": token_of(url), "name": name, "password": PASSWORD, **more}
    return door.stranger().post(f"{API}/auth/invitations/accept", json=body)


def work_off(door: Door) -> None:
    while run_next(door.runtime, mail_work.MAIL, send_mail):
        pass


class TestInviting:
    def test_gives_a_link_and_mails_it(self, door: Door, mail_server: MailServer, admin: Person) -> None:
        made = invite(admin, " ANN@Example.com ", role="admin")

        work_off(door)

        assert set(made) == {"id", "email", "role", "url", "expiresAt", "createdAt"}
        assert (made["email"], made["role"]) == (ANN, "admin")
        assert made["id"].startswith("inv-")
        assert made["url"].startswith("https://media.example.com/invitation?token=")
        (mail,) = mail_server.to(ANN)
        assert mail.link == made["url"]
        assert mail.message["Subject"] == "Ann: your invitation to MediaNest"

    def test_the_link_is_kept_nowhere(self, door: Door, admin: Person) -> None:
        token = token_of(invite(admin)["url"])

        with door.runtime.unit_of_work() as db:
            for table in ("invitations", "mails", "audit_entries"):
                assert token not in str(db.execute(text(f"SELECT t::text FROM {table} t")).all())
        assert token not in admin.get("/admin/invitations").text

    def test_without_mail_the_link_is_all(self, settings: Settings) -> None:
        with opened(settings, app_env="production") as door:
            made = invite(door.person("admin"))
            assert accept(door, made["url"]).status_code == 201
            with door.runtime.unit_of_work() as db:
                assert db.scalars(select(Mail.id)).all() == []

    def test_nobody_is_made_super_admin(self, door: Door, admin: Person) -> None:
        for somebody in (admin, door.person("super_admin")):
            answer = somebody.post("/admin/invitations", json={"email": ANN, "role": "super_admin"})
            refused(answer, 403, "FORBIDDEN")

    def test_an_address_that_signs_in_needs_none(self, door: Door, admin: Person) -> None:
        refused(admin.post("/admin/invitations", json={"email": admin.email.upper()}), 409, "CONFLICT")

    def test_a_new_one_replaces_the_open_one(self, door: Door, admin: Person) -> None:
        first, second = invite(admin), invite(admin, "Ann@example.com")
        other = invite(admin, "bob@example.com")

        refused(accept(door, first["url"]), 404, "NOT_FOUND")
        assert accept(door, second["url"]).status_code == 201
        assert accept(door, other["url"]).status_code == 201

    def test_at_once_one_stays_open(self, door: Door, admin: Person) -> None:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda _: invite(admin), range(6)))

        open_ones = data_of(admin.get("/admin/invitations?status=open"))
        assert open_ones["pagination"]["totalItems"] == 1

    @pytest.mark.parametrize(
        "body", [{}, {"email": "x"}, {"email": ANN, "role": "king"}, {"email": ANN, "url": "x"}]
    )
    def test_what_is_malformed_is_said(self, admin: Person, body: dict[str, Any]) -> None:
        refused(admin.post("/admin/invitations", json=body), 400, "VALIDATION_ERROR")

    def test_is_for_admins(self, door: Door) -> None:
        user = door.person()
        refused(user.post("/admin/invitations", json={"email": ANN}), 403, "FORBIDDEN")
        refused(user.get("/admin/invitations"), 403, "FORBIDDEN")
        refused(user.delete("/admin/invitations/inv-x"), 403, "FORBIDDEN")


class TestLooking:
    def test_shows_what_became_of_each(self, door: Door, admin: Person) -> None:
        made = {
            name: invite(admin, f"{name}@example.com") for name in ("accepted", "revoked", "expired", "open")
        }
        ann = data_of(accept(door, made["accepted"]["url"]))["user"]
        data_of(admin.delete(f"/admin/invitations/{made['revoked']['id']}"))
        with door.runtime.unit_of_work() as db:
            old = update(Invitation).where(Invitation.id == made["expired"]["id"])
            db.execute(old.values(expires_at=func.now()))

        shown = data_of(admin.get("/admin/invitations"))

        assert [(each["email"].split("@")[0], each["status"]) for each in shown["items"]] == [
            (name, name) for name in ("open", "expired", "revoked", "accepted")
        ]
        accepted = shown["items"][3]
        assert accepted["invitedBy"] == {"id": admin.id, "name": "Ann"}
        assert (accepted["acceptedBy"], accepted["revokedAt"]) == (ann["id"], None)
        assert "url" not in accepted
        for name in made:
            (one,) = data_of(admin.get(f"/admin/invitations?status={name}&limit=1"))["items"]
            assert one["id"] == made[name]["id"]
        refused(admin.get("/admin/invitations?status=lost"), 400, "VALIDATION_ERROR")


class TestRevoking:
    def test_ends_the_link(self, door: Door, admin: Person) -> None:
        made = invite(admin)

        gone = data_of(admin.delete(f"/admin/invitations/{made['id']}"))

        assert (gone["id"], gone["status"]) == (made["id"], "revoked")
        assert gone["revokedAt"] is not None
        refused(accept(door, made["url"]), 404, "NOT_FOUND")
        refused(admin.delete(f"/admin/invitations/{made['id']}"), 409, "CONFLICT")
        refused(admin.delete("/admin/invitations/inv-nothing"), 404, "NOT_FOUND")

    def test_not_of_what_was_accepted(self, door: Door, admin: Person) -> None:
        made = invite(admin)
        assert accept(door, made["url"]).status_code == 201
        refused(admin.delete(f"/admin/invitations/{made['id']}"), 409, "CONFLICT")


class TestAccepting:
    def test_makes_the_account_and_signs_in(self, door: Door, admin: Person) -> None:
        made, browser = invite(admin), door.browser()
        body = {"token": token_of(made["url"]), "name": " Ann ", "password": PASSWORD}

        answer = browser.post(f"{API}/auth/invitations/accept", json=body)

        assert answer.status_code == 201
        signed_in = data_of(answer)
        assert {"user", "token", "refreshToken", "csrfToken"} <= set(signed_in)
        user = signed_in["user"]
        assert (user["email"], user["name"], user["role"]) == (ANN, "Ann", "user")
        assert data_of(browser.get(f"{API}/auth/session"))["user"]["id"] == user["id"]
        assert door.sign_in(ANN).id == user["id"]

    def test_the_inviter_is_told_and_it_is_written_down(self, door: Door, admin: Person) -> None:
        other = door.person("admin")
        user = data_of(accept(door, invite(admin)["url"], "Ann\u00e9"))["user"]

        (told,) = data_of(admin.get("/dashboard/notifications"))["items"]
        assert (told["type"], told["title"]) == ("invitation.accepted", "Ann\u00e9 accepted your invitation")
        assert told["subject"] == {"kind": "user", "id": user["id"]}
        assert data_of(other.get("/dashboard/notifications"))["items"] == []
        with door.runtime.unit_of_work() as db:
            entries = {row.action: row for row in db.scalars(select(AuditEntry))}
        assert entries["invitation.created"].actor_id == admin.id
        assert entries["invitation.created"].subject_name == ANN
        assert entries["invitation.accepted"].actor_id == user["id"]
        assert entries["auth.signed_in"].actor_id == user["id"]

    def test_once_of_twenty_at_once(self, door: Door, admin: Person) -> None:
        url = invite(admin)["url"]

        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda n: accept(door, url, f"Ann {n}"), range(20)))

        assert sorted(answer.status_code for answer in answers) == [201, *[404] * 19]
        with door.runtime.unit_of_work() as db:
            assert db.scalar(select(func.count()).where(User.email == ANN)) == 1

    def test_an_expired_one_is_not_found(self, door: Door, admin: Person) -> None:
        url = invite(admin)["url"]
        with door.runtime.unit_of_work() as db:
            db.execute(update(Invitation).values(expires_at=func.now() - timedelta(seconds=1)))
        refused(accept(door, url), 404, "NOT_FOUND")

    @pytest.mark.parametrize(
        "change",
        [
            {"role": "user"},
            {"disabled_at": func.now(), "disabled_reason": "admin"},
            {"deleted_at": func.now()},
        ],
        ids=["demoted", "disabled", "deleted"],
    )
    def test_of_one_who_may_not_invite_any_more_it_is_not_found(
        self, door: Door, admin: Person, change: dict[str, Any]
    ) -> None:
        url = invite(admin, role="guest")["url"]
        with door.runtime.unit_of_work() as db:
            db.execute(update(User).where(User.id == admin.id).values(**change))

        refused(accept(door, url), 404, "NOT_FOUND")

        with door.runtime.unit_of_work() as db:
            assert db.scalar(select(func.count()).where(User.email == ANN)) == 0

    def test_an_address_that_was_taken_meanwhile(self, door: Door, admin: Person) -> None:
        url = invite(admin)["url"]
        with door.runtime.unit_of_work() as db:
            make_user(db, email="Ann@example.com", password_hash="x")

        refused(accept(door, url), 409, "CONFLICT")

    @pytest.mark.parametrize(
        "more",
        [{"name": " "}, {"name": "x" * 101}, {"password": "short"}, {"role": "admin"}, {"email": "x@y.org"}],
    )
    def test_what_is_malformed_is_said_and_costs_nothing(
        self, door: Door, admin: Person, more: dict[str, Any]
    ) -> None:
        url = invite(admin)["url"]

        refused(accept(door, url, **{"name": "Ann", **more}), 400, "VALIDATION_ERROR")

        assert accept(door, url).status_code == 201
