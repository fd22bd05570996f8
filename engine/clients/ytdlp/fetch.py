"""Fetches one video with yt-dlp, inside a process that may be killed at any moment.

Steps: one extraction; each chosen stream into a file with a fixed name in the work folder; at most one run of ffmpeg.
yt-dlp's own post-processing is not used: it needs ffprobe, runs ffmpeg once per step, and reports no progress. Every
connection (page, media, thumbnail) is made by yt-dlp's request director; ffmpeg reads local files only.
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

_LARGEST = 1e15  # larger numbers are no size, rate or duration


def fetch(spec: FetchSpec, emit: Emit) -> Fetched:
    """Fetch one video into `spec.work_dir`, resuming what an earlier attempt left there.

    Emits Progress(extracting), MetadataFound, then Progress as bytes arrive and ffmpeg works. `emit` may be called
    from several threads, but never concurrently; exceptions from it end the attempt and propagate unchanged. A direct
    file that has the requested container and needs no embedding is not rewritten.

    Raises:
        FetchError: for all other failures, classified.
    """
    emitter = _Emitter(emit)
    try:
        spec.work_dir.mkdir(parents=True, exist_ok=True)
        emitter(Progress(phase="extracting"))
        with youtube_dl(spec) as ydl:
            return _fetch(ydl, spec, emitter)
    except Exception as error:
        if emitter.raised is not None:
            raise emitter.raised from None
        raise classify(error) from error


class _Emitter:
    """Forwards signals and remembers an exception of the receiver, to distinguish it from yt-dlp's own."""

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
        streams.append(_examined(path, promises[-1], meter, _page_seconds(info)))
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
    """A positive number from an extractor, below `_LARGEST`; None for anything else."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LARGEST
    return float(value) if usable and isinstance(value, int | float) else None


def _downloads_share(spec: FetchSpec, info: Mapping[str, Any], formats: list[dict[str, Any]]) -> float:
    """The estimated fraction of the work that is done once all bytes are there; for progress only."""
    embeds = spec.embed and worth_embedding(info)
    if len(formats) == 1 and info.get("ext") == spec.format and not embeds:
        return 1.0
    codec = str(formats[0].get("vcodec") or "")
    if spec.format == "webm" and codec.startswith(("avc", "h264", "hev", "hvc")):
        return 0.3
    return 0.95


def _page_seconds(info: Mapping[str, Any]) -> float | None:
    """The duration on the site's page; None if only a generic extractor read it."""
    generic = info.get("direct") or info.get("extractor_key") in {"Generic", "HTML5MediaEmbed"}
    return None if generic else seconds_of(info.get("duration"))


def _examined(path: Path, promise: Promise, meter: Meter, told: float | None) -> Examined:
    """Examine a downloaded stream; a damaged one is deleted, as the next attempt would take it for complete."""
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
    """The file in the requested container: the downloaded one itself if nothing has to be changed."""
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
    """Hard-link the file to its final suffix; the first name stays, so that another attempt finds it complete."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # no hard links on this file system
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
