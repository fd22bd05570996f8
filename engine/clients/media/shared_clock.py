"""Computes the time offsets between streams that were downloaded separately."""

from __future__ import annotations

from collections.abc import Sequence

from engine.clients.media.examination import Examined

_WRAP = (1 << 33) / 90000  # seconds after which MPEG-TS timestamps wrap around
_SAME_LENGTH = 0.5  # seconds
_SHIFTED = 3.0


def delays(streams: Sequence[Examined]) -> list[float]:
    """Seconds by which each stream begins after the earliest one.

    HLS renditions and DASH adaptation sets share one clock, so the difference of their first timestamps is kept: audio
    that begins later than the video does so in the result. Two streams are taken to have different clocks, and begin
    together, if

    - one has no timestamps (MP3 or AAC frames without HLS's ID3 tag), or
    - they would overlap in less than half of the shorter one, or
    - they are equally long and one is shifted by more than three seconds, which no real recording is.
    """
    against_first = [_difference(streams[0], each) for each in streams]
    earliest = min(against_first, default=0.0)
    return [round(each - earliest, 6) for each in against_first]


def _difference(one: Examined, other: Examined) -> float:
    if one is other or one.probe.start is None or other.probe.start is None:
        return 0.0
    difference = other.probe.start - one.probe.start
    if "mpegts" in {one.probe.container, other.probe.container}:
        difference = (difference + _WRAP / 2) % _WRAP - _WRAP / 2
    return difference if _plausible(difference, one.contents.covered, other.contents.covered) else 0.0


def _plausible(difference: float, one: float, other: float) -> bool:
    overlap = min(one, other + difference) - max(0.0, difference)
    shifted = abs(difference) > _SHIFTED and abs(one - other) < _SAME_LENGTH
    return overlap >= min(one, other) / 2 and not shifted
