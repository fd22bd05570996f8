"""The site as an app: offline page, share target."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.showroom import Showroom

Visit = Callable[..., Page]


def test_offline_it_says_so_and_keeps_nothing_of_anybody(visit: Visit, room: Showroom) -> None:
    page = visit("user", "")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    kept = page.evaluate(
        "caches.keys().then(n => Promise.all(n.map(k => caches.open(k).then(c => c.keys())))).then(l => l.flat().map(r => r.url))"
    )
    assert [
        url for url in kept if not re.search(r"/static/[\w-]+\.[0-9a-f]{12}\.(css|js|svg)$|/offline$", url)
    ] == []

    page.context.set_offline(True)
    page.goto(f"{room.url}/account")
    expect(page.get_by_role("heading", level=1)).to_have_text("MediaNest can't be reached")
    page.context.set_offline(False)
    page.get_by_role("link", name="Try again").click()
    expect(page).to_have_url(f"{room.url}/account")


def test_what_is_shared_is_looked_at_before_it_is_downloaded(visit: Visit, room: Showroom) -> None:
    before = room.stack.query("SELECT count(*) FROM downloads")
    page = visit(
        "user", "share?title=Slow%20bread&text=Look%3A%20https%3A%2F%2Fvideo.example%2Fwatch%3Fv%3D1"
    )

    expect(page).to_have_url(f"{room.url}/downloads?urls=https%3A%2F%2Fvideo.example%2Fwatch%3Fv%3D1")
    assert room.stack.query("SELECT count(*) FROM downloads") == before
