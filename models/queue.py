"""The state of queues (paused, blocked), and of hosts that are throttled."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Queue(Base):
    """A queue's state; a queue without a row is neither paused nor blocked.

    Attributes:
        paused_at: paused since, by the user `paused_by`.
        blocked_reason: why workers claim nothing, such as `disk`; since `blocked_at`.
    """

    __tablename__ = "queues"

    name: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
    blocked_reason: Mapped[str | None]
    blocked_at: Mapped[datetime | None]


class SourceHost(Base):
    """The circuit breaker of a source host (`youtube`, or its name), shared by all workers.

    Attributes:
        throttled_until: no download of this host begins before.
        reason: the kind of failure that opened it. strikes: how often in a row; a completed download resets it.
    """

    __tablename__ = "source_hosts"

    name: Mapped[str] = mapped_column(primary_key=True)
    throttled_until: Mapped[datetime]
    reason: Mapped[str]
    strikes: Mapped[int]
