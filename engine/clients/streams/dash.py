"""Makes a plan of the fragments that yt-dlp found in a DASH manifest, with its duration and byte ranges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urljoin
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from yt_dlp.networking.exceptions import RequestError  # type: ignore[import-untyped]
from yt_dlp.utils import parse_duration, update_url_query  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.streams.plan import MOST_PIECES, Piece, TransferPlan
from engine.clients.streams.source import Source, Span


class _Manifest(NamedTuple):
    """What yt-dlp drops of a manifest: whether it is live, its duration, the segments' byte ranges."""

    dynamic: bool = False
    seconds: float | None = None
    spans: Sequence[Span | None] = ()


def plan(source: Source, stream: Mapping[str, Any]) -> TransferPlan:
    """The fragments of a chosen format.

    Raises:
        FetchError: live_now (the manifest is dynamic); unsupported (an endless generator of fragments); unreadable.
    """
    fragments = stream.get("fragments")
    if fragments is None or isinstance(fragments, str) or callable(fragments):
        raise FetchError("unsupported", detail="fragments without a list of them")
    listed = list(islice(fragments, MOST_PIECES + 1))
    manifest = _manifest(source, stream)
    if manifest.dynamic:
        raise FetchError("live_now", detail="a dynamic manifest")
    try:
        pieces = list(_pieces(listed, stream, manifest.spans))
    except (KeyError, ValueError) as error:
        raise FetchError("unreadable", detail="a fragment with an invalid URL") from error
    timed = [(piece.url, piece.span) for piece in pieces if not piece.is_map]
    if len(set(timed)) < len(timed):  # each would fetch the whole file
        raise FetchError("unreadable", detail="parts of one file without their ranges")
    return TransferPlan(pieces, _seconds(pieces, manifest.seconds))


def _pieces(
    listed: Sequence[Mapping[str, Any]], stream: Mapping[str, Any], spans: Sequence[Span | None]
) -> Iterator[Piece]:
    query = parse_qs(stream.get("extra_param_to_segment_url") or "")
    timed = any("duration" in fragment for fragment in listed)
    known = spans if len(spans) == len(listed) else [None] * len(listed)
    for place, (fragment, span) in enumerate(zip(listed, known, strict=True)):
        base = str(stream.get("fragment_base_url") or "")
        url = fragment.get("url") or urljoin(base, str(fragment["path"]))
        seconds = fragment.get("duration")
        yield Piece(
            str(update_url_query(url, query)) if query else str(url),
            place,
            span=span,
            seconds=float(seconds) if isinstance(seconds, int | float) else None,
            is_map=timed and "duration" not in fragment,
        )


def _seconds(pieces: Sequence[Piece], presentation: float | None) -> float | None:
    """Total duration: the sum of the fragments', but if all are equal, the last may be shorter than declared."""
    durations = [piece.seconds for piece in pieces if not piece.is_map]
    known = [seconds for seconds in durations if seconds]
    if not known or len(known) != len(durations):
        return presentation
    exact = sum(known)
    if presentation:
        return min(exact, presentation)
    return exact if len(set(known)) > 1 else None


def _manifest(source: Source, stream: Mapping[str, Any]) -> _Manifest:
    """Fetch and read the manifest; empty if it can't be fetched again, as extraction has read it before."""
    url = stream.get("manifest_url")
    if not isinstance(url, str):
        return _Manifest()
    try:
        body, _ = source.text(url)
        root = ElementTree.fromstring(body)  # noqa: S314 - bounded; expat itself bounds what entities become
    except (RequestError, ElementTree.ParseError):
        return _Manifest()
    if not root.tag.lower().endswith("mpd"):
        return _Manifest()
    length = parse_duration(root.get("mediaPresentationDuration"))
    spans = list(_spans(root, str(stream.get("format_id") or "")))
    return _Manifest(root.get("type") == "dynamic", float(length) if length else None, spans)


def _spans(root: Element, format_id: str) -> Iterator[Span | None]:
    """The byte ranges of a representation's segments, if it has a SegmentList (ISO 23009-1, 5.3.9.3)."""
    for period in root.iterfind("{*}Period"):
        for group in period.iterfind("{*}AdaptationSet"):
            for representation in group.iterfind("{*}Representation"):
                name = representation.get("id") or ""
                if format_id != name and not format_id.endswith(f"-{name}"):
                    continue
                lists = (level.find("{*}SegmentList") for level in (representation, group, period))
                listed = next((found for found in lists if found is not None), None)
                for part in () if listed is None else listed.iter():
                    if part.tag.endswith("}Initialization"):
                        yield _span(part.get("range"))
                    elif part.tag.endswith("}SegmentURL"):
                        yield _span(part.get("mediaRange"))


def _span(text: str | None) -> Span | None:
    found = re.fullmatch(r"(\d{1,15})-(\d{1,15})", text or "")
    return Span(int(found[1]), int(found[2]) + 1) if found else None
