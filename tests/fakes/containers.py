"""Small films in every container and in the odd ways in which real programs write them, made once per process."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import imageio_ffmpeg

from tests.fakes import media

SECONDS = 6
_PICTURE = ("-f", "lavfi", "-i", f"testsrc=size=64x48:rate=10:duration={SECONDS}")
_TONE = ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=44100:duration={SECONDS}")
_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "10", "-bf", "0")
_AAC = ("-c:a", "aac", "-b:a", "48k")
_FRAGMENTS = "+frag_keyframe+empty_moov+default_base_moof"
SUBTITLES = "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:03,000 --> 00:00:08,500\nBehind the end\n"

# What is made of the base film or of the tone, by name; `{film}` and `{tone}` are the sources.
_COPY = ("-i", "{film}", "-c", "copy")
_ENCODED = ("-i", "{tone}")
RECIPES: dict[str, tuple[str, ...]] = {
    "faststart.mp4": (*_COPY, "-movflags", "+faststart"),
    "plain.mp4": _COPY,
    "fragmented.mp4": (*_COPY, "-movflags", _FRAGMENTS),
    "half-fragmented.mp4": (*_COPY, "-movflags", "+frag_keyframe"),
    "indexed.mp4": (*_COPY, "-movflags", f"{_FRAGMENTS}+global_sidx"),
    "picture-last.mp4": ("-i", "{film}", "-map", "0:a", "-map", "0:v", "-c", "copy", "-movflags", "+faststart"),
    "trimmed.mp4": ("-ss", "1.55", "-i", "{film}", "-c", "copy"),
    "late-sound.mp4": ("-i", "{film}", "-itsoffset", "2", "-i", "{film}", "-map", "0:v", "-map", "1:a", "-c", "copy"),
    "short-sound.mp4": ("-i", "{film}", "-t", "2", "-i", "{film}", "-map", "0:v", "-map", "1:a", "-c", "copy"),
    "short-picture.mkv": ("-t", "2", "-i", "{film}", "-i", "{film}", "-map", "0:v", "-map", "1:a", "-c", "copy"),
    "uneven.mp4": ("-i", "{film}", *_H264, "-vf", "select='not(mod(n,7))+lt(n,9)'", "-fps_mode", "vfr", "-c:a", "copy"),
    "one-frame.mp4": ("-i", "{film}", "-an", "-frames:v", "1", "-c", "copy"),
    "silent.mp4": (*_COPY, "-an"),
    "still.mkv": ("-loop", "1", "-r", "1/6", "-t", "6", "-i", "{cover}", *_H264),
    "plain.mkv": _COPY,
    "long-subtitle.mkv": ("-i", "{film}", "-i", "{subtitles}", "-c", "copy", "-c:s", "srt"),
    "piped.mkv": (*_COPY, "-f", "matroska", "pipe:1"),
    "live.webm": ("-i", "{webm}", "-c", "copy", "-f", "webm", "-live", "1", "pipe:1"),
    "plain.webm": ("-i", "{webm}", "-c", "copy"),
    "plain.ts": _COPY,
    "wrapping.ts": (*_COPY, "-muxdelay", "0", "-output_ts_offset", "95440"),
    "bluray.m2ts": _COPY,
    "plain.mov": (*_COPY, "-c:a", "pcm_s16le"),
    "plain.avi": (*_COPY, "-c:a", "libmp3lame", "-b:a", "64k"),
    "plain.flv": _COPY,
    "plain.wmv": ("-i", "{film}", "-c:v", "wmv2", "-c:a", "wmav2", "-f", "asf"),
    "plain.m4a": (*_ENCODED, *_AAC),
    "constant.mp3": (*_ENCODED, "-c:a", "libmp3lame", "-b:a", "64k"),
    "variable.mp3": (*_ENCODED, "-c:a", "libmp3lame", "-q:a", "4"),
    "bare.mp3": (*_ENCODED, "-c:a", "libmp3lame", "-b:a", "64k", "-write_xing", "0", "-id3v2_version", "0"),
    "pictured.mp3": (*_ENCODED, "-i", "{cover}", "-map", "0", "-map", "1", "-c:a", "libmp3lame", "-c:v", "copy",
                     "-disposition:v", "attached_pic"),
    "plain.opus": (*_ENCODED, "-c:a", "libopus", "-b:a", "48k"),
    "plain.ogg": (*_ENCODED, "-c:a", "libvorbis"),
    "plain.flac": (*_ENCODED, "-c:a", "flac"),
    "plain.wav": (*_ENCODED, "-c:a", "pcm_s16le"),
    "piped.wav": (*_ENCODED, "-c:a", "pcm_s16le", "-f", "wav", "pipe:1"),
    "bare.aac": (*_ENCODED, *_AAC),
}  # fmt: skip


def made(name: str) -> Path:
    """The film of that name: one of `RECIPES`."""
    with media._lock:
        path = _folder() / name
        if not path.exists():
            arguments = [
                _sources().get(each.strip("{}"), each) if "{" in each else each for each in RECIPES[name]
            ]
            if arguments[-1] == "pipe:1":  # where a program can't go back to write sizes and lengths
                program = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *arguments]
                path.write_bytes(subprocess.run(program, stdout=subprocess.PIPE, check=True).stdout)
            else:
                media.ffmpeg(*arguments, str(path))
        return path


@lru_cache(maxsize=1)
def _folder() -> Path:
    folder = media.folder() / "containers"
    folder.mkdir()
    return folder


@lru_cache(maxsize=1)
def _sources() -> dict[str, str]:
    names = {
        "film": "film.mp4",
        "tone": "tone.wav",
        "webm": "film.webm",
        "cover": "cover.jpg",
        "subtitles": "text.srt",
    }
    paths = {key: str(media.folder() / f"source-{name}") for key, name in names.items()}
    media.ffmpeg(*_PICTURE, *_TONE, *_H264, *_AAC, paths["film"])
    media.ffmpeg(*_TONE, paths["tone"])
    vp8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-c:a", "libopus")
    media.ffmpeg("-i", paths["film"], *vp8, paths["webm"])
    media.ffmpeg(*_PICTURE, "-frames:v", "1", "-update", "1", paths["cover"])
    Path(paths["subtitles"]).write_text(SUBTITLES)
    return paths


def source(name: str) -> Path:
    """What the films are made of: film, tone, webm, cover, subtitles."""
    with media._lock:
        return Path(_sources()[name])


def boxes(body: bytes, path: str) -> int:
    """Where the box of that path (`moov/trak/mdia/mdhd`; the first of each) begins in an MP4."""
    start, end, at = 0, len(body), -1
    for kind in path.split("/"):
        offset = start
        while True:
            size, found = struct.unpack_from(">I4s", body, offset)
            if found == kind.encode():
                break
            offset += size
            assert offset < end, f"no {kind}"
        at, start, end = offset, offset + 8, offset + size
    return at


def patched(body: bytes, offset: int, change: Callable[[int], int]) -> bytes:
    """The bytes with one 32-bit number changed."""
    (number,) = struct.unpack_from(">I", body, offset)
    return body[:offset] + struct.pack(">I", change(number)) + body[offset + 4 :]
