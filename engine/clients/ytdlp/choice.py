"""Chooses among a manifest's audio tracks the one that the site marks as the main one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from xml.etree.ElementTree import Element

# Values of yt-dlp's `language_preference`; unset counts as -1.
PREFERRED, NOT_PREFERRED, LEAST_PREFERRED = 5, -5, -10
_DESCRIBES = "public.accessibility.describes-video"  # RFC 8216, 4.3.4.1
_ROLES = "urn:mpeg:dash:role:2011"  # ISO/IEC 23009-1, 5.8.5.5
_PURPOSES = "urn:tva:metadata:cs:AudioPurposeCS:2007"  # DVB: 1 visually impaired, 2 hard of hearing


class AudioRole(IntEnum):
    """An audio track's role by its manifest, the least wanted first."""

    DESCRIPTION = 0  # audio description or commentary
    ALTERNATE = 1  # a dub or supplement
    MANUAL = 2  # HLS AUTOSELECT=NO: only on the viewer's choice
    PLAIN = 3
    MAIN = 4


@dataclass(frozen=True)
class AudioOffer:
    """One audio track; `priority` is DASH's selectionPriority, larger first."""

    role: AudioRole
    language: str = ""
    priority: int = 1


def preferences(offers: Sequence[AudioOffer]) -> list[int | None]:
    """yt-dlp's `language_preference` for each: the highest role and priority, of equal ones the first listed.

    None if there is nothing to choose between, so that quality decides.
    """
    if len({(offer.role, offer.language, offer.priority) for offer in offers}) < 2:
        return [None] * len(offers)
    best = max(offers, key=lambda offer: (offer.role, offer.priority))
    return [_preference(offer, best) for offer in offers]


def _preference(offer: AudioOffer, best: AudioOffer) -> int | None:
    if offer == best:
        return PREFERRED
    if offer.role is AudioRole.DESCRIPTION:
        return LEAST_PREFERRED
    return NOT_PREFERRED if offer.role <= AudioRole.MANUAL else None


def of_renditions(renditions: Sequence[Mapping[str, str]]) -> list[AudioOffer]:
    """One offer per HLS `EXT-X-MEDIA` tag, all of one TYPE.

    Groups have the same tracks in other qualities. Tracks of a group without a language are distinguished by name;
    tracks that are alone in their group count as the same track.
    """
    sizes = Counter(each.get("GROUP-ID") for each in renditions)
    return [_of_rendition(each, named=sizes[each.get("GROUP-ID")] > 1) for each in renditions]


def _of_rendition(attributes: Mapping[str, str], *, named: bool) -> AudioOffer:
    language = attributes.get("LANGUAGE") or (attributes.get("NAME", "") if named else "")
    default, chosen = attributes.get("DEFAULT") == "YES", attributes.get("AUTOSELECT") == "YES"
    if _DESCRIBES in attributes.get("CHARACTERISTICS", ""):
        return AudioOffer(AudioRole.DESCRIPTION, language)
    if default:
        return AudioOffer(AudioRole.MAIN, language)
    return AudioOffer(AudioRole.PLAIN if chosen else AudioRole.MANUAL, language)


def of_adaptation_set(element: Element) -> AudioOffer:
    """The offer of a DASH `AdaptationSet`, by its Role and Accessibility elements (ISO/IEC 23009-1, 5.8.4)."""
    roles = {_value(role) for role in element.findall("{*}Role") if _scheme(role) == _ROLES}
    aids = [(_scheme(aid), _value(aid)) for aid in element.findall("{*}Accessibility")]
    apart = roles & {"description", "commentary"} or any(
        value == "description" if scheme == _ROLES else value not in {"2", ""}
        for scheme, value in aids
        if scheme in {_ROLES, _PURPOSES}
    )
    priority = element.get("selectionPriority", "1")
    return AudioOffer(
        _role(roles, apart=bool(apart), aided=bool(aids)),
        element.get("lang") or "",
        int(priority) if priority.isdecimal() and len(priority) < 10 else 1,
    )


def _role(roles: set[str], *, apart: bool, aided: bool) -> AudioRole:
    if apart:
        return AudioRole.DESCRIPTION
    if "main" in roles:
        return AudioRole.MAIN
    return AudioRole.ALTERNATE if roles or aided else AudioRole.PLAIN


def _scheme(element: Element) -> str:
    return element.get("schemeIdUri", "")


def _value(element: Element) -> str:
    return element.get("value", "").strip().lower()
