"""`make words`: brings the texts of pages into the catalogs of translations; new ones are left to be translated.

Texts are what templates and `api/pages` give to gettext, and the sentences of the engine that pages show: string
literals that begin with a capital and end with a full stop; and what the settings of the environment are. What is gone from the code goes from the catalogs.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from api.pages.admin.settings.words import WORDS
from config.settings import Settings
from engine.settings.admin import public_name

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "api" / "pages"
TRANSLATIONS = PAGES / "translations"
SPOKEN = ("engine", "api/security", "api/wire")
JINJA = {"trim_blocks": "true", "lstrip_blocks": "true", "newstyle_gettext": "true"}
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "marked": None}
SENTENCE = re.compile(r"[A-Z][^\n]*\w[^\n]*[.?]")

Message = str | tuple[str, ...]


def texts() -> dict[Message, list[str]]:
    """All texts, each with the files that have it."""
    found: dict[Message, list[str]] = {}
    for path in sorted([*PAGES.rglob("*.html"), *PAGES.rglob("*.py")]):
        for message in _given(path):
            found.setdefault(message, []).append(path.relative_to(ROOT).as_posix())
    for path in sorted(path for room in SPOKEN for path in (ROOT / room).rglob("*.py")):
        for message in _sentences(ast.parse(path.read_text())):
            found.setdefault(message, []).append(path.relative_to(ROOT).as_posix())
    for setting in fields(Settings):
        if public_name(setting.name) not in WORDS:
            found.setdefault(setting.metadata["help"], []).append("config/settings.py")
    return found


def _given(path: Path) -> Iterator[Message]:
    method, options = ("jinja2", JINJA) if path.suffix == ".html" else ("python", {})
    with path.open("rb") as file:
        for _, message, _, _ in extract(method, file, KEYWORDS, (), options):
            yield message


def _sentences(tree: ast.Module) -> Iterator[str]:
    """String literals that are sentences; neither docstrings nor pieces of f-strings."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    pieces = {
        id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in told | pieces:
            continue
        if isinstance(node.value, str) and SENTENCE.fullmatch(node.value):
            yield node.value


def read(language: str) -> Catalog:
    """The catalog of a language."""
    with (TRANSLATIONS / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def main() -> None:
    for path in sorted(TRANSLATIONS.glob("*.po")):
        old = read(path.stem)
        new = Catalog(path.stem, fuzzy=False)
        for message, files in sorted(texts().items(), key=lambda item: (item[1][0], str(item[0]))):
            known = old.get(message[0] if isinstance(message, tuple) else message)
            places = [(file, None) for file in dict.fromkeys(files)]
            new.add(message, known.string if known else "", locations=places)
        with path.open("wb") as file:
            write_po(file, new, width=110, include_lineno=False, omit_header=True)
        left = len(untranslated(new))
        sys.stdout.write(f"{path.name}: {len(new)} texts, {left} to be translated\n")


def untranslated(catalog: Catalog) -> list[Message]:
    """The texts of a catalog that lack a translation, or one of its forms."""
    return [
        message.id
        for message in catalog
        if message.id and not all(message.string if isinstance(message.string, tuple) else [message.string])
    ]


if __name__ == "__main__":
    main()
