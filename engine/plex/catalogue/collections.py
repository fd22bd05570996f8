"""The collections that a sync has listed; their members are queried live, see `live_queries`."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.errors import NotFound
from engine.paging import Page
from engine.plex.catalogue.current import Catalogue
from models.plex_library import PlexCollection, PlexSection


def listing(
    db: Session, catalogue: Catalogue, section: PlexSection, *, page: int, limit: int
) -> Page[PlexCollection]:
    """A page of the collections of a library, by title."""
    query = select(PlexCollection).where(
        PlexCollection.server_id == catalogue.server_id, PlexCollection.section_key == section.key
    )
    total = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    query = query.order_by(PlexCollection.sort_title, PlexCollection.rating_key)
    rows = db.scalars(query.offset((page - 1) * limit).limit(limit)).all()
    return Page(rows, page, limit, total)


def get(db: Session, catalogue: Catalogue, rating_key: str) -> PlexCollection:
    """One collection.

    Raises:
        NotFound: there is none.
    """
    found = db.get(PlexCollection, (catalogue.server_id, rating_key))
    if found is None:
        raise NotFound("There is no such collection.")
    return found
