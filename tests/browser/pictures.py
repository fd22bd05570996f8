"""`make pictures`: takes the pictures of pages for README and docs, out of a real browser over invented people and films."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests")]

from cli.embedded import EmbeddedPostgres, EmbeddedRedis  # noqa: E402
from models.migrate import upgrade  # noqa: E402
from tests.browser.conftest import chromium_of, flags  # noqa: E402
from tests.browser.showroom import Showroom, showroom  # noqa: E402

FOLDER = ROOT / "docs" / "pictures"
# Name, who looks, the page, width, theme.
PICTURES = (
    ("home", "user", "/", 1280, "light"),
    ("home-phone", "user", "/", 390, "dark"),
    ("downloads", "user", "/downloads", 1280, "light"),
    ("downloads-phone", "user", "/downloads", 390, "light"),
    ("library", "user", "/library/<library_key>", 1280, "dark"),
    ("item", "user", "/item/<item_id>", 1280, "light"),
    ("admin", "super_admin", "/admin", 1280, "light"),
    ("welcome", "super_admin", "/welcome", 1280, "light"),
)
HEIGHT = 820
QUALITY = 88


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mn-") as name, sync_playwright() as playwright:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder / "pg", durable=False).running() as url:
            upgrade(url)
            with EmbeddedRedis(folder / "redis").running() as redis:
                (folder / "site").mkdir()
                with showroom(folder / "site", url, redis) as room:
                    browser = playwright.chromium.launch(
                        executable_path=chromium_of(playwright), args=flags()
                    )
                    for each in PICTURES:
                        _take(browser, room, *each)
                    browser.close()


def _take(browser: Browser, room: Showroom, name: str, role: str, rule: str, width: int, theme: str) -> None:
    height = HEIGHT if width > 600 else 844
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if theme == "dark" else "light",
        device_scale_factor=1 if width > 600 else 2,
        service_workers="block",
    )
    cookie, value = room.cookie(role)
    context.add_cookies([{"name": cookie, "value": value, "url": room.url}])
    page = context.new_page()
    page.goto(f"{room.url}/{room.path(rule, role)}", wait_until="networkidle")
    path = FOLDER / f"{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=QUALITY)
    sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    context.close()


if __name__ == "__main__":
    main()
