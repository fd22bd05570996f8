"""Downloads as people look through them: by what they do, by words, with how many there are of each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Row, Text, bindparam, func, select, true
from sqlalchemy.orm import Session

from engine.downloads.downloads import PUBLIC_COLUMNS
from engine.jobs.lease import waiting
from engine.paging import Page
from models.download import SEARCHED, Download
from models.row_count import RowCount

MOVING = "moving"
# What one may look at, with the statuses that belong to it.
VIEWS: Mapping[str, tuple[str, ...]] = {
    MOVING: ("downloading", "processing"),
    "queued": ("queued",),
    "failed": ("failed",),
    "completed": ("completed",),
    "cancelled": ("cancelled",),
}
LAST_PLACE = 100  # places in a line are told up to this
MOST_FOUND = 1000  # by words; more specific ones find the rest

_WORD = re.compile(r"[^\W_]+")
_table = Download.__table__.c
_WAITS = [_table.ended_at.is_(None), _table.lease_until.is_(None)]
_Parts = dict[str, tuple[Sequence[ColumnElement[bool]], Sequence[ColumnElement[Any]]]]


def find(
    db: Session,
    *,
    owner_ids: Sequence[str] | None,
    status: str | None,
    query: str | None,
    page: int,
    limit: int,
) -> Page[Row[Any]]:
    """A page of downloads: what moves, then what waits in the order in which it begins, then the newest that ended.

    Args:
        db: for reading.
        owner_ids: whose; None: everybody's.
        status: one of `VIEWS`; None: all.
        query: beginnings of words of a title, channel or URL, in upper or lower case; None: all.
        page: from 1.
        limit: downloads a page.
    """
    words = _WORD.findall((query or "").lower())
    where = _conditions(owner_ids, words)
    totals = _totals(db, where) if words else counts(db, owner_ids)
    rows: list[Row[Any]] = []
    skip = (page - 1) * limit
    for view, (state, order) in _parts(status).items():
        found = select(*PUBLIC_COLUMNS).where(*where, *state).order_by(*order)
        if len(rows) < limit:
            rows += db.execute(found.offset(skip).limit(limit - len(rows))).all()
        skip = max(skip - (totals[view] if view else 0), 0)
    return Page(rows, page, limit, totals.total() if status is None else totals[status])


def _parts(status: str | None) -> _Parts:
    """What a list consists of, with the conditions and the order of each part; each has an index."""
    held, ended = _table.lease_until.is_not(None), _table.ended_at.is_not(None)
    newest = (_table.id.desc(),)
    parts: _Parts = {MOVING: ([held], newest), "queued": (_WAITS, (_table.priority.desc(), _table.id))}
    if status is None:
        return {**parts, "": ([ended], newest)}
    return {status: parts.get(status, ([_table.status == status], newest))}


def counts(db: Session, owner_ids: Sequence[str] | None) -> Counter[str]:
    """How many there are of each of `VIEWS`."""
    query = select(RowCount.status, func.sum(RowCount.n)).where(RowCount.table_name == "downloads")
    if owner_ids is not None:
        query = query.where(RowCount.owner_id.in_(owner_ids))
    found = db.execute(query.group_by(RowCount.status))
    return _by_view({row[0]: int(row[1]) for row in found})


def places(db: Session, rows: Sequence[Any]) -> Mapping[str, int]:
    """The place of each queued one among the rows in the line of its user, from 1, up to `LAST_PLACE`."""
    owners = {row.user_id for row in rows if row.status == "queued"}
    if not owners:
        return {}
    owner = (
        func.unnest(bindparam("owners", list(owners), ARRAY(Text)))
        .table_valued("id")
        .render_derived(name="owner")
    )
    line = select(
        Download.id, func.row_number().over(order_by=(Download.priority.desc(), Download.id)).label("place")
    )
    line_of_owner = line.where(Download.user_id == owner.c.id, waiting(Download))
    line_of_owner = line_of_owner.order_by(Download.priority.desc(), Download.id).limit(LAST_PLACE)
    first = line_of_owner.lateral()
    query = select(first.c.id, first.c.place).select_from(owner).join(first, true())
    return {row.id: row.place for row in db.execute(query)}


def _totals(db: Session, where: Sequence[ColumnElement[bool]]) -> Counter[str]:
    few = select(_table.status).where(*where).limit(MOST_FOUND).subquery()
    found = db.execute(select(few.c.status, func.count()).group_by(few.c.status))
    return _by_view({row[0]: row[1] for row in found})


def _by_view(by_status: Mapping[str, int]) -> Counter[str]:
    return Counter(
        {view: sum(by_status.get(each, 0) for each in statuses) for view, statuses in VIEWS.items()}
    )


def _conditions(owner_ids: Sequence[str] | None, words: Sequence[str]) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if owner_ids is not None:
        alone = len(owner_ids) == 1
        where.append(_table.user_id == owner_ids[0] if alone else _table.user_id.in_(owner_ids))
    if words:
        beginnings = " & ".join(f"{word}:*" for word in words)
        where.append(SEARCHED.bool_op("@@")(func.to_tsquery("simple", func.folded(beginnings))))
    return where
