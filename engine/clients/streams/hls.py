"""Reads an HLS playlist (RFC 8216) into a plan of pieces, or raises why it can't be downloaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urljoin, urlsplit

import m3u8  # type: ignore[import-untyped]
from yt_dlp.utils import update_url_query  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.streams.keys import key_of
from engine.clients.streams.plan import MOST_PIECES, Key, Piece, TransferPlan
from engine.clients.streams.source import Source, Span

_LEVELS = 3  # of nested playlists
_LONGEST_LINE = 1 << 16  # characters
_LONGEST_TEXT = 1 << 25
_ATTRIBUTE = re.compile(r'(?<![A-Z0-9-])([A-Z0-9-]++)\s*+=\s*+("[^"]*+"|[^",]*+)')
_LINE_END = re.compile(r"\r\n|\n|\r")
# m3u8's splitlines() would split at these too.
_OTHER_LINE_ENDS = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_SECONDS = re.compile(r"#EXTINF:\s*(\d{1,9}(?:\.\d{1,9})?)")
# The tags that affect what is fetched. Others are ignored, so that mistakes in them do no harm.
_TAGS = re.compile(
    r"#EXT(?:M3U|INF|-X-(?:MEDIA-SEQUENCE|PLAYLIST-TYPE|ENDLIST|BYTERANGE|GAP|KEY|MAP|I-FRAMES-ONLY|STREAM-INF))(?![A-Z-])"
)
# Marks of inserted adverts (the same as yt-dlp's): begin, end.
_ADVERT = re.compile(r"#ANVATO-SEGMENT-INFO.*type=ad|#UPLYNK-SEGMENT.*,ad$")
_FILM = re.compile(r"#ANVATO-SEGMENT-INFO.*type=master|#UPLYNK-SEGMENT.*,segment$")


class NotAPlaylistError(Exception):
    """The URL is no playlist; perhaps it is the media file itself."""


@dataclass
class _Marked:
    """The parser's state at a segment: the keys in force, the map with its keys, whether it is an advert."""

    keys: list[dict[str, str]]
    map: Mapping[str, Any] | None = None
    advert: bool = False


def plan(source: Source, stream: Mapping[str, Any]) -> TransferPlan:
    """Fetch the playlist of a chosen format and read it.

    Raises:
        NotAPlaylistError: it is no playlist.
        FetchError: live_now, drm, unreadable, no_format, too_large.
        yt_dlp.networking.exceptions.RequestError: it can't be fetched.
    """
    url, given = str(stream["url"]), stream.get("hls_media_playlist_data")
    for _ in range(_LEVELS):
        text = str(given) if given else ""
        if not given:
            body, url = source.text(url, b"#EXTM3U")
            text = body.decode("utf-8", "replace").lstrip("\ufeff")
        if not text.lstrip().startswith("#EXTM3U"):
            raise NotAPlaylistError
        given = None
        found = _parsed(text)
        try:
            if not found["is_variant"]:
                return _PlaylistReader(url, stream).plan(found)
            url = urljoin(url, _best(text))
        except ValueError as error:
            raise FetchError("unreadable", detail="a playlist with an invalid URL") from error
    raise FetchError("unreadable", detail="too many levels of nested playlists")


def _parsed(text: str) -> dict[str, Any]:
    lines, names, whole = [], 0, True
    if len(text) > _LONGEST_TEXT:
        raise FetchError("too_large", detail="a playlist without an end")  # 32 MiB
    for raw in _LINE_END.split(text):
        line = _OTHER_LINE_ENDS.sub(lambda found: quote(found[0]), raw.strip())
        if len(line) > _LONGEST_LINE:
            raise FetchError("unreadable", detail="a line without an end")
        if line.startswith("#EXTINF"):  # an invalid duration becomes unknown (-1); the segment is kept
            length = _SECONDS.match(line)
            line = f"#EXTINF:{length[1] if length else '-1'},"
            whole = whole and "." not in line
        if line.startswith("#EXT-X-FAXS-CM"):
            raise FetchError("drm")
        names += bool(line) and not line.startswith("#")
        if not line.startswith("#") or _TAGS.match(line) or _ADVERT.match(line) or _FILM.match(line):
            lines.append(line)
    if names > MOST_PIECES:
        raise FetchError("too_large", detail=f"more than {MOST_PIECES} pieces")
    try:
        found: dict[str, Any] = m3u8.parse("\n".join(lines), custom_tags_parser=_parse_tag)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FetchError("unreadable", detail="a playlist with mistakes in it") from error
    found["rounded"] = whole
    found["segments"] = [segment for segment in found["segments"] if segment.get("uri")]
    if not found["is_variant"] and len(found["segments"]) != names:
        raise FetchError("unreadable", detail="a playlist that names files without saying what they are")
    return found


def _parse_tag(line: str, _number: int, data: dict[str, Any], state: dict[str, Any]) -> bool:
    """m3u8's hook for each tag; True if handled. Attaches to each segment the keys and map in force there."""
    marked: _Marked = state.get("current_key") or _Marked([])
    if line.startswith("#EXT-X-KEY:"):  # in force until the next one of its format
        key = _attributes(line)
        others = [each for each in marked.keys if each.get("KEYFORMAT") != key.get("KEYFORMAT")]
        keys = [] if key.get("METHOD") == "NONE" else [*others, key]
        state["current_key"] = _Marked(keys, marked.map, marked.advert)
        return True
    if line.startswith("#EXT-X-MAP:"):
        state["current_key"] = _Marked(marked.keys, {**_attributes(line), "keys": marked.keys}, marked.advert)
        return True
    if _ADVERT.match(line) or _FILM.match(line):
        state["current_key"] = _Marked(marked.keys, marked.map, bool(_ADVERT.match(line)))
        return True
    if line.startswith("#EXT-X-STREAM-INF"):  # `_best` reads the attributes
        data["is_variant"], state["expect_playlist"], state["stream_info"] = True, True, {}
        return True
    return False


def _attributes(line: str) -> dict[str, str]:
    return {name: value.strip().strip('"') for name, value in _ATTRIBUTE.findall(line.partition(":")[2])}


def _best(text: str) -> str:
    """The URI of the variant with the highest BANDWIDTH, among those whose audio is not in a separate playlist."""
    apart, offered, attributes = set[str](), [], None
    for line in map(str.strip, _LINE_END.split(text)):
        if line.startswith("#EXT-X-MEDIA:"):
            media = _attributes(line)
            if media.get("TYPE") == "AUDIO" and media.get("URI"):
                apart.add(media.get("GROUP-ID", ""))
        elif line.startswith("#EXT-X-STREAM-INF:"):
            attributes = _attributes(line)
        elif line and not line.startswith("#") and attributes is not None:
            bits = attributes.get("BANDWIDTH", "")
            if attributes.get("AUDIO") not in apart:
                offered.append((int(bits) if bits.isdecimal() and len(bits) < 18 else 0, line))
            attributes = None
    if not offered:
        raise FetchError("unreadable", detail="a list of streams without picture and sound together")
    return max(offered, key=lambda each: each[0])[1]


class _PlaylistReader:
    """Turns the segments of one media playlist into pieces."""

    def __init__(self, url: str, stream: Mapping[str, Any]) -> None:
        self._url, self._key_override = url, stream.get("hls_aes") or {}
        segment, key = stream.get("extra_param_to_segment_url"), stream.get("extra_param_to_key_url")
        self._query = parse_qs(segment or "")
        self._key_query = parse_qs(key or segment or "")
        self._ended: dict[str, int] = {}  # end offset of the last byte range, by resource

    def plan(self, found: Mapping[str, Any]) -> TransferPlan:
        if not found["is_endlist"] and found["playlist_type"] != "vod":
            raise FetchError("live_now", detail="a playlist without an end")
        if found["is_i_frames_only"]:
            raise FetchError("no_format", detail="a playlist of single pictures")
        pieces = list(self._pieces(found["segments"], int(found["media_sequence"] or 0)))
        durations = [piece.seconds for piece in pieces if not piece.is_map]
        known = [seconds for seconds in durations if seconds is not None]
        # Durations without a point, as they were before version 3 (RFC 8216, 4.3.2.1), are rounded to whole seconds.
        unsure = 0.5 * len(known) if found["rounded"] else 0.0
        return TransferPlan(pieces, sum(known) if len(known) == len(durations) else None, unsure)

    def _pieces(self, segments: Sequence[Mapping[str, Any]], number: int) -> Iterator[Piece]:
        present: Piece | None = None
        for place, segment in enumerate(segments, start=number):
            marked: _Marked = segment.get("key") or _Marked([])
            url = self._address(segment["uri"])
            span = self._span(segment["byterange"], url) if segment.get("byterange") else None
            if segment.get("gap_tag") or marked.advert:  # EXT-X-GAP: the segment is not available
                continue
            opening = self._map(marked.map, place) if marked.map else None
            if opening is not None and (present is None or _same(opening) != _same(present)):
                present = opening
                yield opening
            seconds = float(segment.get("duration", -1))
            yield Piece(
                url,
                place,
                span=span,
                key=self._key(marked.keys, place),
                seconds=seconds if seconds >= 0 else None,
            )

    def _map(self, attributes: Mapping[str, Any], number: int) -> Piece:
        if not attributes.get("URI"):
            raise FetchError("unreadable", detail="an initialisation section without an address")
        url = self._address(attributes["URI"])
        span = _range(attributes["BYTERANGE"], 0) if attributes.get("BYTERANGE") else None
        return Piece(url, number, span=span, key=self._key(attributes["keys"], number), is_map=True)

    def _key(self, keys: Sequence[Mapping[str, str]], number: int) -> Key | None:
        key = key_of(keys, self._url, number, self._key_override)
        if key is None or not key.uri or not self._key_query or self._key_override.get("uri"):
            return key
        return Key(key.iv, update_url_query(key.uri, self._key_query))

    def _address(self, uri: str) -> str:
        url = urljoin(self._url, uri)
        return str(update_url_query(url, self._query)) if self._query else url

    def _span(self, text: str, url: str) -> Span:
        """A byte range; without an offset it begins where the last one of the same resource ended (4.3.2.2)."""
        resource = urlsplit(url)._replace(query="", fragment="").geturl()
        before = self._ended.get(url, self._ended.get(resource))
        span = _range(text, before)
        self._ended[url] = self._ended[resource] = span.end or 0
        return span


def _same(piece: Piece) -> tuple[object, ...]:
    return piece.url, piece.span, piece.key and piece.key.uri


def _range(text: str, before: int | None) -> Span:
    found = re.fullmatch(r"(\d{1,15})(?:@(\d{1,15}))?", text.strip().strip('"'))
    first = int(found[2]) if found and found[2] else before
    if found is None or first is None or not int(found[1]):
        raise FetchError("unreadable", detail="an EXT-X-BYTERANGE without a length or a beginning")
    return Span(first, first + int(found[1]))
