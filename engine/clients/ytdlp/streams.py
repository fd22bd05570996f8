"""Downloads one chosen format into a file with our own transfer, which resumes exactly, instead of yt-dlp's."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL  # type: ignore[import-untyped]
from yt_dlp.utils import determine_protocol  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.promises import Promise
from engine.clients.streams import dash as stream_dash
from engine.clients.streams import hls as stream_hls
from engine.clients.streams import pieces as stream_pieces
from engine.clients.streams import whole as stream_whole
from engine.clients.streams.files import StreamFiles
from engine.clients.streams.plan import TransferPlan
from engine.clients.streams.report import Hook, TransferReport
from engine.clients.streams.source import Source

_UNNAMED = re.compile(r"[^A-Za-z0-9_.-]+")
_PLAYLIST = b"#EXTM3U"
_LONGEST_WAIT = 600.0  # seconds to wait for `available_at`

# Other protocols (rtmp, websockets) need external programs or are live only.
_WHOLE, _HLS, _DASH = {"http", "https"}, {"m3u8", "m3u8_native"}, {"http_dash_segments"}


def download(ydl: YoutubeDL, stream: Mapping[str, Any], target: Path, hook: Hook) -> Promise:
    """Fetch one chosen format into `target`, resuming an earlier attempt's files beside it.

    Returns:
        What the source declared of the stream, also if it was complete already.

    Raises:
        FetchError: unsupported protocol, DRM, a live stream, a truncated answer.
        Exception: from yt-dlp's `urlopen` or the hook, unchanged.
    """
    files, report, source = StreamFiles(target), TransferReport(hook), Source(ydl, stream)
    protocol = determine_protocol(dict(stream))
    if protocol not in _WHOLE | _HLS | _DASH:
        raise FetchError("unsupported", detail=f"protocol {stream.get('protocol')}")
    if not target.is_file():
        _wait(stream, report)
        files.finish(_fetch(source, stream, protocol, files, report))
    report.finished(target.stat().st_size)
    return files.promised() or _promise(stream, fragmented=protocol not in _WHOLE)


def discard(target: Path) -> None:
    """Delete a damaged stream with all its files, so that the next attempt starts from nothing."""
    StreamFiles(target).discard()


def stream_name(index: int, stream: Mapping[str, Any]) -> str:
    """A file name that is the same for the same format in every attempt."""
    label = _UNNAMED.sub("_", str(stream.get("format_id") or "0"))[:60]
    return f"stream{index}-{label}.media"


def _fetch(
    source: Source, stream: Mapping[str, Any], protocol: str, files: StreamFiles, report: TransferReport
) -> Promise:
    """Fetch by what the URL really is: yt-dlp may take a playlist for a file, and a file for a playlist."""
    if protocol in _DASH:
        return _pieces(source, stream_dash.plan(source, stream), stream, files, report)
    if protocol in _HLS:
        try:
            return _pieces(source, stream_hls.plan(source, stream), stream, files, report)
        except stream_hls.NotAPlaylistError:
            pass
    size = stream_whole.fetch(
        source,
        str(stream["url"]),
        files,
        report,
        chunk=(stream.get("downloader_options") or {}).get("http_chunk_size"),
        resumable=not stream.get("no_resume"),
    )
    with files.part.open("rb") as part:
        is_playlist = part.read(len(_PLAYLIST)) == _PLAYLIST
    if is_playlist and protocol in _WHOLE:
        files.discard()
        return _pieces(source, stream_hls.plan(source, stream), stream, files, report)
    return _promise(stream, size=size)


def _pieces(
    source: Source, plan: TransferPlan, stream: Mapping[str, Any], files: StreamFiles, report: TransferReport
) -> Promise:
    stream_pieces.fetch(source, plan, files, report)
    return _promise(stream, seconds=plan.seconds, unsure=plan.unsure, size=plan.size, fragmented=True)


def _promise(
    stream: Mapping[str, Any],
    *,
    seconds: float | None = None,
    unsure: float = 0.0,
    size: int | None = None,
    fragmented: bool = False,
) -> Promise:
    return Promise(
        seconds=seconds,
        unsure=unsure,
        size=size,
        video=_has_codec(stream.get("vcodec")),
        audio=_has_codec(stream.get("acodec")),
        fragmented=fragmented,
    )


def _has_codec(codec: str | None) -> bool | None:
    return None if codec is None else codec != "none"


def _wait(stream: Mapping[str, Any], report: TransferReport) -> None:
    """Wait until `available_at`: some YouTube formats are available only seconds after the page, as after an advert."""
    until = min(float(stream.get("available_at") or 0), time.time() + _LONGEST_WAIT)
    while (left := until - time.time()) > 0:
        report.arrived(0)
        time.sleep(min(left, 0.5))
