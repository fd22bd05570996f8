"""Fetches one video with yt-dlp, inside a process that may be killed at any moment.

One extraction, then each chosen stream into a file of a fixed name in the work folder, then at most one run of
ffmpeg. yt-dlp's own post-processing is not used: it needs ffprobe, runs ffmpeg once a step, tells no progress.
Every connection is made by yt-dlp's request director (page, media, thumbnail); ffmpeg sees local files only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from yt_dlp import YoutubeDL  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import (
    Emit,
    Fetched,
    FetchSpec,
    MetadataFound,
    Progress,
    Signal,
    metadata_of,
    seconds_of,
)
from engine.clients.media import ffmpeg
from engine.clients.media.embedding import Embedding, chapters_of, tags_of, worth_embedding
from engine.clients.media.examination import Examined, check_result, examine
from engine.clients.media.ffmpeg_plan import sources
from engine.clients.media.probe import NotMediaError
from engine.clients.media.shared_clock import delays
from engine.clients.promises import Promise
from engine.clients.ytdlp import streams as ytdlp_streams
from engine.clients.ytdlp.classify import classify
from engine.clients.ytdlp.cover import cover_of
from engine.clients.ytdlp.extract import chosen_streams, extract, preview, warm_up, youtube_dl
from engine.clients.ytdlp.options import deno_path as javascript_runtime
from engine.clients.ytdlp.progress import Expected, Meter

__all__ = ["fetch", "javascript_runtime", "preview", "warm_up"]

_LARGEST = 1e15  # bytes; more is no size of a file


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
        [Expected(_expected_size(stream), _positive(stream.get("tbr")) or 1.0) for stream in formats],
        downloads_share=_downloads_share(spec, info, formats),
        max_bytes=spec.max_bytes,
        max_seconds=spec.max_seconds,
    )
    streams, promises = [], []
    for index, stream in enumerate(formats):
        path = spec.work_dir / ytdlp_streams.stream_name(index, stream)
        promises.append(ytdlp_streams.download(ydl, stream, path, meter.hook(index)))
        streams.append(_examined(path, promises[-1], meter, _told_seconds(info)))
    fragmented = any(promise.fragmented for promise in promises)
    result = _finished(ydl, spec, info, streams, meter, fragmented=fragmented)
    if not ffmpeg.fits(spec.format, result.probe):
        raise FetchError("processing", detail=f"{result.probe.container} instead of {spec.format}")
    return Fetched(
        path=result.path,
        size=result.path.stat().st_size,
        container=spec.format,
        height=result.probe.height,
        duration=result.seconds or metadata.duration,
        metadata=metadata,
    )


def _expected_size(stream: Mapping[str, Any]) -> int | None:
    size = _positive(stream.get("filesize")) or _positive(stream.get("filesize_approx"))
    rate, seconds = _positive(stream.get("tbr")), _positive(stream.get("duration"))
    if size is None and rate and seconds:
        size = rate * 125 * seconds  # kbit/s
    return int(size) if size else None


def _positive(value: object) -> float | None:
    """A number by an extractor, or None where it is none that could be a size, a rate or a length."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LARGEST
    return float(value) if usable and isinstance(value, int | float) else None


def _downloads_share(spec: FetchSpec, info: Mapping[str, Any], formats: list[dict[str, Any]]) -> float:
    """How much of the work is over with the last byte: a guess, for the line of progress only."""
    embeds = spec.embed and worth_embedding(info)
    if len(formats) == 1 and info.get("ext") == spec.format and not embeds:
        return 1.0
    codec = str(formats[0].get("vcodec") or "")
    if spec.format == "webm" and codec.startswith(("avc", "h264", "hev", "hvc")):
        return 0.3
    return 0.95


def _told_seconds(info: Mapping[str, Any]) -> float | None:
    """The length by the site's own words, where an extractor made for that site read them."""
    generic = info.get("direct") or info.get("extractor_key") in {"Generic", "HTML5MediaEmbed"}
    return None if generic else seconds_of(info.get("duration"))


def _examined(path: Path, promise: Promise, meter: Meter, told: float | None) -> Examined:
    """A downloaded stream that is whole; one that is not is deleted, or the next attempt would trust it."""
    try:
        return examine(path, promise, meter.alive, told=told)
    except (FetchError, NotMediaError):
        ytdlp_streams.discard(path)
        raise


def _finished(
    ydl: YoutubeDL,
    spec: FetchSpec,
    info: Mapping[str, Any],
    streams: list[Examined],
    meter: Meter,
    *,
    fragmented: bool,
) -> Examined:
    """The file in the wished container: the downloaded one itself where nothing is to be done."""
    target = spec.work_dir / f"result.{spec.format}"
    embeds = spec.embed and worth_embedding(info)
    if len(streams) == 1 and not fragmented and not embeds and ffmpeg.fits(spec.format, streams[0].probe):
        return replace(streams[0], path=_linked(streams[0].path, target))
    meter.processing(None)
    embedding = _embedding(ydl, spec, info, streams) if embeds else None
    tick = meter.processing
    plan = ffmpeg.produce(spec.ffmpeg, streams, spec.format, target, embedding=embedding, tick=tick)
    try:
        result = examine(target, Promise(), meter.alive)
    except (FetchError, NotMediaError) as error:
        raise FetchError("processing", detail=f"the result: {error}") from error
    check_result(result, sources(plan, streams))
    meter.processing(1.0)
    return result


def _linked(source: Path, target: Path) -> Path:
    """A second name with the right suffix; the first stays, so that a further attempt finds the stream complete."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # a file system without links
        source.rename(target)
    return target


def _embedding(
    ydl: YoutubeDL, spec: FetchSpec, info: Mapping[str, Any], streams: list[Examined]
) -> Embedding:
    ends = (stream.seconds + delay for stream, delay in zip(streams, delays(streams), strict=True))
    return Embedding(
        tags=tags_of(info),
        chapters=chapters_of(info, max(ends)),
        cover=None if spec.format == "webm" else cover_of(ydl, spec.ffmpeg, info, spec.work_dir),
    )
