"""The words of pages in the visitor's language: gettext catalogs, read when they are first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations
from flask import g, has_app_context

FOLDER = Path(__file__).resolve().parent.parent / "translations"
LANGUAGES = {"en": "English", "de": "Deutsch"}  # by their own names; the texts in the code are English


def chosen(preferred: Sequence[str]) -> str:
    """The best of our languages.

    Args:
        preferred: language tags such as `de-AT`, the dearest first.
    """
    return negotiate_locale(preferred, list(LANGUAGES), sep="-") or "en"


def speak(language: str) -> None:
    """Set the language of the answer to this request."""
    g.language = language


def language() -> str:
    """The language of the answer to this request."""
    return str(g.get("language", "en")) if has_app_context() else "en"


def locale() -> Locale:
    """The conventions of the language: dates, numbers, plurals."""
    return _locale(language())


def gettext(message: str) -> str:
    """A text in the visitor's language; the English one where there is no translation."""
    return str(_catalog(language()).gettext(message)) if message else ""


def ngettext(singular: str, plural: str, number: int) -> str:
    """The form of a text that goes with a number."""
    return str(_catalog(language()).ngettext(singular, plural, number))


def marked(message: str) -> str:
    """Mark a text for translation where it is declared; `gettext` translates it where it is shown."""
    return message


@cache
def _locale(name: str) -> Locale:
    return Locale.parse(name)


@cache
def _catalog(name: str) -> NullTranslations:
    path = FOLDER / f"{name}.po"
    if not path.exists():
        return NullTranslations()
    compiled = BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, locale=name))
    compiled.seek(0)
    return Translations(compiled)
