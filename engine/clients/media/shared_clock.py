"""Decides how streams that were fetched apart stand to each other in time."""

from __future__ import annotations

from collections.abc import Sequence

from engine.clients.media.examination import Examined

_WRAP = (1 << 33) / 90000  # seconds after which the clock of MPEG-TS begins anew
_SAME_LENGTH = 0.5  # seconds
_SHIFTED = 3.0


def delays(streams: Sequence[Examined]) -> list[float]:
    """Seconds that each stream begins after the earliest one.

    Renditions of HLS and adaptation sets of DASH share one clock, so the difference of their first packets is kept:
    sound that begins later, or earlier, than the picture does so in the result. Two streams are on different
    clocks, and begin together, where

    - one has no clock (bare frames of MP3 or AAC without the tag that HLS has for it), or
    - they would overlap in less than half of the shorter one, or
    - they are equally long and one is shifted by more than three seconds: a film is not cut like that.
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
