"""The path of the ffmpeg binary."""

from __future__ import annotations

from functools import cache

import imageio_ffmpeg


@cache
def ffmpeg_path() -> str:
    """The binary in the imageio-ffmpeg wheel, or the one that `IMAGEIO_FFMPEG_EXE` names."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())
