"""The library, its titles and the search field, as a browser has them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Route, WebSocketRoute, expect
from sqlalchemy import delete, select

from engine.notifications import notifications
from models.media import MediaItem
from models.notification import Notification
from models.user import User
from tests.browser.showroom import Showroom
from tests.browser.test_parts import TOO_LOW, TOO_WIDE

Visit = Callable[..., Page]


def item(room: Showroom, title: str, kind: str) -> str:
    with room.runtime.reading() as db:
        query = select(MediaItem.id).where(MediaItem.title == title, MediaItem.type == kind)
        return f"item/{db.scalars(query.limit(1)).one()}"


@pytest.mark.parametrize(
    "path", ["library?view=table&genre=drama", "library?query=nothing", "notifications?unread=true"]
)
def test_everybody_can_use_their_other_states(visit: Visit, path: str) -> None:
    page = visit("super_admin", path, reduced_motion="reduce")

    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate(TOO_WIDE) == [], width


@pytest.mark.parametrize("path", ["notifications", "library?type=movie"])
def test_a_thumb_hits_every_control(visit: Visit, path: str) -> None:
    page = visit("user", path, width=360, has_touch=True, is_mobile=True)

    assert page.evaluate(TOO_LOW) == []


def test_back_restores_the_place(visit: Visit, room: Showroom) -> None:
    page = visit("user", "library?sort=title", width=360, height=640)
    last = page.locator("#titles a").last
    last.scroll_into_view_if_needed()
    place = page.evaluate("() => scrollY")
    assert place > 500

    last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Wintergreen Accounts")
    page.go_back()

    expect(page).to_have_url(f"{room.url}/library?sort=title")
    page.wait_for_function("place => Math.abs(scrollY - place) < 2", arg=place)


@pytest.mark.parametrize("scripts", [True, False])
def test_filters_are_kept_in_the_address(visit: Visit, room: Showroom, scripts: bool) -> None:
    page = visit("user", "library", java_script_enabled=scripts)
    page.get_by_text("Sort and filter").click()
    page.get_by_label("Genre").select_option("Comedy")
    if not scripts:
        page.get_by_role("button", name="Show", exact=True).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Two titles fit")
    if scripts:
        expect(page).to_have_url(f"{room.url}/library?sort=addedAt&genre=Comedy")
    page.get_by_role("link", name="Table").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Without filters").click()
    expect(page.locator("tbody tr")).to_have_count(12)


def suggestions(page: Page) -> Locator:
    return page.get_by_role("listbox", name="Titles that fit").get_by_role("option")


def test_titles_are_suggested_while_one_types(visit: Visit, room: Showroom) -> None:
    page = visit("user", "library", width=360)
    page.keyboard.press("/")
    field, options = page.get_by_role("combobox", name="Search"), suggestions(page)
    expect(field).to_be_focused()

    page.keyboard.type("kes")
    expect(options.first).to_have_text("Kestrel NineSeries, 2024")
    expect(field).to_have_attribute("aria-expanded", "true")
    assert Axe().run(page).violations_count == 0
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    expect(field).to_have_value("kes")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Kestrel Nine")


def test_an_answer_that_comes_too_late_is_not_shown(visit: Visit, room: Showroom) -> None:
    page = visit("user", "library")
    held: list[Route] = []
    page.route(re.compile(r"suggest\?query=k$"), lambda route: held.append(route))
    field = page.get_by_label("Search")

    field.press_sequentially("k")
    with page.expect_request(re.compile(r"suggest\?query=k$")):
        pass
    field.press_sequentially("zzz")
    page.wait_for_load_state("networkidle")
    expect(suggestions(page)).to_have_count(0)

    field.fill("tide")
    expect(suggestions(page)).to_have_text(["TidewrightFilm, 2026"])


def test_without_a_choice_the_library_is_searched(visit: Visit) -> None:
    page = visit("guest", "")
    page.get_by_label("Search").fill("half")
    page.get_by_label("Search").press("Enter")

    expect(page.get_by_role("heading", level=1)).to_have_text("One find for “half”")


def test_the_bell_follows_and_a_notification_leads_on(visit: Visit, room: Showroom) -> None:
    with room.runtime.unit_of_work() as db:
        admin = db.scalars(select(User).where(User.email == room.email("admin"))).one()
        db.execute(delete(Notification).where(Notification.user_id == admin.id))
    page = visit("admin", "notifications")
    expect(page.get_by_text("Nothing has been told yet")).to_be_visible()

    with room.runtime.unit_of_work() as db:
        about = {"type": "user.new_admin", "message": "By Ines.", "subject": ("session", "ses-1")}
        notifications.notify(db, admin.id, title="Somebody signed in", **about)

    expect(page.get_by_role("heading", level=1)).to_have_text("One notification is new")
    expect(page.get_by_role("link", name="Notifications, 1 unread")).to_be_visible()
    page.get_by_role("button", name="Mark as read: Somebody signed in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You have read everything")
    expect(page.get_by_role("link", name="Notifications, 1 unread")).to_have_count(0)


def test_what_changes_before_the_socket_is_open_is_shown(visit: Visit, room: Showroom) -> None:
    with room.runtime.unit_of_work() as db:
        guest = db.scalars(select(User).where(User.email == room.email("guest"))).one()
        new = notifications.unread_count(db, guest.id)

    def opens_late(socket: WebSocketRoute) -> None:
        with room.runtime.unit_of_work() as db:
            notifications.notify(db, guest.id, type="test", title="Somebody was quick", message="Very.")
        socket.connect_to_server()

    page = visit("guest", "account")
    page.route_web_socket("**/ws/authenticated", opens_late)
    page.goto(f"{room.url}/notifications")

    expect(page.get_by_text("Somebody was quick")).to_be_visible()
    expect(page.get_by_role("link", name=f"Notifications, {new + 1} unread")).to_be_visible()


def test_a_bar_moves_on_the_first_page(visit: Visit, room: Showroom) -> None:
    page = visit("user", "")

    bar = page.get_by_role("progressbar", name=re.compile("Night soldering"))

    expect(page.get_by_role("heading", level=1)).to_have_text("Three of yours are on the way")
    assert bar.get_attribute("value") == "62.0"
