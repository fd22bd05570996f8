"""Which of several sounds a site means to be heard, from what its manifest says of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from xml.etree.ElementTree import Element

CHOSEN, OTHER, ASIDE = 5, -5, -10  # of yt-dlp's `language_preference`; one that is not set counts as -1
_DESCRIBES = "public.accessibility.describes-video"  # RFC 8216, 4.3.4.1
_ROLES = "urn:mpeg:dash:role:2011"  # ISO/IEC 23009-1, 5.8.5.5
_PURPOSES = "urn:tva:metadata:cs:AudioPurposeCS:2007"  # DVB's: 1 for who cannot see, 2 for who hears badly


class Standing(IntEnum):
    """What a sound is in the eyes of its site, the least wanted first."""

    DESCRIPTION = 0  # or a commentary: never meant for everybody
    ALTERNATE = 1  # a dub, an addition
    UNASKED = 2  # to be chosen by a person only
    PLAIN = 3
    MAIN = 4


@dataclass(frozen=True)
class SoundOffer:
    """One sound; `priority` is the site's own number, larger first."""

    standing: Standing
    language: str = ""
    priority: int = 1


def preferences(offers: Sequence[SoundOffer]) -> list[int | None]:
    """yt-dlp's `language_preference` for each: the site's choice first, else the first that is listed.

    None where there is nothing to choose between, so that quality decides.
    """
    if len({(offer.standing, offer.language, offer.priority) for offer in offers}) < 2:
        return [None] * len(offers)
    best = max(offers, key=lambda offer: (offer.standing, offer.priority))
    return [_preference(offer, best) for offer in offers]


def _preference(offer: SoundOffer, best: SoundOffer) -> int | None:
    if offer == best:
        return CHOSEN
    if offer.standing is Standing.DESCRIPTION:
        return ASIDE
    return OTHER if offer.standing <= Standing.UNASKED else None


def of_renditions(renditions: Sequence[Mapping[str, str]]) -> list[SoundOffer]:
    """What each `EXT-X-MEDIA` of a kind in HLS says of itself.

    Groups hold the same sounds in other qualities. A name tells sounds of one group apart where no language does; the
    only one of its group is no other sound than the only one of the next.
    """
    sizes = Counter(each.get("GROUP-ID") for each in renditions)
    return [_of_rendition(each, named=sizes[each.get("GROUP-ID")] > 1) for each in renditions]


def _of_rendition(attributes: Mapping[str, str], *, named: bool) -> SoundOffer:
    language = attributes.get("LANGUAGE") or (attributes.get("NAME", "") if named else "")
    default, chosen = attributes.get("DEFAULT") == "YES", attributes.get("AUTOSELECT") == "YES"
    if _DESCRIBES in attributes.get("CHARACTERISTICS", ""):
        return SoundOffer(Standing.DESCRIPTION, language)
    if default:
        return SoundOffer(Standing.MAIN, language)
    return SoundOffer(Standing.PLAIN if chosen else Standing.UNASKED, language)


def of_adaptation_set(element: Element) -> SoundOffer:
    """What an `AdaptationSet` of DASH says of itself."""
    roles = {_value(role) for role in element.findall("{*}Role") if _scheme(role) == _ROLES}
    aids = [(_scheme(aid), _value(aid)) for aid in element.findall("{*}Accessibility")]
    apart = roles & {"description", "commentary"} or any(
        value == "description" if scheme == _ROLES else value not in {"2", ""}
        for scheme, value in aids
        if scheme in {_ROLES, _PURPOSES}
    )
    priority = element.get("selectionPriority", "1")
    return SoundOffer(
        _standing(roles, apart=bool(apart), aided=bool(aids)),
        element.get("lang") or "",
        int(priority) if priority.isdecimal() and len(priority) < 10 else 1,
    )


def _standing(roles: set[str], *, apart: bool, aided: bool) -> Standing:
    if apart:
        return Standing.DESCRIPTION
    if "main" in roles:
        return Standing.MAIN
    return Standing.ALTERNATE if roles or aided else Standing.PLAIN


def _scheme(element: Element) -> str:
    return element.get("schemeIdUri", "")


def _value(element: Element) -> str:
    return element.get("value", "").strip().lower()
