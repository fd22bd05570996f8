"""What is said of downloads: the sentence on top of a page, qualities and formats, what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from api.pages.look.words import gettext as _
from api.pages.look.words import marked, ngettext
from engine.downloads.batches import Outcome
from engine.downloads.changes import Action, Changed
from engine.formats import AUDIO, AUDIO_FORMATS, CAPS

_NUMBERS = (
    marked("no"),
    marked("one"),
    marked("two"),
    marked("three"),
    marked("four"),
    marked("five"),
    marked("six"),
    marked("seven"),
    marked("eight"),
    marked("nine"),
    marked("ten"),
    marked("eleven"),
    marked("twelve"),
)
_FORMATS = {
    "mp4": marked("mp4, plays everywhere"),
    "mkv": marked("mkv"),
    "webm": marked("webm"),
    "mp3": marked("mp3, sound only"),
    "m4a": marked("m4a, sound only"),
    "opus": marked("opus, sound only"),
}


def qualities() -> Sequence[tuple[str, str]]:
    """Qualities to choose from, with their words."""
    capped = [(name, _("Up to %(quality)s") % {"quality": name}) for name, most in CAPS.items() if most]
    return [("best", _("Best there is")), *capped, (AUDIO, _("Sound only"))]


def formats() -> Sequence[tuple[str, str]]:
    """Formats to choose from, with their words; the first one is chosen by the quality."""
    return [("", _("mp4, for sound m4a")), *((name, _(words)) for name, words in _FORMATS.items())]


def kind_of(quality: str, format_: str) -> str:
    """Quality and format of a download."""
    if format_ in AUDIO_FORMATS:
        return _("sound only, %(format)s") % {"format": format_}
    if quality == "best":
        return _("best quality, %(format)s") % {"format": format_}
    return f"{quality}, {format_}"


def summary(counts: Mapping[str, int]) -> str:
    """How many there are of each, as a sentence.

    Args:
        counts: by views of `engine.downloads.shown.listing`.
    """
    parts = [
        ngettext("%(number)s moving", "%(number)s moving", counts["moving"]) % _told(counts["moving"]),
        ngettext("%(number)s waiting", "%(number)s waiting", counts["queued"]) % _told(counts["queued"]),
        ngettext("%(number)s failed", "%(number)s failed", counts["failed"]) % _told(counts["failed"]),
    ]
    shown = [part for part, view in zip(parts, ("moving", "queued", "failed"), strict=True) if counts[view]]
    if shown:
        text = ", ".join(shown)  # not lists.format_list(style="unit"): Babel has none for German
        return text[0].upper() + text[1:]
    if counts["completed"]:
        return _("Nothing is on its way, all is done")
    return _("Nothing is on its way")


def sentence(row: Any, plex: Mapping[str, Any] | None) -> str:
    """What became of a download, as a sentence."""
    title = {"title": row.title or _("This video")}
    if row.status == "completed":
        if plex is not None and plex["available"]:
            return _("%(title)s is in your library") % title
        if plex is not None and plex["state"] == "not_found":
            return _("%(title)s is downloaded, and not in Plex") % title
        return _("%(title)s is downloaded") % title
    if row.status == "failed":
        return _("%(title)s could not be downloaded") % title
    return {
        "queued": _("%(title)s waits for its turn"),
        "downloading": _("%(title)s is being downloaded"),
        "processing": _("%(title)s is nearly there"),
        "cancelled": _("%(title)s was cancelled"),
    }[row.status] % title


def added(outcomes: Sequence[Outcome]) -> str:
    """What became of links that were asked for."""
    new = sum(each.new for each in outcomes)
    refused = [each.error for each in outcomes if each.error is not None]
    there = len(outcomes) - new - len(refused)
    texts = [
        ngettext("%(num)d video is on its way.", "%(num)d videos are on their way.", new) % {"num": new},
        ngettext("%(num)d was on its way already.", "%(num)d were on their way already.", there)
        % {"num": there},
        ngettext("%(num)d was not taken.", "%(num)d were not taken.", len(refused)) % {"num": len(refused)},
    ]
    return " ".join(text for text, number in zip(texts, (new, there, len(refused)), strict=True) if number)


def changed(action: Action, changes: Changed) -> str:
    """What became of downloads that were to be changed."""
    number = changes.done
    told = {
        "cancel": ngettext("%(num)d is cancelled.", "%(num)d are cancelled.", number),
        "retry": ngettext("%(num)d is tried again.", "%(num)d are tried again.", number),
        "remove": ngettext(
            "%(num)d is off the list; its file stays.", "%(num)d are off the list; their files stay.", number
        ),
        "first": ngettext("%(num)d is first in line.", "%(num)d are first in line.", number),
    }[action] % {"num": number}
    refused = ngettext("%(num)d stays as it is:", "%(num)d stay as they are:", changes.refused) % {
        "num": changes.refused
    }
    texts = [told] if number else []
    return " ".join([*texts, *([refused, *map(_, changes.reasons)] if changes.refused else [])])


def _told(number: int) -> dict[str, str]:
    return {"number": _(_NUMBERS[number]) if number < len(_NUMBERS) else f"{number}"}
