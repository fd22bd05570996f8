"""Merges, remuxes, converts and embeds in one run of ffmpeg, which never leaves the local files it is given."""

from __future__ import annotations

import base64
import struct
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.clients.fetch_error import FetchError
from engine.clients.media_probe import DEMUXERS, Probe

Tick = Callable[[float | None], None]

MUXERS = {"mp4": "mp4", "mkv": "matroska", "webm": "webm", "mp3": "mp3", "m4a": "ipod", "opus": "opus"}
SOUND_ONLY = {"mp3", "m4a", "opus"}

# What a container takes without conversion; mkv takes everything. Opus and FLAC would fit into an MP4, but many
# players and televisions stay silent then, and sound is converted in no time.
_VIDEO_FITS = {"mp4": {"h264", "hevc", "av1", "vp9", "mpeg4"}, "webm": {"vp8", "vp9", "av1"}}
_AUDIO_FITS = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac"},
    "webm": {"opus", "vorbis"},
    "mp3": {"mp3"},
    "m4a": {"aac", "alac"},
    "opus": {"opus"},
}
_EVEN = "scale=trunc(iw/2)*2:trunc(ih/2)*2"  # 4:2:0 has no half pixels
_VIDEO_CODERS = {
    "mp4": ("libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p", "-vf", _EVEN),
    "webm": ("libvpx-vp9", "-b:v", "0", "-crf", "31", "-deadline", "good", "-cpu-used", "5", "-row-mt", "1"),
}
_AAC = ("aac", "-b:a", "192k")
_OPUS = ("libopus", "-b:a", "160k", "-af", "aformat=channel_layouts=7.1|5.1|stereo|mono")
_AUDIO_CODERS = {"mp4": _AAC, "m4a": _AAC, "webm": _OPUS, "opus": _OPUS, "mp3": ("libmp3lame", "-q:a", "2")}
_LOCAL = ("-protocol_whitelist", "file")
_TAKES_PICTURE_STREAM = {"mp4", "m4a", "mp3"}


@dataclass(frozen=True)
class Stream:
    """A downloaded file and what is in it."""

    path: Path
    probe: Probe


@dataclass(frozen=True)
class Chapter:
    """From `start` to `end`, in seconds."""

    start: float
    end: float
    title: str


@dataclass(frozen=True)
class Embedding:
    """What is written into the file besides the media; `cover` is a JPEG or PNG file."""

    tags: Mapping[str, str] = field(default_factory=dict)
    chapters: Sequence[Chapter] = ()
    cover: Path | None = None


def fits(container: str, probe: Probe) -> bool:
    """Whether a file is what was asked for already, sound only where that was asked for."""
    if container in SOUND_ONLY and probe.has_video:
        return False
    return probe.container == container or (container == "mp4" and probe.container == "m4a")


def produce(
    ffmpeg: str,
    streams: Sequence[Stream],
    container: str,
    target: Path,
    *,
    embedding: Embedding | None,
    tick: Tick,
) -> None:
    """Make `target` of one file, or of a video file and an audio file.

    `tick` hears the part done (0 to 1, None without a known duration) whenever ffmpeg got on.

    Raises:
        FetchError: processing (ffmpeg failed, or there is no sound to extract), disk_full.
        Exception: whatever `tick` raises; ffmpeg is killed then.
    """
    if container in SOUND_ONLY and not any(stream.probe.has_audio for stream in streams):
        raise FetchError("processing", message="The video has no sound to extract.")
    notes = target.with_name("embedding.ffmeta")
    if embedding:
        notes.write_text(_ffmetadata(embedding, container), encoding="utf-8", errors="replace")
    partial = target.with_name(f"{target.name}.part")
    arguments = [*_inputs(streams, embedding, notes, container), *_outputs(streams, container, embedding)]
    duration = max((stream.probe.duration or 0.0 for stream in streams), default=0.0)
    _run([ffmpeg, *arguments, "-f", MUXERS[container], f"file:{partial}"], duration or None, tick)
    partial.replace(target)


def cover_of(ffmpeg: str, image: bytes, folder: Path) -> Path | None:
    """A thumbnail as a JPEG or PNG file in that folder (WebP is converted); None if it is no picture at all."""
    if image.startswith(b"\xff\xd8\xff"):
        return _written(folder / "cover.jpg", image)
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return _written(folder / "cover.png", image)
    if not (image[:4] == b"RIFF" and image[8:12] == b"WEBP"):
        return None
    source, cover = _written(folder / "cover.webp", image), folder / "cover.jpg"
    reading = (*_LOCAL, "-max_pixels", "50000000", "-f", "webp_pipe", "-i", f"file:{source}")
    writing = ("-frames:v", "1", "-update", "1", "-q:v", "3", "-f", "image2", f"file:{cover}")
    try:
        _run([ffmpeg, *reading, *writing], None, lambda _part: None)
    except FetchError:
        return None  # a film without a cover is still a film
    return cover


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _inputs(
    streams: Sequence[Stream], embedding: Embedding | None, notes: Path, container: str
) -> Iterator[str]:
    for stream in streams:
        yield from (*_LOCAL, "-format_whitelist", DEMUXERS, "-i", f"file:{stream.path}")
    if embedding:
        yield from (*_LOCAL, "-f", "ffmetadata", "-i", f"file:{notes}")
        if embedding.cover and container in _TAKES_PICTURE_STREAM:
            demuxer = "png_pipe" if embedding.cover.suffix == ".png" else "jpeg_pipe"
            yield from (*_LOCAL, "-f", demuxer, "-i", f"file:{embedding.cover}")


def _outputs(streams: Sequence[Stream], container: str, embedding: Embedding | None) -> Iterator[str]:
    pictures = 0
    video = next((i for i, stream in enumerate(streams) if stream.probe.has_video), None)
    if video is not None and container not in SOUND_ONLY:
        yield from ("-map", f"{video}:{streams[video].probe.video_index}")
        yield from _video_coder(streams[video].probe, container)
        pictures = 1
    audio = next((i for i, stream in reversed(list(enumerate(streams))) if stream.probe.has_audio), None)
    if audio is not None:
        yield from ("-map", f"{audio}:a" if container == "mkv" else f"{audio}:a:0")
        yield from _audio_coder(streams[audio].probe, container)
    if embedding:
        yield from _embedded(len(streams), container, embedding, pictures)
    if container in {"mp4", "m4a"}:
        yield from ("-movflags", "+faststart")


def _video_coder(probe: Probe, container: str) -> Iterator[str]:
    fitting = _VIDEO_FITS.get(container)
    if probe.container == container or fitting is None or probe.video_codec in fitting:
        yield from ("-c:v:0", "copy")
        if probe.video_codec == "hevc" and container == "mp4":
            yield from ("-tag:v:0", "hvc1")  # Apple's players know HEVC by this name only
    else:
        coder, *settings = _VIDEO_CODERS[container]
        yield from ("-c:v:0", coder, *settings)


def _audio_coder(probe: Probe, container: str) -> Iterator[str]:
    fitting = _AUDIO_FITS.get(container)
    if probe.container == container or fitting is None or probe.audio_codec in fitting:
        yield from ("-c:a", "copy")
    else:
        coder, *settings = _AUDIO_CODERS[container]
        yield from ("-c:a", coder, *settings)


def _embedded(index: int, container: str, embedding: Embedding, pictures: int) -> Iterator[str]:
    """Tags and chapters come from input `index`, the cover from the one after it."""
    yield from ("-map_metadata", str(index), "-map_chapters", str(index if embedding.chapters else 0))
    if container == "mp3":
        yield from ("-id3v2_version", "3")  # the newest version that all players read
    if embedding.cover is None:
        return
    if container in _TAKES_PICTURE_STREAM:
        yield from ("-map", f"{index + 1}:v:0", f"-c:v:{pictures}", "copy")
        yield from (f"-disposition:v:{pictures}", "attached_pic")
        yield from (f"-metadata:s:v:{pictures}", "comment=Cover (front)")
    elif container == "mkv":
        kind = "image/png" if embedding.cover.suffix == ".png" else "image/jpeg"
        name = f"cover{embedding.cover.suffix}"
        yield from ("-attach", f"file:{embedding.cover}")
        yield from ("-metadata:s:t:0", f"mimetype={kind}", "-metadata:s:t:0", f"filename={name}")


def _ffmetadata(embedding: Embedding, container: str) -> str:
    """ffmpeg's own text format for tags and chapters."""
    tags = dict(embedding.tags)
    if container == "opus" and "comment" in tags:
        tags["PURL"] = tags.pop("comment")  # ffmpeg would write it as a second DESCRIPTION
    if embedding.cover and container == "opus":
        tags["METADATA_BLOCK_PICTURE"] = _picture_block(embedding.cover)
    lines = [";FFMETADATA1", *(f"{_escaped(key)}={_escaped(value)}" for key, value in tags.items())]
    for chapter in embedding.chapters:
        lines += ["[CHAPTER]", "TIMEBASE=1/1000"]
        lines += [f"START={round(chapter.start * 1000)}", f"END={round(chapter.end * 1000)}"]
        lines += [f"title={_escaped(chapter.title)}"]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "=;#\\\n" else character for character in text)


def _picture_block(cover: Path) -> str:
    """The cover as Ogg keeps it: a FLAC picture block in base64 (RFC 9639, 8.8); 3 is the front cover."""
    kind = b"image/png" if cover.suffix == ".png" else b"image/jpeg"
    data = cover.read_bytes()
    head = struct.pack(">II", 3, len(kind)) + kind + struct.pack(">IIIIII", 0, 0, 0, 0, 0, len(data))
    return base64.b64encode(head + data).decode("ascii")


def _run(command: Sequence[str], duration: float | None, tick: Tick) -> None:
    program, *arguments = command
    quiet = ("-hide_banner", "-nostdin", "-y", "-loglevel", "error")
    told = ("-progress", "pipe:1", "-stats_period", "0.5")
    # One pipe for progress and complaints: with two, a full one would stop ffmpeg while the other is read.
    with subprocess.Popen(
        [program, *quiet, *told, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            complaints = _follow(process, duration, tick)
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        text = "\n".join(complaints)
        raise FetchError("disk_full" if "No space left" in text else "processing", detail=text[-1000:])


def _follow(process: subprocess.Popen[str], duration: float | None, tick: Tick) -> deque[str]:
    """Read until ffmpeg ends; a tick only where it got further, so that a stuck one is seen to be stuck."""
    complaints: deque[str] = deque(maxlen=20)
    now: dict[str, str] = {}
    before: dict[str, str] = {}
    assert process.stdout is not None
    for line in process.stdout:
        key, separator, value = line.strip().partition("=")
        if not separator or " " in key:
            complaints.append(line.strip())
        elif key in {"out_time_us", "total_size"}:
            now[key] = value
        elif key == "progress" and now != before:
            before = dict(now)
            done = now.get("out_time_us", "")
            tick(int(done) / 1e6 / duration if duration and done.isdecimal() else None)
    return complaints
