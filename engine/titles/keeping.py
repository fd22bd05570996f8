"""Titles and lists as they are kept in PostgreSQL: written as TMDB tells them, dropped when its terms say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, case, delete, func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.title import Title, TitleList

Key = tuple[str, str]  # type and id

_now = func.clock_timestamp

# Lists tell the title in one language; what was told in others stays, and so do details.
_NAMES = text("titles.names || excluded.names")


def known(db: Session, keys: Sequence[Key]) -> dict[Key, Title]:
    """The titles that are kept, by type and id."""
    if not keys:
        return {}
    rows = db.scalars(select(Title).where(tuple_(Title.type, Title.tmdb_id).in_(keys)))
    return {(row.type, row.tmdb_id): row for row in rows}


def keep_summaries(db: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert or refresh titles as a list told them; rows as `normal.summary` makes them."""
    once = {(row["type"], row["tmdb_id"]): row for row in rows}
    if not once:
        return
    ordered = [
        once[key] for key in sorted(once)
    ]  # in one order, so that two writers never wait for each other
    query = insert(Title).values([{**row, "search": _searched(row), "listed_at": _now()} for row in ordered])
    new = query.excluded
    changes = {
        name: getattr(new, name)
        for name in ("title", "original_title", "released", "overview", "poster", "backdrop", "language",
                     "genres", "rating", "popularity", "listed_at")
    }  # fmt: skip
    known_words = func.strpos(Title.search, new.search) > 0
    search = case((known_words, Title.search), else_=func.left(Title.search + " " + new.search, 8000))
    db.execute(
        query.on_conflict_do_update(
            index_elements=["type", "tmdb_id"],
            set_={**changes, "names": _NAMES, "search": search},
        )
    )


def keep_details(
    db: Session,
    row: Mapping[str, Any],
    details: Mapping[str, Any],
    names: Mapping[str, Any],
    others: Sequence[str],
) -> None:
    """Insert or refresh a title with its details, its names in all languages and its other titles."""
    values = {
        **row,
        "names": {**names, **row["names"]},
        "other_titles": list(others),
        "search": _searched(row, others),
        "details": dict(details),
        "listed_at": _now(),
        "detailed_at": _now(),
    }
    query = insert(Title).values(**values)
    changes = {
        name: getattr(query.excluded, name) for name in values if name not in {"type", "tmdb_id", "names"}
    }
    db.execute(
        query.on_conflict_do_update(index_elements=["type", "tmdb_id"], set_={**changes, "names": _NAMES})
    )


def keep_list(db: Session, key: str, members: Sequence[Key | None], total: int) -> None:
    """Keep a page of a list."""
    values = {
        "key": key,
        "members": [member and list(member) for member in members],
        "total": total,
        "fetched_at": _now(),
    }
    query = insert(TitleList).values(values)
    db.execute(query.on_conflict_do_update(index_elements=["key"], set_=values))


def found_by_words(db: Session, words: str, type_: str | None, year: int | None) -> list[Key]:
    """Kept titles that have all the words in one of their names, the best known first; 100 at most."""
    searched = func.to_tsvector(text("'simple'"), func.folded(Title.search))
    query = (
        select(Title.type, Title.tmdb_id)
        .where(
            searched.op("@@")(func.plainto_tsquery(text("'simple'"), func.folded(bindparam("words", words))))
        )
        .order_by(Title.popularity.desc().nulls_last(), Title.type, Title.tmdb_id)
        .limit(100)
    )
    if type_ is not None:
        query = query.where(Title.type == type_)
    if year is not None:
        query = query.where(func.extract("year", Title.released) == year)
    return [(row.type, row.tmdb_id) for row in db.execute(query)]


def forget_old(db: Session, age: timedelta) -> None:
    """Drop titles and lists that TMDB told longer than `age` ago."""
    db.execute(delete(Title).where(Title.listed_at < _now() - age))
    db.execute(delete(TitleList).where(TitleList.fetched_at < _now() - age))


def _searched(row: Mapping[str, Any], others: Sequence[str] = ()) -> str:
    names = [row["title"], row["original_title"], *others]
    return " ".join(dict.fromkeys(name for name in names if name))[:8000]
