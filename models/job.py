"""The columns of a row that is a job: whoever holds the lease may work, whoever holds the epoch may write."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Timestamps


class JobRow(Timestamps):
    """A job-backed row: the row is the job, Redis only rings the bell.

    It is *waiting* while `ended_at` and `lease_until` are null, *held* while `lease_until` is set, *ended* once
    `ended_at` is set. `status` says the same in the words of its own kind. Every time is on the database's clock.

    Attributes:
        attempt: attempts begun; one that was interrupted by a shutdown does not count.
        crash_count: attempts whose worker vanished; too many make the row poison.
        epoch: grows with each claim; a write that carries an older one touches nothing.
        next_run_at: not to be claimed before.
        lease_until: the holder is taken for dead after this.
        lease_owner: the process that holds the row, or held it last (see `engine.jobs.owner.Owner`).
        cancel_requested_at: somebody wants a held row to end.
        error: why the last attempt failed: `{"kind", "message", "advice", "retryable"}`.
        correlation_id: of the request that made the row; goes on into logs and events.
    """

    id: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    crash_count: Mapped[int] = mapped_column(server_default=text("0"))
    epoch: Mapped[int] = mapped_column(server_default=text("0"))
    next_run_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    lease_until: Mapped[datetime | None]
    lease_owner: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    correlation_id: Mapped[str | None]


def job_indexes(table: str) -> tuple[Index, Index]:
    """Two small partial indexes of a job-backed table: the queue, and the rows in hand."""
    return (
        Index(
            f"ix_{table}_waiting",
            "next_run_at",
            "id",
            postgresql_where=text("ended_at IS NULL AND lease_until IS NULL"),
        ),
        Index(f"ix_{table}_held", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
    )
