"""Pages over 57,000 items and 100,000 downloads: server time, and on a browser first paint, layout shift and bytes."""

from __future__ import annotations

import http.client
import os
import shutil
import statistics
import time
from collections.abc import Iterator

import psycopg

from bench.installation import created_admin, installation, services
from bench.report import Figure, Target, percentile
from bench.rows import listing, plex_reads
from tests.stack import PASSWORD, Stack

ROW = "pages"
SERVER_TIME = Target(50.0)  # ms, at the 95th percentile
PAINT = Target(1000.0)  # ms
SHIFT = Target(0.05)
FLOOR = "offline"  # the template with nothing in it
SERVED = {
    "the first page": "",
    "downloads": "downloads",
    "downloads that failed, page 100": "downloads?status=failed&page=100",
    "libraries": "library",
    "a library": "library/1",
    "search": "library?query=golden%20riv",
    "notifications": "notifications",
    "overview of the installation": "admin",
}
PAINTED = ("", "downloads", "library/1")
OBSERVED = """
window.seen = {shift: 0, paint: 0};
new PerformanceObserver(l => { for (const e of l.getEntries()) seen.shift += e.value; }).observe({type: "layout-shift", buffered: true});
new PerformanceObserver(l => { for (const e of l.getEntries()) if (e.name === "first-contentful-paint") seen.paint = e.startTime; })
  .observe({type: "paint", buffered: true});
"""
BYTES = "() => performance.getEntriesByType('resource').reduce((sum, e) => sum + e.transferSize, 0) + performance.getEntriesByType('navigation')[0].transferSize"


def run(quick: bool) -> Iterator[Figure]:
    """A single client, so that the figures are latencies without queueing."""
    rounds, downloads = (5, 2_000) if quick else (40, 100_000)
    with services() as found, installation(found, PLEX_URL="http://127.0.0.1:1", PLEX_TOKEN="none") as stack:
        stack.start_web()
        _, user_id = created_admin(stack)
        items = plex_reads.fill(stack.database_url, user_id, 20 if quick else 1)
        with psycopg.connect(stack.database_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(listing.FILL, (user_id, downloads))
            connection.execute("VACUUM ANALYZE downloads")
        cookie = signed_in(stack)
        floor = statistics.median(times(stack, cookie, FLOOR, rounds))
        for what, path in SERVED.items():
            taken = times(stack, cookie, path, rounds)
            shown = f"{what}, {items:,} items, {downloads:,} downloads: 95th percentile of the server's time"
            yield Figure(ROW, shown, percentile(taken, 0.95), "ms", floor, SERVER_TIME)
        yield from _painted(stack, cookie)


def signed_in(stack: Stack) -> str:
    """Sign the administrator in; returns the cookies."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
    body = f'{{"email": "admin@example.com", "password": "{PASSWORD}"}}'
    connection.request("POST", "/api/v1/auth/login", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    cookies = [value.partition(";")[0] for name, value in answer.getheaders() if name == "Set-Cookie"]
    return "; ".join(cookies)


def times(stack: Stack, cookie: str, path: str, rounds: int) -> list[float]:
    """Milliseconds of each of several requests of a page, after one that is not counted."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=30)
    taken = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        connection.request("GET", f"/{path}", headers={"Cookie": cookie, "Accept": "text/html"})
        answer = connection.getresponse()
        answer.read()
        taken.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, (path, answer.status)
    return taken[1:]


def _painted(stack: Stack, cookie: str) -> Iterator[Figure]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        return
    from playwright.sync_api import sync_playwright  # only where there is a browser

    name, _, value = next(
        part for part in cookie.split("; ") if part.startswith("medianest_session")
    ).partition("=")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for path in PAINTED:
            context = browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block")
            context.add_cookies([{"name": name, "value": value, "url": stack.url}])
            page = context.new_page()
            page.add_init_script(OBSERVED)
            page.goto(f"{stack.url}/{path}", wait_until="load")
            page.wait_for_function("() => seen.paint > 0")
            seen, size = page.evaluate("() => seen"), page.evaluate(BYTES)
            where = f"/{path}"
            yield Figure(ROW, f"{where}, nothing cached: first paint", seen["paint"], "ms", None, PAINT)
            yield Figure(ROW, f"{where}: layout shift", seen["shift"], "", None, SHIFT)
            yield Figure(ROW, f"{where}, nothing cached: transferred", size / 1000, "KB")
            context.close()
        browser.close()
