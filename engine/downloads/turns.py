"""Fair scheduling of downloads between users: which is claimed next, and which yields its slot to a waiting user."""

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
from models.download import Download, DownloadTurn
from models.job import JobRow
from models.queue import Queue

_now = func.clock_timestamp
_held = Download.lease_until.is_not(None)
_SETTLE_TIME = timedelta(seconds=3)  # after a yield, until the freed slot is claimed
_SLOW_DIVISOR = 6  # a slow download yields after this fraction of the turn
_YIELDED_FACTOR = 10  # a user whose download yielded waits ten turns for a slot, doubled each further time
_MOST_DOUBLINGS = 6


def note(db: Session, row: Download) -> None:
    """Record when a user's download was claimed or released."""
    if row.lease_until is not None:
        _write(db, row.user_id, served_at=_now())
    elif row.status == "completed":
        _write(db, row.user_id, released_at=_now(), yields=0)
    else:
        _write(db, row.user_id, released_at=_now())


def first(db: Session, model: type[JobRow], fitting: Sequence[ColumnElement[bool]]) -> str | None:
    """The id to claim: by priority, fewest running downloads of its user, longest since that user's last claim, age.

    Looks up the first row of each waiting user by index, so the cost doesn't grow with the length of the queue.
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
    """Whether a running download must yield its slot to another user's now; if so, the yield is recorded.

    A user with nothing running who waits longer than `download_turn_seconds` gets a slot of a user who has several
    slots, or all of them. A download that began less than a turn ago, or is being processed, never yields. A `slow`
    one yields sooner, even if it is its user's only one.
    """
    one_at_a_time = select(func.pg_try_advisory_xact_lock(func.hashtext("downloads that make room")))
    if not db.scalar(one_at_a_time) or _is_no_place_useful(db):
        return False
    held = db.scalars(select(Download).where(_held)).all()
    busy = Counter(each.user_id for each in held)
    full = set(download_budget.busy_hosts(db, settings))
    closed = {host.name for host in host_breaker.throttled(db)}
    now_db = db.execute(select(_now())).scalar_one()
    turn = timedelta(seconds=settings.download_turn_seconds)
    for waiter in _waiters(db, busy, closed):
        places = [each for each in held if waiter.host not in full or each.host == waiter.host]
        candidates = [each for each in places if _may_make_room(each, waiter, now_db - turn)]
        wait = waiter.wait(turn)
        due = waiter.since + (min(wait, turn / _SLOW_DIVISOR) if slow and not waiter.yields else wait)
        if now_db < due or row.id not in {each.id for each in candidates}:
            continue
        if slow or _longest_running_of_busiest_user(candidates, places, busy) == row.id:
            _write(db, row.user_id, served_at=_now(), yielded_at=_now())
            more = update(DownloadTurn).where(DownloadTurn.user_id == row.user_id)
            db.execute(more.values(yields=DownloadTurn.yields + 1))
            return True
    return False


@dataclass(frozen=True)
class _Waiter:
    """A user with nothing running, and a host that their queued downloads need."""

    user_id: str
    host: str
    priority: int
    since: datetime
    yields: int

    def wait(self, turn: timedelta) -> timedelta:
        """How long they wait before another download yields; longer after their own yielded, to prevent ping-pong."""
        if not self.yields:
            return turn
        return turn * (_YIELDED_FACTOR << min(self.yields - 1, _MOST_DOUBLINGS))


def _waiters(db: Session, busy: Counter[str], closed: set[str]) -> list[_Waiter]:
    """Up to 100, the longest wait first."""
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


def _is_no_place_useful(db: Session) -> bool:
    """Whether a freed slot would not be used now: the queue is paused or blocked, or another was freed just now."""
    queue = db.get(Queue, Job.DOWNLOAD.queue)
    if queue is not None and (queue.paused_at is not None or queue.blocked_reason is not None):
        return True
    lately = DownloadTurn.yielded_at > _now() - _SETTLE_TIME
    return db.scalar(select(DownloadTurn.user_id).where(lately).limit(1)) is not None


def _may_make_room(each: Download, waiter: _Waiter, begun_before: datetime) -> bool:
    return (
        each.status == "downloading"
        and each.publishing is None
        and each.cancel_requested_at is None
        and each.priority <= waiter.priority
        and each.downloading_at is not None
        and each.downloading_at < begun_before
    )


def _longest_running_of_busiest_user(
    candidates: Sequence[Download], places: Sequence[Download], busy: Counter[str]
) -> str | None:
    """Of the candidates whose user has several slots (or all), the longest running one of the busiest user."""
    alone = len({each.user_id for each in places}) == 1
    several = [each for each in candidates if alone or busy[each.user_id] > 1]
    best = min(several, key=lambda each: (-busy[each.user_id], each.downloading_at, each.id), default=None)
    return None if best is None else best.id


def _write(db: Session, user_id: str, **values: Any) -> None:
    query = insert(DownloadTurn).values(user_id=user_id, **values)
    db.execute(query.on_conflict_do_update(index_elements=["user_id"], set_=values))


def running(db: Session) -> Counter[str]:
    """Number of running downloads by user id."""
    found = db.execute(select(Download.user_id, func.count()).where(_held).group_by(Download.user_id))
    return Counter(dict(found.all()))


def _waiting_users() -> Any:
    """User ids with queued rows, by a loose index scan (recursive CTE): one index step per user, not per row."""
    waits = (Download.ended_at.is_(None), Download.lease_until.is_(None))

    def next_user(*after: ColumnElement[bool]) -> Select[str]:
        return select(Download.user_id).where(*waits, *after).order_by(Download.user_id).limit(1)

    users = next_user().cte("waiting_users", recursive=True)
    later = next_user(Download.user_id > users.c.user_id).scalar_subquery()
    users = users.union_all(select(later).where(users.c.user_id.is_not(None)))
    return select(users.c.user_id).where(users.c.user_id.is_not(None)).subquery()
