"""A forgotten password: asked for alike by all, mailed to who has one, used once, and everything else ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from door import API, PASSWORD, Door, Person, data_of, hashed_password, opened, refused
from factories import make_user
from fakes.mail_server import MailServer
from sqlalchemy import func, inspect, select, text, update
from werkzeug.test import TestResponse

from config.settings import Settings
from config.variables import Rate
from engine.accounts import password_reset
from engine.job_registry import send_mail
from engine.jobs.runner import run_next
from engine.mails import work as mail_work
from models.audit import AuditEntry
from models.mail import Mail
from models.password_reset import PasswordReset
from models.user import User

NEW = "a new and better one"


@pytest.fixture
def door(settings: Settings, mail_server: MailServer) -> Iterator[Door]:
    with opened(settings, smtp_url=mail_server.url(), public_url="https://media.example.com/nest/") as door:
        yield door


def ask(door: Door, email: str) -> TestResponse:
    return door.stranger().post(f"{API}/auth/password-reset/request", json={"email": email})


def verify(door: Door, **body: str) -> TestResponse:
    return door.stranger().post(f"{API}/auth/password-reset/verify", json=body)


def confirm(door: Door, token: str, password: str = NEW) -> TestResponse:
    body = {"token": token, "newPassword": password}
    return door.stranger().post(f"{API}/auth/password-reset/confirm", json=body)


def log_in(door: Door, email: str, password: str) -> TestResponse:
    return door.stranger().post(f"{API}/auth/login", json={"email": email, "password": password})


def work_off(door: Door) -> None:
    while run_next(door.runtime, mail_work.MAIL, send_mail):
        pass


def mailed(door: Door, server: MailServer, email: str) -> dict[str, str]:
    """Token and id of the link in a fresh mail."""
    assert ask(door, email).status_code == 200
    work_off(door)
    query = parse_qs(urlsplit(server.to(email)[-1].link).query)
    return {name: values[0] for name, values in query.items()}


def test_the_link_leads_to_a_new_password_and_ends_the_rest(
    door: Door, mail_server: MailServer, ann: Person
) -> None:
    phone, bob = door.sign_in(ann.email), door.person()
    made = ann.post("/users/me/api-keys", json={"name": "tv", "permissions": ["media.read"]})
    link = mailed(door, mail_server, ann.email)
    assert mail_server.to(ann.email)[-1].link.startswith(
        "https://media.example.com/nest/reset-password?token="
    )
    verified = data_of(verify(door, **link))
    assert verified["valid"] is True
    assert verified["expiresAt"].endswith("Z")

    answer = confirm(door, link["token"])

    assert set(data_of(answer)) == {"message"}
    refused(log_in(door, ann.email, PASSWORD), 401, "UNAUTHORIZED")
    for device in (ann, phone):
        refused(device.get("/auth/session"), 401, "UNAUTHORIZED")
        body = {"refreshToken": device.signed_in["refreshToken"]}
        refused(device.client.post(f"{API}/auth/refresh", json=body), 401, "UNAUTHORIZED")
    if made.status_code == 201:
        by_key = door.stranger().get(
            f"{API}/dashboard/notifications", headers={"X-Api-Key": data_of(made)["key"]}
        )
        refused(by_key, 401, "UNAUTHORIZED")
    assert bob.get("/auth/session").status_code == 200
    assert log_in(door, ann.email, NEW).status_code == 200


def test_its_owner_is_told(door: Door, mail_server: MailServer, ann: Person) -> None:
    confirm(door, mailed(door, mail_server, ann.email)["token"])
    work_off(door)

    ann.token = data_of(log_in(door, ann.email, NEW))["token"]
    told = data_of(ann.get("/dashboard/notifications"))["items"]
    assert "security.password_changed" in {each["type"] for each in told}
    subjects = [mail.message["Subject"] for mail in mail_server.to(ann.email)]
    assert "Your MediaNest password was changed" in subjects


def test_it_is_in_the_audit_log_without_the_token(door: Door, mail_server: MailServer, ann: Person) -> None:
    link = mailed(door, mail_server, ann.email)
    confirm(door, link["token"])

    with door.runtime.unit_of_work() as db:
        entries = {row.action: row for row in db.scalars(select(AuditEntry))}
    asked, done = entries["password.reset_requested"], entries["password.reset"]
    assert (asked.actor_id, asked.subject_name, asked.subject_id) == (None, ann.email, None)
    assert (done.actor_id, done.subject_id, done.address) == (ann.id, ann.id, "127.0.0.1")
    assert done.details == {"sessions": 1, "keys": 0}


def test_a_link_works_once(door: Door, mail_server: MailServer, ann: Person) -> None:
    link = mailed(door, mail_server, ann.email)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: confirm(door, link["token"], f"{NEW} {n}"), range(8)))

    assert sorted(answer.status_code for answer in answers) == [200, *[404] * 7]
    refused(verify(door, **link), 404, "NOT_FOUND")
    (winner,) = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    assert log_in(door, ann.email, f"{NEW} {winner}").status_code == 200


def test_one_that_was_used_ends_the_others(door: Door, mail_server: MailServer, ann: Person) -> None:
    first, second = mailed(door, mail_server, ann.email), mailed(door, mail_server, ann.email)
    assert verify(door, **first).status_code == 200

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda link: confirm(door, link["token"]), (first, second)))

    assert sorted(answer.status_code for answer in answers) == [200, 404]


@pytest.mark.parametrize(
    "change",
    [
        update(PasswordReset).values(expires_at=func.now() - timedelta(seconds=1)),
        update(PasswordReset).values(used_at=func.now()),
        update(User).values(disabled_at=func.now(), disabled_reason="admin"),
        update(User).values(deleted_at=func.now()),
        update(User).values(password_hash=None, plex_id="1"),
    ],
    ids=["expired", "used", "disabled", "deleted", "plex-only"],
)
def test_what_does_not_hold_any_more_is_not_found(
    door: Door, mail_server: MailServer, ann: Person, change: Any
) -> None:
    link = mailed(door, mail_server, ann.email)
    with door.runtime.unit_of_work() as db:
        db.execute(change)

    said = refused(verify(door, **link), 404, "NOT_FOUND")
    assert refused(confirm(door, link["token"]), 404, "NOT_FOUND")["message"] == said["message"]


def test_nor_is_what_was_never_given(door: Door, mail_server: MailServer, ann: Person) -> None:
    mine, other = mailed(door, mail_server, ann.email), mailed(door, mail_server, ann.email)

    refused(verify(door, token=mine["token"], tokenId=other["tokenId"]), 404, "NOT_FOUND")
    refused(verify(door, token="x", tokenId=mine["tokenId"]), 404, "NOT_FOUND")
    refused(confirm(door, mine["tokenId"]), 404, "NOT_FOUND")
    assert ann.get("/auth/session").status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("request", {}),
        ("request", {"email": "nobody"}),
        ("request", {"email": ["a@example.com"]}),
        ("verify", {"token": "x"}),
        ("confirm", {"token": "x", "newPassword": "short"}),
        ("confirm", {"token": "x", "newPassword": "x" * 129}),
        ("confirm", {"token": "x", "newPassword": NEW, "userId": "user-1"}),
    ],
)
def test_what_is_malformed_is_said(door: Door, path: str, body: dict[str, Any]) -> None:
    answer = door.stranger().post(f"{API}/auth/password-reset/{path}", json=body)
    refused(answer, 400, "VALIDATION_ERROR")


class TestWhoeverAsks:
    def test_the_answer_is_the_same(self, door: Door, ann: Person) -> None:
        known, unknown = ask(door, ann.email.upper()), ask(door, "nobody@example.com")

        assert known.status_code == unknown.status_code == 200
        assert known.get_json() == unknown.get_json()
        own = {"X-Correlation-ID"}
        assert [h for h in known.headers if h[0] not in own] == [
            h for h in unknown.headers if h[0] not in own
        ]
        with door.runtime.unit_of_work() as db:
            first, second = db.scalars(select(Mail).order_by(Mail.id)).all()
        assert (first.status, first.template) == (second.status, second.template)

    @pytest.mark.parametrize(
        "values",
        [
            {"password_hash": None, "plex_id": "7"},
            {"disabled_at": func.now(), "disabled_reason": "admin"},
            {"deleted_at": func.now()},
        ],
        ids=["plex-only", "disabled", "deleted"],
    )
    def test_who_has_no_password_gets_no_mail(
        self, door: Door, mail_server: MailServer, values: dict[str, Any]
    ) -> None:
        with door.runtime.unit_of_work() as db:
            make_user(db, **{"email": "x@example.com", "password_hash": hashed_password(), **values})
        ask(door, "x@example.com")
        ask(door, "nobody@example.com")

        work_off(door)

        assert mail_server.received == []
        with door.runtime.unit_of_work() as db:
            assert set(db.scalars(select(Mail.status))) == {"completed"}
            assert db.scalar(select(func.count()).select_from(PasswordReset)) == 0

    def test_the_mail_goes_to_the_address_of_the_account(self, door: Door, mail_server: MailServer) -> None:
        with door.runtime.unit_of_work() as db:
            make_user(db, email="Ann@Example.com", password_hash=hashed_password())
            make_user(db, email="ann@example.com", password_hash=None, plex_id="8")
        ask(door, "  aNN@example.COM ")

        work_off(door)

        (mail,) = mail_server.received
        assert mail.recipients == ("Ann@Example.com",)

    def test_three_an_hour_for_an_address(self, settings: Settings) -> None:
        three = (Rate(3, 3600),)
        with opened(settings, rate_limit_enabled=True, rate_limit_password_reset=three) as door:
            for email in ("ann@example.com", "nobody@example.com"):
                statuses = [ask(door, email).status_code for _ in range(4)]
                assert statuses == [200, 200, 200, 429]
            refused(ask(door, "ANN@example.com"), 429, "RATE_LIMIT_EXCEEDED")


def test_the_token_is_nowhere_in_the_database_or_the_log(
    door: Door, mail_server: MailServer, ann: Person, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        link = mailed(door, mail_server, ann.email)
        confirm(door, link["token"])

    with door.runtime.unit_of_work() as db:
        tables = inspect(door.runtime.database.engine).get_table_names()
        dump = "".join(str(db.execute(text(f'SELECT t::text FROM "{name}" t')).all()) for name in tables)
    assert link["tokenId"] in dump, "the dump shows what there is"
    assert link["token"] not in dump
    assert link["token"] not in caplog.text
    assert ann.email not in caplog.text


def test_old_resets_are_forgotten(door: Door, mail_server: MailServer, ann: Person) -> None:
    old, fresh = mailed(door, mail_server, ann.email), mailed(door, mail_server, ann.email)
    with door.runtime.unit_of_work() as db:
        aged = update(PasswordReset).where(PasswordReset.id == old["tokenId"])
        db.execute(aged.values(expires_at=func.now() - timedelta(days=2)))
        password_reset.forget_old(db, timedelta(days=1))
        assert db.scalars(select(PasswordReset.id)).all() == [fresh["tokenId"]]
