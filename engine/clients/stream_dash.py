"""Plans the fragments that yt-dlp read from a DASH manifest, and asks the manifest itself what it promises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urljoin
from xml.etree import ElementTree

from yt_dlp.networking.exceptions import RequestError  # type: ignore[import-untyped]
from yt_dlp.utils import parse_duration, update_url_query  # type: ignore[import-untyped]

from engine.clients.fetch_error import FetchError
from engine.clients.stream_plan import MOST_PIECES, Piece, Plan
from engine.clients.stream_source import Source


class _Manifest(NamedTuple):
    dynamic: bool = False
    seconds: float | None = None


def plan(source: Source, stream: Mapping[str, Any]) -> Plan:
    """The fragments of a chosen format.

    Raises:
        FetchError: live_now, as the manifest says by now; unsupported, fragments that have no end.
    """
    fragments = stream.get("fragments")
    if fragments is None or isinstance(fragments, str) or callable(fragments):
        raise FetchError("unsupported", detail="fragments without a list of them")
    listed = list(islice(fragments, MOST_PIECES + 1))
    manifest = _manifest(source, stream.get("manifest_url"))
    if manifest.dynamic:
        raise FetchError("live_now", detail="a dynamic manifest")
    try:
        pieces = list(_pieces(listed, stream))
    except (KeyError, ValueError) as error:
        raise FetchError("unreadable", detail="a fragment with an address that is none") from error
    return Plan(pieces, _seconds(pieces, manifest.seconds))


def _pieces(listed: Sequence[Mapping[str, Any]], stream: Mapping[str, Any]) -> Iterator[Piece]:
    query = parse_qs(stream.get("extra_param_to_segment_url") or "")
    timed = any("duration" in fragment for fragment in listed)
    for place, fragment in enumerate(listed):
        url = fragment.get("url") or urljoin(
            str(stream.get("fragment_base_url") or ""), str(fragment["path"])
        )
        seconds = fragment.get("duration")
        yield Piece(
            str(update_url_query(url, query)) if query else str(url),
            place,
            seconds=float(seconds) if isinstance(seconds, int | float) else None,
            is_map=timed and "duration" not in fragment,
        )


def _seconds(pieces: Sequence[Piece], presentation: float | None) -> float | None:
    """The length by the fragments; where all are said to be as long, the last may be shorter than that."""
    told = [piece.seconds for piece in pieces if not piece.is_map]
    known = [seconds for seconds in told if seconds]
    if not known or len(known) != len(told):
        return presentation
    exact = sum(known)
    if presentation:
        return min(exact, presentation)
    return exact if len(set(known)) > 1 else None


def _manifest(source: Source, url: object) -> _Manifest:
    """What the manifest itself says; nothing where it can't be had a second time: extraction has read it before."""
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
    return _Manifest(root.get("type") == "dynamic", float(length) if length else None)
