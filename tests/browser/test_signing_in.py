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


def test_a_network_that_is_gone_is_told_and_noticed_when_it_is_back(visit: Visit) -> None:
    page = visit("user", "")
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    expect(page.get_by_text("Connection lost, trying again")).to_be_visible()

    page.context.set_offline(False)
    expect(page.get_by_text("Connection lost, trying again")).to_be_hidden()


def test_enter_in_a_field_shows_the_answer(visit: Visit, room: Showroom) -> None:
    page = visit("", "sign-in")
    page.get_by_label("E-mail address").fill(room.email("user"))
    page.get_by_label("Password").fill("not the one")
    page.get_by_label("Password").press("Enter")

    expect(page.get_by_text("E-mail address or password is wrong.")).to_be_visible()


def test_another_language_holds_at_once(visit: Visit) -> None:
    page = visit("admin", "account")
    page.get_by_label("Language").select_option("de")

    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("link", name="Mediathek")).to_be_visible()
    page.get_by_label("Sprache").select_option("")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_a_link_is_added_and_cancelled_by_keyboard_alone(visit: Visit, room: Showroom) -> None:
    page = visit("admin", "downloads")
    page.get_by_label("Links, one a line").focus()
    page.keyboard.type(f"http://127.0.0.1:9/{room.stack.port}.mp4")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "download":
            break
    page.keyboard.press("Enter")
    row = page.locator("#rows .row").filter(has_text="Waiting").first
    expect(row).to_be_visible()

    row.get_by_role("button", name="Cancel").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#rows .row").filter(has_text="Cancelled").first).to_be_visible()
