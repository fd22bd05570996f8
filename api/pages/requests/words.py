"""What is said of requests: their states, how many there are, what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from api.pages.look.words import gettext as _
from api.pages.look.words import marked, ngettext
from engine.media_requests.deciding import Result
from engine.media_requests.listing import RequestView

# By status: kind of parts/status.html, and its word.
STATES: Mapping[str, tuple[str, str]] = {
    "pending": ("undecided", marked("To be decided")),
    "approved": ("waiting", marked("Approved")),
    "processing": ("processing", marked("On its way")),
    "available": ("done", marked("Can be watched")),
    "denied": ("denied", marked("Denied")),
    "failed": ("failed", marked("Failed")),
}
SEASON_STATES: Mapping[str, tuple[str, str]] = {
    "pending": ("undecided", marked("asked for")),
    "processing": ("processing", marked("on its way")),
    "partial": ("partly", marked("partly there")),
    "available": ("done", marked("there")),
}
STEPS: Mapping[str, str] = {
    "asked": "undecided",
    "seasons": "undecided",
    "changed": "undecided",
    "pending": "undecided",
    "approved": "done",
    "denied": "denied",
    "processing": "processing",
    "downloading": "moving",
    "downloaded": "done",
    "processed": "done",
    "scanning": "processing",
    "partial": "partly",
    "available": "done",
    "failed": "failed",
    "told": "done",
}  # the kind of a step's mark
# By what became of a title on a watchlist.
OUTCOMES: Mapping[str, tuple[str, str]] = {
    "requested": ("done", marked("Asked for")),
    "followed": ("done", marked("Followed")),
    "available": ("done", marked("In Plex already")),
    "refused": ("denied", marked("Not allowed")),
    "unknown": ("failed", marked("Not recognised")),
    "waiting": ("waiting", marked("Waits")),
}
REASONS = (
    marked("We have something like it."),
    marked("It takes too much room."),
    marked("Not for this family."),
    marked("It can't be found anywhere."),
)
WAYS: Mapping[str, str] = {
    "overseerr": marked("by Overseerr"),
    "download": marked("by a download"),
    "hand": marked("by hand"),
}


def state(view: RequestView) -> tuple[str, str]:
    """Kind and word of a request."""
    kind, word = STATES[view.request.status]
    return kind, _(word)


def facts(view: RequestView) -> list[str]:
    """What kind of thing it is: film or series with its year, seasons, quality."""
    request = view.request
    kinds = {"movie": _("Film"), "tv": _("Series"), "video": _("Video")}
    found = [f"{kinds[request.media_type]}, {request.year}" if request.year else kinds[request.media_type]]
    numbers = [str(season.number) for season in view.seasons]
    if numbers:
        words = ngettext("season %(numbers)s", "seasons %(numbers)s", len(numbers))
        found.append(words % {"numbers": ", ".join(numbers)})
    if request.quality:
        found.append(request.quality)
    if request.format:
        found.append(request.format)
    return found


def decided(results: Sequence[Result]) -> str:
    """What became of several that were decided."""
    done = sum(one.result in {"approved", "denied"} for one in results)
    refused = [one for one in results if one.error is not None]
    parts = []
    if done:
        parts.append(
            ngettext("%(num)d request was decided.", "%(num)d requests were decided.", done) % {"num": done}
        )
    if refused:
        words = ngettext("%(num)d could not be:", "%(num)d could not be:", len(refused)) % {
            "num": len(refused)
        }
        error = refused[0].error
        parts.append(f"{words} {_(error.message)}" if error is not None else words)
    return " ".join(parts) or _("Nothing had to be done: they were decided already.")
