"""What pages are made with: addresses below any path, paths of plots, the shell's own words."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from api.pages.door.visit import local_path
from api.pages.look.plots import area, line
from api.pages.look.rendering import icon, link, page
from api.pages.look.shell import Flash, NavLink, Shell, Theme

FIGURES = ("speed", "median", "high", "highest", "failing")


def rendered(shell: Shell) -> str:
    with Flask("pages").test_request_context("/parts"):
        return page("parts.html", shell=shell, **{name: [0, 1] for name in FIGURES}).get_data(as_text=True)


@pytest.mark.parametrize(
    ("at", "to", "address"),
    [
        ("/", "", "./"),
        ("/", "downloads", "downloads"),
        ("/downloads", "", "./"),
        ("/downloads", "?new", "./?new"),
        ("/admin/users", "", "../"),
        ("/admin/users", "library", "../library"),
        ("/item/plex/12", "static/x.css", "../../static/x.css"),
    ],
)
def test_addresses_are_relative_to_the_page(at: str, to: str, address: str) -> None:
    with Flask("pages").test_request_context(at):
        assert link(to) == address


def test_a_path_goes_from_edge_to_edge_with_zero_below() -> None:
    assert line([0, 2.5, 10], top=10) == "M0 100L150 75L300 0"
    assert area([0, 10], top=10) == "M0 100L300 0V100H0Z"


def test_an_icon_says_where_it_turns_round() -> None:
    with Flask("pages").test_request_context("/"):
        assert 'class="i flip" aria-hidden="true"' in icon("right", flip=True)
        assert icon("right").endswith('#right"/></svg>')


@pytest.mark.parametrize(
    ("name", "initials"), [("Ann", "A"), ("ines aalto", "IA"), ("Ann of the Green Gables", "AG"), ("", "")]
)
def test_initials(name: str, initials: str) -> None:
    assert Shell(name=name, csrf_token="", here="", places=()).initials == initials


@pytest.mark.parametrize(
    ("theme", "attribute"), [("system", ""), ("light", ' data-theme="light"'), ("dark", ' data-theme="dark"')]
)
def test_the_theme_of_the_account(theme: Theme, attribute: str) -> None:
    html = rendered(Shell("Ann", "", "", (), theme=theme))

    assert f'<html lang="en" dir="ltr"{attribute}>' in html
    assert re.findall(r'name="theme" value="(\w+)" checked', html) == [theme]


def test_the_shell_shows_where_one_is_and_what_was_done() -> None:
    places = (
        NavLink("Home", "home", ""),
        NavLink("Activity", "activity", "downloads", 3, "moving", urgent=True),
    )
    flash = Flash("done", "Removed <b>two</b>.")
    html = rendered(Shell("Ann", "proof", "downloads", places, unread=1, flashes=(flash,)))

    assert re.findall(r'<a href="([^"]+)" aria-current="page">', html) == ["downloads"]
    assert '<span class="count hot">3<span class="sr"> moving</span></span>' in html
    assert "Notifications, 1 unread" in html
    assert '<input type="hidden" name="csrfToken" value="proof">' in html
    assert "<p>Removed &lt;b&gt;two&lt;/b&gt;.</p>" in html
    assert "Looking after" not in html


@pytest.mark.parametrize(
    "text",
    [
        "", "/", "//evil.example", " //evil.example", "  /x", "/\\evil", "\\\\evil", "https://evil.example", "x//evil",
        "javascript:x", "..//evil", "a/../../b", "%0d%0a", "x\ny", "\t//x", "./", "a" * 2001, "＼x",
    ],
)  # fmt: skip
def test_what_is_no_path_of_ours_is_not_gone_to(text: str) -> None:
    assert local_path(text, "home") in {"home", "%0d%0a"}


@pytest.mark.parametrize(
    "text",
    [
        "downloads",
        "downloads/dl-01?x=1",
        "?urls=https%3A%2F%2Fv.example%2F%3Fx",
        "item/med-1#seasons",
        "admin/users",
    ],
)
def test_what_is_one_is(text: str) -> None:
    assert local_path(text, "home") == text
