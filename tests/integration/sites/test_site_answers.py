"""What a site may answer: its faults are called its own, and no answer costs more than its bound."""

from __future__ import annotations

import itertools
import resource
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest
from yt_dlp.networking.exceptions import HTTPError

from engine.clients.fetch_errors import FAILURE_KINDS, FetchError
from engine.clients.fetch_signals import FetchSpec
from engine.clients.ytdlp import entry as fetching
from engine.clients.ytdlp import requests as ytdlp_requests
from engine.clients.ytdlp.extract import youtube_dl
from engine.clients.ytdlp.fetch import fetch, preview
from tests.fakes import media
from tests.fakes.attempts import Attempts, Order
from tests.fakes.attempts import fetch as fetch_guarded
from tests.fakes.raw_site import MEGABYTE, RawSite, endless, head, packed

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
MOVED = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
HEIGHT = 400 << 10  # KiB that an attempt may take of memory while a site tries to fill it


def spec(url: str, folder: Path, **more: Any) -> FetchSpec:
    fixed: dict[str, Any] = {"quality": "best", "format": "mp4", "ffmpeg": FFMPEG, "socket_timeout": 15.0}
    return FetchSpec(url=url, work_dir=folder, **{**fixed, **more})


def failure(site: RawSite, path: str, folder: Path, parts: Iterable[bytes]) -> FetchError:
    site.answers[path] = parts if isinstance(parts, list) else list(parts)
    with pytest.raises(FetchError) as failed:
        fetch(spec(site.url + path, folder), lambda _: None)
    return failed.value


def film(site: RawSite, path: str) -> bytes:
    body = media.named_mp4("answers").read_bytes()
    site.answers[path] = [head(type="video/mp4", Content_Length=str(len(body))), body]
    return body


# --- redirects --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        (b"/file/\xdcber.mp4", "/file/%DCber.mp4"),
        ("/file/Übergröße ☕.mp4".encode(), "/file/%C3%9Cbergr%C3%B6%C3%9Fe%20%E2%98%95.mp4"),
        (b"/file/a%2Fb%20c.mp4?x=%26#t=10", "/file/a%2Fb%20c.mp4?x=%26"),
        (b"../file/up.mp4", "/file/up.mp4"),
    ],
)
def test_a_redirect_is_followed_whatever_bytes_it_is_written_in(
    raw_site: RawSite, tmp_path: Path, location: bytes, asked: str
) -> None:
    body = film(raw_site, asked)
    raw_site.answers["/go/there"] = [MOVED + location + b"\r\n\r\n"]

    got = fetch(spec(f"{raw_site.url}/go/there", tmp_path, embed=False), lambda _: None)

    assert got.path.read_bytes() == body


@pytest.mark.parametrize(
    "location",
    [
        b"http://[::1/x", b"http://host:99999/x", b"http://%zz..a/x", b"http://x:y:z/x", b"",
        b"http://" + b"a" * 300 + b".com/x", b"http://\xe4\xb6..\xdf/x", b"http://127.0.0.1:abc/x",
    ],
)  # fmt: skip
def test_a_redirect_to_nowhere_is_the_sites_fault(raw_site: RawSite, tmp_path: Path, location: bytes) -> None:
    error = failure(raw_site, "/nowhere", tmp_path, [MOVED + location + b"\r\n\r\n"])

    assert (error.kind, error.retry) == ("malformed", "again_once"), error.detail
    assert "MediaNest" not in error.message + error.advice


@pytest.mark.parametrize("steps", [1, 2, 60])
def test_a_redirect_in_a_circle_is_called_that(raw_site: RawSite, tmp_path: Path, steps: int) -> None:
    for number in range(steps):
        to = f"/circle/{(number + 1) % steps}"
        raw_site.answers[f"/circle/{number}"] = [MOVED + to.encode() + b"\r\n\r\n"]
    raw_site.asked.clear()

    error = failure(raw_site, "/to-circle", tmp_path, [MOVED + b"/circle/0\r\n\r\n"])

    assert error.kind == "redirects"
    assert "in a circle" in error.message
    assert "MediaNest" not in error.message + error.advice
    assert len(raw_site.asked) < 60


def test_a_cookie_of_a_redirect_is_kept_though_its_body_is_not_read(
    raw_site: RawSite, tmp_path: Path
) -> None:
    body = film(raw_site, "/with-cookie.mp4")
    fields = b"\r\nSet-Cookie: seen=yes; Path=/\r\n\r\n"
    raw_site.answers["/cookie"] = lambda: itertools.chain([MOVED + b"/with-cookie.mp4" + fields], endless())
    with youtube_dl(spec(f"{raw_site.url}/cookie", tmp_path)) as ydl:
        answer = ydl.urlopen(f"{raw_site.url}/cookie")
        assert answer.read() == body
        assert [cookie.name for cookie in ydl.cookiejar] == ["seen"]


# --- what is no HTTP --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ([b"<html>hello</html>"], "malformed"),
        ([b"SSH-2.0-OpenSSH_9\r\n"], "malformed"),
        ([b"HTTP/1.1 abc OK\r\n\r\n"], "malformed"),
        ([head("302 Found", Content_Length="0")], "malformed"),
        ([head("304 Not Modified", Content_Length="0")], "malformed"),
        ([b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000 + b"\r\n\r\n"], "malformed"),
        ([b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 300 + b"\r\n"], "malformed"),
        ([b"HTTP/1.1 200 OK\r\n" + b"Set-Cookie: c=%s\r\n" % (b"a" * 60000) * 9 + b"\r\n"], "malformed"),
        ([head(Content_Length="abc"), b"hello"], "not_media"),
        ([head(Content_Encoding="gzip"), b"hello world"], "malformed"),
        ([head(Content_Encoding="br"), b"hello world"], "malformed"),
        ([head(Content_Encoding=",".join(["gzip"] * 30)), b"hello world"], "malformed"),
        ([head(Transfer_Encoding="chunked"), b"zz\r\nabc"], "truncated"),
        ([head(Transfer_Encoding="chunked"), b"0" * 70000], "malformed"),
        ([b""], "network"),
        ([head(type="text/html; charset=undefined"), b"<html>x</html>"], "unreadable"),
        ([head(type="text/html; charset=unicode_escape"), b"<html>\\ud800</html>"], "unreadable"),
        ([head("400 Bad Request", Content_Length="0")], "unreadable"),
    ],
)
def test_a_broken_answer_is_the_sites_fault(
    raw_site: RawSite, tmp_path: Path, parts: list[bytes], kind: str
) -> None:
    error = failure(raw_site, "/broken", tmp_path, parts)

    assert error.kind == kind, error.detail
    assert "site" in error.message


HLS, DASH = "application/vnd.apple.mpegurl", "application/dash+xml"
ODD_PAGES = [
    (HLS, "#EXTM3U\n#EXT-X-TARGETDURATION:x\n#EXTINF:z,\nseg.ts\n#EXT-X-ENDLIST\n"),
    (HLS, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=x,RESOLUTION=9x1\nhttp://[::1\n"),
    (DASH, "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><Period/></MPD>"),
    ("application/vnd.ms-sstr+xml", "<SmoothStreamingMedia Duration='x'><StreamIndex/></SmoothStreamingMedia>"),
    ("application/f4m+xml", "<manifest xmlns='http://ns.adobe.com/f4m/1.0'><media bitrate='x'/></manifest>"),
    ("text/html", "<script type='application/ld+json'>{\"@type\":\"VideoObject\",\"name\":[1],\"contentUrl\":{},"
     '"@context":"https://schema.org","duration":[],"uploadDate":7}</script>'),
    ("text/html", "<video src='http://[::1/x.mp4'></video>"),
    ("text/html", "<video src='data:video/mp4;base64,%%%'></video>"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), ODD_PAGES)
def test_what_a_library_trips_over_is_the_sites_fault(
    raw_site: RawSite, tmp_path: Path, kind: str, text: str
) -> None:
    error = failure(raw_site, "/odd", tmp_path, [head(type=kind), text.encode()])

    assert error.kind in FAILURE_KINDS.keys() - {"internal"}, error.detail


# --- what has no end --------------------------------------------------------------------------------------------


def filling(fields: bytes, body: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    return lambda: itertools.chain([fields], body())


MEMORY: dict[str, Callable[[], Iterable[bytes]]] = {
    "redirect": filling(b"HTTP/1.1 302 Found\r\nLocation: /end\r\n\r\n", endless),
    "redirect-packed": filling(
        b"HTTP/1.1 302 Found\r\nLocation: /end\r\nContent-Encoding: gzip\r\n\r\n", packed
    ),
    "error": filling(head("404 Not Found"), endless),
    "error-packed": filling(head("500 Oh", Content_Encoding="gzip"), packed),
    "page": filling(head() + b"<!DOCTYPE html><html><title>x</title>", endless),
    "page-packed": filling(head(Content_Encoding="gzip"), lambda: packed(b"<!DOCTYPE html><html>")),
    "manifest-packed": filling(
        head(type=HLS, Content_Encoding="gzip"), lambda: packed(b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n")
    ),
    "chunk": filling(head(Transfer_Encoding="chunked") + b"7fffffffffffffff\r\n<!DOCTYPE html>", endless),
    "header": filling(b"HTTP/1.1 200 OK\r\nX: ", endless),
    "headers": filling(b"HTTP/1.1 200 OK\r\n", lambda: endless(b"Set-Cookie: " + b"a" * 60000 + b"\r\n")),
    "continue": lambda: [b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, head("404 Not Found")],
    "status": lambda: endless(b"x" * MEGABYTE),
}


def previewed(look: FetchSpec) -> Any:
    return fetching.preview(look.url, timeout=15.0, generic=True, allow_private=False)


def most_memory(do: Callable[[FetchSpec], Any], look: FetchSpec) -> tuple[str, int]:
    """The kind of the failure, and KiB of memory at the most."""
    try:
        do(look)
    except FetchError as error:
        return error.kind, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    raise AssertionError("it went well")


@pytest.mark.parametrize("do", [fetch_guarded, previewed])
@pytest.mark.parametrize("name", MEMORY)
def test_no_answer_fills_the_memory(
    raw_site: RawSite, attempts: Attempts, tmp_path: Path, name: str, do: Callable[[FetchSpec], Any]
) -> None:
    raw_site.answers[f"/{name}"] = MEMORY[name]
    allowed = frozenset({("127.0.0.1", int(raw_site.url.rpartition(":")[2]))})
    look = spec(f"{raw_site.url}/{name}", tmp_path / "work", max_bytes=8 * MEGABYTE)

    kind, height = attempts(Order(call=partial(most_memory, do, look), allowed=allowed))

    assert height < HEIGHT, f"{height} KiB"
    assert kind in {"not_found", "upstream", "unreadable", "malformed", "too_large", "unsupported"}


@pytest.mark.parametrize("status", ["404 Not Found", "500 Oh", "200 OK"])
def test_what_an_extractor_reads_of_an_answer_has_an_end(
    raw_site: RawSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setattr(ytdlp_requests, "BODY_LIMIT", MEGABYTE)
    raw_site.answers["/said"] = filling(head(status, Content_Encoding="gzip"), packed)

    with youtube_dl(spec(f"{raw_site.url}/said", tmp_path)) as ydl:
        try:
            answer = ydl.urlopen(f"{raw_site.url}/said")
        except HTTPError as error:
            answer = error.response
        with pytest.raises(FetchError, match="unreadable"):
            answer.read()


def test_a_preview_says_the_same(raw_site: RawSite) -> None:
    raw_site.answers["/looked"] = [MOVED + b"/looked\r\n\r\n"]

    with pytest.raises(FetchError, match="in a circle"):
        preview(f"{raw_site.url}/looked", timeout=15.0)
