"""A video site on a real socket: direct files, pages, HLS and DASH with Range, throttling, gates and faults.

In a test::

    with VideoSite() as site:                     # 127.0.0.1, a free port; `site.url` has no trailing slash
        url = site.url + "/direct/clip.mp4?size=5000000"
        site.body("/direct/clip.mp4?size=5000000")       # the bytes that a client must end up with
        site.requests                             # what was asked, in order: path, range, status, bytes sent

Or alone: `python tests/fakes/video_site.py --port 8765` prints its URLs and serves until Ctrl-C.

Resources (`<name>` is any word; it seeds the content, so two names never have the same bytes)
    /direct/<name>.<ext>      4 s of media: mp4 (unique to its name), mkv, webm, m4a, mp3, opus, jpg, webp
    /direct/<name>.mp4?size=N a valid mp4 of exactly N bytes (padded by a `free` box of pseudo-random bytes)
    /page/<name>              HTML with og:title, og:description, og:image and `<video><source>`
    /bare/<name>              HTML with a title and `<video><source>` only
    /rich/<name>              HTML with a schema.org VideoObject: author, date, thumbnail, three chapters
    /pages/<name>             HTML with two videos: a playlist
    /text/<name>              HTML without any video
    /hls/<name>/master.m3u8   144, 240 and 360 lines, H.264 and AAC in MPEG-TS segments of 1 s
    /hls/<name>/<height>.m3u8 one of them
    /live/<name>/master.m3u8  an HLS playlist without an end
    /drm/<name>/master.m3u8   an HLS playlist encrypted with SAMPLE-AES and a FairPlay key
    /dash/<name>/manifest.mpd 144 and 360 lines and a separate audio stream
    /thumb/<name>.jpg | .webp a picture
    /redirect?to=<url>        302
    /away/<kind>/x?to=<url>   a page or manifest that leads to that URL: see `tests/fakes/lures.py`
    /titled/<number>          HTML with a VideoObject whose name is one of `tests/fakes/lures.py`
    /loop                     302 to itself

Behaviour, by query parameters of the very resource asked for
    rate=N                    at most N bytes a second
    gate=<key>[&after=N]      sends N bytes of the body (default 0), then holds until the gate is released
    status=503[&times=2]      answers this status (the first `times` requests of this URL only);
    retry_after=N             with a Retry-After header
    cut=N[&times=1]           closes the connection after N bytes of the body, Content-Length being whole
    reset=N[&times=1]         resets the connection after N bytes of the body
    most=N                    closes each connection after N bytes, Content-Length being whole
    shift=N                   says in Content-Range that the bytes are others than they are, by N
    icy=<name>                the header by which radio stations name themselves
    endless=1                 (no length) the body, and after it zeros until the client goes away
    length=N                  a Content-Length of your choice
    empty=1                   no body at all
    bomb=N                    the body and N zeros, compressed
    no_validator=1            no ETag
    skip=1                    gate, status, cut and reset leave the first request of this URL alone (of a direct file
                              yt-dlp first looks at the headers, then asks again to download it)
    no_range=1, no_length=1   ignores Range; sends no Content-Length
    type=text/html            a Content-Type of your choice
    pad=N                     (segments) N more bytes in each, ignored by players
    lines=360                 (direct, page, bare, rich, pages) height of the file
    video=webm, picture=webp  (page, bare, rich, pages) extensions of the embedded file and of its thumbnail
    media.X=...               (pages, manifests) handed down as X=... to the media and segments they name

Gates: `site.gate(key).wait_held()` returns once a request stands at the gate; `site.release(key)` lets it and
all later ones pass. From another process: `POST /control/release/<key>`, `GET /control/held/<key>`,
`GET /control/requests`.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import socket
import struct
import sys
import threading
import time
import zlib
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit
from xml.sax.saxutils import escape as xml_escape

if __package__ in {None, ""}:  # started as a script: make `tests` importable
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.fakes import lures, media

TYPES = {
    "mp4": "video/mp4",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "m4a": "audio/mp4",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "jpg": "image/jpeg",
    "webp": "image/webp",
    "m3u8": "application/vnd.apple.mpegurl",
    "ts": "video/mp2t",
    "mpd": "application/dash+xml",
    "m4s": "video/iso.segment",
    "html": "text/html; charset=utf-8",
}
_BANDWIDTH = {144: 250_000, 240: 300_000, 360: 400_000}
_BLOCK = 1 << 16


@dataclass
class Seen:
    """One request as the site saw it; `sent` counts bytes of the body and grows while it is served."""

    method: str
    path: str
    query: dict[str, str]
    range: str | None
    if_range: str | None
    cookie: str | None
    user_agent: str | None
    at: float
    status: int = 0
    sent: int = 0


@dataclass
class Gate:
    """A place in a body where requests wait for the test."""

    opened: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    held: int = 0

    def wait_held(self, timeout: float = 10.0) -> None:
        """Return once a request stands at the gate; AssertionError after `timeout` seconds."""
        assert self.reached.wait(timeout), "no request reached the gate"

    def release(self) -> None:
        """Let what waits and all that comes later pass."""
        self.opened.set()


@dataclass
class _Content:
    """What a resource answers: an open stream of `size` bytes and its type."""

    stream: BinaryIO
    size: int
    type: str

    @classmethod
    def of_bytes(cls, body: bytes, kind: str) -> _Content:
        return cls(io.BytesIO(body), len(body), TYPES[kind])

    @classmethod
    def of_file(cls, path: Path, extra: bytes = b"") -> _Content:
        kind = TYPES[path.suffix[1:]]
        if extra:
            body = path.read_bytes() + extra
            return cls(io.BytesIO(body), len(body), kind)
        return cls(path.open("rb"), path.stat().st_size, kind)


def _handed_down(query: dict[str, str], *, keep: bool = False) -> str:
    """The query string for what a page or manifest names; `keep` for a manifest that names another one."""
    prefix = "media."
    names = {key: value for key, value in query.items() if key.startswith(prefix)}
    pairs = names if keep else {key.removeprefix(prefix): value for key, value in names.items()}
    return "?" + urlencode(pairs) if pairs else ""


def _padding(ext: str, count: int) -> bytes:
    """Bytes that players skip: MPEG-TS null packets, or a `free` box for fragmented MP4."""
    if count <= 0:
        return b""
    if ext == "ts":
        return (b"\x47\x1f\xff\x10" + b"\xff" * 184) * (count // 188)
    return struct.pack(">I4s", count + 8, b"free") + bytes(count)


class VideoSite:
    """The running site; a context manager. Thread-safe; two of them share nothing but the media."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: list[Seen] = []
        self.pages: dict[str, str] = {}  # HTML of your own, by path
        self._became: dict[str, str] = {}
        self._gates: dict[str, Gate] = defaultdict(Gate)
        self._faults: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = _Server((host, port), _Handler)
        self._server.site = self
        self.host, self.port = host, self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>`."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> VideoSite:
        """Serve in a thread of its own."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Open all gates and stop serving."""
        with self._lock:
            for gate in self._gates.values():
                gate.release()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> VideoSite:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def gate(self, key: str) -> Gate:
        """The gate of that key, made when first named."""
        with self._lock:
            return self._gates[key]

    def release(self, key: str) -> None:
        """Open a gate."""
        self.gate(key).release()

    def become(self, path: str, other: str) -> None:
        """From now on answer with another resource (path and query) at this path."""
        self._became[path] = other

    def saw(self, seen: Seen) -> None:
        """Called with each request before it is answered, in its own thread."""
        self.requests.append(seen)

    def asked(self, path: str) -> list[Seen]:
        """The requests so far whose path (without its query) is this one."""
        return [seen for seen in list(self.requests) if seen.path == path]

    def body(self, path: str) -> bytes:
        """The whole body of a resource, without its faults."""
        parts = urlsplit(path)
        content = self.content(unquote(parts.path), dict(parse_qsl(parts.query)))
        assert content is not None, f"no such resource: {path}"
        with content.stream as stream:
            return stream.read()

    def faulty(self, query: dict[str, str], url: str) -> bool:
        """Whether this request meets the fault or gate in its parameters: after `skip`, at most `times`."""
        skip, times = int(query.get("skip", 0)), int(query.get("times", sys.maxsize))
        with self._lock:
            self._faults[url] += 1
            return skip < self._faults[url] <= skip + times

    def content(self, path: str, query: dict[str, str]) -> _Content | None:
        """The resource at this path, or None."""
        if path in self.pages:
            return _Content.of_bytes(self.pages[path].encode(), "html")
        if path in self._became:
            parts = urlsplit(self._became[path])
            path, query = parts.path, dict(parse_qsl(parts.query))
        match path.strip("/").split("/"):
            case ["direct" | "thumb", file]:
                return self._file(file, query)
            case ["page" | "bare" | "rich" | "pages" | "text" as kind, name]:
                return _Content.of_bytes(_PAGES[kind](self.url, name, query).encode(), "html")
            case ["hls" | "live" | "drm" as kind, _, file]:
                return self._hls(kind, file, query)
            case ["dash", _, file]:
                return self._dash(file, query)
            case ["away", kind, *_]:
                return _Content.of_bytes(*lures.away(kind, query["to"]))
            case ["titled", number]:
                source = _source_url(self.url, "titled", query)
                return _Content.of_bytes(lures.titled(int(number), source).encode(), "html")
        return None

    def _file(self, file: str, query: dict[str, str]) -> _Content | None:
        stem, _, ext = file.rpartition(".")
        if ext == "mp4" and "lines" not in query:
            return _Content.of_file(media.named_mp4(stem, int(query["size"]) if "size" in query else None))
        if ext not in media.EXTENSIONS:
            return None
        return _Content.of_file(media.sample(ext, int(query.get("lines", 144))))

    def _hls(self, kind: str, file: str, query: dict[str, str]) -> _Content | None:
        source = media.hls() / file
        if file == "master.m3u8":
            return _Content.of_bytes(_master(query).encode(), "m3u8")
        if not source.is_file():
            return None
        if source.suffix == ".ts":
            return _Content.of_file(source, _padding("ts", int(query.get("pad", 0))))
        lines = source.read_text().replace(".ts", f".ts{_handed_down(query)}")
        if kind == "live":
            lines = lines.replace("#EXT-X-ENDLIST\n", "").replace("#EXT-X-PLAYLIST-TYPE:VOD\n", "")
        if kind == "drm":
            key = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key",KEYFORMAT="com.apple.streamingkeydelivery"\n#EXTINF'
            lines = lines.replace("#EXTINF", key, 1)
        return _Content.of_bytes(lines.encode(), "m3u8")

    def _dash(self, file: str, query: dict[str, str]) -> _Content | None:
        source = media.dash() / file
        if not source.is_file():
            return None
        if source.suffix == ".m4s":
            return _Content.of_file(source, _padding("m4s", int(query.get("pad", 0))))
        suffix = xml_escape(_handed_down(query))
        manifest = source.read_text().replace('.m4s"', f'.m4s{suffix}"')
        return _Content.of_bytes(manifest.encode(), "mpd")


def _master(query: dict[str, str]) -> str:
    lines = ["#EXTM3U", "#EXT-X-VERSION:3"]
    for height in media.HLS_HEIGHTS:
        size = {144: "256x144", 240: "426x240", 360: "640x360"}[height]
        codecs = 'CODECS="avc1.42c01e,mp4a.40.2"'
        lines.append(f"#EXT-X-STREAM-INF:BANDWIDTH={_BANDWIDTH[height]},RESOLUTION={size},{codecs}")
        lines.append(f"{height}.m3u8{_handed_down(query, keep=True)}")
    return "\n".join(lines) + "\n"


def _source_url(site: str, name: str, query: dict[str, str]) -> str:
    ext = query.get("video", "mp4")
    suffix = _handed_down(query)
    if "lines" in query:
        suffix += ("&" if suffix else "?") + f"lines={query['lines']}"
    return f"{site}/direct/{quote(name)}.{ext}{suffix}"


def _video_tag(site: str, name: str, query: dict[str, str]) -> str:
    kind = TYPES[query.get("video", "mp4")]
    return f'<video controls><source src="{escape(_source_url(site, name, query))}" type="{kind}"></video>'


def _page(site: str, name: str, query: dict[str, str]) -> str:
    title = escape(f"The {name} film")
    thumb = f"{site}/thumb/{quote(name)}.{query.get('picture', 'jpg')}"
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title>"
        f'<meta property="og:title" content="{title}">'
        f'<meta property="og:description" content="What happens in {escape(name)}.">'
        f'<meta property="og:image" content="{escape(thumb)}"></head>'
        f"<body>{_video_tag(site, name, query)}</body></html>"
    )


def _bare(site: str, name: str, query: dict[str, str]) -> str:
    video = _video_tag(site, name, query)
    return f"<!DOCTYPE html><html><head><title>{escape(name)}</title></head><body>{video}</body></html>"


def _rich(site: str, name: str, query: dict[str, str]) -> str:
    clips = [("Opening", 0, 1), ("Middle = the; best # part", 1, 2), ("End \\ credits", 2, 4)]
    data = {
        "@context": "https://schema.org", "@type": "VideoObject", "name": f"The {name} film",
        "description": f"First line about {name}.\nSecond line; with = signs # and \\ strokes.",
        "thumbnailUrl": [f"{site}/thumb/{quote(name)}.{query.get('picture', 'jpg')}"],
        "contentUrl": _source_url(site, name, query), "uploadDate": "2024-02-29", "duration": "PT4S",
        "author": {"@type": "Person", "name": "A. Maker"},
        "hasPart": [{"@type": "Clip", "name": n, "startOffset": a, "endOffset": b} for n, a, b in clips],
    }  # fmt: skip
    return (
        f"<!DOCTYPE html><html><head><title>{escape(name)}</title>"
        f'<script type="application/ld+json">{json.dumps(data)}</script></head><body></body></html>'
    )


def _pages(site: str, name: str, query: dict[str, str]) -> str:
    videos = "".join(_video_tag(site, f"{name}-{number}", query) for number in (1, 2))
    return f"<!DOCTYPE html><html><head><title>{escape(name)}</title></head><body>{videos}</body></html>"


def _text(_site: str, name: str, _query: dict[str, str]) -> str:
    return (
        f"<!DOCTYPE html><html><head><title>{escape(name)}</title></head><body>Nothing to see.</body></html>"
    )


_PAGES = {"page": _page, "bare": _bare, "rich": _rich, "pages": _pages, "text": _text}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    site: VideoSite

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._resets: set[socket.socket] = set()

    def reset(self, connection: socket.socket) -> None:
        """Let the end of this connection be a reset."""
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._resets.add(connection)

    def shutdown_request(self, request: Any) -> None:
        """Close without a farewell where a reset is wanted."""
        if request in self._resets:
            self._resets.discard(request)
            request.close()
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away in the middle are normal here."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    faulty = False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Silent; `site.requests` is the log."""

    def do_POST(self) -> None:
        action, _, key = self.path.removeprefix("/control/").partition("/")
        if action == "release":
            self.server.site.release(unquote(key))
        self._plain(200 if action == "release" else 404, b"{}")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        site, parts = self.server.site, urlsplit(self.path)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        if path.startswith("/control/"):
            return self._control(path)
        seen = Seen(
            self.command,
            path,
            query,
            self.headers.get("Range"),
            self.headers.get("If-Range"),
            self.headers.get("Cookie"),
            self.headers.get("User-Agent"),
            time.time(),
        )
        site.saw(seen)
        self.faulty = not {"status", "gate", "cut", "reset"}.isdisjoint(query) and site.faulty(
            query, self.path
        )
        if "status" in query and self.faulty:
            seen.status = int(query["status"])
            extra = {"Retry-After": query["retry_after"]} if "retry_after" in query else {}
            return self._plain(seen.status, b"fault", extra)
        if path == "/redirect":
            seen.status = 302
            return self._plain(302, b"", {"Location": query["to"]})
        if path == "/loop":
            seen.status = 302
            return self._plain(302, b"", {"Location": self.path})
        content = site.content(path, query)
        if "empty" in query and content is not None:
            content.stream.close()
            content = _Content(io.BytesIO(), 0, content.type)
        if content is None:
            seen.status = 404
            return self._plain(404, b"not here")
        with content.stream:
            return self._serve(content, seen)

    def _control(self, path: str) -> None:
        site = self.server.site
        match path.strip("/").split("/"):
            case ["control", "held", key]:
                gate = site.gate(key)
                self._plain(200, json.dumps({"held": gate.held, "open": gate.opened.is_set()}).encode())
            case ["control", "requests"]:
                self._plain(200, json.dumps([asdict(seen) for seen in list(site.requests)]).encode())
            case _:
                self._plain(404, b"{}")

    def _plain(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _serve(self, content: _Content, seen: Seen) -> None:
        query = seen.query
        tag = f'"{zlib.crc32(seen.path.encode()):x}-{content.size:x}"'
        same = seen.if_range in {None, tag}  # else the whole of what it is now (RFC 9110, 13.1.5)
        span = None if "no_range" in query or not same else _span(seen.range, content.size)
        if seen.range and same and span is None and "no_range" not in query:
            seen.status = 416
            return self._plain(416, b"", {"Content-Range": f"bytes */{content.size}"})
        first, last = span or (0, content.size - 1)
        seen.status = 206 if span else 200
        self.send_response(seen.status)
        self.send_header("Content-Type", query.get("type", content.type))
        if "no_validator" not in query:
            self.send_header("ETag", tag)
        if "bomb" in query:
            content = _Content.of_bytes(
                gzip.compress(content.stream.read() + bytes(int(query["bomb"]))), "html"
            )
            first, last = 0, content.size - 1
            self.send_header("Content-Encoding", "gzip")
        if "no_range" not in query:
            self.send_header("Accept-Ranges", "bytes")
        if span:
            shift = int(query.get("shift", 0))
            self.send_header("Content-Range", f"bytes {first + shift}-{last + shift}/{content.size}")
        if "icy" in query:
            self.send_header("icy-name", query["icy"])
        if "no_length" in query or "endless" in query:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", query.get("length", str(last - first + 1)))
        self.end_headers()
        if self.command != "HEAD":
            self._send(content.stream, first, last + 1, seen)
            while "endless" in query:
                self.wfile.write(bytes(_BLOCK))
        return None

    def _send(self, stream: BinaryIO, first: int, end: int, seen: Seen) -> None:
        """Send `[first, end)` of the stream; gate and cut are positions in the whole body."""
        query, started = seen.query, time.monotonic()
        hold = int(query.get("after", 0)) if "gate" in query and self.faulty else None
        reset = "reset" in query and self.faulty
        cut = int(query["reset" if reset else "cut"]) if reset or ("cut" in query and self.faulty) else None
        rate = float(query.get("rate", 0))
        if "most" in query:
            cut = first + int(query["most"])
        stream.seek(first)
        position = first
        while True:
            if hold is not None and position >= hold:
                self._hold(query["gate"])
                hold = None
            if cut is not None and position >= cut:
                self.close_connection = True
                if reset:
                    self.server.reset(self.connection)
                return
            if position >= end:
                return
            stops = [end] + [stop for stop in (hold, cut) if stop is not None and stop > position]
            block = max(1024, min(_BLOCK, int(rate / 20))) if rate else _BLOCK
            data = stream.read(min(block, min(stops) - position))
            self.wfile.write(data)
            position += len(data)
            seen.sent += len(data)
            if rate:
                time.sleep(max(0.0, started + seen.sent / rate - time.monotonic()))

    def _hold(self, key: str) -> None:
        gate = self.server.site.gate(key)
        gate.held += 1
        gate.reached.set()
        gate.opened.wait()
        gate.held -= 1


def _span(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte of a single-range header (RFC 9110, 14.1.2); None: absent or unsatisfiable."""
    if not header or not header.startswith("bytes=") or "," in header:
        return None
    start, _, stop = header.removeprefix("bytes=").partition("-")
    if not start:
        return (max(0, size - int(stop)), size - 1) if int(stop) else None
    first, last = int(start), min(int(stop) if stop else size - 1, size - 1)
    return (first, last) if first <= last else None


_SHOWN = (
    "/direct/holiday.mp4",
    "/direct/long.mp4?size=50000000&rate=2000000",
    "/page/harbour",
    "/rich/lighthouse",
    "/hls/river/master.m3u8",
    "/dash/forest/manifest.mpd",
    "/pages/several",
    "/direct/broken.mp4?status=503",
)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="a small video site for trying things out")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    for make in (media.hls, media.dash, lambda: media.sample("mp4"), lambda: media.sample("jpg")):
        make()
    site = VideoSite(options.host, options.port)
    print("\n".join(site.url + path for path in _SHOWN), flush=True)
    site.start()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        site.stop()


if __name__ == "__main__":
    main()
