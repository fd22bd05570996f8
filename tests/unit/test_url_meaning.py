"""What tells two things apart stays apart, what does not is one, and a URL carries nothing besides."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from config.settings import Settings
from engine.downloads.sources.urls import accept, meaning
from engine.errors import ValidationFailed

ANYWHERE = Settings(download_allowed_hosts=("*",))


def normal(url: str) -> str:
    return accept(url, ANYWHERE).normal


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://m.example/spa#/watch/1", "https://m.example/spa#/watch/2"),
        ("https://m.example/spa#/watch/1", "https://m.example/spa"),
        ("https://m.example/spa#!/watch/1", "https://m.example/spa#!/watch/2"),
        ("https://m.example/spa#!1", "https://m.example/spa#!2"),
        ("https://m.example/spa#id=1", "https://m.example/spa#id=2"),
        ("https://m.example/spa#v=1&t=5", "https://m.example/spa#v=2&t=5"),
        ("https://m.example/spa#1", "https://m.example/spa#2"),
        ("https://m.example/spa#dQw4w9WgXcQ", "https://m.example/spa#YE7VzlLtp-4"),
        ("https://m.example/spa#/a#1", "https://m.example/spa#/a#2"),
        ("https://m.example/spa#/a%2Fb", "https://m.example/spa#/a/b"),
        ("https://m.example/A", "https://m.example/a"),
        ("https://m.example/a", "https://m.example/a/"),
        ("https://m.example/a/b", "https://m.example/a%2Fb"),
        ("https://m.example/a%2fb", "https://m.example/a/b"),
        ("https://m.example/a?x=1&y=2", "https://m.example/a?y=2&x=1"),
        ("https://m.example/a?x=1&x=2", "https://m.example/a?x=2&x=1"),
        ("https://m.example/a?x=1", "https://m.example/a?x=1&x=1"),
        ("https://m.example/a?q=1+2", "https://m.example/a?q=1%202"),
        ("https://m.example/a?q=1+2", "https://m.example/a?q=1%2B2"),
        ("https://m.example/a?q=1%262", "https://m.example/a?q=1&2"),
        ("https://m.example/a?q=a;b", "https://m.example/a?q=a&b"),
        ("https://m.example/a?index=1", "https://m.example/a?index=2"),
        ("https://m.example/a?t=10", "https://m.example/a"),
        ("https://m.example/a?utm_source=x", "https://m.example/a"),
        ("https://m.example/a?", "https://m.example/a?x"),
        ("https://m.example/a[1]", "https://m.example/a%5B1%5D"),
        ("https://m.example/index.html", "https://m.example/"),
        ("https://m.example:8443/a", "https://m.example/a"),
        ("http://m.example:443/a", "https://m.example/a"),
        ("https://www.m.example/a", "https://m.example/a"),
        ("https://straße.example/a", "https://strasse.example/a"),
        ("https://βόλος.example/a", "https://βόλοσ.example/a"),
        ("https://m.example/é", "https://m.example/e\u0301"),
    ],
)
def test_two_things_are_two(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(
            (f"https://m.example/a#{place}", "https://m.example/a")
            for place in ("", "t=10", "t=10,20", "t=npt:10", "xywh=1,2,3,4", "t=1&xywh=2", "comments", "see-also", "a.b")
        ),
        ("https://m.example/a#:~:text=words,more", "https://m.example/a"),
        ("https://m.example/a#top:~:text=words", "https://m.example/a"),
        ("https://m.example/a#/watch/1:~:text=words", "https://m.example/a#/watch/1"),
        ("HTTPS://M.EXAMPLE:443/a", "https://m.example/a"),
        ("https://m.example./a", "https://m.example/a"),
        ("https://m.example", "https://m.example/"),
        ("https://m.example?x=1", "https://m.example/?x=1"),
        ("https://m.example/a?", "https://m.example/a"),
        ("https://m.example/ü", "https://m.example/%C3%BC"),
        ('https://m.example/a"b', "https://m.example/a%22b"),
        ("https://straße.example/", "https://xn--strae-oqa.example/"),
        ("https://BÜCHER.example/", "https://xn--bcher-kva.example/"),
    ],
)  # fmt: skip
def test_one_thing_is_one(one: str, other: str) -> None:
    assert normal(one) == normal(other)


NOTE = "__youtubedl_smuggle=%7B%22http_headers%22%3A%7B%22Referer%22%3A%22x%22%7D%7D"


@pytest.mark.parametrize(
    "carried",
    [f"#{NOTE}", "#%5F_youtubedl_smuggle=x", f"#/watch/1#{NOTE}", f"#{unquote(NOTE)}", f"#%23{NOTE}"],
)
def test_a_note_to_yt_dlp_is_no_part_of_an_address(carried: str) -> None:
    assert normal("https://m.example/a" + carried) == "https://m.example/a"


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?a=1;v=dQw4w9WgXcQ&v=YE7VzlLtp-4",
        "https://www.youtube.com/watch?v=YE7VzlLtp-4;v=dQw4w9WgXcQ",
        "https://www.youtube.com/watch?v=YE7VzlLtp-4#/watch?v=dQw4w9WgXcQ",
        f"https://www.youtube.com/watch?v=YE7VzlLtp-4#{NOTE}",
        f"https://www.youtube.com/watch?v=YE7VzlLtp-4&x=%23{NOTE}",
        "https://www.youtube.com/watch?feature=share&si=abc&t=10&v=YE7VzlLtp-4&utm_source=x&index=3&list=PL1",
        "https://music.youtube.com/watch?v=YE7VzlLtp-4&feature=x",
        "https://youtu.be/YE7VzlLtp-4?si=abc&t=10",
        "https://www.youtube.com/live/YE7VzlLtp-4?si=abc",
    ],
)
def test_of_youtube_the_video_is_fetched_that_was_judged(url: str) -> None:
    assert normal(url) == "https://www.youtube.com/watch?v=YE7VzlLtp-4"


@pytest.mark.parametrize(
    "url", ["https://www.youtube.com/clip/abc#/watch?v=dQw4w9WgXcQ", "https://www.youtube.com/clip/abc#1"]
)
def test_youtube_has_no_routes_in_fragments(url: str) -> None:
    assert normal(url) == "https://www.youtube.com/clip/abc"


@pytest.mark.parametrize(
    "url",
    [
        "ytsearch:cats", "ytsearch5:cats", "file:///etc/passwd", "data:text/html,x", "https://u:p@m.example/",
        "https://m.example\\@evil.example/", "https://m.example/\ta", "https://m.example/\u200b", "https://💩.example/",
        "https://a..b.example/", "https://" + "a" * 64 + ".example/",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationFailed):
        accept(url, ANYWHERE)


HOSTS = st.sampled_from(
    ["m.example", "M.Example", "straße.example", "bücher.example", "1.2.3.4", "[2001:4860::1]"]
)
TEXTS = st.text(st.sampled_from("aA0/%2F20?&=;+!:@#[]~.,-_ü\"|{^é'()*$"), max_size=14)
ADDRESSES = st.builds(
    lambda scheme, host, port, rest: f"{scheme}://{host}{port}/{rest}",
    st.sampled_from(["http", "HTTPS"]), HOSTS, st.sampled_from(["", ":80", ":443", ":8080"]), TEXTS,
)  # fmt: skip


@settings(deadline=None)
@given(ADDRESSES)
def test_a_normal_form_is_its_own(url: str) -> None:
    assert normal(normal(url)) == normal(url)
    assert meaning(url) == accept(url, ANYWHERE)


@settings(deadline=None)
@given(ADDRESSES)
def test_a_server_is_asked_for_the_same_as_before(url: str) -> None:
    """Path and query reach the site as they were written, but for what every client percent-encodes."""
    asked, written = urlsplit(normal(url)), urlsplit(url)

    assert unquote(asked.path) == unquote(written.path)
    assert unquote(asked.query) == unquote(written.query)
    assert asked.path.count("/") == written.path.count("/")
    assert asked.path.lower().count("%2f") == written.path.lower().count("%2f")
    for mark in "&=;+":
        assert asked.query.count(mark) == written.query.count(mark)


CHANGES: dict[str, Callable[[str], str]] = {
    "case": str.swapcase,
    "slash": lambda text: text + "/",
    "plus": lambda text: text.replace("+", "%20"),
    "encoded": lambda text: (
        text.replace("/", "%2F").replace("&", "%26").replace("=", "%3D").replace("+", "%2B")
    ),
    "decoded": lambda text: text.replace("%2F", "/"),
    "order": lambda text: "&".join(reversed(text.split("&"))),
    "twice": lambda text: f"{text}&{text}",
    "tracking": lambda text: f"{text}&utm_source=x",
    "separator": lambda text: text.replace(";", "&"),
}


@settings(deadline=None)
@given(st.text(st.sampled_from("aA0/&=;+:@!,-"), min_size=1, max_size=14), st.sampled_from(sorted(CHANGES)))
def test_what_a_server_could_tell_apart_is_not_one(text: str, change: str) -> None:
    changed = CHANGES[change](text)
    assume(changed != text)
    for place in ("https://m.example/{}", "https://m.example/a?{}", "https://m.example/a#/{}"):
        assert normal(place.format(text)) != normal(place.format(changed))
