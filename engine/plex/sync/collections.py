"""Collections of a library: listed by a full pass; their members are queried live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from engine.clients.plex.library import PlexLibrary
from engine.clients.plex.paging import key_of
from engine.plex.answers.parsing import int_of, text_of, time_of
from models.plex_library import PlexCollection


@dataclass(frozen=True)
class Listed:
    """Listed collections; `whole`: the list is complete, so those that are missing are gone."""

    entries: Sequence[Mapping[str, Any]]
    whole: bool


def listed(library: PlexLibrary, section_key: str) -> Listed:
    """The collections of a library."""
    found, whole, totals, number = list[Mapping[str, Any]](), True, set[int](), 0
    for page in library.pages(f"/library/sections/{section_key}/collections"):
        found += [item for item in page.items if key_of(item) is not None]
        number += len(page.items)
        whole = whole and page.joined and len(found) == number
        if page.total is not None:
            totals.add(page.total)
    return Listed(found, whole and totals <= {number})


def replace(db: Session, server_id: str, section_key: str, told: Listed) -> None:
    """Replace the collections of a library; with an incomplete list the missing ones stay."""
    entries = told.entries
    rows = {str(entry["ratingKey"]): _row(entry, server_id, section_key) for entry in entries}
    mine = (PlexCollection.server_id == server_id, PlexCollection.section_key == section_key)
    known = {
        row["rating_key"]: dict(row)
        for row in db.execute(select(*PlexCollection.__table__.columns).where(*mine)).mappings()
    }
    gone = [key for key in known if key not in rows and told.whole]
    changed = [row for key, row in rows.items() if known.get(key) != row]
    if gone or changed:
        keys = [*gone, *(row["rating_key"] for row in changed)]
        db.execute(
            delete(PlexCollection).where(
                PlexCollection.server_id == server_id, PlexCollection.rating_key.in_(keys)
            )
        )
    if changed:
        db.execute(insert(PlexCollection), changed)


def _row(entry: Mapping[str, Any], server_id: str, section_key: str) -> dict[str, Any]:
    title = text_of(entry.get("title")) or ""
    return {
        "server_id": server_id,
        "rating_key": str(entry["ratingKey"]),
        "section_key": section_key,
        "title": title,
        "sort_title": (text_of(entry.get("titleSort")) or title).casefold(),
        "summary": text_of(entry.get("summary")),
        "thumb": text_of(entry.get("thumb")),
        "subtype": text_of(entry.get("subtype")),
        "smart": str(entry.get("smart") or "0").lower() in {"1", "true"},
        "child_count": int_of(entry.get("childCount")) or 0,
        "added_at": time_of(entry.get("addedAt")),
        "updated_at": time_of(entry.get("updatedAt")),
    }
