"""A real Chromium, and a real web server of ours for it to look at; one of each for all tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright
from stack import Stack, running

NAMES = ("chromium", "chromium-browser", "google-chrome")
HOW = "There is no Chromium: `apt-get install chromium`, or `.venv/bin/playwright install chromium`."


def chromium_of(playwright: Playwright) -> str:
    """The path of the system's Chromium, else of the one that Playwright brings; without either the test is skipped."""
    own = playwright.chromium.executable_path
    found = next(filter(None, map(shutil.which, NAMES)), own if Path(own).exists() else None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW)
    return found


@pytest.fixture(
    scope="package"
)  # not longer: while Playwright runs, its event loop counts as running in this thread
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = playwright.chromium.launch(executable_path=chromium_of(playwright), args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def site(
    browser: Browser,  # first: without one no server is started
    session_database_url: str,
    shared_redis: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The URL of a web server."""
    stack = Stack(tmp_path_factory.mktemp("site"), session_database_url, shared_redis)
    with running(stack):
        stack.start_web()
        yield stack.url
