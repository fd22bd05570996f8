"""Moves watch states, history and downloads of a removed item to the entry that continues it.

A film may be added anew before its old entry goes, or be merged into another; it may have a copy in another library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.plex.answers.parsing import Row
from engine.plex.recognition.staging import Change, Changes, Stage

_COLUMNS = ("section_key", "hash", "listed_hash", *Row._fields)

# The same file in a newer entry: added anew.
_ANEW = """
    SELECT old.id, new.id, old.parent_key, new.parent_key, old.grandparent_key, new.grandparent_key
    FROM media_items old JOIN media_items new
      ON new.file = old.file AND new.type = old.type AND new.created_at > old.created_at
      AND (new.parent_index, new.item_index) IS NOT DISTINCT FROM (old.parent_index, old.item_index)
    WHERE old.id = ANY(:gone) AND new.id <> ALL(:gone) AND new.server_id = :server AND new.deleted_at IS NULL
    ORDER BY new.created_at
"""
_BY_KEY = """
    SELECT rating_key, id FROM media_items
    WHERE server_id = :server AND rating_key = ANY(:keys) AND deleted_at IS NULL
"""
_KEYS = "SELECT rating_key, id FROM media_items WHERE id = ANY(:gone) AND type IN ('show', 'season')"
# Its file is one of the versions of a staged item now.
_MERGED = """
    SELECT DISTINCT old.id, m.id
    FROM plex_stage s CROSS JOIN LATERAL jsonb_path_query(s.files, '$[*].parts[*].file') f
    JOIN media_items old ON old.id = ANY(:gone) AND old.type = s.type AND old.file = f #>> '{}'
    JOIN media_items m ON m.server_id = :server AND m.rating_key = s.rating_key AND m.deleted_at IS NULL
    WHERE jsonb_array_length(s.files) > 1 AND m.id <> old.id
"""
# Copies of one edition of a film: Plex itself keeps what was watched by the guid.
_COPIES = """
    SELECT old.id, new.id FROM media_items old JOIN media_items new
      ON new.guid = old.guid AND new.type = old.type AND new.edition IS NOT DISTINCT FROM old.edition
    WHERE old.id = ANY(:gone) AND new.id <> ALL(:gone) AND new.server_id = :server AND new.deleted_at IS NULL
      AND old.type IN ('movie', 'episode')
      AND old.guid LIKE '%://%' AND old.guid NOT LIKE ALL('{local://%,none://%,%.none://%,%.localmedia://%}')
"""

_MARKS = """
    INSERT INTO watch_states (user_id, item_id, view_count, view_offset, rating, last_viewed_at, updated_at)
    SELECT w.user_id, p.heir, max(w.view_count), max(w.view_offset), max(w.rating), max(w.last_viewed_at),
        clock_timestamp()
    FROM watch_states w JOIN unnest(CAST(:items AS text[]), CAST(:heirs AS text[])) p (item, heir) ON p.item = w.item_id
    GROUP BY w.user_id, p.heir
    ON CONFLICT (user_id, item_id) DO UPDATE SET
        view_count = greatest(watch_states.view_count, excluded.view_count),
        view_offset = coalesce(watch_states.view_offset, excluded.view_offset),
        rating = coalesce(watch_states.rating, excluded.rating),
        last_viewed_at = greatest(watch_states.last_viewed_at, excluded.last_viewed_at),
        updated_at = excluded.updated_at
"""
_HAND_OVER = (
    "DELETE FROM watch_states WHERE item_id = ANY(:items)",
    *(
        f"UPDATE {table} t SET item_id = p.heir "  # noqa: S608 - our own names
        "FROM unnest(CAST(:items AS text[]), CAST(:heirs AS text[])) p (item, heir) WHERE t.item_id = p.item"
        for table in ("plex_activities", "plex_arrivals")
    ),
)
_STEP_BACK = "UPDATE media_items SET deleted_at = clock_timestamp() WHERE id = ANY(:items)"
_STEP_IN = f"""
    UPDATE media_items m SET deleted_at = NULL, {", ".join(f"{name} = o.{name}" for name in _COLUMNS)}
    FROM unnest(CAST(:items AS text[]), CAST(:heirs AS text[])) p (item, heir), media_items o
    WHERE m.id = p.heir AND o.id = p.item
    RETURNING m.id, m.type, m.title, m.section_key, o.id
"""  # noqa: S608 - the names are ours
_FORGET = "DELETE FROM media_items WHERE id = ANY(:items)"


class _New(NamedTuple):
    """A file that two entries have, with the keys of their parents, old and new."""

    old: str
    new: str
    parent: str | None
    new_parent: str | None
    show: str | None
    new_show: str | None


def settle(
    db: Session, stage: Stage, server_id: str, keys: Sequence[str], lost: Sequence[str]
) -> tuple[Changes, Changes]:
    """Move the belongings of items being removed; returns items that moved instead, and the entries they replaced.

    An item that was added anew keeps its older id. The belongings of an item that was merged into another go to that
    one. Copies of a film get its watch states.

    Args:
        db: after the staged rows have been merged, and before items are removed.
        stage: the staged rows.
        server_id: of the server.
        keys: of the live items that are being removed.
        lost: ids of those that were removed already.
    """
    moved, removed = Changes(), Changes()
    if not keys and not lost:
        return moved, removed
    live = db.execute(text(_BY_KEY), {"server": server_id, "keys": list(keys)}).all() if keys else []
    values = {"server": server_id, "gone": [*lost, *(item_id for _, item_id in live)]}
    anew = _added_anew(db, values)
    if anew:
        _go_on(db, anew, moved, removed)
    values["gone"] = [item_id for item_id in values["gone"] if item_id not in anew]
    merged = _one_each(db.execute(text(_MERGED), values).all()) if stage.count else {}
    _leave(db, merged.items(), whole=True)
    copies = db.execute(text(_COPIES), values).all()
    _leave(db, ((old, new) for old, new in copies if old not in merged), whole=False)
    return moved, removed


def _added_anew(db: Session, values: Mapping[str, object]) -> dict[str, str]:
    """The newer entries of removed items, by id; seasons and shows follow their episodes."""
    files = [_New(*row) for row in db.execute(text(_ANEW), values)]
    found = _one_each([(row.old, row.new) for row in files])
    above = {
        *((row.parent, row.new_parent) for row in files if row.parent),
        *((row.show, row.new_show) for row in files if row.show),
    }
    if not above:
        return found
    gone: dict[str, str] = dict(db.execute(text(_KEYS), values).all())
    keys = {"server": values["server"], "keys": [new for _, new in above if new]}
    there: dict[str, str] = dict(db.execute(text(_BY_KEY), keys).all())
    pairs = [(gone[old], there[new]) for old, new in sorted(above) if old in gone and new in there]
    return found | _one_each(pairs)


def _one_each(pairs: Iterable[Sequence[str]]) -> dict[str, str]:
    """Pairs in which no item comes twice: the first of each."""
    found: dict[str, str] = {}
    taken = set[str]()
    for old, new in pairs:
        if old not in found and new not in taken:
            found[old] = new
            taken.add(new)
    return found


def _go_on(db: Session, anew: Mapping[str, str], moved: Changes, removed: Changes) -> None:
    """Give the older items the keys and data of the newer entries, which are deleted."""
    values = {"items": list(anew.values()), "heirs": list(anew)}
    _leave(db, ((new, old) for old, new in anew.items()), whole=True)
    db.execute(text(_STEP_BACK), values)
    for item_id, kind, title, section, forgotten in db.execute(text(_STEP_IN), values):
        for changes, one, what in ((moved, item_id, "moved"), (removed, forgotten, "removed")):
            changes.total += 1
            changes.first.append(Change(one, what, kind, title, section))
    db.execute(text(_FORGET), values)


def _leave(db: Session, pairs: Iterable[Sequence[str]], *, whole: bool) -> None:
    """Copy watch states to successors; `whole`: move them, with history and downloads."""
    heirs = list(pairs)
    if not heirs:
        return
    values = {"items": [item for item, _ in heirs], "heirs": [heir for _, heir in heirs]}
    for statement in (_MARKS, *(_HAND_OVER if whole else ())):
        db.execute(text(statement), values)
