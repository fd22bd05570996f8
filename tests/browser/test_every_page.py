"""Every page, as everybody who may see it: themes, widths, screen readers, policy, no scripts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.showroom import Showroom

PERMISSIONS = (Path(__file__).resolve().parents[2] / "docs" / "permissions.md").read_text()
WIDTHS = (360, 768, 1440)
THEMES = ("light", "dark")
ROLES = ("guest", "user", "super_admin")
FOREIGN = (
    "/api/",
    "/ws",
    "/flower",
    "/static",
    "/health",
    "/parts",
    "/manifest",
    "/service-worker",
    "/share",
    "/pictures/",
)
FILES = ("/file", "/picture")

Visit = Callable[..., Page]

TOO_WIDE = """() => [...document.querySelectorAll("body *")]
  .filter(one => one.checkVisibility() && !one.closest(".scroll, .shelf, .tabs, .skip, .sr"))
  .filter(one => { const box = one.getBoundingClientRect(); return box.right > innerWidth + 1 || box.left < -1; })
  .map(one => one.outerHTML.slice(0, 80))"""
SHIFT = """
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift = (window.shift ?? 0) + entry.value;
}).observe({type: "layout-shift", buffered: true});
"""


def pages() -> dict[str, set[str]]:
    """The rules of all pages, each with the roles that may see it, from docs/permissions.md."""
    found = {}
    for line in PERMISSIONS.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        path = re.match(r"`GET (/\S*)`", cells[0])
        if path is None or len(cells) < 8 or path[1].startswith(FOREIGN) or path[1].endswith(FILES):
            continue
        marks = dict(zip(("", "guest", "user", "admin", "super_admin"), cells[2:7], strict=True))
        found[path[1]] = {who for who, mark in marks.items() if mark == "✓"}
    return found


PAGES = pages()
# What a screen reader meets is half of the time that a page takes here; `make faults` does it for all.
OPENED_MOST = {
    "/sign-in", "/", "/downloads", "/downloads/<download_id>", "/library/<library_key>", "/item/<item_id>", "/account",
    "/welcome/plex", "/admin", "/admin/users", "/admin/settings",
}  # fmt: skip
SEEN = [(rule, role) for rule, who in PAGES.items() for role in ROLES if role in who]


def most(rule: str) -> str:
    """The role that sees most of a page."""
    return "super_admin" if "super_admin" in PAGES[rule] else ""


def is_accessible(page: Page, theme: str, width: int) -> None:
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 900})
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def fits(page: Page) -> None:
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(TOO_WIDE) == [], width
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, width


@pytest.mark.parametrize(("rule", "theme"), list(zip(PAGES, itertools.cycle(THEMES))))
def test_it_is_good_to_use(visit: Visit, room: Showroom, rule: str, theme: str) -> None:
    """As who sees most of it, in one of the themes; `make faults` looks at it as everybody, in both."""
    role = most(rule)
    page = visit(role, "offline", width=WIDTHS[0], color_scheme=theme, reduced_motion="reduce")
    page.add_init_script(SHIFT)
    page.goto(f"{room.url}/{room.path(rule, role)}")
    expect(page.locator("h1")).to_have_count(1)

    assert page.evaluate("() => window.shift ?? 0") < 0.05
    fits(page)
    if rule in OPENED_MOST:
        is_accessible(page, theme, WIDTHS[0])


@pytest.mark.long
@pytest.mark.parametrize(("rule", "role"), SEEN, ids=[f"{rule}-{role}" for rule, role in SEEN])
def test_it_is_good_to_use_for_everybody(visit: Visit, room: Showroom, rule: str, role: str) -> None:
    page = visit(role, room.path(rule, role), reduced_motion="reduce")
    expect(page.locator("h1")).to_have_count(1)

    fits(page)
    is_accessible(page, "light", WIDTHS[0])
    is_accessible(page, "dark", WIDTHS[-1])


@pytest.mark.parametrize("rule", PAGES)
def test_it_is_there_without_scripts(room: Showroom, rule: str) -> None:
    role = most(rule)
    cookies = dict([room.cookie(role)]) if role else {}
    answer = requests.get(
        f"{room.url}/{room.path(rule, role)}", cookies=cookies, headers={"Accept": "text/html"}, timeout=30
    )

    assert answer.status_code == 200
    assert answer.text.count("<h1") == 1
    assert "JavaScript" not in answer.text
