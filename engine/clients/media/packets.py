"""Reads a media file from its first to its last packet, without decoding any: what is really in it, by stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from engine.clients.media.endings.ending import Alive
from engine.clients.media.probe import INPUT_OPTIONS, is_picture

_OFTEN = 4096  # packets between two signs of life
_RESET = (
    10.0  # seconds that an MPEG-TS clock must jump for ffmpeg to call it a new clock and to close the gap
)
_GAP = 0.4  # seconds without a packet that count as a gap; film at a picture every 0.4 s is a slide show
_MOST_GAPS = 1000
_LENGTH_TAGS = ("DURATION", "DURATION-eng")


@dataclass(slots=True)
class Stretch:
    """The packets of one stream; all times in seconds.

    Attributes:
        index: in the file. kind: video, audio, subtitle, ...
        promised: how long it is by the header. first, end: on the file's clock.
        covered: how long it plays: like `end - first`, but jumps of the clock count as nothing and
            what comes twice counts twice.
        gaps: where nothing is for a while.
    """

    index: int
    kind: str
    promised: float | None = None
    packets: int = 0
    size: int = 0
    first: float = 0.0
    end: float = 0.0
    covered: float = 0.0
    gaps: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What was read: a stretch for each stream, and whether reading ended with an error."""

    stretches: Sequence[Stretch]
    broken: bool = False

    def of(self, *kinds: str) -> list[Stretch]:
        """Those of these kinds that have packets."""
        return [each for each in self.stretches if each.kind in kinds and each.packets]

    @property
    def span(self) -> float:
        """Seconds from the first packet of picture or sound to the end of the last."""
        films = self.of("video", "audio")
        return max((each.end for each in films), default=0.0) - min(
            (each.first for each in films), default=0.0
        )

    @property
    def covered(self) -> float:
        """Seconds that the longest picture or sound plays."""
        return max((each.covered for each in self.of("video", "audio")), default=0.0)


def read(path: Path, alive: Alive) -> Contents:
    """Demux a local file: about a second for 100,000 packets, an hour of film having 240,000 at most.

    `alive` is called on the way; what it raises comes through.

    Raises:
        av.FFmpegError, ValueError: no media.
        OSError: it cannot be read.
    """
    # Edit lists only hide packets; whether one is there is the question here.
    options = {**INPUT_OPTIONS, "ignore_editlist": "1"}
    with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
        mpegts = container.format.name == "mpegts"
        walks = [_Walk(stream, closes_gaps=mpegts) for stream in container.streams]
        errors: list[Exception] = []
        for number, packet in enumerate(_arriving(container, errors)):
            if number % _OFTEN == 0:
                alive()
            walks[packet.stream.index].take(packet)
    return Contents(stretches=[walk.stretch for walk in walks], broken=bool(errors))


def _arriving(container: av.container.InputContainer, errors: list[Exception]) -> Iterator[av.Packet[Any]]:
    """All packets up to the end or to where the file can't be read on; why not is added to `errors`."""
    try:
        yield from container.demux()
    except IndexError:
        return  # PyAV, behind the last packet, where streams have turned up on the way: all has been read
    except (av.FFmpegError, ValueError, OverflowError) as error:
        errors.append(error)


class _Walk:
    """Adds the packets of one stream up."""

    def __init__(self, stream: av.stream.Stream, *, closes_gaps: bool) -> None:
        kind = "picture" if isinstance(stream, av.VideoStream) and is_picture(stream) else stream.type
        self._base = float(stream.time_base or 0)
        self._limit = _RESET if closes_gaps else float("inf")
        self._before: float | None = None  # the time of the packet before
        self._step = 0.0
        self._last = 0.0  # how long the packet before plays
        self.stretch = Stretch(stream.index, kind, promised=_promised(stream, self._base))

    def take(self, packet: av.Packet[Any]) -> None:
        """One more packet; severed ones and the empty ones that PyAV adds at the end are nothing."""
        if packet.size == 0 or packet.is_corrupt:
            return
        stretch, base = self.stretch, self._base
        stretch.size += packet.size
        shown = packet.pts if packet.pts is not None else packet.dts
        decoded = packet.dts if packet.dts is not None else packet.pts
        length = (packet.duration or 0) * base
        if shown is None or decoded is None:
            stretch.packets += 1
            stretch.covered += length
            return
        start, now = shown * base, decoded * base
        if stretch.packets == 0:
            stretch.first, stretch.end = start, start + length
        stretch.packets += 1
        stretch.first, stretch.end = min(stretch.first, start), max(stretch.end, start + length)
        self._advance(now, length)

    def _advance(self, now: float, length: float) -> None:
        stretch = self.stretch
        if self._before is not None:
            step = now - self._before
            if 0 <= step <= self._limit:
                self._step = step
                if step > self._last + _GAP and len(stretch.gaps) < _MOST_GAPS:
                    stretch.gaps.append((self._before + self._last, now))
            else:
                step = self._last or self._step
            stretch.covered += step - self._last
        self._before, self._last = now, length or self._step
        stretch.covered += self._last


def _promised(stream: av.stream.Stream, base: float) -> float | None:
    """The length that the header gives to this stream; only formats that write it down are asked."""
    names = stream.container.format.name if isinstance(stream.container, av.container.InputContainer) else ""
    if "mp4" in names or names == "flac":
        return stream.duration * base if stream.duration else None
    if "matroska" in names:
        return next((_clock(stream.metadata[tag]) for tag in _LENGTH_TAGS if tag in stream.metadata), None)
    return None


def _clock(text: str) -> float | None:
    """Seconds of `HH:MM:SS.fraction`."""
    parts = text[:40].split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds


def holes(contents: Contents) -> Iterator[tuple[float, float]]:
    """Stretches of time in which neither picture nor sound has a packet, in order."""
    films = contents.of("video", "audio")
    common = films[0].gaps if films else []
    for other in films[1:]:
        common = [(max(a, c), min(b, d)) for a, b in common for c, d in _near(other.gaps, a, b)]
    yield from ((start, end) for start, end in common if end - start >= _GAP)


def _near(gaps: Sequence[tuple[float, float]], start: float, end: float) -> Iterator[tuple[float, float]]:
    return ((c, d) for c, d in gaps if c < end and d > start)
