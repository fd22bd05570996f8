"""The words of pages: the catalogs are complete, and no text goes past them."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.support import NullTranslations
from door import Door
from page_visits import PageVisits

from api.pages.look import words
from tests import page_words

LANGUAGES = sorted(set(words.LANGUAGES) - {"en"})
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}|%[sd]")
SILENT = {
    "script",
    "style",
    "time",
    "textarea",
    "pre",
}  # a report to be copied is for whoever mends MediaNest
BEGIN, END = "⟦", "⟧"
# What is said the same in every language.
NAMES = re.compile(
    r"(Plex · )?MediaNest|Plex|Overseerr|TMDB|English|Deutsch|iPhone, iPad|Android|https?://\S*|[A-Z_]+|[\W\d_]*"
)


def forms(text: str | tuple[str, ...] | list[str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated(language: str) -> None:
    catalog = page_words.read(language)
    known = {message.id for message in catalog if message.id}

    assert set(page_words.texts()) - known == set(), "run make words, and translate what is new"
    assert known - set(page_words.texts()) == set(), "run make words"
    assert page_words.untranslated(catalog) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_stay(language: str) -> None:
    for message in page_words.read(language):
        singular, *plural = forms(message.id)
        for said in forms(message.string):
            wanted = {tuple(sorted(PLACEHOLDER.findall(text))) for text in (singular, *plural)}
            assert tuple(sorted(PLACEHOLDER.findall(said))) in wanted, message.id


def test_the_browser_chooses_the_language(door: Door) -> None:
    def said(accepted: str) -> str:
        return door.stranger().get("/offline", headers={"Accept-Language": accepted}).text

    assert '<html lang="de"' in said("de-AT,de;q=0.9,en;q=0.5")
    assert "nicht erreichbar" in said("fr,de;q=0.9,en;q=0.5")
    assert '<html lang="en"' in said("fr")


PERMISSIONS = (Path(__file__).resolve().parents[3] / "docs" / "permissions.md").read_text()
PAGES = sorted(
    path
    for path, nobody in re.findall(r"^\| `GET /(\S*)` \| \S+ \| (\S)", PERMISSIONS, re.MULTILINE)
    if nobody == "–" and not re.search("<|^(api|ws|flower|share)", path)
)


# What is stored, or set, or named by others, in an installation that is empty but for its administrator.
DATA = re.compile(
    r"Ann|user-\w+@example\.com|test|development|info|plex|overseerr|library\.new|/\S+|127\.0\.0\.1|PostgreSQL .*"
    r"|[a-z]+://\S+|Europe/Berlin|Discord|Telegram|Gotify|Pushover|Slack|Matrix|ntfy|json"
)


class Texts(HTMLParser):
    """The texts of a page that somebody sees or hears."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        self.found += [
            value for name, value in attrs if name in {"aria-label", "title", "placeholder", "alt"} and value
        ]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in SILENT and self._silent > 0

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.found.append(data.strip())


class Pseudo(NullTranslations):
    """Marks whatever was translated."""

    def gettext(self, message: str) -> str:
        return f"{BEGIN}{message}{END}"

    def ngettext(self, msgid1: str, msgid2: str, num: int) -> str:
        return f"{BEGIN}{msgid1 if num == 1 else msgid2}{END}"


def left_in_english(html: str) -> list[str]:
    """The texts of a page that went past the catalog."""
    page = Texts()
    page.feed(html)
    return [
        text for text in page.found if not re.search(f"[{BEGIN}{END}]", text) and not NAMES.fullmatch(text)
    ]


@pytest.fixture(scope="module")
def chief(door: Door) -> PageVisits:
    return PageVisits(door, "super_admin")


@pytest.fixture
def pseudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "_catalog", lambda language: Pseudo())


@pytest.mark.parametrize(
    "path", ["sign-in", "offline", "nothing-here", "welcome", "reset-password", "invitation"]
)
def test_no_text_goes_past_the_catalog(door: Door, pseudo: None, path: str) -> None:
    answer = door.stranger().get(f"/{path}", headers={"Accept": "text/html"}, follow_redirects=True)

    assert [text for text in left_in_english(answer.text) if not re.fullmatch(r"[0-9a-f]{32}", text)] == []


@pytest.mark.parametrize("path", PAGES)
def test_nor_on_pages_for_who_is_signed_in(chief: PageVisits, pseudo: None, path: str) -> None:
    left = left_in_english(chief.get(path).text)

    assert [text for text in left if not DATA.fullmatch(text)] == []
