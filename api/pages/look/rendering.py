"""Renders a page: Jinja's environment, and the headers that every page has."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from api.pages.look import formats, media_words, plots, qr, static_files, words

POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


def page(template: str, status: int = 200, **values: Any) -> Response:
    """An answer with a page.

    Args:
        template: its path below `templates/`.
        status: of HTTP.
        values: that the template names.
    """
    answer = Response(
        _environment.get_template(template).render(page_name=template, **values), status, mimetype="text/html"
    )
    answer.headers["Content-Security-Policy"] = POLICY
    # Without a referrer browsers hide the origin of our own forms too.
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer


def link(path: str) -> str:
    """The address of a path of ours, relative to the page being rendered: a proxy may have us below any path.

    Args:
        path: below the root of the site, without a leading slash.
    """
    up = "../" * (request.path.count("/") - 1)
    return (up or "./") + path if path[:1] in {"", "?", "#"} else up + path


def static(path: str) -> str:
    """The address of a file below `static/`, relative to the page being rendered."""
    return link(static_files.address(path))


def here() -> str:
    """The path of the page being rendered, with its query, below the root of the site, without a leading slash."""
    path = request.path.lstrip("/")
    query = request.query_string.decode("ascii", "replace")
    return f"{path}?{query}" if query else path


def asked(**changes: object) -> str:
    """The address of the page being rendered with other query parameters; one that is None or empty is left out.

    Args:
        changes: by name; what is not named stays, but the number of the page.
    """
    names = {**request.args.to_dict(), "page": None, **changes}
    return "?" + urlencode({name: value for name, value in names.items() if value not in (None, "")})


def typed(name: str, value: str = "") -> str:
    """The value of a field: what was entered, where the form is shown again, else `value`."""
    refusal = g.get("refusal")
    return value if refusal is None else refusal.entered.get(name, value)


def problem(name: str) -> str:
    """What is wrong with a field of the form that is shown again; empty: nothing."""
    refusal = g.get("refusal")
    return "" if refusal is None else words.gettext(refusal.problems.get(name, ""))


def icon(name: str, css: str = "i", flip: bool = False) -> Markup:
    """A symbol of `static/icons.svg`. Screen readers pass over it: a word stands beside it, or labels its control.

    Args:
        name: of the symbol.
        css: classes.
        flip: it points along the line, so that it is mirrored where text runs from right to left.
    """
    return _svg(f"{static('icons.svg')}#{name}", f"{css} flip" if flip else css)


def shape(name: str, colour: str = "") -> Markup:
    """The shape of a status, in the colour of the text or of a class of `static/css/parts.css`."""
    return icon(f"s-{name}", f"i s {colour}".rstrip())


@lru_cache(maxsize=1024)  # a page has hundreds, of a few kinds
def _svg(address: str, css: str) -> Markup:
    return Markup('<svg class="{}" aria-hidden="true"><use href="{}"/></svg>').format(css, address)


def _make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).resolve().parent.parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals.update(
        link=link,
        static=static,
        icon=icon,
        shape=shape,
        line=plots.line,
        area=plots.area,
        qr=qr.path,
        language=words.language,
        here=here,
        asked=asked,
        typed=typed,
        problem=problem,
        proof=lambda: g.get("proof", ""),
    )
    environment.filters.update(
        number=formats.number,
        spelled=formats.spelled,
        percent=formats.percent,
        size=formats.size,
        speed=formats.speed,
        duration=formats.duration,
        day=formats.day,
        moment=formats.moment,
        ago=formats.ago,
        listed=formats.listed,
        date=formats.date,
        resolution=media_words.resolution,
        codec=media_words.codec,
        channels=media_words.channels,
        language=media_words.language,
    )
    return environment


_environment = _make_environment()
