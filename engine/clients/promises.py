"""What a source said of a stream before it was looked into: what the finished file is held against."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What playlist, manifest and headers said of one downloaded stream; None where they said nothing.

    Attributes:
        seconds: its length by the playlist or the manifest.
        unsure: by how many seconds that may be wrong in either direction, since it is made of rounded numbers.
        size: its length in bytes by `Content-Length`, `Content-Range` or the sum of byte ranges.
        video, audio: whether a picture, a sound is in it.
        fragmented: whether the file was put together from pieces, so that it may need a clean container.
    """

    seconds: float | None = None
    unsure: float = 0.0
    size: int | None = None
    video: bool | None = None
    audio: bool | None = None
    fragmented: bool = False
