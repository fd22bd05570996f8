"""Claiming a row, keeping it, writing to it, and letting it go: each one fenced statement on the database's clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic

from sqlalchemy import ColumnElement, and_, case, func, select, update
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.jobs.kinds import JobKind, R
from engine.jobs.pauses import is_paused
from engine.stores import locks
from models.job import JobRow

now = func.clock_timestamp


class Fenced(Exception):
    """The row is not ours any more: stop at once and touch nothing."""


class CancelRequested(Exception):
    """Somebody wants the row to end."""


@dataclass(frozen=True)
class Claim(Generic[R]):
    """A row as it was claimed, detached, and the owner that held it before."""

    row: R
    predecessor: Mapping[str, Any] | None


def waiting(model: type[JobRow]) -> ColumnElement[bool]:
    """The rows that nobody holds and that are due."""
    return and_(
        model.ended_at.is_(None),
        model.lease_until.is_(None),
        model.cancel_requested_at.is_(None),
        model.next_run_at <= now(),
    )


def claim(db: Session, kind: JobKind[R], settings: Settings, owner: Mapping[str, Any]) -> Claim[R] | None:
    """Take the next row of a kind that may run now, or None.

    Two claims at once never get the same row (`SKIP LOCKED`), nor overdraw a budget of `kind.limits`.
    """
    model = kind.model
    # A worker that freezes in here holds everyone's lock: the server ends its transaction soon.
    db.execute(
        select(
            func.set_config("idle_in_transaction_session_timeout", "5s", True),
            func.pg_advisory_xact_lock(locks.named(locks.Named.JOB_KIND, kind.job.value)),
        )
    )
    if is_paused(db, kind.job.queue):
        return None
    row = _lock_first(db, kind, [waiting(model), *kind.limits(db, settings)])
    if row is None:
        return None
    predecessor = row.lease_owner
    db.execute(
        update(model)
        .where(model.id == row.id)
        .values(
            status=kind.running,
            attempt=model.attempt + 1,
            epoch=model.epoch + 1,
            lease_owner={**owner, **kind.marks(row)},
            lease_until=now() + kind.lease(settings),
            started_at=func.coalesce(model.started_at, now()),
            **kind.on_claim,
        ),
        execution_options={"synchronize_session": False},
    )
    db.refresh(row)
    kind.changed(db, row)
    return Claim(row, predecessor)


def _lock_first(db: Session, kind: JobKind[R], fitting: Sequence[ColumnElement[bool]]) -> R | None:
    """Choose without locks, then lock what was chosen; somebody may have cancelled or locked it in between."""
    passed_over: list[str] = []
    while True:
        others = [kind.model.id.not_in(passed_over)] if passed_over else []
        chosen = kind.first(db, kind.model, [*fitting, *others])
        if chosen is None:
            return None
        query = select(kind.model).where(kind.model.id == chosen, *fitting).with_for_update(skip_locked=True)
        row = db.scalars(query).one_or_none()
        if row is not None:
            return row
        passed_over.append(chosen)


def write(db: Session, kind: JobKind[R], row: R, *, unless_cancelled: bool = False, **values: Any) -> None:
    """Write to a held row in the name of the epoch that `row` was claimed with.

    Raises:
        Fenced: the lease was lost; nothing is written.
        CancelRequested: with `unless_cancelled`, and the row is to end; nothing is written.
    """
    model = kind.model
    mine = [
        model.id == row.id,
        model.epoch == row.epoch,
        model.lease_until.is_not(None),
        model.ended_at.is_(None),
    ]
    wanted = [model.cancel_requested_at.is_(None)] if unless_cancelled else []
    hit = db.execute(
        update(model).where(*mine, *wanted).values(**values).returning(model.id),
        execution_options={"synchronize_session": False},
    ).first()
    if hit is not None:
        return
    if unless_cancelled and db.execute(select(model.id).where(*mine)).first() is not None:
        raise CancelRequested
    raise Fenced


def beat(db: Session, kind: JobKind[R], row: R, renew: timedelta | None, values: Mapping[str, Any]) -> bool:
    """Write progress, renew the lease where `renew` is given, and learn whether the row is to end.

    Raises:
        Fenced: the lease was lost.
    """
    db.execute(select(func.set_config("synchronous_commit", "off", True)))  # progress may be lost, not fenced
    model = kind.model
    changes: dict[str, Any] = dict(values)
    if renew is not None:
        changes["lease_until"] = now() + renew
    mine = [
        model.id == row.id,
        model.epoch == row.epoch,
        model.lease_until.is_not(None),
        model.ended_at.is_(None),
    ]
    if changes:
        query = update(model).where(*mine).values(**changes).returning(model.cancel_requested_at)
        found = db.execute(query, execution_options={"synchronize_session": False}).first()
    else:
        found = db.execute(select(model.cancel_requested_at).where(*mine)).first()
    if found is None:
        raise Fenced
    return found[0] is not None


def finish(db: Session, kind: JobKind[R], row: R, status: str, **values: Any) -> None:
    """End a held row for good, once.

    Raises:
        Fenced: somebody else holds or ended it.
    """
    write(db, kind, row, status=status, ended_at=now(), lease_until=None, **values)
    kind.changed(db, _fresh(db, kind, row))


def give_back(db: Session, kind: JobKind[R], row: R, *, after: float, **values: Any) -> None:
    """Let a held row wait again, for `after` seconds at least; one that is to be cancelled ends instead.

    Without that it would wait for good: nobody claims it any more, and nobody is there to end it.

    Raises:
        Fenced: somebody else holds or ended it.
    """
    unwanted = kind.model.cancel_requested_at.is_not(None)
    write(
        db, kind, row,
        status=case((unwanted, kind.cancelled), else_=kind.queued), ended_at=case((unwanted, now())),
        lease_until=None, next_run_at=now() + timedelta(seconds=after), **values,
    )  # fmt: skip
    kind.changed(db, _fresh(db, kind, row))


def _fresh(db: Session, kind: JobKind[R], row: R) -> R:
    return db.scalars(
        select(kind.model).where(kind.model.id == row.id).execution_options(populate_existing=True)
    ).one()
