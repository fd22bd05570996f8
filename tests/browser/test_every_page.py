"""Every page, as everybody who may see it: themes, widths, screen readers, policy, no scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.showroom import Showroom

PERMISSIONS = (Path(__file__).resolve().parents[2] / "docs" / "permissions.md").read_text()
WIDTHS = (360, 768, 1440)
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
SEEN = [(rule, role) for rule, who in PAGES.items() for role in ROLES if role in who]
seen = pytest.mark.parametrize(("rule", "role"), SEEN, ids=[f"{rule}-{role}" for rule, role in SEEN])


@seen
def test_it_is_good_to_use_in_both_themes_and_all_widths(
    visit: Visit, room: Showroom, rule: str, role: str
) -> None:
    page = visit(role, room.path(rule, role), color_scheme="light", reduced_motion="reduce")
    expect(page.locator("h1")).to_have_count(1)

    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(TOO_WIDE) == [], width
        assert page.evaluate("() => document.documentElement.scrollWidth - innerWidth") <= 0, width
    if role == "guest" and "user" in PAGES[rule]:
        return  # the same parts, fewer of them
    for theme, width in (("light", WIDTHS[0]), ("dark", WIDTHS[-1])):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("rule", PAGES)
def test_it_needs_no_scripts(visit: Visit, room: Showroom, rule: str) -> None:
    role = "super_admin" if "super_admin" in PAGES[rule] else ""
    page = visit(role, room.path(rule, role), java_script_enabled=False)

    expect(page.locator("h1")).to_be_visible()
    assert page.get_by_text("needs JavaScript").count() == 0


@pytest.mark.parametrize("rule", PAGES)
def test_nothing_moves_when_it_comes(visit: Visit, room: Showroom, rule: str) -> None:
    role = "super_admin" if "super_admin" in PAGES[rule] else ""
    page = visit(role, "offline", width=360)
    page.add_init_script(SHIFT)
    page.goto(f"{room.url}/{room.path(rule, role)}")
    page.wait_for_load_state("load")
    page.evaluate("() => document.fonts.ready.then(() => true)")

    assert page.evaluate("() => window.shift ?? 0") < 0.05
