"""Downloads as a person sees them: a link pasted, its bar on two screens at once, a worker killed, the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from flask import Response
from playwright.sync_api import Browser, Page, expect
from stack import Stack, running

from api.security import page_sessions
from cli.embedded import EmbeddedRedis
from config.redis import make_redis
from config.settings import Settings
from engine.identity import sessions
from engine.identity.sessions import Device
from engine.runtime import Runtime
from tests.browser.showroom import Showroom
from tests.factories import make_user
from tests.fakes.video_site import VideoSite

Visit = Callable[..., Page]
LONG = 60_000  # ms for what real workers do
SIZE = 3_000_000


@pytest.fixture
def stack(browser: Browser, database_url: str, short_tmp: Path) -> Iterator[Stack]:
    """A whole installation with workers."""
    folder = short_tmp / "moving"
    folder.mkdir()
    with (
        EmbeddedRedis(folder / "redis", durable=False).running() as redis_url,
        running(Stack(folder, database_url, redis_url)) as stack,
    ):
        stack.start_all()
        yield stack


def cookie_of_somebody(stack: Stack) -> dict[str, str]:
    """The cookie of a session of a new user."""
    settings = Settings(
        app_env="development",
        data_dir=stack.folder,
        database_url=stack.database_url,
        redis_url=stack.redis_url,
        secret_key="s" * 48,
    )
    runtime = Runtime(settings, make_redis(settings), lambda job: None)
    answer = Response()
    with closing(runtime.redis), closing(runtime.database), runtime.unit_of_work() as db:
        started = sessions.start(
            db, settings, make_user(db), remember_me=False, device=Device("browser", None)
        )
        page_sessions.give(answer, settings, started.login)
    name, _, rest = answer.headers["Set-Cookie"].partition("=")
    return {"name": name, "value": rest.partition(";")[0], "url": stack.url}


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_link_becomes_a_file_on_two_screens_although_a_worker_dies(browser: Browser, stack: Stack) -> None:
    with VideoSite() as site, ExitStack() as contexts:
        cookie = cookie_of_somebody(stack)
        screens = []
        for width in (360, 1280):
            context = contexts.enter_context(
                closing(browser.new_context(viewport={"width": width, "height": 900}))
            )
            context.add_cookies([cookie])  # type: ignore[list-item]
            screens.append(context.new_page())
            screens[-1].goto(f"{stack.url}/downloads")
        phone, desk = screens

        phone.fill("#urls", f"{site.url}/direct/holiday.mp4?size={SIZE}&gate=half&after={SIZE // 2}")
        expect(phone.locator("#looked .row")).to_contain_text("New", timeout=LONG)
        expect(phone.locator("#download")).to_have_text("Download one video")
        phone.click("#download")
        for screen in screens:
            bar = screen.locator("#rows progress")
            expect(bar).to_have_js_property("max", 100, timeout=LONG)
            screen.wait_for_function(
                "() => document.querySelector('#rows progress')?.value > 20", timeout=LONG
            )
            expect(screen.locator("h1")).to_have_text("One moving")

        stack.kill_group("downloads")
        site.release("half")
        stack.start_worker("successor")
        for screen in screens:
            expect(screen.locator("#rows .row")).to_contain_text("Done", timeout=LONG)

        desk.get_by_role("link", name="Play").click()
        expect(desk.locator("h1")).to_contain_text("is downloaded")
        desk.wait_for_function("() => document.querySelector('video').duration > 0", timeout=LONG)
        with desk.expect_download() as saved:
            desk.get_by_role("link", name="Save the file").click()
        assert saved.value.path().stat().st_size == SIZE


def test_links_stay_in_the_field_while_the_list_moves(visit: Visit, room: Showroom) -> None:
    page = visit("user", "downloads?query=harbour", width=360)
    page.fill("#urls", "http://example.com/a\nhttp://127.0.0.1:9/b")
    expect(page.locator("#looked .row")).to_have_count(2)
    expect(page.locator("#looked .row").first).to_contain_text("Not possible")
    expect(page.locator("#download")).to_have_text("Download one video")
    page.locator("#looked .pick input").last.uncheck()
    expect(page.locator("#download")).to_have_text("Download")
    other = visit("user", "downloads?query=harbour")

    row = other.locator("#rows .row", has_text="Harbour organ")
    row.get_by_role("button", name="Try again").click()

    expect(page.locator("#rows .row", has_text="Harbour organ")).to_contain_text("Waiting")
    expect(page.locator("#urls")).to_have_value("http://example.com/a\nhttp://127.0.0.1:9/b")
    expect(page.locator("#looked .pick input").last).not_to_be_checked()
    other.locator("#rows .row", has_text="Harbour organ").get_by_role("button", name="Cancel").click()
    expect(page.locator("#rows .row", has_text="Harbour organ")).to_contain_text("Cancelled")


def test_several_at_once_and_back_keeps_the_place(visit: Visit) -> None:
    page = visit("super_admin", "downloads?status=completed&page=2", reduced_motion="reduce")
    rows = page.locator("#rows .row")
    number = rows.count()
    page.get_by_role("button", name="Choose all shown").click()
    expect(page.locator("#rows .pick input:checked")).to_have_count(number)
    page.locator("#rows .pick input").first.uncheck()
    rows.last.get_by_role("link").first.click()
    expect(page.locator("h1")).to_contain_text("is downloaded")

    page.go_back()

    expect(page).to_have_url(re.compile(r"status=completed&page=2$"))
    page.locator("#rows .pick input").first.check()
    page.locator(".bulk").get_by_role("button", name="Cancel").click()
    expect(page.locator(".toast")).to_contain_text(re.compile(r"stays? as (it is|they are): It has ended"))
    expect(page).to_have_url(re.compile(r"status=completed&page=2$"))
