"""Downloads one stream into a file, resuming exactly: yt-dlp's own downloaders with their gaps closed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from yt_dlp import YoutubeDL  # type: ignore[import-untyped]
from yt_dlp.downloader.common import FileDownloader  # type: ignore[import-untyped]
from yt_dlp.downloader.dash import DashSegmentsFD  # type: ignore[import-untyped]
from yt_dlp.downloader.fragment import FragmentFD  # type: ignore[import-untyped]
from yt_dlp.downloader.hls import HlsFD  # type: ignore[import-untyped]
from yt_dlp.downloader.http import HttpFD  # type: ignore[import-untyped]
from yt_dlp.networking import Request, Response  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import HTTPError  # type: ignore[import-untyped]
from yt_dlp.utils import determine_protocol  # type: ignore[import-untyped]

from engine.clients.fetch_error import FetchError
from engine.clients.promises import Promise

_LARGEST_BLOCK = 1 << 18  # what a broken connection may cost
_LARGEST_FRAGMENT = 1 << 30  # yt-dlp reads each into memory, to append it
_ENCRYPTED = re.compile(r"#EXT-X-(?:SESSION-)?KEY:METHOD=(?!NONE)")
_UNNAMED = re.compile(r"[^A-Za-z0-9_.-]+")


class _RaisesCauses(FileDownloader):  # type: ignore[misc]
    """Once the retries are used up, raises the error itself: yt-dlp would leave only its text."""

    def report_retry(self, err: Exception, count: int, retries: int, *args: Any, **kwargs: Any) -> None:
        """Called by yt-dlp after each failed try."""
        if count > retries:
            raise err
        super().report_retry(err, count, retries, *args, **kwargs)

    def report_progress(self, status: dict[str, Any]) -> None:
        """No line for a console that nobody sees: yt-dlp formats one for each block, a fifth of a download's work."""


class _Http(_RaisesCauses, HttpFD):  # type: ignore[misc]
    """Plain HTTP in blocks of a quarter of a second instead of a whole one, so that progress moves steadily."""

    ydl: Any

    @staticmethod
    def best_block_size(elapsed_time: float, size: int) -> int:
        """The next block: at most twice this one and at most what a quarter of a second brings."""
        brought = size / max(elapsed_time, 1e-4) / 4
        return int(max(1024, min(brought, size * 2, _LARGEST_BLOCK)))

    def real_download(self, filename: str, info_dict: dict[str, Any]) -> bool:
        """Download; what was fetched of another version of the file is not gone on with."""
        whole: YoutubeDL = self.ydl
        note = Path(f"{self.temp_name(filename)}.version")
        self.ydl = _SameVersion(whole, note)
        try:
            succeeded = bool(super().real_download(filename, info_dict))
        finally:
            self.ydl = whole
        note.unlink(missing_ok=True)
        return succeeded


class _SameVersion:
    """A `YoutubeDL` that asks for the rest of a file only on condition that the file is still the same.

    Servers that know `If-Range` (RFC 9110, 13.1.5) send a changed file whole, which yt-dlp then begins anew; from
    others the size gives it away. The note beside the part file holds the validator and the size, from before the
    first byte.
    """

    def __init__(self, ydl: YoutubeDL, note: Path) -> None:
        self._ydl, self._note = ydl, note

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ydl, name)

    def urlopen(self, request: Request) -> Response:
        """See `YoutubeDL.urlopen`.

        Raises:
            FetchError: truncated; the next attempt begins anew.
        """
        resumed = "Range" in request.headers
        known = _noted(self._note) if resumed else {}
        if known.get("validator"):
            request.headers["If-Range"] = known["validator"]
        try:
            answer = self._ydl.urlopen(request)
        except HTTPError as error:
            if not resumed or error.status != 416:
                raise
            # Killed between the last byte and the rename: nothing is left to ask for. All of it, then.
            error.response.close()
            resumed = False
            for header in ("Range", "If-Range"):
                request.headers.pop(header, None)
            answer = self._ydl.urlopen(request)
        found = {"validator": _validator(answer), "size": _whole_size(answer)}
        if resumed and answer.status == 206 and _differ(known, found):
            self._note.with_suffix("").unlink(missing_ok=True)  # the part file
            self._note.unlink(missing_ok=True)
            raise FetchError("truncated", detail="the file changed at the site between two attempts")
        if not resumed or answer.status != 206:
            self._note.write_text(json.dumps(found))
        return answer


def _validator(answer: Response) -> str | None:
    """A strong ETag, else the date of the last change; a weak one says nothing about bytes."""
    tag: str | None = answer.headers.get("ETag")
    date: str | None = answer.headers.get("Last-Modified")
    return tag if tag and not tag.startswith("W/") else date


def _whole_size(answer: Response) -> int | None:
    if answer.status == 206:
        total = (answer.headers.get("Content-Range") or "").rpartition("/")[2]
    else:
        total = answer.headers.get("Content-Length") or ""
    return int(total) if total.isdecimal() else None


def _differ(known: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    return bool(known.get("size") and found["size"] and known["size"] != found["size"])


def _noted(note: Path) -> dict[str, Any]:
    try:
        held = json.loads(note.read_text())
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


class _ExactFragments(_RaisesCauses, FragmentFD):  # type: ignore[misc]
    """Keeps the length of the file beside the number of the last fragment in it.

    yt-dlp notes the number only after the fragment was appended: killed between the two it would append it
    again, and with a torn note everything. So the file is first cut to the noted length, or begun anew where
    the note is missing or does not fit.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opened: list[BinaryIO] = []

    def real_download(self, filename: str, info_dict: dict[str, Any]) -> bool:
        """Download, and close the file whatever happens: on an error yt-dlp leaves it open."""
        try:
            return bool(super().real_download(filename, info_dict))
        finally:
            for stream in self._opened:
                stream.close()

    def _prepare_frag_download(self, ctx: dict[str, Any]) -> None:
        part = Path(self.temp_name(ctx["filename"]))
        note = Path(self.ytdl_filename(ctx["filename"]))
        length = _noted_length(note)
        if part.exists():
            if length is None or part.stat().st_size < length:
                part.unlink()
                note.unlink(missing_ok=True)
            else:
                with part.open("r+b") as file:
                    file.truncate(length)
        super()._prepare_frag_download(ctx)
        self._opened.append(ctx["dest_stream"])

    def _read_fragment(self, ctx: dict[str, Any]) -> bytes | None:
        name = ctx.get("fragment_filename_sanitized")
        if name and Path(name).is_file() and Path(name).stat().st_size > _LARGEST_FRAGMENT:
            raise FetchError("too_large", detail=f"a single fragment of {Path(name).stat().st_size} bytes")
        return super()._read_fragment(ctx)  # type: ignore[no-any-return]

    def _write_ytdl_file(self, ctx: dict[str, Any]) -> None:
        stream = ctx.get("dest_stream")
        ctx.setdefault("extra_state", {})["length"] = stream.tell() if stream else 0
        super()._write_ytdl_file(ctx)


class _Hls(_ExactFragments, HlsFD):  # type: ignore[misc]
    """HLS without ffmpeg, which would go to the network by itself."""

    @classmethod
    def can_download(cls, manifest: str, info_dict: Mapping[str, Any], *_: Any) -> bool:
        """True, or the reason in a `FetchError`; False would send ffmpeg to the network."""
        if not super().can_download(manifest, info_dict):
            raise FetchError("drm" if _ENCRYPTED.search(manifest) else "live_now")
        return True


class _Dash(_ExactFragments, DashSegmentsFD):  # type: ignore[misc]
    """DASH segments, one after the other."""


# Everything else (rtmp, websockets, live-only protocols) would need a program of its own or has no end.
_DOWNLOADERS: dict[str, type[Any]] = {
    "http": _Http,
    "https": _Http,
    "m3u8": _Hls,
    "m3u8_native": _Hls,
    "http_dash_segments": _Dash,
}


def download(ydl: YoutubeDL, stream: Mapping[str, Any], target: Path, hook: Callable[[Any], None]) -> Promise:
    """Fetch one chosen format into `target`; what an earlier attempt left there or in its `.part` is used.

    Returns:
        What the source said of the stream.

    Raises:
        FetchError: unsupported protocol, DRM, or nothing arrived.
        Exception: whatever yt-dlp or the hook raises, as it is.
    """
    downloader = _DOWNLOADERS.get(determine_protocol(dict(stream)))
    if downloader is None:
        raise FetchError("unsupported", detail=f"protocol {stream.get('protocol')}")
    worker = downloader(ydl, ydl.params)
    worker.add_progress_hook(hook)
    succeeded, _ = worker.download(str(target), dict(stream))
    if not succeeded or not target.is_file():
        raise FetchError("truncated", detail="no file was written")
    return Promise(
        video=_told(stream.get("vcodec")),
        audio=_told(stream.get("acodec")),
        fragmented=bool(stream.get("fragments")),
    )


def _told(codec: str | None) -> bool | None:
    return None if codec is None else codec != "none"


def stream_name(index: int, stream: Mapping[str, Any]) -> str:
    """The same for the same format in every attempt, and never made of a title."""
    label = _UNNAMED.sub("_", str(stream.get("format_id") or "0"))[:60]
    return f"stream{index}-{label}.media"


def _noted_length(note: Path) -> int | None:
    try:
        length = json.loads(note.read_text())["downloader"]["extra_state"]["length"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return length if isinstance(length, int) else None
