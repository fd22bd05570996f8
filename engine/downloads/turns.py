"""Whose turn it is to download: places go round, and one is given up where another user waits too long for a first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, true, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads import budget as download_budget
from engine.downloads.sources import host_breaker
from engine.job_names import Job
from engine.jobs.lease import waiting
from engine.stores import locks
from models.download import Download, DownloadTurn
from models.job import JobRow
from models.queue import Queue

_now = func.clock_timestamp
_held = Download.lease_until.is_not(None)
_BETWEEN = timedelta(seconds=3)  # two that make room: until the place that came free is taken
_SOONER = 6  # what is too slow makes room after this part of the time that others have
_AGAIN = 10  # who had to make room waits so much longer for the next place, and twice as long each time
_MOST_DOUBLINGS = 6


def note(db: Session, row: Download) -> None:
    """Write down that a user's download got a place, or left it."""
    if row.lease_until is not None:
        _write(db, row.user_id, served_at=_now())
    elif row.status == "completed":
        _write(db, row.user_id, released_at=_now(), yields=0)
    else:
        _write(db, row.user_id, released_at=_now())


def first(db: Session, model: type[JobRow], fitting: Sequence[ColumnElement[bool]]) -> str | None:
    """The download that comes first: by priority, fewest running of its user, longest since their last turn, age.

    Asks for the first of each user that waits: an index answers each, however many rows wait.
    """
    busy = running(db)
    users = _waiting_users()
    turn = select(Download.id, Download.priority).where(Download.user_id == users.c.user_id, *fitting)
    turn = turn.order_by(Download.priority.desc(), Download.id).limit(1)
    best = turn.lateral()
    query = (
        select(best.c.id, best.c.priority, users.c.user_id, func.extract("epoch", DownloadTurn.served_at))
        .join_from(users, best, true())
        .outerjoin(DownloadTurn, DownloadTurn.user_id == users.c.user_id)
    )
    found = db.execute(query).all()
    chosen = min(found, key=lambda row: (-row[1], busy[row[2]], row[3] or 0, row[0]), default=None)
    return None if chosen is None else str(chosen[0])


def makes_room(db: Session, settings: Settings, row: Download, *, slow: bool) -> bool:
    """Whether a held download is the one that makes room for another user's now; that is written down at once.

    Whoever has nothing running and waits longer than `download_turn_seconds` gets a place of a user that has several,
    or of one that alone has all there are. Never one that has only just begun, nor one that is processed. A `slow` one
    makes room sooner, and even where it is its user's only one.
    """
    if not locks.try_hold(db, locks.named(locks.Named.MAKING_ROOM)) or _is_held_up(db):
        return False
    held = db.scalars(select(Download).where(_held)).all()
    busy = Counter(each.user_id for each in held)
    full = set(download_budget.busy_hosts(db, settings))
    closed = {host.name for host in host_breaker.throttled(db)}
    today = db.execute(select(_now())).scalar_one()
    turn = timedelta(seconds=settings.download_turn_seconds)
    for waiter in _waiters(db, busy, closed):
        places = [each for each in held if waiter.host not in full or each.host == waiter.host]
        movable = [each for each in places if _is_movable(each, waiter, today - turn)]
        patience = waiter.patience(turn)
        due = waiter.since + (min(patience, turn / _SOONER) if slow and not waiter.yields else patience)
        if today < due or row.id not in {each.id for each in movable}:
            continue
        if slow or _chosen(movable, places, busy) == row.id:
            _write(db, row.user_id, served_at=_now(), yielded_at=_now())
            more = update(DownloadTurn).where(DownloadTurn.user_id == row.user_id)
            db.execute(more.values(yields=DownloadTurn.yields + 1))
            return True
    return False


@dataclass(frozen=True)
class _Waiter:
    """A user with nothing running, and a host that downloads of theirs wait for."""

    user_id: str
    host: str
    priority: int
    since: datetime
    yields: int

    def patience(self, turn: timedelta) -> timedelta:
        """How long they wait before somebody makes room; longer after having made room, or nobody would get on."""
        if not self.yields:
            return turn
        return turn * (_AGAIN << min(self.yields - 1, _MOST_DOUBLINGS))


def _waiters(db: Session, busy: Counter[str], closed: set[str]) -> list[_Waiter]:
    """Who waits longest comes first."""
    since = func.greatest(func.min(Download.next_run_at), func.max(DownloadTurn.released_at))
    query = (
        select(
            Download.user_id,
            Download.host,
            func.max(Download.priority),
            since,
            func.coalesce(func.max(DownloadTurn.yields), 0),
        )
        .outerjoin(DownloadTurn, DownloadTurn.user_id == Download.user_id)
        .where(waiting(Download), Download.user_id.not_in(list(busy)), Download.host.not_in(closed))
        .group_by(Download.user_id, Download.host)
        .order_by(since)
        .limit(100)
    )
    return [_Waiter(*found) for found in db.execute(query)]


def _is_held_up(db: Session) -> bool:
    """Whether a place would help nobody now: the queue is held or blocked, or one has just come free."""
    queue = db.get(Queue, Job.DOWNLOAD.queue)
    if queue is not None and (queue.paused_at is not None or queue.blocked_reason is not None):
        return True
    lately = DownloadTurn.yielded_at > _now() - _BETWEEN
    return db.scalar(select(DownloadTurn.user_id).where(lately).limit(1)) is not None


def _is_movable(each: Download, waiter: _Waiter, begun_before: datetime) -> bool:
    return (
        each.status == "downloading"
        and each.publishing is None
        and each.cancel_requested_at is None
        and each.priority <= waiter.priority
        and each.downloading_at is not None
        and each.downloading_at < begun_before
    )


def _chosen(movable: Sequence[Download], places: Sequence[Download], busy: Counter[str]) -> str | None:
    """Of the user with most running the one that has run longest."""
    alone = len({each.user_id for each in places}) == 1
    several = [each for each in movable if alone or busy[each.user_id] > 1]
    best = min(several, key=lambda each: (-busy[each.user_id], each.downloading_at, each.id), default=None)
    return None if best is None else best.id


def _write(db: Session, user_id: str, **values: Any) -> None:
    query = insert(DownloadTurn).values(user_id=user_id, **values)
    db.execute(query.on_conflict_do_update(index_elements=["user_id"], set_=values))


def running(db: Session) -> Counter[str]:
    """How many downloads run of each user that has some."""
    found = db.execute(select(Download.user_id, func.count()).where(_held).group_by(Download.user_id))
    return Counter(dict(found.all()))


def _waiting_users() -> Any:
    """The users that have rows waiting, each found by one step in an index: there may be many rows of each."""
    waits = (Download.ended_at.is_(None), Download.lease_until.is_(None))

    def next_user(*after: ColumnElement[bool]) -> Select[str]:
        return select(Download.user_id).where(*waits, *after).order_by(Download.user_id).limit(1)

    users = next_user().cte("waiting_users", recursive=True)
    later = next_user(Download.user_id > users.c.user_id).scalar_subquery()
    users = users.union_all(select(later).where(users.c.user_id.is_not(None)))
    return select(users.c.user_id).where(users.c.user_id.is_not(None)).subquery()
