"""The staging table of a sync: changed items arrive by COPY, and are merged into the catalogue in one transaction.

It is a temporary table of one connection, so a sync that dies leaves nothing; it is created at the first difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from engine.plex.answers.parsing import Row
from models.base import new_id

MOST_CHANGES = 1000  # of a kind, one by one, in a library
PART = 5000  # rows merged by one statement; a cancel waits for one statement at most
MANY = 500  # rows from which on hash joins are forced: the planner has no statistics of a new table

_KINDS = {
    "year": "bigint",
    "item_index": "bigint",
    "parent_index": "bigint",
    "released": "date",
    "rating": "double precision",
    "duration": "bigint",
    "genres": "text[]",
    "child_count": "bigint",
    "leaf_count": "bigint",
    "size": "bigint",
    "files": "jsonb",
    "added_at": "bigint",
    "updated_at": "bigint",
}
_COLUMNS = Row._fields
_EXTRA = ("id", "section_key", "hash", "listed_hash", "part")
_TIMES = {"added_at", "updated_at"}


def _value(name: str) -> str:
    return f"to_timestamp(s.{name})" if name in _TIMES else f"s.{name}"


_SOME = """
    WITH done AS ({change})
    SELECT id, type, title, section_key, count(*) OVER () FROM done LIMIT :most
"""
_UPDATE = f"""
    UPDATE media_items m
    SET section_key = s.section_key, hash = s.hash, listed_hash = s.listed_hash,
        {", ".join(f"{name} = {_value(name)}" for name in _COLUMNS if name != "rating_key")}
    FROM plex_stage s
    WHERE m.server_id = :server AND m.rating_key = s.rating_key AND m.deleted_at IS NULL AND m.hash <> s.hash
        AND s.part = :part
    RETURNING m.id, m.type, m.title, m.section_key
"""  # noqa: S608 - the names are ours
_INSERT = f"""
    INSERT INTO media_items (id, server_id, section_key, hash, listed_hash, {", ".join(_COLUMNS)})
    SELECT s.id, :server, s.section_key, s.hash, s.listed_hash, {", ".join(_value(name) for name in _COLUMNS)}
    FROM plex_stage s
    WHERE s.part = :part {{unless}}
    RETURNING id, type, title, section_key
"""  # noqa: S608 - the names are ours

_UNLESS_THERE = """
    AND NOT EXISTS (
        SELECT 1 FROM media_items m
        WHERE m.server_id = :server AND m.rating_key = s.rating_key AND m.deleted_at IS NULL
    )
"""

_REMOVE = """
    UPDATE media_items SET deleted_at = clock_timestamp()
    WHERE server_id = :server AND rating_key = ANY(:keys) AND deleted_at IS NULL
    RETURNING id, type, title, section_key
"""


Prints = tuple[int, int | None]  # fingerprint and listed_print; see `models.media.MediaItem`


@dataclass
class Changes:
    """Changes of items: counts by kind, and the first of them one by one."""

    total: int = 0
    first: list[Change] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """One change of an item; `kind` is added, updated, removed, restored or moved."""

    item_id: str
    kind: str
    type: str
    title: str
    section_key: str


class Stage:
    """The table, on a connection of its own; created at first use.

    Args:
        connection: which nobody else uses meanwhile, and which is out of any transaction.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.count = 0
        self.types: set[str] = set()
        self._made = False

    @property
    def parts(self) -> range:
        """The numbers of the parts in which it is merged."""
        return range(-(-self.count // PART))

    def add(self, section_key: str, rows: Sequence[tuple[Row, Prints]]) -> None:
        """Send rows with their fingerprints; no key may come twice before `clear`."""
        if not rows:
            return
        names = ", ".join((*_COLUMNS, *_EXTRA))
        driver: Any = self.connection.connection.driver_connection
        with self.connection.begin():
            if not self._made:
                self.connection.execute(text(_TABLE))
                self._made = True
            with driver.cursor() as cursor, cursor.copy(f"COPY plex_stage ({names}) FROM STDIN") as copy:
                for row, prints in rows:
                    copy.write_row((*row, new_id("med"), section_key, *prints, self.count // PART))
                    self.count += 1
                    self.types.add(row.type)
            if self.count > MANY:
                self.connection.execute(text("SET enable_nestloop = off"))

    def recognise(self, server_id: str, prints: Mapping[str, Prints]) -> None:
        """Store the new `listed_print` of unchanged items, so that the next pass skips them."""
        if prints:
            keys = list(prints)
            values = {
                "server": server_id,
                "keys": keys,
                "hashes": [prints[key][0] for key in keys],
                "listed": [prints[key][1] for key in keys],
            }
            with self.connection.begin():
                self.connection.execute(text(_RECOGNISE), values)

    def clear(self, db: Session | None = None) -> None:
        """Empty the table; within the caller's transaction where there is one."""
        if self.count and db is not None:
            db.execute(text(_EMPTY))
        elif self.count:
            with self.connection.begin():
                self.connection.execute(text(_EMPTY))
        self.count = 0
        self.types.clear()

    def survey(self) -> None:
        """ANALYZE the catalogue after very many changes, a minute before autovacuum would."""
        with self.connection.begin():
            self.connection.execute(text("SET LOCAL default_statistics_target = 10"))  # 3,000 rows are enough
            self.connection.execute(text(f"ANALYZE media_items ({_PLANNED_BY})"))

    def close(self) -> None:
        """Drop the table: the connection goes back to its pool."""
        self.connection.rollback()
        if self._made:
            with self.connection.begin():
                self.connection.execute(text("DROP TABLE IF EXISTS plex_stage; RESET enable_nestloop"))


_RECOGNISE = """
    UPDATE media_items m SET listed_hash = p.listed
    FROM unnest(CAST(:keys AS text[]), CAST(:hashes AS bigint[]), CAST(:listed AS bigint[])) p (key, hash, listed)
    WHERE m.server_id = :server AND m.rating_key = p.key AND m.hash = p.hash AND m.deleted_at IS NULL
"""
_PLANNED_BY = "server_id, section_key, rating_key, type, guid, file, deleted_at"  # not the long texts
_EMPTY = "TRUNCATE plex_stage; RESET enable_nestloop"
_TABLE = f"""
    CREATE TEMP TABLE plex_stage (
        {", ".join(f"{name} {_KINDS.get(name, 'text')}" for name in _COLUMNS)},
        id text, section_key text, hash bigint, listed_hash bigint, part bigint
    )
"""
_FRESH = """
    SELECT s.id
    FROM plex_stage s LEFT JOIN media_items m
      ON m.server_id = :server AND m.rating_key = s.rating_key AND m.deleted_at IS NULL
    WHERE m.id IS NULL
"""
_MOVES = """
    SELECT EXISTS (
        SELECT FROM plex_stage s JOIN media_items m
          ON m.server_id = :server AND m.rating_key = s.rating_key AND m.deleted_at IS NULL
        WHERE m.section_key <> s.section_key
    )
"""
_COUNT = """
    WITH counted AS (
        SELECT p.key, count(m.id) AS items, count(*) FILTER (WHERE m.type = p.type) AS count
        FROM plex_sections p LEFT JOIN media_items m
          ON m.server_id = p.server_id AND m.section_key = p.key AND m.deleted_at IS NULL
        WHERE p.server_id = :server AND p.type IN ('movie', 'show')
        GROUP BY p.key
    )
    UPDATE plex_sections p SET items = c.items, count = c.count
    FROM counted c WHERE p.server_id = :server AND p.key = c.key
"""


def fresh(db: Session, server_id: str) -> int:
    """The number of staged items whose key is not in the catalogue."""
    return db.scalar(text(f"SELECT count(*) FROM ({_FRESH}) f"), {"server": server_id}) or 0  # noqa: S608


def moves(db: Session, stage: Stage, server_id: str) -> bool:
    """Whether staged items are in another library than the catalogue has them in."""
    return bool(stage.count and db.scalar(text(_MOVES), {"server": server_id}))


def count(db: Session, server_id: str) -> None:
    """Write down how many live items every library has: all of them, and its films or shows."""
    db.execute(text(_COUNT), {"server": server_id})


def merge(
    db: Session, stage: Stage, server_id: str, check: Callable[[], None] = lambda: None
) -> tuple[Changes, Changes]:
    """Write the staged rows into the catalogue; returns what was added and what was updated.

    `check` is called between the parts, and may raise to give up.
    """
    added, updated = Changes(), Changes()
    if not stage.count:
        return added, updated
    new = fresh(db, server_id)
    insert = _INSERT.format(unless=_UNLESS_THERE if new < stage.count else "")
    for part in stage.parts:
        check()
        if new < stage.count:
            change(db, updated, _UPDATE, "updated", server=server_id, part=part)
        if new:
            change(db, added, insert, "added", server=server_id, part=part)
    return added, updated


def remove(db: Session, server_id: str, keys: Sequence[str], removed: Changes) -> None:
    """Mark live items as deleted, and add that to what was `removed`."""
    if keys:
        change(db, removed, _REMOVE, "removed", server=server_id, keys=list(keys))


def change(db: Session, changes: Changes, statement: str, kind: str, **values: Any) -> None:
    """Carry out a statement that returns id, type, title and section of what it changed, and note what that was."""
    most = MOST_CHANGES - len(changes.first)
    rows = db.execute(text(_SOME.format(change=statement)), {"most": max(1, most), **values}).all()
    changes.total += rows[0][4] if rows else 0
    changes.first += [
        Change(item, kind, type_, title, section) for item, type_, title, section, _ in rows[:most]
    ]
