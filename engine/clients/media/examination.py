"""Looks at a downloaded file as a whole: is what is in it what the source and the file itself promised.

Nothing is decoded. Three things are compared: what the site said (`Promise`), what the file's own structure says
(`endings`), and the packets that are there (`packets`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from engine.clients.fetch_errors import FetchError
from engine.clients.media import packets
from engine.clients.media.endings.ending import Alive, Ending, ImplausibleError
from engine.clients.media.endings.files import ending_of
from engine.clients.media.packets import Contents, Stretch
from engine.clients.media.probe import NotMediaError, Probe, probe
from engine.clients.promises import Promise

EDITED = {"mp4", "m4a", "mov"}
# Headers are rounded, count the silence that an encoder adds, the second of sound before a cut, or the subtitle that
# outlasts the film.
_SLACK, _SLACK_SHARE = 1.5, 0.02
# Durations in playlists are rounded piece by piece, and of the last piece often a guess.
_LIST_SLACK, _LIST_SLACK_SHARE = 1.5, 0.03
_PADDING = 0.3  # seconds of silence that an encoder of sound adds at most
_TELLING = 0.2  # seconds: less is not told, even where it is known that bytes are missing
_MORE, _MORE_SHARE = 2.0, 0.1
_HOLES = 0.5  # seconds
# A picture or a sound may end before the other: a silent end, a last slide. By how much, where only the playlist
# says how long it should be:
_SHORTER, _SHORTER_SHARE = 3.0, 0.4
# A site's own words are rounded to minutes and count what is not in the film.
_WORDS_SLACK, _WORDS_SLACK_SHARE = 5.0, 0.1


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A file that is whole, and what is in it."""

    path: Path
    probe: Probe
    contents: Contents

    @property
    def seconds(self) -> float:
        """How long it plays, as measured: from the first picture or sound to the end of the last."""
        starts = {track.index: track.start for track in self.probe.tracks}
        films = self.contents.of("video", "audio")
        first = min((starts[each.index] for each in films), default=0.0)
        measured = max((starts[each.index] - first + self._played(each) for each in films), default=0.0)
        told = self.probe.duration
        # An edit list of MP4 leaves out what was trimmed; encoders say so of the silence that they add.
        least = 0.0 if self.probe.container in EDITED else measured - _PADDING
        return told if told is not None and least < told < measured else measured

    def _played(self, stretch: Stretch) -> float:
        """Seconds of a stream; what Matroska has before its start is only read to decode the rest (made by a trim)."""
        start = self.probe.tracks[stretch.index].start
        skipped = start - stretch.first if self.probe.container in {"mkv", "webm"} else 0.0
        return stretch.covered - max(0.0, skipped)


def examine(path: Path, promise: Promise, alive: Alive, *, told: float | None = None) -> Examined:
    """Examine one downloaded file.

    Args:
        promise: what the source said of it.
        alive: called every few thousand packets.
        told: seconds that the site's page told; only looked at where nothing better is known.

    Raises:
        FetchError: truncated, incomplete, mismatch.
        NotMediaError: no media, or headers that cannot be true.
        OSError: it cannot be read.
    """
    _check_size(path.stat().st_size, promise)
    try:
        ending = ending_of(path, alive)
    except ImplausibleError as error:
        raise NotMediaError(str(error)) from error
    found, contents = _read(path, alive, ending)
    _check_end(contents, ending, found, promise)
    _check_streams(contents, promise)
    _check_playlist(contents, promise)
    if told and not promise.seconds and not any(_promised(contents, ending, found)):
        _check_length(contents.covered, told, _WORDS_SLACK, _WORDS_SLACK_SHARE)
    return Examined(path=path, probe=found, contents=contents)


def _read(path: Path, alive: Alive, ending: Ending) -> tuple[Probe, Contents]:
    """What the headers say and which packets are there.

    Raises:
        FetchError: truncated before its index or its first packet.
        NotMediaError: as for `examine`.
    """
    try:
        found = probe(path)
        contents = packets.read(path, alive)
    except (NotMediaError, av.FFmpegError, ValueError, OverflowError) as error:
        if ending.cut:
            raise FetchError("truncated", detail="it ends before its index") from error
        raise NotMediaError("no media container that we know, or a damaged one") from error
    if ending.pieces:
        for stretch in contents.stretches:
            stretch.promised = None
    if not contents.of("video", "audio"):
        if ending.cut:
            raise FetchError("truncated", detail="it ends before the first packet")
        raise NotMediaError("headers without a packet")
    return found, contents


def _check_size(size: int, promise: Promise) -> None:
    if promise.size is not None and size < promise.size:
        message = f"Only {size} of {promise.size} bytes arrived."
        raise FetchError("truncated", message=message)
    if promise.size is not None and size > promise.size:
        raise FetchError("mismatch", detail=f"{size} bytes instead of {promise.size}")


def _check_end(contents: Contents, ending: Ending, found: Probe, promise: Promise) -> None:
    """Where the server told the size and all of it came, the file is cut at the site; then only time counts."""
    promised = list(_promised(contents, ending, found))
    open_ended = ending.unended and promise.size is None and not promise.fragmented
    damaged = ending.cut or contents.broken or open_ended
    unsure = damaged and (promise.size is None or not promised)
    for has, seconds in promised:
        slack = _SLACK if ending.cut else max(_SLACK, _SLACK_SHARE * seconds)
        # A FLAC counts its samples, so its head is exact.
        exact = unsure or (found.container == "flac" and promise.size is None)
        if seconds - has > (_TELLING if exact else slack):
            raise _truncated(has, seconds)
    if unsure:
        length = f"after {contents.covered:.1f} seconds, " if contents.covered else ""
        raise FetchError("truncated", message=f"The file ends {length}in the middle of its data.")


def _promised(contents: Contents, ending: Ending, found: Probe) -> Iterator[tuple[float, float]]:
    """Pairs of the seconds that are there and those that the file itself promises."""
    if not ending.cut and sum(each.packets for each in contents.of("video", "audio")) == 1:
        return  # a still picture: only its header knows how long it is shown
    end = max((each.end for each in contents.stretches if each.packets), default=0.0)
    if ending.seconds:
        yield max(end, contents.covered), ending.seconds
    elif found.duration and found.container in {"asf", "flv"}:
        yield max(end, contents.covered), found.duration
    for each in contents.stretches:
        if each.promised and each.kind in {"video", "audio"} and (each.packets or _has_media(each)):
            has = each.covered if found.container in EDITED else max(each.covered, each.end)
            yield has, each.promised


def _has_media(stretch: Stretch) -> bool:
    """Whether a stream without a single packet was to have some: a length of its own says so."""
    return (stretch.promised or 0.0) > _SLACK


def _check_streams(contents: Contents, promise: Promise) -> None:
    for kind, said, name in (("video", promise.video, "picture"), ("audio", promise.audio, "sound")):
        streams = contents.of(kind)
        if said and not streams:
            raise FetchError("incomplete", message=f"The site announced a {name}, but sent none.")
        longest = max(streams, key=lambda each: each.covered, default=None)
        if longest is None or longest.promised or not promise.seconds:
            continue
        lost = promise.seconds - longest.covered
        if lost > max(_SHORTER, _SHORTER_SHARE * promise.seconds):
            message = f"The {name} ends after {longest.covered:.1f} of {promise.seconds:.1f} seconds."
            raise FetchError("incomplete", message=message)


def _check_playlist(contents: Contents, promise: Promise) -> None:
    """What came of a film in pieces, against the length that its playlist or manifest gives to all of them."""
    if not promise.seconds:
        return
    unsure = promise.unsure
    _check_length(contents.covered, promise.seconds - unsure, _LIST_SLACK, _LIST_SLACK_SHARE)
    # The clock may jump where something was cut out, an advert or a gap: what is not there was not sent twice.
    holes = list(packets.holes(contents))
    empty = sum(end - start for start, end in holes)
    more = contents.covered - empty - promise.seconds - unsure
    if more > max(_MORE, _MORE_SHARE * promise.seconds):
        message = f"The site sent {contents.covered - empty:.1f} seconds instead of {promise.seconds:.1f}."
        raise FetchError("mismatch", message=message)
    if not contents.of("audio"):
        return  # a picture alone may stand still
    if empty > _HOLES and promise.seconds - (contents.covered - empty) > _HOLES:
        start, end = holes[0][0] - _first(contents), holes[0][1] - _first(contents)
        message = f"Between second {start:.1f} and {end:.1f} nothing was sent."
        raise FetchError("incomplete", message=message)


def _first(contents: Contents) -> float:
    return min(each.first for each in contents.of("video", "audio"))


def _check_length(has: float, promised: float, slack: float, share: float) -> None:
    if promised - has > max(slack, share * promised):
        raise _truncated(has, promised)


def _truncated(has: float, promised: float) -> FetchError:
    return FetchError("truncated", message=f"The file ends after {has:.1f} of {promised:.1f} seconds.")


def check_result(result: Examined, sources: Sequence[Stretch]) -> None:
    """Hold what ffmpeg made against what went into it: no track, and no second of one, may be lost.

    Raises:
        FetchError: processing.
    """
    for kind in ("video", "audio"):
        made = result.contents.of(kind)
        given = [each for each in sources if each.kind == kind and each.packets]
        if len(made) < len(given):
            raise FetchError("processing", detail=f"{len(made)} of {len(given)} {kind} tracks in the result")
        for one, other in zip(made, given, strict=False):
            lost = other.covered - one.covered
            if lost > max(_SLACK, _SLACK_SHARE * other.covered):
                raise FetchError("processing", detail=f"{one.covered:.1f} of {other.covered:.1f} s of {kind}")
