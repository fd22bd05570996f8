"""Oneself by pages: name, address, password, devices, keys, language."""

from __future__ import annotations

import re

import pytest
from door import PASSWORD, Door, Person
from page_forms import PlainBrowser
from sqlalchemy import select

from models.user import User

NEW = "a new and better one"


@pytest.fixture
def mine(door: Door, ann: Person, chief: Person) -> PlainBrowser:
    """Ann's browser."""
    return signed_in(door, ann.email)


def signed_in(door: Door, email: str, password: str = PASSWORD) -> PlainBrowser:
    browser = PlainBrowser(door)
    browser.open("sign-in")
    browser.send("sign-in", email=email, password=password)
    return browser


def test_the_name_is_changed(mine: PlainBrowser) -> None:
    mine.open("account")
    mine.send("account/name", name="Ann\u00e9")
    assert "You are Ann\u00e9" in mine.text

    answer = mine.send("account/name", name="")

    assert answer.status_code == 400
    assert 'id="name-error"' in answer.text


def test_the_address_takes_the_password(door: Door, ann: Person, mine: PlainBrowser) -> None:
    mine.open("account/email")
    mine.send("account/email", email="new@example.org", currentPassword="not the one")
    assert mine.page.status_code == 403
    assert 'value="new@example.org"' in mine.page.text

    mine.send("account/email", email="new@example.org", currentPassword=PASSWORD)

    assert mine.path == "/account"
    with door.runtime.reading() as db:
        assert db.scalars(select(User.email).where(User.id == ann.id)).one() == "new@example.org"


def test_a_new_password_ends_the_rest(door: Door, ann: Person, mine: PlainBrowser) -> None:
    mine.open("account/password")
    mine.send("account/password", currentPassword=PASSWORD, newPassword="password1")
    assert mine.page.status_code == 400
    assert 'id="newPassword-error"' in mine.page.text

    mine.send("account/password", currentPassword=PASSWORD, newPassword=NEW)

    assert mine.path == "/account"
    assert ann.get("/auth/session").status_code == 401
    assert signed_in(door, ann.email, NEW).path == "/"


def test_a_device_is_signed_out(door: Door, ann: Person, mine: PlainBrowser) -> None:
    other = signed_in(door, ann.email)
    mine.open("account")
    assert "signed in on 3 devices" in mine.text  # by the fixture, too
    ids = re.findall(r"account/devices/([\w-]+)/end\"", mine.page.text)

    for each in ids:
        mine.send(f"account/devices/{each}/end")

    assert "signed in on one device" in mine.text
    other.open("account")
    assert other.path.startswith("/sign-in")


def test_all_others_at_once(door: Door, ann: Person, mine: PlainBrowser) -> None:
    other = signed_in(door, ann.email)
    mine.open("account")
    mine.send("account/devices/end-others")

    assert "signed in on one device" in mine.text
    other.open("account")
    assert other.path.startswith("/sign-in")


def test_a_key_is_shown_once(door: Door, mine: PlainBrowser) -> None:
    mine.open("account/keys")
    mine.send("account/keys", name="A script", permissions=["media.read"], days="30")
    text = re.findall(r'id="new-key" value="(mn_[\w-]+)"', mine.page.text)[0]

    used = door.stranger().get("/api/v1/dashboard/notifications", headers={"X-Api-Key": text})

    assert used.status_code == 200
    address = mine.path
    mine.open("account/keys")
    assert text not in mine.page.text
    thief = signed_in(door, door.person().email)
    thief.open(address[1:])
    assert text not in thief.page.text
    (key_id,) = re.findall(r"account/keys/([\w-]+)/delete", mine.page.text)
    mine.send(f"account/keys/{key_id}/delete")
    assert "No program acts for you" in mine.text


def test_a_key_needs_a_permission(mine: PlainBrowser) -> None:
    mine.open("account/keys")
    answer = mine.send("account/keys", name="A script")

    assert answer.status_code == 400
    assert "Tick at least one." in mine.text
    assert 'value="A script"' in answer.text


def test_the_language_is_chosen(mine: PlainBrowser) -> None:
    mine.open("account")
    mine.send("account/language", language="de")
    assert 'lang="de"' in mine.page.text

    mine.send("account/language", language="")

    assert 'lang="en"' in mine.page.text


def test_a_guest_sees_what_is_theirs_and_changes_nothing(door: Door, chief: Person) -> None:
    guest = signed_in(door, door.person("guest").email)
    guest.open("account")

    assert guest.page.status_code == 200
    assert "account/email" not in guest.page.text
    assert "account/language" in guest.page.text
