"""The words of pages: the catalogs are complete, and no text goes past them."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from babel.support import NullTranslations
from door import Door

from api.pages.look import words
from tests import page_words

LANGUAGES = sorted(set(words.LANGUAGES) - {"en"})
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w*\}|%[sd]")
BEGIN, END = "⟦", "⟧"
# What is said the same in every language.
NAMES = re.compile(r"MediaNest|Plex|English|Deutsch|https?://\S+|[\W\d_]*")


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


class Texts(HTMLParser):
    """The texts of a page that somebody sees or hears."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"script", "style"} or ("data-name", None) in attrs
        self.found += [
            value for name, value in attrs if name in {"aria-label", "title", "placeholder", "alt"} and value
        ]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in {"script", "style"} and self._silent > 0

    def handle_data(self, data: str) -> None:
        if not self._silent and data.strip():
            self.found.append(data.strip())


class Pseudo(NullTranslations):
    """Marks whatever was translated."""

    def gettext(self, message: str) -> str:
        return f"{BEGIN}{message}{END}"

    def ngettext(self, msgid1: str, msgid2: str, num: int) -> str:
        return f"{BEGIN}{msgid1 if num == 1 else msgid2}{END}"


@pytest.mark.parametrize("path", ["sign-in", "offline", "nothing-here"])
def test_no_text_goes_past_the_catalog(door: Door, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(words, "_catalog", lambda language: Pseudo())
    page = Texts()
    page.feed(door.stranger().get(f"/{path}", headers={"Accept": "text/html"}, follow_redirects=True).text)

    left = [
        text for text in page.found if BEGIN not in text and END not in text and not NAMES.fullmatch(text)
    ]
    assert [text for text in left if not re.fullmatch(r"[0-9a-f]{32}", text)] == []
