"""A stream's declared length, size and contents, which the finished file is checked against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What playlist, manifest and HTTP headers declare of one downloaded stream; None if they don't.

    Attributes:
        seconds: its duration by the playlist or manifest.
        unsure: the tolerance of `seconds` in seconds, either way, as it is a sum of rounded numbers.
        size: its bytes by `Content-Length`, `Content-Range` or the sum of byte ranges.
        video, audio: whether it has a video, an audio track.
        fragmented: whether the file was concatenated from segments, so that it may have to be remuxed.
    """

    seconds: float | None = None
    unsure: float = 0.0
    size: int | None = None
    video: bool | None = None
    audio: bool | None = None
    fragmented: bool = False
