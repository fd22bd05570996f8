"""A circuit breaker per source host, in the database: shared by all workers on all machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.queue import SourceHost

_now = func.clock_timestamp
_LONGEST = 4 * 3600.0  # seconds


def throttle(db: Session, host: str, reason: str, seconds: float) -> None:
    """Begin no downloads of a host for `seconds`, doubled with each consecutive time, at most 4 h.

    While the host is throttled already this changes nothing: it comes from a download that was under way.
    """
    pause = func.least(
        literal(seconds) * func.power(2, SourceHost.strikes),
        func.greatest(literal(_LONGEST), literal(seconds)),
    )
    first = _now() + timedelta(seconds=seconds)
    query = insert(SourceHost).values(name=host, throttled_until=first, reason=reason, strikes=1)
    again = {
        "throttled_until": _now() + func.make_interval(0, 0, 0, 0, 0, 0, pause),
        "reason": reason,
        "strikes": SourceHost.strikes + 1,
    }
    db.execute(
        query.on_conflict_do_update(
            index_elements=["name"], set_=again, where=SourceHost.throttled_until < _now()
        )
    )


def forgive(db: Session, host: str) -> None:
    """Reset a host's count after a completed download, unless it is throttled now."""
    db.execute(delete(SourceHost).where(SourceHost.name == host, SourceHost.throttled_until < _now()))


def throttled(db: Session) -> Sequence[SourceHost]:
    """The hosts that are throttled now, by name."""
    query = select(SourceHost).where(SourceHost.throttled_until > _now())
    return db.scalars(query.order_by(SourceHost.name)).all()
