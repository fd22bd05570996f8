"""The columns that make a row a job: the lease says which process works on it, the epoch fences its writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Timestamps


class JobRow(Timestamps):
    """A job-backed row: the row is the job, Redis only rings the bell.

    It is *waiting* while `ended_at` and `lease_until` are null, *held* while `lease_until` is set, *ended* once
    `ended_at` is set. `status` is the same as the kind's public status. All times are on the database's clock.

    Attributes:
        attempt: attempts begun, without those interrupted by a shutdown.
        crash_count: consecutive attempts whose process died without progress; too many make the row poison.
        epoch: incremented by each claim; a write with an older epoch updates no row.
        next_run_at: the earliest time of the next claim.
        lease_until: after this the holder counts as dead.
        lease_owner: the process that holds the row, or held it last (see `engine.jobs.owner.Owner`).
        cancel_requested_at: when somebody cancelled a held row.
        error: why the last attempt failed: `{"kind", "message", "advice", "retryable"}`.
        correlation_id: of the request that created the row; part of its logs and events.
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
    """The two partial indexes of a job-backed table: waiting rows, and held rows."""
    return (
        Index(
            f"ix_{table}_waiting",
            "next_run_at",
            "id",
            postgresql_where=text("ended_at IS NULL AND lease_until IS NULL"),
        ),
        Index(f"ix_{table}_held", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
    )
