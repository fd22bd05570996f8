"""The parts of our pages, and pages for those who are not signed in, as a browser has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

THEMES = ("light", "dark")
PHONE, DESK = 360, 1280
PAGES = (
    "parts",
    "sign-in",
    "sign-in/plex",
    "forgotten-password",
    "invitation?token=nothing",
    "reset-password",
)

Opener = Callable[..., Page]

SHIFT = """
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) window.shift = (window.shift ?? 0) + entry.value;
}).observe({type: "layout-shift", buffered: true});
"""
TOO_WIDE = """() => [...document.querySelectorAll("body *")]
  .filter(one => !one.closest(".scroll, .shelf, .tabs, .skip, .sr"))
  .filter(one => { const box = one.getBoundingClientRect(); return box.right > innerWidth + 1 || box.left < -1; })
  .map(one => one.outerHTML.slice(0, 80))"""
TOO_LOW = """() => [...document.querySelectorAll(
    ".btn, .nav a, .tabs a, .seg input, .check, .pick, .field :is(input, select, textarea), .search input")]
  .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 44)
  .map(one => one.outerHTML.slice(0, 80))"""


@pytest.fixture
def show(browser: Browser, site: str) -> Iterator[Opener]:
    """Opens a page in a browser of its own, and fails in the end where one had something to complain of."""
    complaints: list[str] = []
    with ExitStack() as contexts:

        def opened(path: str, width: int = DESK, **options: Any) -> Page:
            context = contexts.enter_context(
                closing(browser.new_context(viewport={"width": width, "height": 800}, **options))
            )
            page = context.new_page()
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"{site}/{path}")
            return page

        yield opened
    # What was asked for in vain is the browser's message about an answer that the page itself explains.
    assert [said for said in complaints if "404 (NOT FOUND)" not in said] == []


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", PAGES)
def test_everybody_can_use_them(show: Opener, path: str, theme: str) -> None:
    page = show(path, color_scheme=theme, reduced_motion="reduce")

    for width in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": 800})
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("path", PAGES[:1])  # the others: test_every_page
@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_nothing_scrolls_sideways(show: Opener, path: str, direction: str) -> None:
    page = show(path)
    page.evaluate("direction => { document.documentElement.dir = direction }", direction)

    for width in (320, 480, 768, 960, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(TOO_WIDE) == [], width
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, width


def test_a_thumb_hits_every_control(show: Opener) -> None:
    page = show("parts", PHONE, has_touch=True, is_mobile=True)

    assert page.evaluate(TOO_LOW) == []


def test_nothing_moves_when_pictures_come(show: Opener) -> None:
    page = show("parts", PHONE)
    page.add_init_script(SHIFT)
    page.reload()
    page.evaluate("() => document.getElementById('posters').scrollIntoView()")  # they are asked for only now
    for picture in page.locator(".posters img").all():
        picture.evaluate("one => one.decode()")

    assert page.evaluate("() => window.shift ?? 0") < 0.05


def test_a_dialog_opens_by_keyboard_and_gives_the_focus_back(show: Opener) -> None:
    page = show("parts", java_script_enabled=False)
    dialog, opener = page.locator("#remove-two"), page.get_by_role("button", name="Open a dialog")

    opener.press("Enter")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")

    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    opener.press("Enter")
    dialog.get_by_role("button", name="Keep them").press("Enter")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()


def test_a_menu_stands_at_its_button(show: Opener) -> None:
    page = show("parts")
    button = page.get_by_role("button", name="Account of Ines Aalto")

    button.click()

    menu = page.locator("#account-menu")
    expect(menu.get_by_role("button", name="Sign out")).to_be_visible()
    below, above = menu.bounding_box(), button.bounding_box()
    assert below is not None
    assert above is not None
    assert 0 <= below["y"] - above["y"] - above["height"] <= 8


def test_the_bar_for_several_counts_what_is_chosen(show: Opener) -> None:
    page = show("parts", java_script_enabled=False)
    bar, ticks = page.get_by_role("group", name="With the chosen ones"), page.locator(".row .pick input")

    expect(bar).to_be_visible()
    for tick in ticks.all():
        tick.uncheck()
    expect(bar).to_be_hidden()
    ticks.first.check()

    expect(bar).to_be_visible()


@pytest.mark.parametrize(("system", "chosen"), [THEMES, THEMES[::-1]])
def test_the_theme_switch_shows_its_choice_at_once(show: Opener, system: str, chosen: str) -> None:
    page = show("parts", color_scheme=system)
    paper = {"light": "rgb(248, 246, 244)", "dark": "rgb(26, 24, 23)"}
    expect(page.locator("body")).to_have_css("background-color", paper[system])

    page.get_by_role("radio", name=chosen.title()).check(force=True)
    expect(page.locator("body")).to_have_css("background-color", paper[chosen])
    page.get_by_role("radio", name="As the system").check(force=True)

    expect(page.locator("body")).to_have_css("background-color", paper[system])
