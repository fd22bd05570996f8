"""Merges, remuxes, converts and embeds in one run of ffmpeg, which may read local files only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from engine.clients.fetch_errors import FetchError
from engine.clients.media import ffmpeg_plan
from engine.clients.media.embedding import Embedding, ffmetadata
from engine.clients.media.examination import Examined
from engine.clients.media.ffmpeg_plan import AUDIO_ONLY, COVER_AS_STREAM, FfmpegPlan, plan
from engine.clients.media.ffmpeg_run import LOCAL, Tick, run
from engine.clients.media.probe import DEMUXERS, MOST_PIXELS, MOST_STREAMS, Probe
from engine.clients.media.shared_clock import delays

log = structlog.get_logger(__name__)

MUXERS = {"mp4": "mp4", "mkv": "matroska", "webm": "webm", "mp3": "mp3", "m4a": "ipod", "opus": "opus"}
_BOUNDED = ("-max_streams", str(MOST_STREAMS), "-max_pixels", str(MOST_PIXELS))
# Extras that may be dropped if ffmpeg fails, the likeliest cause first, and texts in its errors that point to them.
_EXTRA_HINTS = {
    "cover": ("cover.", "png_pipe", "jpeg_pipe"),
    "attachments": ("attachment", "mimetype", "filename tag"),
    "subtitles": ("ist#0:s", "sost#", "sist#", "ubtitle"),
    "notes": ("embedding.ffmeta", "ffmetadata", "hapter"),
    "other sounds": (),
}


def fits(container: str, probe: Probe) -> bool:
    """Whether a file already has the requested container; an audio file must have one audio track and no video."""
    sounds = sum(track.kind == "audio" for track in probe.tracks)
    if container in AUDIO_ONLY and (probe.has_video or sounds > 1):
        return False
    return probe.container == container or (container == "mp4" and probe.container == "m4a")


def produce(
    ffmpeg: str,
    streams: Sequence[Examined],
    container: str,
    target: Path,
    *,
    embedding: Embedding | None,
    tick: Tick,
) -> FfmpegPlan:
    """Create `target` from one file, or from a video file and an audio file.

    If ffmpeg fails, it is run again without the extra that its errors point to, finally without any.

    Args:
        tick: called with the fraction done (0 to 1; None if the duration is unknown) whenever ffmpeg made progress.

    Returns:
        The tracks that are in the result.

    Raises:
        FetchError: processing (ffmpeg failed, or there is no audio to extract), disk_full.
        Exception: whatever `tick` raises; ffmpeg is killed then.
    """
    chosen = plan(streams, container)
    if container in AUDIO_ONLY and not chosen.sounds:
        raise FetchError("processing", message="The video has no sound to extract.")
    while True:
        try:
            _run_ffmpeg(ffmpeg, streams, chosen, target, embedding, tick)
        except FetchError as error:
            extras = _extras(chosen, embedding)
            if error.kind != "processing" or not extras:
                raise
            without = _suspects(error.detail, extras)
            log.warning("download.without_extras", extras=without, detail=error.detail[-300:])
            chosen, embedding = _without(chosen, embedding, without)
        else:
            return chosen


def _extras(chosen: FfmpegPlan, embedding: Embedding | None) -> list[str]:
    there = {
        "cover": chosen.picture is not None or (embedding is not None and embedding.cover is not None),
        "attachments": bool(chosen.attachments),
        "subtitles": bool(chosen.subtitles),
        "notes": embedding is not None and bool(embedding.tags or embedding.chapters),
        "other sounds": len(chosen.sounds) > 1,
    }
    return [extra for extra in _EXTRA_HINTS if there[extra]]


def _suspects(words: str, extras: Sequence[str]) -> list[str]:
    """The first extra that the error text points to; otherwise the cover, which fails most often; otherwise all."""
    for extra in extras:
        if any(each in words for each in _EXTRA_HINTS[extra]):
            return [extra]
    return ["cover"] if "cover" in extras else list(extras)


def _without(
    chosen: FfmpegPlan, embedding: Embedding | None, extras: Sequence[str]
) -> tuple[FfmpegPlan, Embedding | None]:
    if "cover" in extras:
        chosen = replace(chosen, picture=None)
        embedding = replace(embedding, cover=None) if embedding else None
    if "notes" in extras:
        embedding = Embedding(cover=embedding.cover) if embedding and embedding.cover else None
    if "attachments" in extras:
        chosen = replace(chosen, attachments=(), attached=0)
    if "subtitles" in extras:
        chosen = replace(chosen, subtitles=())
    if "other sounds" in extras:
        chosen = replace(chosen, sounds=chosen.sounds[:1])
    return chosen, embedding


def _run_ffmpeg(
    ffmpeg: str,
    streams: Sequence[Examined],
    chosen: FfmpegPlan,
    target: Path,
    embedding: Embedding | None,
    tick: Tick,
) -> None:
    notes = target.with_name("embedding.ffmeta")
    if embedding:
        text = ffmetadata(embedding, chosen.container)
        notes.write_text(text, encoding="utf-8", errors="replace", newline="\n")
    partial = target.with_name(f"{target.name}.part")
    inputs = _inputs(streams, embedding, notes, chosen.container)
    outputs = _outputs(streams, chosen, embedding)
    seconds = max((stream.contents.covered for stream in streams), default=0.0)
    run([ffmpeg, *inputs, *outputs, "-f", MUXERS[chosen.container], f"file:{partial}"], seconds or None, tick)
    partial.replace(target)


def _inputs(
    streams: Sequence[Examined], embedding: Embedding | None, notes: Path, container: str
) -> Iterator[str]:
    for stream, delay in zip(streams, delays(streams), strict=True):
        yield from (*LOCAL, *_BOUNDED, "-format_whitelist", DEMUXERS)
        if delay:
            yield from ("-itsoffset", f"{delay:.6f}")
        yield from ("-i", f"file:{stream.path}")
    if embedding:
        yield from (*LOCAL, "-f", "ffmetadata", "-i", f"file:{notes}")
        if embedding.cover and container in COVER_AS_STREAM:
            demuxer = "png_pipe" if embedding.cover.suffix == ".png" else "jpeg_pipe"
            yield from (*LOCAL, "-f", demuxer, "-i", f"file:{embedding.cover}")


def _outputs(streams: Sequence[Examined], chosen: FfmpegPlan, embedding: Embedding | None) -> Iterator[str]:
    yield from ffmpeg_plan.arguments(chosen, streams)
    if embedding:
        yield from _embedding_options(len(streams), chosen, embedding)
    if chosen.picture and not (embedding and embedding.cover):
        yield from _cover_options(chosen, chosen.picture.source)
    if chosen.container in {"mp4", "m4a"}:
        yield from ("-movflags", "+faststart")


def _embedding_options(index: int, chosen: FfmpegPlan, embedding: Embedding) -> Iterator[str]:
    """Tags and chapters come from input `index`, the cover from the one after it."""
    yield from ("-map_metadata", str(index), "-map_chapters", str(index if embedding.chapters else 0))
    if chosen.container == "mp3":
        yield from ("-id3v2_version", "3")  # the newest version that all players read
    if embedding.cover is None:
        return
    if chosen.container in COVER_AS_STREAM:
        yield from _cover_options(chosen, f"{index + 1}:v:0")
    elif chosen.container == "mkv":
        kind = "image/png" if embedding.cover.suffix == ".png" else "image/jpeg"
        output = f"-metadata:s:t:{chosen.attached}"
        yield from ("-attach", f"file:{embedding.cover}")
        yield from (output, f"mimetype={kind}", output, f"filename=cover{embedding.cover.suffix}")


def _cover_options(chosen: FfmpegPlan, source: str) -> Iterator[str]:
    number = 1 if chosen.video else 0
    yield from ("-map", source, f"-c:v:{number}", "copy", f"-disposition:v:{number}", "attached_pic")
    yield from (f"-metadata:s:v:{number}", "comment=Cover (front)")
