"""The breaker of each host that downloads come from: one for all workers on all machines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.queue import SourceHost

_now = func.clock_timestamp
_LONGEST = 4 * 3600.0  # seconds; a host that keeps complaining is asked six times a day


def throttle(db: Session, host: str, reason: str, seconds: float) -> None:
    """Leave a host alone for `seconds`, twice as long for each time it has said so in a row, 4 h at most.

    A complaint that comes while the host is throttled already is one of the downloads that were under way: it
    prolongs nothing.
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
    """Forget the strikes of a host that served us well; one that is throttled stays so."""
    db.execute(delete(SourceHost).where(SourceHost.name == host, SourceHost.throttled_until < _now()))


def throttled(db: Session) -> Sequence[SourceHost]:
    """The hosts that are left alone now."""
    query = select(SourceHost).where(SourceHost.throttled_until > _now())
    return db.scalars(query.order_by(SourceHost.name)).all()
