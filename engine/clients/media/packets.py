"""Demuxes a media file from first to last packet, without decoding, and measures what each stream contains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from engine.clients.media.endings.ending import Alive
from engine.clients.media.probe import INPUT_OPTIONS, is_picture

_PACKETS_PER_BEAT = 4096  # packets between two calls of `alive`
_RESET = 10.0  # seconds: a larger jump of an MPEG-TS clock is a discontinuity, which ffmpeg closes
_GAP = 0.4  # seconds without a packet that count as a gap; video with longer frames is a slide show
_MOST_GAPS = 1000
_LENGTH_TAGS = ("DURATION", "DURATION-eng")


@dataclass(slots=True)
class StreamPackets:
    """The packets of one stream; all times in seconds.

    Attributes:
        index: in the file. kind: video, audio, subtitle, ...
        promised: the duration by the header. first, end: timestamps in the file.
        covered: the playing time: like `end - first`, but timestamp jumps count as nothing, and what comes twice
            counts twice.
        gaps: intervals without packets.
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
    """The packets of all streams, and whether demuxing ended with an error."""

    streams: Sequence[StreamPackets]
    broken: bool = False

    def of(self, *kinds: str) -> list[StreamPackets]:
        """Those of these kinds that have packets."""
        return [each for each in self.streams if each.kind in kinds and each.packets]

    @property
    def span(self) -> float:
        """Seconds from the first video or audio packet to the end of the last."""
        films = self.of("video", "audio")
        return max((each.end for each in films), default=0.0) - min(
            (each.first for each in films), default=0.0
        )

    @property
    def covered(self) -> float:
        """Playing time of the longest video or audio stream, in seconds."""
        return max((each.covered for each in self.of("video", "audio")), default=0.0)


def read(path: Path, alive: Alive) -> Contents:
    """Demux a local file: about a second per 100,000 packets; an hour of film has up to 240,000.

    `alive` is called regularly; exceptions from it propagate.

    Raises:
        av.FFmpegError, ValueError: no media.
        OSError: it cannot be read.
    """
    # Edit lists hide packets, and here all that exist count.
    options = {**INPUT_OPTIONS, "ignore_editlist": "1"}
    with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
        mpegts = container.format.name == "mpegts"
        counters = [_PacketCounter(stream, closes_gaps=mpegts) for stream in container.streams]
        errors: list[Exception] = []
        for number, packet in enumerate(_demuxed(container, errors)):
            if number % _PACKETS_PER_BEAT == 0:
                alive()
            counters[packet.stream.index].take(packet)
    return Contents(streams=[counter.stream for counter in counters], broken=bool(errors))


def _demuxed(container: av.container.InputContainer, errors: list[Exception]) -> Iterator[av.Packet[Any]]:
    """All packets up to the end, or up to an error, which is appended to `errors`."""
    try:
        yield from container.demux()
    except IndexError:
        return  # PyAV raises it after the last packet if streams were found while demuxing: all has been read
    except (av.FFmpegError, ValueError, OverflowError) as error:
        errors.append(error)


class _PacketCounter:
    """Sums up the packets of one stream."""

    def __init__(self, stream: av.stream.Stream, *, closes_gaps: bool) -> None:
        kind = "picture" if isinstance(stream, av.VideoStream) and is_picture(stream) else stream.type
        self._base = float(stream.time_base or 0)
        self._limit = _RESET if closes_gaps else float("inf")
        self._before: float | None = None  # the time of the packet before
        self._step = 0.0
        self._last = 0.0  # how long the packet before plays
        self.stream = StreamPackets(stream.index, kind, promised=_promised(stream, self._base))

    def take(self, packet: av.Packet[Any]) -> None:
        """Add a packet; corrupt ones, and the empty ones that PyAV adds at the end, are ignored."""
        if packet.size == 0 or packet.is_corrupt:
            return
        stream, base = self.stream, self._base
        stream.size += packet.size
        shown = packet.pts if packet.pts is not None else packet.dts
        decoded = packet.dts if packet.dts is not None else packet.pts
        length = (packet.duration or 0) * base
        if shown is None or decoded is None:
            stream.packets += 1
            stream.covered += length
            return
        start, now = shown * base, decoded * base
        if stream.packets == 0:
            stream.first, stream.end = start, start + length
        stream.packets += 1
        stream.first, stream.end = min(stream.first, start), max(stream.end, start + length)
        self._advance(now, length)

    def _advance(self, now: float, length: float) -> None:
        stream = self.stream
        if self._before is not None:
            step = now - self._before
            if 0 <= step <= self._limit:
                self._step = step
                if step > self._last + _GAP and len(stream.gaps) < _MOST_GAPS:
                    stream.gaps.append((self._before + self._last, now))
            else:
                step = self._last or self._step
            stream.covered += step - self._last
        self._before, self._last = now, length or self._step
        stream.covered += self._last


def _promised(stream: av.stream.Stream, base: float) -> float | None:
    """The stream's duration by the header, for the formats that store one per stream."""
    names = stream.container.format.name if isinstance(stream.container, av.container.InputContainer) else ""
    if "mp4" in names or names == "flac":
        return stream.duration * base if stream.duration else None
    if "matroska" in names:
        return next(
            (_parsed_clock(stream.metadata[tag]) for tag in _LENGTH_TAGS if tag in stream.metadata), None
        )
    return None


def _parsed_clock(text: str) -> float | None:
    """Seconds from `HH:MM:SS.fraction`."""
    parts = text[:40].split(":")
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds


def common_gaps(contents: Contents) -> Iterator[tuple[float, float]]:
    """Intervals in which neither video nor audio has a packet, in order."""
    films = contents.of("video", "audio")
    common = films[0].gaps if films else []
    for other in films[1:]:
        common = [(max(a, c), min(b, d)) for a, b in common for c, d in _overlapping(other.gaps, a, b)]
    yield from ((start, end) for start, end in common if end - start >= _GAP)


def _overlapping(
    gaps: Sequence[tuple[float, float]], start: float, end: float
) -> Iterator[tuple[float, float]]:
    return ((c, d) for c, d in gaps if c < end and d > start)
