"""Where the programs are that we run."""

from __future__ import annotations

from functools import cache

import imageio_ffmpeg


@cache
def ffmpeg_path() -> str:
    """The ffmpeg of the wheel, or the one that `IMAGEIO_FFMPEG_EXE` names."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())
