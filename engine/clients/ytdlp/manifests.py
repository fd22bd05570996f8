"""Patches yt-dlp's parsers of HLS and DASH manifests: preferred audio, detection of live ones, a limit on size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin
from xml.etree.ElementTree import Element

from yt_dlp.extractor.common import InfoExtractor  # type: ignore[import-untyped]
from yt_dlp.utils import parse_duration, parse_m3u8_attributes  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.ytdlp.choice import (
    PREFERRED,
    AudioOffer,
    AudioRole,
    of_adaptation_set,
    of_renditions,
    preferences,
)

LIVE = "medianest_live"  # key that is set in formats whose manifest is still growing
# Per manifest, as yt-dlp creates a dictionary for each; a day of 1 s segments in ten qualities has 864,000.
_MOST_SEGMENTS = 1_000_000
_NO_LANGUAGE = {"mul", "und", "zxx", "mis"}  # yt-dlp drops these codes
_LONGEST_TAG = 4096  # characters of a tag line; yt-dlp's patterns are slow on longer ones

_Formats = list[dict[str, Any]]
_read_periods = InfoExtractor._parse_mpd_periods
_merge_periods = InfoExtractor._merge_mpd_periods
_read_playlist = InfoExtractor._parse_m3u8_formats_and_subtitles


def install() -> None:
    """Patch yt-dlp's `InfoExtractor`, for all extractors."""
    InfoExtractor._parse_mpd_periods = _periods
    InfoExtractor._merge_mpd_periods = _merged_periods
    InfoExtractor._parse_m3u8_formats_and_subtitles = _playlist


# --- DASH -------------------------------------------------------------------------------------------------------


def _periods(
    self: Any, mpd_doc: Element, mpd_id: str | None = None, *args: Any, **more: Any
) -> Iterator[dict[str, Any]]:
    """yt-dlp's periods, each with `offers`: the manifest's `AudioOffer` of each of its formats."""
    if _segments(mpd_doc) > _MOST_SEGMENTS:
        raise FetchError("unreadable", detail="a manifest of too many segments")
    grows = _is_growing(mpd_doc)
    read = _read_periods(self, mpd_doc, mpd_id, *args, **more)
    for element, period in zip(mpd_doc.findall("{*}Period"), read, strict=False):
        known = _offers(element, mpd_id)
        plain = AudioOffer(AudioRole.PLAIN)
        pairs = _distinct([(each, known.get(_format_key(each), plain)) for each in period["formats"]])
        period["formats"], period["offers"] = [each for each, _ in pairs], [offer for _, offer in pairs]
        if grows:
            for each in period["formats"]:
                each[LIVE] = True
        yield period


def _offers(period: Element, mpd_id: str | None) -> dict[tuple[Any, ...], AudioOffer]:
    """Each representation's `AudioOffer`, by the key (`_format_key`) of the format that yt-dlp makes of it."""
    found = {}
    for adaptation_set in period.findall("{*}AdaptationSet"):
        offer = of_adaptation_set(adaptation_set)
        for representation in adaptation_set.findall("{*}Representation"):
            attributes = {**adaptation_set.attrib, **representation.attrib}
            kind = attributes.get("contentType") or attributes.get("mimeType", "").partition("/")[0]
            name = "-".join(filter(None, (mpd_id, attributes.get("id", kind))))
            language = attributes.get("lang")
            spoken = None if language in _NO_LANGUAGE else language
            found[name, _number(attributes.get("bandwidth")) / 1000, spoken] = offer
    return found


def _format_key(format_: Mapping[str, Any]) -> tuple[Any, ...]:
    return format_.get("format_id"), format_.get("tbr") or 0.0, format_.get("language")


def _distinct(pairs: list[tuple[dict[str, Any], AudioOffer]]) -> list[tuple[dict[str, Any], AudioOffer]]:
    """Drop duplicates that yt-dlp would append to each other as later periods, such as a commentary to the film."""
    best: dict[tuple[Any, ...], tuple[dict[str, Any], AudioOffer]] = {}
    for format_, offer in pairs:
        key = tuple(
            value
            for name, value in format_.items()
            if name not in {"format_id", "fragments", "manifest_stream_number"}
        )
        if key not in best or best[key][1].role < offer.role:
            best[key] = format_, offer
    return list(best.values())


def _merged_periods(self: Any, periods: Iterable[dict[str, Any]]) -> tuple[_Formats, dict[str, Any]]:
    """yt-dlp's formats of all periods, with `language_preference` set by the offers."""
    periods = list(periods)
    offers = {
        id(each): offer
        for period in periods
        for each, offer in zip(period["formats"], period.pop("offers", ()), strict=False)
    }
    formats, subtitles = _merge_periods(self, periods)
    for sound in (True, False):
        known = [each for each in formats if id(each) in offers and (each.get("vcodec") == "none") is sound]
        wanted = preferences([offers[id(each)] for each in known])
        for each, preference in zip(known, wanted, strict=True):
            # For video only negative preferences are set: another manifest's main video may be as good.
            if preference is not None and (sound or preference < 0):
                each["language_preference"] = preference
    return formats, subtitles


def _is_growing(mpd: Element) -> bool:
    """Whether the stream is live: a `dynamic` manifest whose end is unknown or in the future."""
    if mpd.get("type") != "dynamic":
        return False
    duration = parse_duration(mpd.get("mediaPresentationDuration"))
    if duration is None:
        return True
    try:
        begins = datetime.fromisoformat(mpd.get("availabilityStartTime", ""))
        return begins.replace(tzinfo=begins.tzinfo or UTC) + timedelta(seconds=duration) > datetime.now(UTC)
    except (ValueError, OverflowError):
        return mpd.get("minimumUpdatePeriod") is not None


def _segments(mpd: Element) -> float:
    """How many segments yt-dlp will create from the manifest."""
    whole, total = parse_duration(mpd.get("mediaPresentationDuration")) or 0.0, 0.0
    for period in mpd.findall("{*}Period"):
        seconds = parse_duration(period.get("duration")) or whole
        outer = _scale(period, {"timescale": 1.0})
        for adaptation_set in period.findall("{*}AdaptationSet"):
            middle = _scale(adaptation_set, outer)
            for representation in adaptation_set.findall("{*}Representation"):
                inner = _scale(representation, middle)
                length = inner.get("duration", 0.0) / (inner["timescale"] or 1.0)
                total += inner.get("listed") or (math.ceil(seconds / length) if length else 0.0)
    return total


def _scale(element: Element, inherited: Mapping[str, float]) -> dict[str, float]:
    """Timescale, duration and number of segments by an element, with inherited values."""
    found = dict(inherited)
    for template in (*element.findall("{*}SegmentTemplate"), *element.findall("{*}SegmentList")):
        steps = template.findall("{*}SegmentTimeline/{*}S")
        if steps:
            found["listed"] = sum(1.0 + _number(step.get("r")) for step in steps)
        for name in ("timescale", "duration"):
            if template.get(name):
                found[name] = _number(template.get(name))
    return found


def _number(text: str | None) -> float:
    return float(text[:18]) if text and text.isascii() and text.isdecimal() else 0.0


# --- HLS --------------------------------------------------------------------------------------------------------


def _playlist(
    self: Any, m3u8_doc: str, m3u8_url: str | None = None, *args: Any, **more: Any
) -> tuple[_Formats, dict[str, Any]]:
    """yt-dlp's formats of a playlist, with `language_preference` set by the renditions' attributes."""
    lines = [
        line for line in m3u8_doc.splitlines() if len(line) <= _LONGEST_TAG or not line.startswith("#EXT")
    ]
    places = [number for number, line in enumerate(lines) if line.startswith("#EXT-X-MEDIA:")]
    renditions = [parse_m3u8_attributes(lines[number]) for number in places]
    wanted: list[int | None] = [None] * len(renditions)
    for kind in ("AUDIO", "VIDEO"):
        chosen = [number for number, each in enumerate(renditions) if each.get("TYPE") == kind]
        found = preferences(of_renditions([renditions[number] for number in chosen]))
        for number, preference in zip(chosen, found, strict=True):
            wanted[number] = preference if kind == "AUDIO" or preference != PREFERRED else None
    # By a group's first rendition yt-dlp decides whether audio is separate from video.
    first = sorted(range(len(places)), key=lambda number: -(wanted[number] or 0))
    for place, line in zip(places, [lines[places[number]] for number in first], strict=True):
        lines[place] = line
    formats, subtitles = _read_playlist(self, "\n".join(lines), m3u8_url, *args, **more)
    return _with_preferences(formats, m3u8_url, list(zip(renditions, wanted, strict=True))), subtitles


def _with_preferences(
    formats: _Formats, base: str | None, renditions: list[tuple[dict[str, str], int | None]]
) -> _Formats:
    by_url = {
        _absolute_url(base, rendition["URI"]): preference
        for rendition, preference in renditions
        if rendition.get("URI")
    }
    # If the preferred audio is muxed into the video, the separate ones are dropped, or yt-dlp would choose one of them.
    inside = any(preference == PREFERRED and not rendition.get("URI") for rendition, preference in renditions)
    kept = []
    for each in formats:
        preference = by_url.get(each["url"])
        if preference is not None:
            each["language_preference"] = preference
        if not (
            inside and each.get("vcodec") == "none" and each["url"] in by_url and preference != PREFERRED
        ):
            kept.append(each)
    return kept


def _absolute_url(base: str | None, uri: str) -> str:
    """Resolve a URI exactly as yt-dlp does, as the results are compared."""
    return uri if uri.startswith(("http://", "https://")) else urljoin(base or "", uri)
