"""Films, series and episodes as cards, with how far the visitor is with each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.pages.door.visit import Visit
from api.pages.look import formats
from api.pages.look.rendering import link
from api.pages.look.words import gettext as _
from api.pages.look.words import ngettext
from api.wire.pictures import picture_url
from engine.plex.catalogue import artwork
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue
from engine.plex.watching import states as watch_states
from engine.plex.watching.states import NEVER, Seen


@dataclass(frozen=True)
class Card:
    """A title as a list shows it.

    Attributes:
        row: of the catalogue.
        poster: the row whose poster stands for it: of an episode that of its show.
        path: of its page, below the root of the site.
        name: of a season or an episode that of its show.
        about: a few words more, such as the year or the number of the episode.
        seen: how far the visitor is with it.
        is_watched: they have seen all of it.
        percent: how much of it they have seen, where they are in the middle; None otherwise.
        left: seconds to the end, where they are in the middle of a film or episode.
    """

    row: Any
    poster: Any
    path: str
    name: str
    about: str
    seen: Seen
    is_watched: bool
    percent: int | None
    left: float | None


def cards(visit: Visit, found: Catalogue, rows: Sequence[Any]) -> list[Card]:
    """Rows of the catalogue as cards."""
    seen = watch_states.of_items(visit.db, visit.identity.user_id, found.server_id, rows)
    keys = list(
        dict.fromkeys(row.grandparent_key for row in rows if row.type == "episode" and row.grandparent_key)
    )
    ids = catalogue_items.by_keys(visit.db, found, keys)
    shows = {show.rating_key: show for show in catalogue_items.rows(visit.db, ids)}
    return [card(row, seen.get(row.id, NEVER), shows.get(row.grandparent_key)) for row in rows]


def card(row: Any, seen: Seen, show: Any = None) -> Card:
    """One of them.

    Args:
        row: of the catalogue.
        seen: how far the visitor is with it.
        show: the row of an episode's show, where it is known.
    """
    is_watched = seen.watched(row.type, row.leaf_count)
    done, whole = (seen.offset or 0, row.duration) if seen.offset else (seen.views, row.leaf_count)
    begun = bool(done and whole) and (seen.offset is not None or not is_watched)
    return Card(
        row=row,
        poster=show or row,
        path=f"item/{row.id}",
        name=row.show_title if row.type in {"episode", "season"} and row.show_title else row.title,
        about=_about(row),
        seen=seen,
        is_watched=is_watched,
        percent=min(100, round(100 * done / whole)) if begun else None,
        left=(row.duration - seen.offset) / 1000 if seen.offset and row.duration else None,
    )


def picture(visit: Visit, row: Any, kind: artwork.Kind = "poster", width: int | None = None) -> str | None:
    """The address of a picture of a title, relative to the page; None where there is none."""
    source = (row.thumb if kind == "poster" else row.art) if row.deleted_at is None else None
    return _linked(picture_url(visit.settings, row.id, kind, source, width))


def number_of(row: Any) -> str:
    """Which season or episode it is, such as "S3 E4"; empty where that is not known."""
    if row.type == "episode" and row.item_index is not None and row.parent_index is not None:
        return _("S%(season)d E%(episode)d") % {"season": row.parent_index, "episode": row.item_index}
    return ""


def _about(row: Any) -> str:
    year = str(row.year) if row.year else ""
    match row.type:
        case "show":
            seasons = row.child_count
            words = (
                ngettext("%(num)d season", "%(num)d seasons", seasons) % {"num": seasons} if seasons else ""
            )
            return " · ".join(filter(None, (year, words)))
        case "season":
            return str(row.title)
        case "episode":
            return " · ".join(filter(None, (number_of(row), row.title)))
    return year or formats.duration((row.duration or 0) / 1000 or None)


def _linked(address: str | None) -> str | None:
    return None if address is None else link(address.lstrip("/"))
