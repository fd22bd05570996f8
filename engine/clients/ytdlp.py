"""Fetches one video with yt-dlp, inside a process that may be killed at any moment.

One extraction, then each chosen stream into a file of a fixed name in the work folder, then at most one run of
ffmpeg. yt-dlp's own post-processing is not used: it needs ffprobe, runs ffmpeg once a step, tells no progress.
Every connection is made by yt-dlp's request director (page, media, thumbnail); ffmpeg sees local files only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL  # type: ignore[import-untyped]
from yt_dlp.networking import Request  # type: ignore[import-untyped]

from engine.clients import ffmpeg, ytdlp_streams
from engine.clients.fetch_error import FetchError
from engine.clients.media_probe import NotMediaError, probe
from engine.clients.promises import Promise
from engine.clients.ytdlp_errors import classify
from engine.clients.ytdlp_extract import chosen_streams, extract, preview, warm_up, youtube_dl
from engine.clients.ytdlp_options import deno_path as javascript_runtime
from engine.clients.ytdlp_progress import Expected, Meter
from engine.clients.ytdlp_signals import (
    Emit,
    Fetched,
    FetchSpec,
    Metadata,
    MetadataFound,
    Progress,
    Signal,
    metadata_of,
    storable,
)

__all__ = ["fetch", "javascript_runtime", "preview", "warm_up"]

_COVER_LIMIT = 10 << 20


def fetch(spec: FetchSpec, emit: Emit) -> Fetched:
    """Fetch one video into `spec.work_dir`, going on where an earlier attempt was stopped.

    Emits Progress(extracting), MetadataFound, then Progress as bytes arrive and while ffmpeg gets on; `emit` may
    be called from several threads, never at once. What it raises ends the attempt and comes through unchanged.
    A bare file with nothing worth embedding, asked for in its own container, stays byte for byte as it was.

    Raises:
        FetchError: everything else that can go wrong, classified.
    """
    heard = _Listener(emit)
    try:
        spec.work_dir.mkdir(parents=True, exist_ok=True)
        heard(Progress(phase="extracting"))
        with youtube_dl(spec) as ydl:
            return _fetch(ydl, spec, heard)
    except Exception as error:
        if heard.raised is not None:
            raise heard.raised from None
        raise classify(error) from error


class _Listener:
    """Passes signals on and remembers what the receiver raised, to tell it from what yt-dlp raised."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.raised: BaseException | None = None

    def __call__(self, signal: Signal) -> None:
        try:
            self._emit(signal)
        except BaseException as error:
            self.raised = error
            raise


def _fetch(ydl: YoutubeDL, spec: FetchSpec, emit: Emit) -> Fetched:
    info = extract(ydl, spec.url)
    metadata = metadata_of(info)
    emit(MetadataFound(metadata))
    formats = chosen_streams(info)
    meter = Meter(
        emit,
        [Expected(_expected_size(stream), stream.get("tbr") or 1.0) for stream in formats],
        downloads_share=_downloads_share(spec, info, formats),
        max_bytes=spec.max_bytes,
        max_seconds=spec.max_seconds,
    )
    streams, promises = [], []
    for index, stream in enumerate(formats):
        path = spec.work_dir / ytdlp_streams.stream_name(index, stream)
        promises.append(ytdlp_streams.download(ydl, stream, path, meter.hook(index)))
        streams.append(_probed(path))
    path = _finished(ydl, spec, info, promises, streams, meter)
    return _described(path, spec.format, metadata)


def _expected_size(stream: Mapping[str, Any]) -> int | None:
    size = stream.get("filesize") or stream.get("filesize_approx")
    if not size and stream.get("tbr") and stream.get("duration"):
        size = stream["tbr"] * 125 * stream["duration"]  # kbit/s
    return int(size) if size else None


def _downloads_share(spec: FetchSpec, info: Mapping[str, Any], formats: list[dict[str, Any]]) -> float:
    """How much of the work is over with the last byte: a guess, for the line of progress only."""
    embeds = spec.embed and _worth_embedding(info)
    if len(formats) == 1 and info.get("ext") == spec.format and not embeds:
        return 1.0
    codec = str(formats[0].get("vcodec") or "")
    if spec.format == "webm" and codec.startswith(("avc", "h264", "hev", "hvc")):
        return 0.3
    return 0.95


def _probed(path: Path) -> ffmpeg.Stream:
    """A stream with what is in it; one that is no media is deleted, or the next attempt would trust it."""
    try:
        return ffmpeg.Stream(path, probe(path))
    except NotMediaError:
        ytdlp_streams.discard(path)
        raise


def _finished(
    ydl: YoutubeDL,
    spec: FetchSpec,
    info: Mapping[str, Any],
    promises: list[Promise],
    streams: list[ffmpeg.Stream],
    meter: Meter,
) -> Path:
    """The file in the wished container: the downloaded one itself where nothing is to be done."""
    plain = len(streams) == 1 and not promises[0].fragmented
    target = spec.work_dir / f"result.{spec.format}"
    embeds = spec.embed and _worth_embedding(info)
    if plain and not embeds and ffmpeg.fits(spec.format, streams[0].probe):
        return _linked(streams[0].path, target)
    meter.processing(None)
    embedding = _embedding(ydl, spec, info, streams) if embeds else None
    ffmpeg.produce(spec.ffmpeg, streams, spec.format, target, embedding=embedding, tick=meter.processing)
    meter.processing(1.0)
    return target


def _linked(source: Path, target: Path) -> Path:
    """A second name with the right suffix; the first stays, so that a further attempt finds the stream complete."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        source.rename(target)
    return target


def _worth_embedding(info: Mapping[str, Any]) -> bool:
    """A bare file has only a name and the server's date, which are not worth changing it for."""
    said = any(info.get(key) for key in ("channel", "uploader", "description", "thumbnail", "chapters"))
    return said or not info.get("direct")


def _embedding(
    ydl: YoutubeDL, spec: FetchSpec, info: Mapping[str, Any], streams: list[ffmpeg.Stream]
) -> ffmpeg.Embedding:
    metadata = metadata_of(info)
    tags = {
        "title": metadata.title,
        "artist": metadata.channel,
        "date": metadata.upload_date,
        "description": metadata.description,
        "comment": metadata.webpage_url,
    }
    end = max((stream.probe.duration or 0.0 for stream in streams), default=0.0) or metadata.duration or 0.0
    return ffmpeg.Embedding(
        tags={key: value for key, value in tags.items() if value},
        chapters=tuple(_chapters(info, end)),
        cover=None if spec.format == "webm" else _cover(ydl, spec, info),
    )


def _chapters(info: Mapping[str, Any], end: float) -> Iterator[ffmpeg.Chapter]:
    for number, chapter in enumerate(info.get("chapters") or (), start=1):
        start, stop = float(chapter.get("start_time") or 0), float(chapter.get("end_time") or end)
        if stop > start >= 0:
            yield ffmpeg.Chapter(start, stop, storable(chapter.get("title"), 300) or f"Chapter {number}")


def _cover(ydl: YoutubeDL, spec: FetchSpec, info: Mapping[str, Any]) -> Path | None:
    """The thumbnail as a local picture. Without one the film is still complete, so no trouble here fails it."""
    url = info.get("thumbnail")
    if not url:
        return None
    try:
        with ydl.urlopen(Request(url, headers=info.get("http_headers") or {})) as answer:
            image = answer.read(_COVER_LIMIT + 1)
    except Exception:  # noqa: BLE001 - network, status, or a URL that is none
        return None
    return ffmpeg.cover_of(spec.ffmpeg, image, spec.work_dir) if len(image) <= _COVER_LIMIT else None


def _described(path: Path, container: str, metadata: Metadata) -> Fetched:
    found = probe(path)
    if not ffmpeg.fits(container, found):
        raise FetchError("processing", detail=f"{found.container} instead of {container}")
    return Fetched(
        path=path,
        size=path.stat().st_size,
        container=container,
        height=found.height,
        duration=found.duration or metadata.duration,
        metadata=metadata,
    )
