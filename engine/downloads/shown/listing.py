"""Downloads as people look at them: lists, counts, places in line, the snapshot of a socket."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Row, Select, Text, bindparam, func, or_, select, true
from sqlalchemy.orm import Session

from engine.arrivals import arrivals
from engine.downloads.events import event_data
from engine.jobs.lease import waiting
from engine.paging import Page
from models.download import SEARCHED, Download
from models.row_count import RowCount, total
from models.session import fetch_all

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

_now = func.clock_timestamp
_HIDDEN = {
    "url_key",
    "source_id",
    "crash_count",
    "epoch",
    "lease_until",
    "lease_owner",
    "publishing",
    "published",
}
PUBLIC_COLUMNS = tuple(column for column in Download.__table__.c if column.name not in _HIDDEN)
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


def newest(db: Session, *, owner_id: str | None, status: str | None, page: int, limit: int) -> Page[Row[Any]]:
    """A page of downloads, newest first; of all users where `owner_id` is None.

    Items are plain rows with the public columns of `Download` and `any_arrivals` (whether `arrivals.states` would
    find anything): building ORM objects would double the cost.
    """
    values = {"owner_id": owner_id, "status": status, "limit": limit, "offset": (page - 1) * limit}
    query, counted = _list_queries(owned=owner_id is not None, filtered=status is not None)
    rows = fetch_all(db, query, values)
    count = rows[0].total if rows else db.scalar(counted, values) if page > 1 else 0
    return Page(rows, page, limit, count or 0)


@cache
def _list_queries(*, owned: bool, filtered: bool) -> tuple[Select[Any], Select[int]]:
    """SELECT of a page with its total, and SELECT of the total alone; built once, of plain columns."""
    counted = total("downloads", owned=owned, filtered=filtered)
    table = Download.__table__.c
    query = select(*PUBLIC_COLUMNS, counted.label("total"), arrivals.any_exist().label("any_arrivals"))
    query = query.order_by(table.id.desc())
    if owned:
        query = query.where(table.user_id == bindparam("owner_id"))
    if filtered:
        query = query.where(table.status == bindparam("status"))
    return query.limit(bindparam("limit")).offset(bindparam("offset")), select(counted)


def active_count(db: Session, owner_id: str) -> int:
    """How many downloads of a user have not ended."""
    active = select(func.count()).where(Download.user_id == owner_id, Download.ended_at.is_(None))
    return db.scalar(active) or 0


def moving(db: Session, owner_id: str, limit: int) -> Sequence[Download]:
    """A user's downloads that have not ended: those that run, the soonest finished first, then those that wait."""
    order = (Download.lease_until.is_(None), Download.eta.asc().nulls_last(), Download.id)
    mine = select(Download).where(Download.user_id == owner_id, Download.ended_at.is_(None))
    return db.scalars(mine.order_by(*order).limit(limit)).all()


def active_and_recent(db: Session, owner_id: str | None, minutes: float = 10) -> Sequence[Download]:
    """Active downloads, then those that ended in the last `minutes`; newest first, at most 2,000."""
    recently = _now() - timedelta(minutes=minutes)
    query = select(Download).where(or_(Download.ended_at.is_(None), Download.ended_at > recently))
    if owner_id is not None:
        query = query.where(Download.user_id == owner_id)
    return db.scalars(
        query.order_by(Download.ended_at.is_(None).desc(), Download.id.desc()).limit(2000)
    ).all()


def snapshot(db: Session, owner_id: str | None) -> list[dict[str, Any]]:
    """`active_and_recent` as event data, for the first frame of a socket."""
    rows = active_and_recent(db, owner_id)
    plex = arrivals.states(db, rows)
    return [event_data(row, plex.get(row.id)) for row in rows]


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
