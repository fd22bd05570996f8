"""The pages that links in mails lead to: they work once, without scripts, and say what to do where they do not."""

from __future__ import annotations

import html
from urllib.parse import urlsplit

import pytest
from door import PASSWORD, Door, Person, data_of, opened
from page_forms import PlainBrowser
from sqlalchemy import select

from engine.accounts import password_reset
from models.user import User

NEW = "a new and better one"


@pytest.fixture
def browser(door: Door) -> PlainBrowser:
    return PlainBrowser(door)


def local(url: str) -> str:
    """The path of a link, with its query."""
    parts = urlsplit(url)
    return f"{parts.path[1:]}?{parts.query}"


def invited(admin: Person, email: str) -> str:
    return local(data_of(admin.post("/admin/invitations", json={"email": email}))["url"])


def reset_of(door: Door, person: Person) -> str:
    with door.runtime.unit_of_work() as db:
        issued = password_reset.issue(db, door.runtime.settings, person.email)
    assert issued is not None
    return local(issued[1])


class TestAnInvitation:
    def test_makes_the_account_and_signs_in(self, door: Door, admin: Person, browser: PlainBrowser) -> None:
        link = invited(admin, "ruth@example.org")
        browser.open(link)
        browser.send("invitation", name="Ruth", password=PASSWORD)

        assert browser.path == "/"
        assert "Ruth" in browser.page.text
        with door.runtime.reading() as db:
            assert db.scalars(select(User.name).where(User.email == "ruth@example.org")).one() == "Ruth"

        again = PlainBrowser(door)
        again.open(link)
        assert "This invitation is no longer good" in again.text

    def test_a_weak_password_costs_nothing(self, admin: Person, browser: PlainBrowser) -> None:
        browser.open(invited(admin, "weak@example.org"))
        browser.send("invitation", name="Ruth", password="password1")
        assert browser.page.status_code == 400
        assert 'value="Ruth"' in browser.page.text

        browser.send("invitation", name="Ruth", password=PASSWORD)

        assert browser.path == "/"

    def test_its_secret_is_kept_from_others(self, admin: Person, browser: PlainBrowser) -> None:
        answer = browser.open(invited(admin, "kept@example.org"))

        assert "no-store" in answer.headers["Cache-Control"]
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert 'name="robots" content="noindex"' in answer.text
        assert "://" not in answer.text.partition("<body")[2]  # nothing leads away


@pytest.mark.usefixtures("chief")  # before whom every page leads to the first run
class TestANewPassword:
    def test_is_chosen_once(self, door: Door, ann: Person, browser: PlainBrowser) -> None:
        link = reset_of(door, ann)
        browser.open(link)
        browser.send("reset-password", newPassword=NEW)

        assert browser.path == "/sign-in"
        assert "Your password is changed" in browser.text
        assert ann.get("/auth/session").status_code == 401
        browser.send("sign-in", email=ann.email, password=NEW)
        assert browser.path == "/"

        again = PlainBrowser(door)
        again.open(link)
        assert "This link is no longer good" in again.text

    def test_a_weak_one_is_told_and_the_link_holds(
        self, door: Door, ann: Person, browser: PlainBrowser
    ) -> None:
        browser.open(reset_of(door, ann))
        browser.send("reset-password", newPassword="password1")
        assert browser.page.status_code == 400
        assert 'id="newPassword-error"' in browser.page.text

        browser.send("reset-password", newPassword=NEW)

        assert browser.path == "/sign-in"

    @pytest.mark.parametrize("query", ["", "?token=x", "?token=x&tokenId=y"])
    def test_what_is_no_link_is_told(self, browser: PlainBrowser, query: str) -> None:
        browser.open(f"reset-password{query}")

        assert "This link is no longer good" in browser.text

    def test_the_answer_is_the_same_for_every_address(self, ann: Person, door: Door) -> None:
        texts = []
        with opened(door.runtime.settings, smtp_url="smtp://127.0.0.1:9") as with_mails:
            for email in (ann.email, "nobody@example.org"):
                browser = PlainBrowser(with_mails)
                browser.open("forgotten-password")
                browser.send("forgotten-password", email=email)
                assert browser.page.status_code == 200
                texts.append(browser.text.replace(email, ""))

        assert texts[0] == texts[1]

    def test_without_a_mail_server_nobody_is_sent_to_their_mailbox(self, door: Door) -> None:
        browser = PlainBrowser(door)
        browser.open("forgotten-password")

        assert "can't send mails" in html.unescape(browser.text)

    @pytest.mark.parametrize("query", ["token=a&tokenId=%00", "token=%00&tokenId=b", ""])
    def test_an_odd_link_is_no_longer_good(self, door: Door, query: str) -> None:
        browser = PlainBrowser(door)
        browser.open(f"reset-password?{query}")

        assert browser.page.status_code == 200
        assert "This link is no longer good" in browser.text
