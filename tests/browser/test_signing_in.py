"""Signing in and out, and what every page has around it."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.showroom import PASSWORD, Showroom

Visit = Callable[..., Page]


def test_who_is_not_signed_in_comes_back_to_the_page_asked_for(visit: Visit, room: Showroom) -> None:
    page = visit("", "?from=a%20mail")
    expect(page).to_have_url(re.compile(r"/sign-in\?next="))

    page.get_by_label("E-mail address").fill(room.email("user"))
    page.get_by_label("Password").fill("not the one")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("E-mail address or password is wrong.")).to_be_visible()
    expect(page.get_by_label("E-mail address")).to_have_value(room.email("user"))

    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{room.url}/?from=a%20mail")


def test_without_scripts_too(visit: Visit, room: Showroom) -> None:
    page = visit("", "", java_script_enabled=False)
    page.get_by_label("E-mail address").fill(room.email("guest"))
    page.get_by_label("Password").fill("not the one")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("E-mail address or password is wrong.")).to_be_visible()

    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{room.url}/")


def test_signing_out_ends_the_session(visit: Visit) -> None:
    page = visit("user", "")
    page.get_by_role("button", name="Account of Ruth Moreau").click()
    page.get_by_role("button", name="Sign out").click()

    expect(page).to_have_url(re.compile(r"/sign-in$"))
    page.go_back()
    page.reload()
    expect(page).to_have_url(re.compile(r"/sign-in"))


def test_the_theme_stays_chosen(visit: Visit) -> None:
    page = visit("guest", "", color_scheme="light")
    with page.expect_response(re.compile("/account/theme")):
        page.get_by_role("radio", name="Dark").check()
    page.reload()

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("radio", name="Dark")).to_be_checked()


def test_a_lost_connection_is_told_and_mended(visit: Visit, room: Showroom) -> None:
    page = visit("user", "")
    page.wait_for_load_state("networkidle")
    room.stack.kill_group("web")
    expect(page.get_by_text("Connection lost, trying again")).to_be_visible()

    room.stack.start_web()
    expect(page.get_by_text("Connection lost, trying again")).to_be_hidden(timeout=40_000)


def test_where_the_session_ends_signing_in_happens_over_the_page(visit: Visit, room: Showroom) -> None:
    page = visit("user", room.path("/downloads/<download_id>", "user"))
    page.wait_for_load_state("networkidle")
    address = page.url
    room.stack.query(
        "UPDATE logins SET revoked_at = now() WHERE user_id = (SELECT id FROM users WHERE email = %s)",
        room.email("user"),
    )

    over = page.get_by_role("dialog")
    over.get_by_label("E-mail address").fill(room.email("user"))
    over.get_by_label("Password").fill("not the one")
    over.get_by_role("button", name="Sign in", exact=True).click()
    expect(over.get_by_text("E-mail address or password is wrong.")).to_be_visible()
    over.get_by_label("Password").fill(PASSWORD)
    over.get_by_role("button", name="Sign in", exact=True).click()

    expect(over).to_be_hidden()
    expect(page.get_by_text("Connection lost, trying again")).to_be_hidden()
    assert page.url == address
    with page.expect_response(re.compile("/account/theme")) as answered:
        page.get_by_role("radio", name="Light").check()
    assert answered.value.status == 303


def test_a_page_that_has_lost_its_cookie_says_so_and_goes_on(visit: Visit, room: Showroom) -> None:
    page = visit("", "sign-in")
    page.context.clear_cookies()
    page.get_by_label("E-mail address").fill(room.email("user"))
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("The page was open for too long.")).to_be_visible()

    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(f"{room.url}/")
