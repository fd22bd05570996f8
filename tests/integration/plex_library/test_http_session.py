"""The one HTTP policy of our clients: bounds, redirects, proxies, certificates, encodings and secrets."""

from __future__ import annotations

import gzip
import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from engine.clients.http import HttpFailure, HttpSession, Limits
from tests.fakes.raw_site import MEGABYTE, RawSite, endless, head, packed

LIMITS = Limits(connect=2.0, silence=5.0, total=10.0, size=MEGABYTE)
TOKEN = "s3cr3t-token"


@pytest.fixture
def site() -> Iterator[RawSite]:
    with RawSite() as found:
        yield found


def ask(
    url: str, limits: Limits = LIMITS, *, verify: bool = True, proxied: bool = False
) -> tuple[int, bytes]:
    with HttpSession(limits, {"X-Plex-Token": TOKEN}, verify=verify, proxied=proxied) as session:
        answer = session.get(f"{url}/a")
        return answer.status_code, answer.content


def failing(url: str, limits: Limits = LIMITS) -> str:
    with pytest.raises(HttpFailure) as failure:
        ask(url, limits)
    assert (TOKEN in str(failure.value), "127.0.0.1" in str(failure.value)) == (False, False)
    return failure.value.kind


def test_a_body_is_read_whole(site: RawSite) -> None:
    site.answers["/a"] = [head(), b"x" * MEGABYTE]

    assert ask(site.url) == (200, b"x" * MEGABYTE)


@pytest.mark.parametrize("rest", [endless(), [b"x" * (MEGABYTE + 1)]], ids=["endless", "one more"])
def test_one_byte_too_many_is_refused(site: RawSite, rest: Iterable[bytes]) -> None:
    site.answers["/a"] = lambda: itertools.chain([head()], rest)

    assert failing(site.url) == "too_large"


def test_a_body_in_drops_ends_with_the_time_for_all_of_it(site: RawSite) -> None:
    gone = threading.Event()

    def drops() -> Iterator[bytes]:
        yield head()
        while not gone.wait(0.1):
            yield b" "

    site.answers["/a"] = drops
    began = time.monotonic()

    assert failing(site.url, Limits(connect=2.0, silence=5.0, total=1.0, size=MEGABYTE)) == "timeout"
    assert time.monotonic() - began < 4
    gone.set()


def test_silence_is_a_timeout(site: RawSite) -> None:
    gone = threading.Event()

    def silent() -> Iterator[bytes]:
        yield head() + b"{"
        gone.wait(20)

    site.answers["/a"] = silent

    assert failing(site.url, Limits(connect=2.0, silence=0.5, total=None, size=MEGABYTE)) == "timeout"
    gone.set()


def test_gzip_is_unpacked(site: RawSite) -> None:
    site.answers["/a"] = [head(Content_Encoding="gzip"), gzip.compress(b"hello")]

    assert ask(site.url) == (200, b"hello")
    assert "Accept-Encoding: gzip\n" in site.said["/a"]


@pytest.mark.parametrize(
    ("encoding", "body", "kind"),
    [
        ("gzip", gzip.compress(b" " * (MEGABYTE + 1)), "too_large"),
        ("gzip", gzip.compress(b" " * 64 * MEGABYTE, 1), "too_large"),
        ("gzip", gzip.compress(b"hello")[:-9], "closed"),
        ("gzip", b"hello", "garbled"),
        ("br", b"hello", "garbled"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"hello")), "garbled"),
    ],
    ids=["one byte too many", "a bomb", "cut short", "no gzip", "not asked for", "twice"],
)
def test_an_encoding_that_is_no_good(site: RawSite, encoding: str, body: bytes, kind: str) -> None:
    site.answers["/a"] = [head(Content_Encoding=encoding), body]

    assert failing(site.url) == kind


def test_an_endless_bomb_is_bounded_by_what_comes(site: RawSite) -> None:
    site.answers["/a"] = lambda: itertools.chain([head(Content_Encoding="gzip")], packed())

    assert failing(site.url) == "too_large"


def test_a_body_that_is_cut_short_is_none(site: RawSite) -> None:
    site.answers["/a"] = [head(Content_Length="10"), b"half"]

    assert failing(site.url) == "closed"


@pytest.mark.parametrize("status", ["302 Found", "404 Not Found", "503 Service Unavailable"])
def test_the_body_of_another_status_is_left_alone(site: RawSite, status: str) -> None:
    site.answers["/a"] = lambda: itertools.chain([head(status, Location="/b")], endless())

    assert ask(site.url) == (int(status[:3]), b"")
    assert site.asked == ["/a"]


def test_also_where_bodies_of_errors_are_read_they_are_bounded(site: RawSite) -> None:
    site.answers["/a"] = lambda: itertools.chain([head("302 Found", Location="/b")], endless())
    limits = Limits(connect=2.0, silence=5.0, total=10.0, size=MEGABYTE, error_bodies=True)

    assert failing(site.url, limits) == "too_large"
    assert site.asked == ["/a"]


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawSite]:
    """The proxy of the environment, for all that is no exception."""
    with RawSite() as found:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, found.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield found


def test_a_proxy_is_for_the_internet_only(site: RawSite, proxy: RawSite) -> None:
    site.answers["/a"] = [head(), b"direct"]
    proxy.answers["http://films.example/a"] = [head(), b"proxied"]

    assert ask(site.url) == (200, b"direct")
    assert ask("http://films.example", proxied=True) == (200, b"proxied")
    assert (site.asked, proxy.asked) == (["/a"], ["http://films.example/a"])


def test_nobody_looks_into_netrc(site: RawSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ann password hidden\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    site.answers["/a"] = [head(), b""]

    ask(site.url, proxied=True)
    assert "Authorization" not in site.said["/a"]

    ask(site.url.replace("//", "//ann:known@"))
    assert "Authorization: Basic YW5uOmtub3du" in site.said["/a"]
