"""Signing in with Plex by pages: the code, who waits for it, where it leads; linking; the first run's servers."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from door import PASSWORD, Door, opened
from fakes.plextv import FakeAccount, FakePlexServer, FakePlexTv
from page_forms import PlainBrowser
from sqlalchemy import func, select, update

from models.login import Login
from models.plex_pin import PlexPin
from models.user import User

SERVER = "our-server"


@pytest.fixture(scope="module")
def door(door: Door, module_plextv: FakePlexTv, module_plex_server: FakePlexServer) -> Iterator[Door]:
    door.person("super_admin")
    where = {"plex_tv_url": module_plextv.url, "plex_url": module_plex_server.url}
    with opened(door.runtime.settings, **where) as there:
        yield there


@pytest.fixture
def bob(module_plextv: FakePlexTv) -> FakeAccount:
    return module_plextv.account("bob", servers={SERVER})


@pytest.fixture
def browser(door: Door) -> PlainBrowser:
    return PlainBrowser(door)


def newest_pin(door: Door) -> str:
    with door.runtime.unit_of_work() as db:
        db.execute(update(PlexPin).values(asked_at=None))  # as if a second had passed
        return db.scalars(select(PlexPin.id).order_by(PlexPin.created_at.desc())).first() or ""


def code_on(browser: PlainBrowser) -> str | None:
    found = re.search(r'<p class="code"[^>]*>(\w+)</p>', browser.page.text)
    return None if found is None else found[1]


def test_a_code_is_typed_and_leads_to_the_page_asked_for(
    door: Door, browser: PlainBrowser, module_plextv: FakePlexTv, bob: FakeAccount
) -> None:
    browser.open("account")
    browser.send("sign-in/plex")
    assert re.fullmatch(r"\w{4}", code_on(browser) or "")
    assert 'class="qr"' in browser.page.text

    browser.send("sign-in/plex/check")
    assert "Plex has not seen the code yet." in browser.text
    assert code_on(browser)

    module_plextv.claim(newest_pin(door), bob)
    browser.send("sign-in/plex/check")

    assert (browser.page.status_code, browser.path) == (200, "/account"), browser.text


def test_who_has_no_access_is_told(door: Door, browser: PlainBrowser, module_plextv: FakePlexTv) -> None:
    browser.open("sign-in")
    browser.send("sign-in/plex")
    module_plextv.claim(newest_pin(door), module_plextv.account("mallory"))

    browser.send("sign-in/plex/check")

    assert browser.page.status_code == 403
    assert "has no access to our Plex server" in browser.text
    assert "Get a code" in browser.text


def test_a_disabled_account_is_told(
    door: Door, browser: PlainBrowser, module_plextv: FakePlexTv, bob: FakeAccount
) -> None:
    for again in (False, True):
        browser = PlainBrowser(door)
        browser.open("sign-in")
        browser.send("sign-in/plex")
        module_plextv.claim(newest_pin(door), bob)
        browser.send("sign-in/plex/check")
        with door.runtime.unit_of_work() as db:
            mine = update(User).where(User.plex_id == str(bob.id))
            db.execute(mine.values(disabled_at=func.now(), disabled_reason="admin"))
        assert ("This account is disabled." in browser.text) is again


def test_plex_away_keeps_the_code(door: Door, browser: PlainBrowser, module_plextv: FakePlexTv) -> None:
    browser.open("sign-in")
    browser.send("sign-in/plex")
    code = code_on(browser)
    newest_pin(door)
    module_plextv.fail("503")
    try:
        browser.send("sign-in/plex/check")
    finally:
        module_plextv.fail(None)

    assert browser.page.status_code == 200
    assert code_on(browser) == code


def test_a_code_is_shown_only_to_the_browser_that_asked_for_it(door: Door, browser: PlainBrowser) -> None:
    """Otherwise somebody could have others type a code that signs them in."""
    browser.open("sign-in")
    browser.send("sign-in/plex")
    other = PlainBrowser(door)
    other.open("sign-in")

    other.open(browser.path[1:])

    assert code_on(other) is None
    assert "Get a code" in other.text


def test_by_the_page_of_plex_itself(
    door: Door, browser: PlainBrowser, module_plextv: FakePlexTv, bob: FakeAccount
) -> None:
    browser.open("sign-in/plex?next=account")
    browser.send("sign-in/plex", flow="browser")
    link = html.unescape(re.findall(r'href="(https://app\.plex\.tv[^"]+)"', browser.page.text)[0])
    assert "sign-in%2Fplex%3Fpin%3D" in link.partition("forwardUrl=")[2]

    module_plextv.claim(newest_pin(door), bob)
    browser.send("sign-in/plex/check")

    assert browser.path == "/account"


def test_linking_takes_the_password(door: Door, browser: PlainBrowser, module_plextv: FakePlexTv) -> None:
    ann = door.person()
    carol = module_plextv.account("carol", servers={SERVER})
    browser.open("sign-in")
    browser.send("sign-in", email=ann.email, password=PASSWORD)
    browser.open("account/plex")
    browser.send("account/plex")
    module_plextv.claim(newest_pin(door), carol)
    browser.send("account/plex/link", currentPassword="not the one")
    assert browser.page.status_code == 403
    assert "The current password is wrong." in browser.text

    newest_pin(door)
    browser.send("account/plex/link", currentPassword=PASSWORD)

    assert browser.path == "/account"
    assert "Linked with carol" in browser.text
    browser.send("account/plex/unlink")
    assert "Not linked" in browser.text


def test_who_has_no_password_proves_by_a_code(
    door: Door, browser: PlainBrowser, module_plextv: FakePlexTv
) -> None:
    dora = module_plextv.account("dora", servers={SERVER})
    browser.open("sign-in")
    browser.send("sign-in/plex")
    module_plextv.claim(newest_pin(door), dora)
    browser.send("sign-in/plex/check")
    with door.runtime.unit_of_work() as db:
        db.execute(update(Login).values(proven_until=func.clock_timestamp()))
    browser.open("account/keys")
    browser.send("account/keys", name="A script", permissions=["media.read"])
    assert "Show with your Plex account that it is you." in browser.text

    browser.send("account/keys")
    assert re.fullmatch(r"\w{4}", code_on(browser) or "")
    pin = newest_pin(door)
    browser.send("account/keys")
    assert "Plex has not seen the code yet." in browser.text
    assert browser.hidden("account/keys")["confirmPin"] == pin
    module_plextv.claim(pin, dora)
    newest_pin(door)
    browser.send("account/keys")

    assert browser.page.status_code == 200
    assert "This is the key A script." in browser.text
