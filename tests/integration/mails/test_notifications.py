"""What one has been told: one's own, once, in a list and over the socket; and of sign-ins from new places."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from fakes.mail_server import MailServer
from sqlalchemy import func, select, update

from config.settings import Settings
from engine.accounts.sign_in_notices import device_name, tell_of_sign_in
from engine.events import CHANNEL_PATTERN
from engine.job_registry import send_mail
from engine.jobs.runner import run_next
from engine.mails import work as mail_work
from engine.notifications.notifications import forget_old, notify
from models.base import new_id
from models.login import Login
from models.notification import Notification
from models.user import User

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/19.0 Mobile/15E148 Safari/604.1"
)


@pytest.fixture
def door(settings: Settings, mail_server: MailServer) -> Iterator[Door]:
    with opened(settings, smtp_url=mail_server.url()) as door:
        yield door


@pytest.fixture
def ann(door: Door) -> Person:
    return door.person("guest")


def tell(door: Door, person: Person, title: str = "Hello", **more: Any) -> str | None:
    with door.runtime.unit_of_work() as db:
        row = notify(db, person.id, **{"type": "test.hello", "title": title, "message": "There.", **more})
        return None if row is None else row.id


def told(person: Person, query: str = "") -> Any:
    return data_of(person.get(f"/dashboard/notifications{query}"))


class TestAList:
    def test_shows_ones_own_newest_first(self, door: Door, ann: Person) -> None:
        bob = door.person()
        tell(door, bob, "Not for Ann")
        first, second = tell(door, ann), tell(door, ann, "Second", subject=("download", "dl-1"))

        shown = told(ann)

        assert [each["id"] for each in shown["items"]] == [second, first]
        newest = shown["items"][0]
        assert newest.pop("createdAt").endswith("Z")
        assert newest == {
            "id": second, "type": "test.hello", "title": "Second", "message": "There.",
            "subject": {"kind": "download", "id": "dl-1"}, "read": False,
        }  # fmt: skip
        assert shown["items"][1]["subject"] is None
        assert shown["unread"] == 2
        assert shown["pagination"] == {
            "page": 1, "totalPages": 1, "totalItems": 2, "itemsPerPage": 20, "hasNext": False, "hasPrev": False,
        }  # fmt: skip

    def test_comes_in_pages_and_by_what_was_read(self, door: Door, ann: Person) -> None:
        ids = [tell(door, ann, str(n)) for n in range(5)]
        data_of(ann.post("/dashboard/notifications/read", json={"ids": [ids[0]]}))

        second = told(ann, "?page=2&limit=2")
        assert [each["id"] for each in second["items"]] == [ids[2], ids[1]]
        assert (second["unread"], second["pagination"]["totalItems"]) == (4, 5)
        assert [each["id"] for each in told(ann, "?unread=false")["items"]] == [ids[0]]
        assert told(ann, "?unread=true&limit=1")["pagination"]["totalItems"] == 4

    @pytest.mark.parametrize(
        "query", ["?page=0", "?limit=101", "?unread=1", "?unread=", "?x=1", "?page=1&page=2"]
    )
    def test_refuses_what_it_does_not_know(self, ann: Person, query: str) -> None:
        refused(ann.get(f"/dashboard/notifications{query}"), 400, "VALIDATION_ERROR")

    def test_is_for_those_who_signed_in(self, door: Door) -> None:
        refused(door.stranger().get(f"{API}/dashboard/notifications"), 401, "UNAUTHORIZED")
        refused(
            door.stranger().post(f"{API}/dashboard/notifications/read", json={"all": True}),
            401,
            "UNAUTHORIZED",
        )


class TestReading:
    def test_some_or_all(self, door: Door, ann: Person) -> None:
        ids = [tell(door, ann) for _ in range(3)]
        other = tell(door, door.person())

        for _ in range(2):
            answer = ann.post("/dashboard/notifications/read", json={"ids": ids[:1] * 2})
            assert answer.status_code == 200
        assert data_of(answer) == {"read": 0}, "it was read before"
        assert data_of(ann.post("/dashboard/notifications/read", json={"all": True})) == {"read": 2}

        assert told(ann)["unread"] == 0
        with door.runtime.unit_of_work() as db:
            assert db.scalar(select(Notification.read_at).where(Notification.id == other)) is None

    def test_not_those_of_others(self, door: Door, ann: Person) -> None:
        mine, other = tell(door, ann), tell(door, door.person())

        refused(ann.post("/dashboard/notifications/read", json={"ids": [mine, other]}), 404, "NOT_FOUND")

        assert told(ann)["unread"] == 1

    @pytest.mark.parametrize(
        "body",
        [
            {}, {"ids": []}, {"ids": ["x"], "all": True}, {"all": False}, {"ids": "x"}, {"ids": [1]},
            {"ids": ["\x00"]}, {"ids": ["x"] * 501}, {"all": "true"}, [],
        ],
    )  # fmt: skip
    def test_what_is_malformed_is_said(self, ann: Person, body: Any) -> None:
        refused(ann.post("/dashboard/notifications/read", json=body), 400, "VALIDATION_ERROR")


class TestTelling:
    def test_once_for_each_key(self, door: Door, ann: Person) -> None:
        bob = door.person()

        assert tell(door, ann, dedupe_key="k") is not None
        assert tell(door, ann, dedupe_key="k") is None
        assert tell(door, bob, dedupe_key="k") is not None
        assert tell(door, ann) is not None
        assert tell(door, ann) is not None

        assert told(ann)["unread"] == 3

    def test_nobody_of_their_own_doing(self, door: Door, ann: Person) -> None:
        assert tell(door, ann, by=ann.id) is None
        assert tell(door, ann, by="user-somebody") is not None

    def test_goes_to_the_sockets_after_the_commit(self, door: Door, ann: Person) -> None:
        listener = door.runtime.redis.pubsub(ignore_subscribe_messages=True)
        listener.psubscribe(CHANNEL_PATTERN)
        listener.get_message(timeout=5)
        with pytest.raises(ZeroDivisionError), door.runtime.unit_of_work() as db:
            notify(db, ann.id, type="test.hello", title="Never", message="Rolled back.")
            raise ZeroDivisionError
        with door.runtime.unit_of_work() as db:
            notify(
                db, ann.id, type="test.hello", title="Hello", message="There.", subject=("download", "dl-1")
            )

        heard = listener.get_message(timeout=5)
        listener.close()

        assert heard is not None
        message = orjson.loads(heard["data"])
        assert (message["user"], message["datum"], message["passing"]) == (ann.id, "notification", False)
        assert message["frame"]["event"] == "notification:new"
        assert message["frame"]["data"]["title"] == "Hello"
        (row,) = told(ann)["items"]
        created = message["frame"]["data"].pop("createdAt")
        assert created.endswith("Z")
        assert created[:19] == row.pop("createdAt")[:19]
        assert message["frame"]["data"] == row

    def test_old_ones_are_forgotten(self, door: Door, ann: Person) -> None:
        old, fresh = tell(door, ann), tell(door, ann)
        with door.runtime.unit_of_work() as db:
            aged = update(Notification).where(Notification.id == old)
            db.execute(aged.values(created_at=func.now() - timedelta(days=91)))
            forget_old(db, timedelta(days=90))
        assert [each["id"] for each in told(ann)["items"]] == [fresh]


class TestSignIns:
    def sign_in(self, door: Door, person: Person, agent: str | None, address: str | None) -> None:
        """A session begins, as `sessions.start` leaves it."""
        with door.runtime.unit_of_work() as db:
            user = db.get(User, person.id)
            assert user is not None
            login = Login(
                id=new_id("ses"), user_id=user.id, refresh_hash="x", remember_me=False, expires_at=func.now(),
                last_used_at=func.now(), user_agent=agent, address=address,
            )  # fmt: skip
            db.add(login)
            db.flush()
            db.refresh(login)
            tell_of_sign_in(db, door.runtime.settings, user, login)

    def newcomer(self, door: Door) -> Person:
        person = door.person()
        with door.runtime.unit_of_work() as db:
            db.execute(
                update(Login)
                .where(Login.user_id == person.id)
                .values(user_agent=FIREFOX, address="203.0.113.5")
            )
        return person

    def titles(self, person: Person) -> list[str]:
        return [each["title"] for each in told(person)["items"]]

    def test_from_a_new_device_or_place_are_told_once(self, door: Door, mail_server: MailServer) -> None:
        ann = self.newcomer(door)

        self.sign_in(door, ann, FIREFOX, "203.0.113.5")
        assert self.titles(ann) == []
        for _ in range(2):
            self.sign_in(door, ann, FIREFOX, "198.51.100.7")
            self.sign_in(door, ann, IPHONE, "203.0.113.5")

        assert self.titles(ann) == [
            "New sign-in from Safari on iPhone (203.0.113.5)",
            "New sign-in from Firefox on Linux (198.51.100.7)",
        ]
        while run_next(door.runtime, mail_work.MAIL, send_mail):
            pass
        subjects = [mail.message["Subject"] for mail in mail_server.to(ann.email)]
        assert subjects == [
            "New sign-in to MediaNest from Firefox on Linux",
            "New sign-in to MediaNest from Safari on iPhone",
        ]
        assert "198.51.100.7" in mail_server.to(ann.email)[0].plain

    def test_the_very_first_is_not(self, door: Door) -> None:
        ann = door.person()
        with door.runtime.unit_of_work() as db:
            db.execute(Login.__table__.delete().where(Login.user_id == ann.id))
            user = db.get(User, ann.id)
            login = Login(
                id=new_id("ses"), user_id=ann.id, refresh_hash="x", remember_me=False,
                expires_at=func.now() + timedelta(hours=1), last_used_at=func.now(),
            )  # fmt: skip
            db.add(login)
            db.flush()
            assert user is not None
            tell_of_sign_in(db, door.runtime.settings, user, login)
            assert db.scalars(select(Notification.id)).all() == []

    def test_a_device_that_changes_its_ipv6_address_stays_where_it_was(self, door: Door) -> None:
        ann = self.newcomer(door)

        self.sign_in(door, ann, FIREFOX, "2001:db8:1:2::10")
        self.sign_in(door, ann, FIREFOX, "2001:db8:1:2:ffff::99")
        self.sign_in(door, ann, FIREFOX, "2001:db8:1:3::10")

        assert len(self.titles(ann)) == 2

    def test_what_says_nothing_of_itself_is_told_too(self, door: Door) -> None:
        ann = self.newcomer(door)

        for _ in range(2):
            self.sign_in(door, ann, None, None)

        assert self.titles(ann) == ["New sign-in from an unknown device (an unknown address)"]

    def test_it_is_told_at_the_door(self, door: Door) -> None:
        ann = self.newcomer(door)
        body = {"email": ann.email, "password": PASSWORD}

        answer = door.stranger().post(f"{API}/auth/login", json=body, headers={"User-Agent": IPHONE})

        assert answer.status_code == 200
        assert self.titles(ann) == ["New sign-in from Safari on iPhone (127.0.0.1)"]

    @pytest.mark.parametrize(
        ("agent", "name"),
        [
            (FIREFOX, "Firefox on Linux"),
            (IPHONE, "Safari on iPhone"),
            (
                "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/139.0 Safari/537.36 Edg/139.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/139.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/18.0 Safari/605.1.15", "Safari on Mac"),
            ("python-requests/2.34.2", "python-requests"),
            ("<script>alert(1)</script>", "<script>alert(1)<"),
            ("x" * 400, "x" * 40),
            ("", "an unknown device"),
            (None, "an unknown device"),
        ],
    )
    def test_a_device_has_a_name(self, agent: str | None, name: str) -> None:
        assert device_name(agent) == name
