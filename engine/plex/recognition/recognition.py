"""Matches staged items with the catalogue, queries Plex where that is ambiguous, and writes the new rating keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.clients.plex.paging import key_of
from engine.plex.answers.items import read
from engine.plex.answers.parsing import Metadata, Unreadable
from engine.plex.recognition import staging
from engine.plex.recognition.matching import Traits, recognise
from engine.plex.recognition.staging import Changes, Stage

ROUNDS = 20  # rounds of queries to Plex; what is still ambiguous then is left to the next full pass

_NAMES = (
    "id", "rating_key", "section_key", "type", "guid", "edition", "imdb_id", "tmdb_id", "tvdb_id", "file",
    "parent_key", "grandparent_key", "parent_index", "item_index", "sort_title", "show_title", "year",
)  # fmt: skip
_OURS = ", ".join(f"m.{name}" for name in _NAMES) + ", m.deleted_at IS NOT NULL"
_THEIRS = ", ".join(f"s.{name}" for name in _NAMES)

# Staged items, less those whose strong traits are unchanged under the same key.
_OPEN = f"""
    SELECT {_THEIRS} FROM plex_stage s LEFT JOIN media_items m
      ON m.server_id = :server AND m.rating_key = s.rating_key AND m.deleted_at IS NULL
    WHERE m.id IS NULL OR m.type <> s.type OR m.guid IS NULL OR m.guid NOT LIKE '%://%'
      OR m.guid LIKE ANY('{{local://%,none://%,%.none://%,%.localmedia://%}}')
      OR (m.guid, m.edition, m.file) IS DISTINCT FROM (s.guid, s.edition, s.file)
"""  # noqa: S608 - the names are ours
_RELATED = f"""
    WITH open AS MATERIALIZED ({_OPEN}), found AS (
        SELECT m.id FROM media_items m JOIN open o ON m.rating_key = o.rating_key
        WHERE m.server_id = :server AND m.deleted_at IS NULL
        UNION
        SELECT m.id FROM media_items m JOIN open o ON m.guid = o.guid AND m.type = o.type WHERE m.server_id = :server
        UNION
        SELECT m.id FROM media_items m JOIN open o ON m.file = o.file AND m.type = o.type WHERE m.server_id = :server
        UNION
        SELECT m.id FROM media_items m JOIN open o ON m.imdb_id = o.imdb_id AND m.type = o.type
        WHERE m.server_id = :server
        UNION
        SELECT m.id FROM media_items m JOIN open o ON m.tmdb_id = o.tmdb_id AND m.type = o.type
        WHERE m.server_id = :server
        UNION
        SELECT m.id FROM plex_sections p JOIN media_items m
          ON m.server_id = p.server_id AND m.section_key = p.key AND m.type IN ('movie', 'show')
        JOIN open o ON m.type = o.type AND m.sort_title = o.sort_title WHERE p.server_id = :server
        UNION
        SELECT m.id FROM plex_sections p JOIN media_items m
          ON m.server_id = p.server_id AND m.section_key = p.key AND m.type = 'show'
        JOIN open o ON m.type = o.type AND m.tvdb_id = o.tvdb_id WHERE p.server_id = :server
        UNION
        SELECT m.id FROM media_items m JOIN open o ON m.parent_key = o.parent_key AND m.item_index = o.item_index
        WHERE m.server_id = :server AND m.type = 'season' AND o.type = 'season'
        UNION
        SELECT m.id FROM media_items m JOIN open o ON m.grandparent_key = o.grandparent_key
          AND ((m.parent_index, m.item_index) = (o.parent_index, o.item_index) OR m.sort_title = o.sort_title)
        WHERE m.server_id = :server AND m.type = 'episode' AND o.type = 'episode'
    )
    SELECT {_OURS} FROM media_items m JOIN found USING (id) ORDER BY m.deleted_at DESC NULLS FIRST, m.id
"""  # noqa: S608 - made of our own texts
_BELOW = f"""
    SELECT {_OURS} FROM media_items m
    WHERE m.server_id = :server
      AND (m.grandparent_key = ANY(:keys) OR (m.parent_key = ANY(:keys) AND m.type = 'season'))
    ORDER BY m.deleted_at DESC NULLS FIRST, m.id
"""  # noqa: S608 - made of our own texts
_ANY_OF_TYPE = """
    SELECT bool_or(EXISTS (
        SELECT FROM media_items m WHERE m.server_id = :server AND m.section_key = p.key AND m.type = ANY(:types)
    )) FROM plex_sections p WHERE p.server_id = :server
"""
_REMOVE = """
    UPDATE media_items SET deleted_at = clock_timestamp() WHERE id = ANY(:ids)
    RETURNING id, type, title, section_key
"""
_PARK = "UPDATE media_items SET deleted_at = clock_timestamp() WHERE id = ANY(:ids)"
_ADOPT = """
    UPDATE media_items m SET rating_key = p.key, deleted_at = NULL, hash = 0, listed_hash = NULL
    FROM unnest(CAST(:ids AS text[]), CAST(:keys AS text[])) p (id, key) WHERE m.id = p.id
"""
# Deleted items below a show or season follow it to its new key: they may be matched again by their numbers.
_FOLLOW = """
    UPDATE media_items m SET {name} = p.key
    FROM unnest(CAST(:before AS text[]), CAST(:keys AS text[])) p (before, key)
    WHERE m.server_id = :server AND m.{name} = p.before AND m.deleted_at IS NOT NULL
"""


@dataclass
class Kept:
    """Items that were matched under another key or after they had been deleted.

    Attributes:
        ids: of the items. old_keys: the keys that they had.
        restored: ids of those that had been deleted.
        removed: items whose key belongs to another one now, and that were not found. lost: all their ids.
    """

    ids: set[str] = field(default_factory=set)
    old_keys: set[str] = field(default_factory=set)
    restored: set[str] = field(default_factory=set)
    removed: Changes = field(default_factory=Changes)
    lost: Sequence[str] = ()


@dataclass
class _Decision:
    """The matches of staged items: known item by current key; and items whose key belongs to another one now."""

    found: Mapping[str, Traits] = field(default_factory=dict)
    displaced: Sequence[Traits] = ()


def keep(db: Session, stage: Stage, server_id: str, gone: Collection[str]) -> Kept:
    """Update the rating keys of matched items, whose ids stay; `gone` are keys that no item has."""
    kept = Kept()
    decision = _decide(db, stage, server_id, gone)
    moved = {key: item for key, item in decision.found.items() if item.deleted or item.rating_key != key}
    kept.ids = {item.id for item in moved.values()}
    kept.old_keys = {item.rating_key for item in moved.values()}
    kept.restored = {item.id for item in moved.values() if item.deleted}
    kept.lost = [item.id for item in decision.displaced if item.id not in kept.ids]
    if kept.lost:
        staging.change(db, kept.removed, _REMOVE, "removed", ids=kept.lost)
    _move(db, server_id, moved)
    return kept


def contested(db: Session, stage: Stage, server_id: str) -> bool:
    """Whether a staged key belongs to another item than before: then more keys may have been reassigned."""
    return bool(_decide(db, stage, server_id, ()).displaced)


def seek(
    stage: Stage,
    server_id: str,
    ask: Callable[[Sequence[str]], Sequence[Metadata]],
    present: Collection[str],
    silent: Collection[str] = (),
) -> list[Traits]:
    """Query Plex for live items that resemble staged ones, except for those with `present` keys.

    Returns those that the server no longer has, which are staged ones under new keys. Where one of the queried keys
    belongs to another item by now, that one is staged as well.

    Args:
        stage: what has been listed.
        server_id: of the server.
        ask: for items by their keys; those that are gone are missing.
        present: keys that were listed, or are known to be gone.
        silent: keys for which `ask` got no answer; filled meanwhile; they are not gone.
    """
    gone: dict[str, Traits] = {}
    asked = set(present)
    for _ in range(ROUNDS):
        with Session(stage.connection) as db:
            shows = [key for key, item in gone.items() if item.type == "show"]
            related = [*_related(db, stage, server_id), *_below(db, server_id, shows)]
        unsure = {
            item.rating_key: item for item in related if not item.deleted and item.rating_key not in asked
        }
        if not unsure:
            break
        asked |= unsure.keys()
        answers = {key_of(item): item for item in ask(list(unsure))}
        gone |= {key: item for key, item in unsure.items() if key not in answers and key not in silent}
        _stage_changed(stage, server_id, answers.values())
    if not gone:
        return []
    with Session(stage.connection) as db:
        found = _decide(db, stage, server_id, gone).found.values()
    return [item for item in found if not item.deleted and item.rating_key in gone]


def _stage_changed(stage: Stage, server_id: str, items: Iterable[Metadata]) -> None:
    """Stage what differs from what the catalogue has under its key."""
    rows = {}
    for item in items:
        section = item.get("librarySectionID")
        if section is None:
            continue
        try:
            found = read(str(section), item)
        except Unreadable:
            continue
        if found is not None:
            rows[found[0].rating_key] = (str(section), *found)
    known = _hashes(stage, server_id, list(rows))
    for key, (section, row, print_) in rows.items():
        if known.get(key) != print_:
            stage.add(section, [(row, (print_, None))])


def _hashes(stage: Stage, server_id: str, keys: Sequence[str]) -> dict[str, int]:
    query = """
        SELECT rating_key, hash FROM media_items
        WHERE server_id = :server AND rating_key = ANY(:keys) AND deleted_at IS NULL
    """
    with stage.connection.begin():
        return dict(stage.connection.execute(text(query), {"server": server_id, "keys": keys}).all())


def _decide(db: Session, stage: Stage, server_id: str, gone: Collection[str]) -> _Decision:
    related = _related(db, stage, server_id)
    if not related:
        return _Decision()
    now = {row[1]: Traits(*row) for row in db.execute(text(_OPEN), {"server": server_id})}

    def free(items: Iterable[Traits]) -> dict[str, Traits]:
        return {i.id: i for i in items if i.deleted or i.rating_key in gone or i.rating_key in now}

    before = free(related)
    shows = [item.rating_key for item in before.values() if item.type == "show"]
    before |= free(_below(db, server_id, shows))
    found = recognise(now.values(), before.values())
    stays = {item.id for key, item in found.items() if item.rating_key == key}
    displaced = [
        item
        for item in before.values()
        if not item.deleted and item.rating_key in now and item.id not in stays
    ]
    return _Decision(found, displaced)


def _related(db: Session, stage: Stage, server_id: str) -> list[Traits]:
    """Items of the catalogue that share a trait with a staged one: live ones, then recently deleted ones."""
    if not stage.count:
        return []
    if not db.scalar(text(_ANY_OF_TYPE), {"server": server_id, "types": list(stage.types)}):
        return []
    return [Traits(*row) for row in db.execute(text(_RELATED), {"server": server_id})]


def _below(db: Session, server_id: str, shows: Sequence[str]) -> list[Traits]:
    """Seasons and episodes of shows."""
    if not shows:
        return []
    return [Traits(*row) for row in db.execute(text(_BELOW), {"server": server_id, "keys": shows})]


def _move(db: Session, server_id: str, moved: Mapping[str, Traits]) -> None:
    if not moved:
        return
    parked = [item.id for item in moved.values() if not item.deleted and item.rating_key in moved]
    if parked:  # two that exchange keys can't do so one after the other
        db.execute(text(_PARK), {"ids": parked})
    db.execute(text(_ADOPT), {"ids": [item.id for item in moved.values()], "keys": list(moved)})
    for kind, name in (("show", "parent_key"), ("show", "grandparent_key"), ("season", "parent_key")):
        pairs = {item.rating_key: key for key, item in moved.items() if item.type == kind}
        if pairs:
            values = {"server": server_id, "before": list(pairs), "keys": list(pairs.values())}
            db.execute(text(_FOLLOW.format(name=name)), values)
