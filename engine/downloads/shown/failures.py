"""Why downloads failed lately, for who looks after the installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.clients.fetch_errors import FAILURE_KINDS
from models.base import first_id
from models.download import Download

_LONGEST = timedelta(
    days=14
)  # an id tells the time it was made, and there is no index of the time of the end
_now = func.clock_timestamp


@dataclass(frozen=True)
class FailureCause:
    """Downloads that failed for the same reason.

    Attributes:
        kind: of `engine.clients.fetch_errors`, or another one that the engine gave.
        message: what happened, of the latest of them.
        count: how many.
        latest: when the last one failed.
    """

    kind: str
    message: str
    count: int
    latest: datetime


def by_cause(db: Session, span: timedelta) -> Sequence[FailureCause]:
    """The causes of failed downloads of all users, the most frequent first.

    Args:
        db: for reading.
        span: only those that failed within it, and were asked for in it or in the two weeks before.
    """
    kind = Download.error["kind"].as_string()
    message = func.max(Download.error["message"].as_string())
    count = func.count()
    query = (
        select(kind, message, count, func.max(Download.ended_at))
        .where(
            Download.id >= first_id("dl", span + _LONGEST),
            Download.status == "failed",
            Download.ended_at > _now() - span,
        )
        .group_by(kind)
        .order_by(count.desc(), kind)
    )
    return [
        FailureCause(
            name or "internal",
            FAILURE_KINDS[name].message if name in FAILURE_KINDS else text or "",
            number,
            latest,
        )
        for name, text, number, latest in db.execute(query)
    ]
