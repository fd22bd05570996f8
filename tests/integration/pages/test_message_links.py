"""The pages that links in messages lead to: they ask first, work without being signed in, and once."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from door import Door, Person
from page_forms import PlainBrowser
from sqlalchemy import func, select, update

from engine.notifications import links
from models.base import new_id
from models.delivery import ActionLink, NotificationChannel
from models.media_request import MediaRequest, RequestStep
from models.user import User


@pytest.fixture
def browser(own_door: Door) -> PlainBrowser:
    return PlainBrowser(own_door)


@pytest.fixture
def asked(own_door: Door, ann: Person) -> str:
    """The id of a pending request of hers."""
    with own_door.runtime.unit_of_work() as db:
        row = MediaRequest(
            id=new_id("req"), media_type="movie", status="pending", tmdb_id="42", title="The Tide",
            comment="For Friday & Saturday", user_id=ann.id, requested_by_name="Ann", updated_at=func.now(),
        )  # fmt: skip
        db.add(row)
    return row.id


@pytest.fixture
def ann(own_door: Door) -> Person:
    return own_door.person()


@pytest.fixture
def boss(own_door: Door) -> Person:
    return own_door.person("admin")


def link_for(door: Door, person: Person, request_id: str) -> str:
    with door.runtime.unit_of_work() as db:
        return f"decide/{links.make(db, person.id, links.DECIDE, request_id)}"


def status_of(door: Door, request_id: str) -> str:
    with door.runtime.reading() as db:
        return db.get_one(MediaRequest, request_id).status


class TestDeciding:
    def test_a_look_changes_nothing(
        self, own_door: Door, boss: Person, asked: str, browser: PlainBrowser
    ) -> None:
        path = link_for(own_door, boss, asked)

        for _ in range(3):
            browser.open(path)

        assert "May it be “The Tide”?" in browser.text
        assert "asked for by Ann" in browser.text
        assert "For Friday & Saturday" in browser.text
        assert status_of(own_door, asked) == "pending"

    def test_approving_is_done_as_its_recipient_and_once(
        self, own_door: Door, boss: Person, asked: str, browser: PlainBrowser
    ) -> None:
        path = link_for(own_door, boss, asked)
        browser.open(path)
        browser.send(path, decision="approve")

        assert "“The Tide” is approved" in browser.text
        with own_door.runtime.reading() as db:
            assert db.get_one(MediaRequest, asked).decided_by == boss.id
            steps = select(RequestStep.user_id).where(RequestStep.request_id == asked)
            assert db.scalars(steps).all() == [boss.id]
        browser.open(path)
        assert (browser.page.status_code, "no longer good" in browser.text) == (404, True)

    def test_denying_takes_a_reason(
        self, own_door: Door, boss: Person, asked: str, browser: PlainBrowser
    ) -> None:
        path = link_for(own_door, boss, asked)
        browser.open(path)
        browser.send(path, decision="deny", reason="Seen it.")

        with own_door.runtime.reading() as db:
            row = db.get_one(MediaRequest, asked)
        assert (row.status, row.deny_reason) == ("denied", "Seen it.")

    @pytest.mark.parametrize(
        "change", [{"role": "user"}, {"disabled_at": func.now()}, {"deleted_at": func.now()}]
    )
    def test_who_may_not_any_more_decides_nothing(
        self, own_door: Door, boss: Person, asked: str, browser: PlainBrowser, change: dict[str, object]
    ) -> None:
        path = link_for(own_door, boss, asked)
        browser.open(path)
        with own_door.runtime.unit_of_work() as db:
            db.execute(update(User).where(User.id == boss.id).values(**change))

        browser.send(path, decision="approve")

        assert browser.page.status_code == 403
        assert status_of(own_door, asked) == "pending"

    def test_after_a_day_it_is_too_old(
        self, own_door: Door, boss: Person, asked: str, browser: PlainBrowser
    ) -> None:
        path = link_for(own_door, boss, asked)
        with own_door.runtime.unit_of_work() as db:
            db.execute(update(ActionLink).values(expires_at=func.now() - timedelta(seconds=1)))

        assert browser.open(path).status_code == 404

    def test_without_our_own_page_nothing_is_decided(self, own_door: Door, boss: Person, asked: str) -> None:
        path = link_for(own_door, boss, asked)

        answer = own_door.stranger().post(f"/{path}", data={"decision": "approve"})

        assert answer.status_code == 403
        assert status_of(own_door, asked) == "pending"

    def test_what_was_decided_the_other_way_says_so(
        self, own_door: Door, boss: Person, asked: str, browser: PlainBrowser
    ) -> None:
        path = link_for(own_door, boss, asked)
        browser.open(path)
        with own_door.runtime.unit_of_work() as db:
            db.execute(update(MediaRequest).values(status="approved"))

        browser.send(path, decision="deny")

        assert browser.page.status_code == 409
        assert "was decided already" in browser.text


class TestUnsubscribing:
    def test_it_asks_first(self, own_door: Door, ann: Person, browser: PlainBrowser) -> None:
        with own_door.runtime.unit_of_work() as db:
            channel = NotificationChannel(
                id=new_id("chn"), user_id=ann.id, kind="email", name="Mail", enabled=True
            )
            db.add(channel)
        path = f"unsubscribe/{links.unsubscribe_token(own_door.runtime.settings, channel.id)}"

        browser.open(path)
        assert "No more messages here?" in browser.text
        assert self.enabled(own_door)
        browser.send(path)

        assert "No more messages are sent" in browser.text
        assert not self.enabled(own_door)

    def enabled(self, door: Door) -> bool:
        with door.runtime.reading() as db:
            return db.scalars(select(NotificationChannel.enabled)).one()

    @pytest.mark.parametrize("token", ["chn-1.abc", "chn-1", "x" * 300, "chn-1." + "A" * 22])
    def test_a_link_that_is_none_of_ours(self, browser: PlainBrowser, token: str) -> None:
        assert browser.open(f"unsubscribe/{token}").status_code == 404
        assert "no longer good" in html.unescape(re.sub(r"<[^>]+>", " ", browser.page.text))
