"""What is said of films and series: what of them is there, what kind of thing they are."""

from __future__ import annotations

from collections.abc import Mapping

from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from engine.media_requests.availability import Availability, SeasonAvailability
from engine.titles.titles import TitleFacts

STATES: Mapping[str, tuple[str, str]] = {
    "available": ("done", marked("In your library")),
    "partial": ("partly", marked("Partly in your library")),
    "processing": ("processing", marked("On its way")),
    "requested": ("undecided", marked("Asked for")),
    "none": ("absent", marked("Not here")),
}


def state(there: Availability) -> tuple[str, str]:
    """Kind and word of what is there."""
    kind, word = STATES[there.status]
    return kind, _(word)


def season_state(season: SeasonAvailability | None) -> tuple[str, str]:
    """Kind and word of a season; None: it was not aired yet."""
    if season is None:
        return "waiting", _("Not out yet")
    if season.complete:
        return "done", _("Here")
    if season.available:
        return "partly", _("%(there)s of %(all)s") % {"there": season.available, "all": season.episodes}
    return ("undecided", _("Asked for")) if season.requested else ("absent", _("Not here"))


def about(title: TitleFacts) -> str:
    """Film or series, and its year."""
    kind = _("Film") if title.type == "movie" else _("Series")
    return f"{kind}, {title.year}" if title.year else kind
