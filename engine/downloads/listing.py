"""Downloads as people look through them: by what they do, by words, with how many there are of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Row, Select, Text, bindparam, func, or_, select, true
from sqlalchemy.orm import Session

from engine.downloads.downloads import PUBLIC_COLUMNS
from engine.jobs.lease import waiting
from engine.paging import Page
from models.download import Download
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

_table = Download.__table__.c


def find(
    db: Session,
    *,
    owner_ids: Sequence[str] | None,
    status: str | None,
    query: str | None,
    page: int,
    limit: int,
) -> Page[Row[Any]]:
    """A page of downloads: what waits in the order in which it begins; else what moves first, then the newest.

    Args:
        db: for reading.
        owner_ids: whose; None: everybody's.
        status: one of `VIEWS`; None: all.
        query: part of a title, channel or URL, in upper or lower case; nothing in it is a wildcard.
        page: from 1.
        limit: downloads a page.
    """
    where = _conditions(owner_ids, status, query)
    found = select(*PUBLIC_COLUMNS).where(*where)
    first = (page - 1) * limit
    if status == "queued":
        rows = _rows(db, found.order_by(_table.priority.desc(), _table.id), first, limit)
    else:
        # What is held is little at any time; the rest comes in the order of an index.
        newest = found.order_by(_table.id.desc())
        moving = db.execute(newest.where(_table.lease_until.is_not(None))).all()
        rows = [*moving[first : first + limit]]
        rows += _rows(
            db,
            newest.where(_table.lease_until.is_(None)),
            max(first - len(moving), 0),
            limit - len(rows),
        )
    if query:
        total = db.scalar(select(func.count()).select_from(Download).where(*where)) or 0
    else:
        total = counts(db, owner_ids).total() if status is None else counts(db, owner_ids)[status]
    return Page(rows, page, limit, total)


def counts(db: Session, owner_ids: Sequence[str] | None) -> Counter[str]:
    """How many there are of each of `VIEWS`."""
    query = select(RowCount.status, func.sum(RowCount.n)).where(RowCount.table_name == "downloads")
    if owner_ids is not None:
        query = query.where(RowCount.owner_id.in_(owner_ids))
    by_status = {status: int(number) for status, number in db.execute(query.group_by(RowCount.status))}
    return Counter(
        {view: sum(by_status.get(each, 0) for each in statuses) for view, statuses in VIEWS.items()}
    )


def places(db: Session, rows: Sequence[Any]) -> Mapping[str, int]:
    """The place of each queued one among the rows in the line of its user, from 1, up to `LAST_PLACE`."""
    owners = {row.user_id for row in rows if row.status == "queued"}
    if not owners:
        return {}
    owner = func.unnest(bindparam("owners", list(owners), ARRAY(Text))).column_valued("owner")
    line = select(
        Download.id, func.row_number().over(order_by=(Download.priority.desc(), Download.id)).label("place")
    )
    line_of_owner = line.where(Download.user_id == owner, waiting(Download))
    line_of_owner = line_of_owner.order_by(Download.priority.desc(), Download.id).limit(LAST_PLACE)
    first = line_of_owner.lateral()
    query = select(first.c.id, first.c.place).select_from(owner).join(first, true())
    return {row.id: row.place for row in db.execute(query)}


def _rows(db: Session, query: Select[Any], offset: int, limit: int) -> Sequence[Row[Any]]:
    return db.execute(query.offset(offset).limit(limit)).all() if limit > 0 else []


def _conditions(
    owner_ids: Sequence[str] | None, status: str | None, query: str | None
) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    if owner_ids is not None:
        where.append(_table.user_id == owner_ids[0] if len(owner_ids) == 1 else _table.user_id.in_(owner_ids))
    if status is not None:
        where.append(_table.status.in_(VIEWS[status]))
    if query:
        sought = (_table.title, _table.channel, _table.url)
        where.append(or_(*(column.icontains(query, autoescape=True) for column in sought)))
    return where
