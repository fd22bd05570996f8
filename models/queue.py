"""Queues that an admin holds, and hosts that asked to be left alone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Queue(Base):
    """What is to be known of a queue; a queue without a row runs.

    Attributes:
        paused_at: held since, by the user `paused_by`.
        blocked_reason: why a worker found that nothing may begin just now, such as `disk`; `blocked_at` says when.
    """

    __tablename__ = "queues"

    name: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
    blocked_reason: Mapped[str | None]
    blocked_at: Mapped[datetime | None]


class SourceHost(Base):
    """The breaker of a host that downloads come from (`youtube`, or its name), one for all workers.

    Attributes:
        throttled_until: nothing of this host begins before.
        reason: the kind of failure that said so. strikes: how often in a row; a success forgets them.
    """

    __tablename__ = "source_hosts"

    name: Mapped[str] = mapped_column(primary_key=True)
    throttled_until: Mapped[datetime]
    reason: Mapped[str]
    strikes: Mapped[int]
