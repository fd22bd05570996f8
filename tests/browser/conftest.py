"""A real Chromium, and a real web server of ours for it to look at; one of each for all tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.browser.showroom import Showroom, showroom

PATIENCE = 20_000  # ms, for machines that do much else
NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW = "There is no Chromium: `apt-get install chromium`, or `.venv/bin/playwright install chromium`."


def chromium_of(playwright: Playwright) -> str:
    """The path of the system's Chromium, else of the one that Playwright brings; without either the test is skipped."""
    own = playwright.chromium.executable_path
    found = next(filter(None, map(shutil.which, NAMES)), own if Path(own).exists() else None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW)
    return found


def flags() -> list[str]:
    """Of Chromium, which refuses its sandbox to root."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


@pytest.fixture(
    scope="package"
)  # not longer: while Playwright runs, its event loop counts as running in this thread
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium_of(playwright), args=flags())
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def room(
    browser: Browser,  # first: without one no server is started
    session_database_url: str,
    shared_redis: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Showroom]:
    """A web server over invented people, films and downloads; without workers."""
    with showroom(tmp_path_factory.mktemp("room"), session_database_url, shared_redis) as made:
        yield made


@pytest.fixture(scope="package")
def site(room: Showroom) -> str:
    """The URL of the web server."""
    return room.url


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What browsers had to complain of; a test fails in the end where there is something left in it."""
    said: list[str] = []
    yield said
    # What was asked for in vain, and a connection that was cut, are told by the page itself; a transition between pages
    # is given up by the browser where one follows the other too soon.
    ignored = ("Failed to load resource", "WebSocket connection to", "Transition was aborted")
    assert [text for text in said if not text.startswith(ignored)] == []


@pytest.fixture
def visit(browser: Browser, room: Showroom, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Opens a page in a browser of its own, as somebody: `visit("user", "downloads", width=360)`; "" is nobody."""
    with ExitStack() as contexts:

        def opened(role: str, path: str, *, width: int = 1280, height: int = 900, **options: Any) -> Page:
            context = contexts.enter_context(
                closing(browser.new_context(viewport={"width": width, "height": height}, **options))
            )
            if role:
                name, value = room.cookie(role)
                context.add_cookies([{"name": name, "value": value, "url": room.url}])
            page = context.new_page()
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"{room.url}/{path}")
            return page

        yield opened
