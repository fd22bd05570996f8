"""Merges, remuxes, converts and embeds in one run of ffmpeg, which never leaves the local files it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from engine.clients.fetch_errors import FetchError
from engine.clients.media import ffmpeg_plan
from engine.clients.media.embedding import Embedding, ffmetadata
from engine.clients.media.examination import Examined
from engine.clients.media.ffmpeg_plan import SOUND_ONLY, TAKES_PICTURE, FfmpegPlan, plan
from engine.clients.media.ffmpeg_run import LOCAL, Tick, run
from engine.clients.media.probe import DEMUXERS, MOST_PIXELS, MOST_STREAMS, Probe
from engine.clients.media.shared_clock import delays

log = structlog.get_logger(__name__)

MUXERS = {"mp4": "mp4", "mkv": "matroska", "webm": "webm", "mp3": "mp3", "m4a": "ipod", "opus": "opus"}
_BOUNDED = ("-max_streams", str(MOST_STREAMS), "-max_pixels", str(MOST_PIXELS))
# What the film can do without, in the order of suspicion, and the words by which ffmpeg's complaints point to it.
_BLAME = {
    "cover": ("cover.", "png_pipe", "jpeg_pipe"),
    "attachments": ("attachment", "mimetype", "filename tag"),
    "subtitles": ("ist#0:s", "sost#", "sist#", "ubtitle"),
    "notes": ("embedding.ffmeta", "ffmetadata", "hapter"),
    "other sounds": (),
}


def fits(container: str, probe: Probe) -> bool:
    """Whether a file is what was asked for already; a file of sound has one sound and nothing else."""
    sounds = sum(track.kind == "audio" for track in probe.tracks)
    if container in SOUND_ONLY and (probe.has_video or sounds > 1):
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
    """Make `target` of one file, or of a video file and an audio file.

    Where ffmpeg fails, the film is made without the extra that its words blame, then without any.

    Args:
        tick: hears the part done (0 to 1, None without a known duration) whenever ffmpeg got on.

    Returns:
        The tracks that are in it.

    Raises:
        FetchError: processing (ffmpeg failed, or there is no sound to extract), disk_full.
        Exception: whatever `tick` raises; ffmpeg is killed then.
    """
    chosen = plan(streams, container)
    if container in SOUND_ONLY and not chosen.sounds:
        raise FetchError("processing", message="The video has no sound to extract.")
    while True:
        try:
            _make(ffmpeg, streams, chosen, target, embedding, tick)
        except FetchError as error:
            extras = _extras(chosen, embedding)
            if error.kind != "processing" or not extras:
                raise
            without = _blamed(error.detail, extras)
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
    return [extra for extra in _BLAME if there[extra]]


def _blamed(words: str, extras: Sequence[str]) -> list[str]:
    """The first extra that the words point to; else the cover, which fails most often; else all."""
    for extra in extras:
        if any(each in words for each in _BLAME[extra]):
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


def _make(
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
        if embedding.cover and container in TAKES_PICTURE:
            demuxer = "png_pipe" if embedding.cover.suffix == ".png" else "jpeg_pipe"
            yield from (*LOCAL, "-f", demuxer, "-i", f"file:{embedding.cover}")


def _outputs(streams: Sequence[Examined], chosen: FfmpegPlan, embedding: Embedding | None) -> Iterator[str]:
    yield from ffmpeg_plan.arguments(chosen, streams)
    if embedding:
        yield from _embedded(len(streams), chosen, embedding)
    if chosen.picture and not (embedding and embedding.cover):
        yield from _pictured(chosen, chosen.picture.source)
    if chosen.container in {"mp4", "m4a"}:
        yield from ("-movflags", "+faststart")


def _embedded(index: int, chosen: FfmpegPlan, embedding: Embedding) -> Iterator[str]:
    """Tags and chapters come from input `index`, the cover from the one after it."""
    yield from ("-map_metadata", str(index), "-map_chapters", str(index if embedding.chapters else 0))
    if chosen.container == "mp3":
        yield from ("-id3v2_version", "3")  # the newest version that all players read
    if embedding.cover is None:
        return
    if chosen.container in TAKES_PICTURE:
        yield from _pictured(chosen, f"{index + 1}:v:0")
    elif chosen.container == "mkv":
        kind = "image/png" if embedding.cover.suffix == ".png" else "image/jpeg"
        output = f"-metadata:s:t:{chosen.attached}"
        yield from ("-attach", f"file:{embedding.cover}")
        yield from (output, f"mimetype={kind}", output, f"filename=cover{embedding.cover.suffix}")


def _pictured(chosen: FfmpegPlan, source: str) -> Iterator[str]:
    number = 1 if chosen.video else 0
    yield from ("-map", source, f"-c:v:{number}", "copy", f"-disposition:v:{number}", "attached_pic")
    yield from (f"-metadata:s:v:{number}", "comment=Cover (front)")
