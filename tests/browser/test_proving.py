"""What takes a person: the dialog that asks for the password over the page, and codes of Plex that are waited for."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import APIResponse, Page, Request, Route, expect
from sqlalchemy import func, select, update

from engine.notifications.notifications import notify
from models.login import Login
from models.plex_pin import PlexPin
from models.user import User
from tests.browser.showroom import PASSWORD, Showroom

Visit = Callable[..., Page]


def grown_old(room: Showroom, role: str) -> None:
    """Let the last proof of a person be too old."""
    with room.runtime.unit_of_work() as db:
        mine = select(User.id).where(User.email == room.email(role))
        db.execute(update(Login).where(Login.user_id.in_(mine)).values(proven_until=func.clock_timestamp()))


def test_the_password_is_asked_for_over_the_page_and_nothing_is_lost(visit: Visit, room: Showroom) -> None:
    page = visit("admin", "account/keys")
    grown_old(room, "admin")
    page.get_by_label("What is it for?").fill("A script")
    page.get_by_label("See and search the library").check()
    page.get_by_role("button", name="Make the key").click()

    page.get_by_label("Your password").fill("not the one")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("The password is wrong.")).to_be_visible()
    expect(page.get_by_label("What is it for?")).to_have_value("A script")
    page.get_by_label("Your password").fill(PASSWORD)
    page.keyboard.press("Enter")

    expect(page.get_by_label("The key", exact=True)).to_have_value(re.compile("^mn_"))
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_an_older_copy_of_the_page_does_not_undo_what_a_form_showed(visit: Visit, room: Showroom) -> None:
    page = visit("user", "account/keys")
    late: list[tuple[Route, APIResponse]] = []

    def comes_late(route: Route) -> None:
        late.append((route, route.fetch()))

    def tell() -> None:
        with room.runtime.unit_of_work() as db:
            user = db.scalars(select(User).where(User.email == room.email("user"))).one()
            notify(db, user.id, type="test", title="Something else", message="It happened.")

    page.get_by_label("What is it for?").fill("A script")
    page.get_by_label("See and search the library").check()
    page.route(
        "**/account/keys", lambda route: comes_late(route) if is_copy(route.request) else route.continue_()
    )
    with page.expect_request(is_copy):
        tell()
    page.get_by_role("button", name="Make the key").click()
    key = page.get_by_label("The key", exact=True)
    expect(key).to_have_value(re.compile("^mn_"))

    page.evaluate(WATCH)
    ((route, older),) = late
    with page.expect_response(lambda answer: "made=" in answer.url):  # the copy after the late one
        route.fulfill(response=older)

    expect(key).to_have_value(re.compile("^mn_"))
    assert page.evaluate("() => lost") is False


WATCH = """() => {
  window.lost = false;
  const look = () => { window.lost ||= !document.getElementById("new-key"); };
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}"""


def is_copy(request: Request) -> bool:
    """Whether a page asks for a new copy of itself."""
    return request.method == "GET" and request.resource_type == "fetch"


def test_it_may_be_left(visit: Visit, room: Showroom) -> None:
    page = visit("admin", "account/keys")
    grown_old(room, "admin")
    page.get_by_label("What is it for?").fill("Another script")
    page.get_by_label("See and search the library").check()
    button = page.get_by_role("button", name="Make the key")
    button.click()
    expect(page.get_by_label("Your password")).to_be_focused()

    page.keyboard.press("Escape")

    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(button).to_be_focused()
    expect(page.get_by_label("What is it for?")).to_have_value("Another script")


def test_a_code_that_was_typed_leads_on_by_itself(visit: Visit, room: Showroom) -> None:
    page = visit("", "sign-in?next=account")
    page.get_by_role("button", name="Sign in with Plex").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    expect(page.locator("time[data-left]")).to_have_text(re.compile(r"^\d+:\d\d$"))

    bob = room.plextv.account("bob", servers={room.plex.machine_id})
    with room.runtime.reading() as db:
        room.plextv.claim(db.scalars(select(PlexPin.id)).one(), bob)

    expect(page).to_have_url(f"{room.url}/account", timeout=10_000)
    expect(page.get_by_role("heading", level=1)).to_have_text("You are bob")


def test_a_password_is_shown_when_it_is_wanted(visit: Visit) -> None:
    page = visit("user", "account/password")
    field = page.get_by_label("New password")
    field.fill("lantern")

    page.get_by_label("Show it").check()

    expect(field).to_have_attribute("type", "text")
