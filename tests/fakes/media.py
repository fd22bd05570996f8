"""Makes small, real, encoded media with the ffmpeg binary, once per process, for the test video site."""

from __future__ import annotations

import atexit
import hashlib
import random
import shutil
import struct
import subprocess
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

import imageio_ffmpeg

SECONDS = 4
HLS_HEIGHTS = (144, 240, 360)
DASH_HEIGHTS = (144, 360)
_SIZES = {144: "256x144", 240: "426x240", 360: "640x360", 1080: "1920x1080"}
_CHUNK = 1 << 20

_H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-sc_threshold", "0")
_AAC = ("-c:a", "aac", "-b:a", "64k")
_ENCODERS: dict[str, tuple[str, ...]] = {
    "mp4": (*_H264, *_AAC, "-movflags", "+faststart"),
    "mkv": (*_H264, *_AAC),
    "webm": ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "150k", "-c:a", "libopus"),
    "m4a": ("-vn", *_AAC),
    "mp3": ("-vn", "-c:a", "libmp3lame", "-b:a", "64k"),
    "opus": ("-vn", "-c:a", "libopus", "-b:a", "48k"),
    "jpg": ("-an", "-frames:v", "1", "-update", "1"),
    "webp": ("-an", "-frames:v", "1", "-c:v", "libwebp"),
}
EXTENSIONS = tuple(_ENCODERS)


@lru_cache(maxsize=1)
def folder() -> Path:
    """The folder of this process's media; removed when the process ends."""
    path = Path(tempfile.mkdtemp(prefix="medianest-media-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


_lock = threading.RLock()


def ffmpeg(*arguments: str) -> None:
    """Run ffmpeg quietly; a failure raises with its last words."""
    quiet = ("-hide_banner", "-loglevel", "error", "-nostdin", "-y")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), *quiet, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ffmpeg: {done.stderr[-2000:]}")


def _source(height: int, seconds: int = SECONDS) -> tuple[str, ...]:
    picture = f"testsrc=size={_SIZES[height]}:rate=25:duration={seconds}"
    tone = f"sine=frequency=440:sample_rate=44100:duration={seconds}"
    return ("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", tone)


def sample(ext: str, height: int = 144) -> Path:
    """A file of `SECONDS` seconds: mp4 and mkv (H.264, AAC), webm (VP8, Opus), m4a, mp3, opus, jpg, webp."""
    with _lock:
        path = folder() / f"sample-{height}.{ext}"
        if not path.exists():
            partial = path.with_name(f"partial-{path.name}")
            ffmpeg(*_source(height), *_ENCODERS[ext], str(partial))
            partial.rename(path)
        return path


def hls() -> Path:
    """A folder with `<height>.m3u8` and MPEG-TS segments of one second, H.264 and AAC together."""
    with _lock:
        path = folder() / "hls"
        if not path.exists():
            partial = folder() / "partial-hls"
            partial.mkdir()
            for height in HLS_HEIGHTS:
                ffmpeg(
                    *_source(height), *_H264, *_AAC,
                    "-f", "hls", "-hls_time", "1", "-hls_playlist_type", "vod",
                    "-hls_segment_filename", str(partial / f"{height}-%03d.ts"),
                    str(partial / f"{height}.m3u8"),
                )  # fmt: skip
            partial.rename(path)
        return path


def dash() -> Path:
    """A folder with `manifest.mpd`: H.264 video in `DASH_HEIGHTS` and AAC audio, each fragmented MP4."""
    with _lock:
        path = folder() / "dash"
        if not path.exists():
            partial = folder() / "partial-dash"
            partial.mkdir()
            small, large = DASH_HEIGHTS
            ffmpeg(
                *_source(large), "-map", "0:v", "-map", "0:v", "-map", "1:a", *_H264, *_AAC,
                "-filter:v:0", f"scale={_SIZES[small].replace('x', ':')}", "-b:v:0", "100k", "-b:v:1", "300k",
                "-f", "dash", "-seg_duration", "1", "-use_template", "1", "-use_timeline", "0",
                "-adaptation_sets", "id=0,streams=v id=1,streams=a", str(partial / "manifest.mpd"),
            )  # fmt: skip
            partial.rename(path)
        return path


def named_mp4(name: str, size: int | None = None) -> Path:
    """The sample mp4 with a `free` box at its end: unique to `name` and exactly `size` bytes long.

    The padding is pseudo-random, seeded by the name, so a byte in the wrong place or of another file shows.
    `size` must leave room for the sample (some 110 KB); without it the file is 1 KiB longer than the sample.
    """
    base = sample("mp4")
    with _lock:
        path = folder() / f"named-{size or 0}-{hashlib.sha256(name.encode()).hexdigest()[:24]}.mp4"
        if path.exists():
            return path
        padding = (size or base.stat().st_size + 1024) - base.stat().st_size - 8
        if not 0 <= padding < (1 << 32) - 8:
            raise ValueError(f"an mp4 of {size} bytes cannot be made from {base.stat().st_size}")
        partial = path.with_name(f"partial-{path.name}")
        shutil.copyfile(base, partial)
        block = random.Random(f"{name}/{size}").randbytes(_CHUNK)
        with partial.open("ab") as out:
            out.write(struct.pack(">I4s", padding + 8, b"free"))
            for index in range(0, padding, _CHUNK):
                part = struct.pack(">Q", index) + block[8:]
                out.write(part[: min(_CHUNK, padding - index)])
        partial.rename(path)
        return path
