"""`/item/<id>`: a film, series, season or episode: what it is, its files, and how far the visitor is with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.library.title_cards import card, picture
from engine.permissions import Permission
from engine.plex.catalogue import current
from engine.plex.catalogue import items as catalogue_items
from engine.plex.catalogue.current import Catalogue
from engine.plex.catalogue.versions import versions
from engine.plex.watching import states as watch_states
from engine.plex.watching import work as watch_refresh
from engine.plex.watching.states import NEVER
from models.media import MediaItem

pages = PageBlueprint("item")


@dataclass(frozen=True)
class Above:
    """What an item belongs to.

    Attributes:
        show: of a season or episode; None where the catalogue has it not.
        season: of an episode.
        seasons: all of the show, where the item is one of them.
    """

    show: Any = None
    season: Any = None
    seasons: Sequence[Any] = ()


@pages.page("/item/<id:item_id>", Permission.MEDIA_READ)
def item_page(visit: Visit, item_id: str) -> Response:
    """One item with its versions, and the seasons of a series or the episodes of a season."""
    user_id = visit.identity.user_id
    watch_refresh.request(visit.runtime, user_id)
    found = current.need(visit.db, visit.settings, user_id)
    item = catalogue_items.get(visit.db, found, item_id)
    above = _above(visit, found, item)
    below = catalogue_items.children(visit.db, item)
    seen = watch_states.of_items(visit.db, user_id, found.server_id, [item, *below])
    return visit.show(
        "item.html",
        here="library",
        found=found,
        library=current.section(visit.db, found, item.section_key) if item.deleted_at is None else None,
        item=item,
        card=card(item, seen.get(item.id, NEVER), above.show),
        above=above,
        below=[card(child, seen.get(child.id, NEVER), above.show or item) for child in below],
        versions=versions(item),
        may_see_paths=visit.visitor.may(Permission.INTEGRATIONS_CONFIGURE),
        picture=lambda row, kind="poster", width=None: picture(visit, row, kind, width),
    )


def _above(visit: Visit, found: Catalogue, item: MediaItem) -> Above:
    if item.type not in {"season", "episode"}:
        return Above()
    ids = catalogue_items.lineage(visit.db, found, [item])
    rows = {row.rating_key: row for row in catalogue_items.rows(visit.db, list(ids.values()))}
    if item.type == "episode":
        return Above(rows.get(item.grandparent_key), rows.get(item.parent_key))
    show = rows.get(item.parent_key)
    return Above(show, None, () if show is None else catalogue_items.children(visit.db, show))
