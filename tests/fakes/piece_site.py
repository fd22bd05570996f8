"""A video site whose streams come in pieces of every kind, and which can keep a piece back while its reader is killed.

    /pieces/<kind>/<name>/index.m3u8 | manifest.mpd | film.mp4      see `KINDS`

`site.pieces(kind, name)` are the requests that a whole download makes, in their order. `site.hold(asked)` keeps back
whoever asks for one of them, `site.wait_held()` returns once somebody does, `site.let_go()` answers.
"""

from __future__ import annotations

import re
import threading
from functools import cache
from itertools import accumulate
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.fakes import media
from tests.fakes.video_site import Seen, VideoSite, _Content

KEY = bytes(range(16))
IV = bytes(15) + b"\x07"
Asked = tuple[str, str | None]  # path, range


class PieceSite(VideoSite):
    """The site; `playlists` may be altered, by path."""

    def __init__(self) -> None:
        super().__init__()
        self.playlists: dict[str, str] = {}
        self._held: Asked | None = None
        self._reached, self._opened = threading.Event(), threading.Event()

    def content(self, path: str, query: dict[str, str]) -> _Content | None:
        if path in self.playlists:
            return _Content.of_bytes(self.playlists[path].encode(), path.rpartition(".")[2])
        match path.strip("/").split("/"):
            case ["pieces", kind, _, file]:
                body, ext = _body(kind, file), "m4s" if file == "key.bin" else file.rpartition(".")[2]
                return None if body is None else _Content.of_bytes(body, ext)
        return super().content(path, query)

    def saw(self, seen: Seen) -> None:
        super().saw(seen)
        if self._held == (seen.path, seen.range):
            self._reached.set()
            self._opened.wait(60)

    def hold(self, asked: Asked) -> None:
        """Keep back this request, as often as it is made."""
        self._reached.clear()
        self._opened.clear()
        self._held = asked

    def wait_held(self) -> None:
        """Until the request that is kept back has been made."""
        assert self._reached.wait(30), f"nobody asked for {self._held}"

    def is_held(self) -> bool:
        """Whether it has been made."""
        return self._reached.is_set()

    def let_go(self) -> None:
        """Answer."""
        self._held = None
        self._opened.set()

    def pieces(self, kind: str, name: str) -> list[Asked]:
        """What a download that nothing disturbs asks for after manifest and keys."""
        folder = f"/pieces/{kind}/{name}"
        if kind == "plain":
            return [(f"{folder}/film.mp4", None)]
        if "ranges" in kind:
            file = "all.ts" if kind.startswith("ranges-t") else "all.m4s"
            return [(f"{folder}/{file}", f"bytes={first}-{end - 1}") for first, end in _ranges(file)]
        if kind in {"ts", "aes-ts"}:
            return [(f"{folder}/{file.name}", None) for file in _segments()]
        return [(f"{folder}/{file}", None) for file in ("init.mp4", *(f"s{n}.m4s" for n in range(4)))]


def index(kind: str) -> str:
    """The file of a kind that names its pieces."""
    return {"plain": "film.mp4"}.get(kind, "manifest.mpd" if kind.startswith("dash") else "index.m3u8")


@cache
def _body(kind: str, file: str) -> bytes | None:
    if file == index(kind):
        text = KINDS[kind]()
        return text if isinstance(text, bytes) else text.encode()
    clear = _clear(file)
    if clear is None or not kind.startswith("aes") or file == "key.bin":
        return clear
    number = 0 if file == "init.mp4" else int(re.findall(r"\d+", file.partition(".")[0])[-1])
    return encrypted(clear, IV if kind == "aes-fmp4-iv" else number.to_bytes(16, "big"))


def _clear(file: str) -> bytes | None:
    if file == "key.bin":
        return KEY
    if file in _PARTS:
        return b"".join(_PARTS[file]())
    if file == "init.mp4":
        return (media.dash() / "init-stream0.m4s").read_bytes()
    if found := re.fullmatch(r"s(\d)\.m4s", file):
        return (media.dash() / f"chunk-stream0-0000{int(found[1]) + 1}.m4s").read_bytes()
    segment = media.hls() / file
    return segment.read_bytes() if segment.suffix == ".ts" and segment.is_file() else None


def encrypted(clear: bytes, iv: bytes) -> bytes:
    """As HLS encrypts a segment (RFC 8216, 4.3.2.4)."""
    padding = 16 - len(clear) % 16
    cipher = Cipher(algorithms.AES(KEY), modes.CBC(iv)).encryptor()
    return cipher.update(clear + bytes([padding]) * padding) + cipher.finalize()


def _segments() -> list[Path]:
    return sorted(media.hls().glob("144-*.ts"))


def _fragments() -> list[bytes]:
    found = [_clear(name) for name in ("init.mp4", "s0.m4s", "s1.m4s", "s2.m4s", "s3.m4s")]
    return [body for body in found if body is not None]


# Files that have all pieces in them.
_PARTS = {"all.ts": lambda: [segment.read_bytes() for segment in _segments()], "all.m4s": _fragments}


def _ranges(file: str) -> list[tuple[int, int]]:
    ends = list(accumulate(map(len, _PARTS[file]())))
    return list(zip([0, *ends], ends, strict=False))


def playlist(*lines: str, ended: bool = True) -> str:
    """A media playlist of these lines."""
    head = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    return "\n".join([*head, *lines, *(["#EXT-X-ENDLIST"] if ended else []), ""])


def _named(*before: str, fragmented: bool = False) -> str:
    names = [f"s{number}.m4s" for number in range(4)] if fragmented else [file.name for file in _segments()]
    return playlist(*before, *(line for name in names for line in ("#EXTINF:1.0,", name)))


def _ranged(file: str, *, offsets: bool) -> str:
    lines, ranges = [], _ranges(file)
    if file == "all.m4s":
        lines.append(f'#EXT-X-MAP:URI="{file}",BYTERANGE="{ranges.pop(0)[1]}@0"')
    for number, (first, end) in enumerate(ranges):
        offset = f"@{first}" if offsets or not number else ""
        lines += ["#EXTINF:1.0,", f"#EXT-X-BYTERANGE:{end - first}{offset}", file]
    return playlist(*lines)


def _ranged_list() -> str:
    opening, *rest = (f"{first}-{end - 1}" for first, end in _ranges("all.m4s"))
    listed = "".join(f'<SegmentURL media="all.m4s" mediaRange="{span}"/>' for span in rest)
    start = f'<Initialization sourceURL="all.m4s" range="{opening}"/>'
    return f'<SegmentList timescale="1000" duration="1000">{start}{listed}</SegmentList>'


def _manifest(segments: str) -> str:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' mediaPresentationDuration="PT4S" minBufferTime="PT1S"><Period><AdaptationSet contentType="video"'
        ' mimeType="video/mp4"><Representation id="v" bandwidth="100000" codecs="avc1.42c00c" width="256"'
        f' height="144">{segments}</Representation></AdaptationSet></Period></MPD>'
    )


_MAP = '#EXT-X-MAP:URI="init.mp4"'
_AES = '#EXT-X-KEY:METHOD=AES-128,URI="key.bin"'
_TEMPLATE = '<SegmentTemplate timescale="1000" duration="1000" startNumber="0" initialization="init.mp4" media="s$Number$.m4s"/>'
_LIST = '<SegmentList timescale="1000" duration="1000"><Initialization sourceURL="init.mp4"/>' + "".join(
    f'<SegmentURL media="s{number}.m4s"/>' for number in range(4)
)
KINDS = {
    "plain": lambda: media.named_mp4("pieces", 600_000).read_bytes(),
    "ts": _named,
    "fmp4": lambda: _named(_MAP, fragmented=True),
    "ranges-ts": lambda: _ranged("all.ts", offsets=True),
    "ranges-ts-on": lambda: _ranged("all.ts", offsets=False),  # each goes on where the one before ended
    "ranges-fmp4": lambda: _ranged("all.m4s", offsets=False),
    "aes-ts": lambda: _named(_AES),
    "aes-fmp4": lambda: _named(_AES, _MAP, fragmented=True),
    "aes-fmp4-iv": lambda: _named(f"{_AES},IV=0x{IV.hex()}", _MAP, fragmented=True),
    "dash-template": lambda: _manifest(_TEMPLATE),
    "dash-list": lambda: _manifest(f"{_LIST}</SegmentList>"),
    "dash-ranges": lambda: _manifest(_ranged_list()),
}
