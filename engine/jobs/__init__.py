"""Jobs that can't be lost: the row is the job, Redis is only the doorbell (see docs/architecture.md)."""

from __future__ import annotations

import structlog
from sqlalchemy.orm import Session

from engine.jobs.kinds import JobKind
from engine.jobs.lease import CancelRequested, Fenced
from engine.jobs.names import Job

__all__ = ["CancelRequested", "Fenced", "Job", "JobKind", "correlation_id", "enqueue"]


def enqueue(db: Session, job: Job) -> None:
    """Ring for `job` once this unit of work has been committed.

    The bell carries no id: whoever hears it claims the row that is next. So order, fairness and budgets are
    decided at the claim, in one place, and a bell that is lost or heard twice does no harm.
    """
    jobs: list[Job] = db.info.setdefault("jobs", [])
    jobs.append(job)


def correlation_id() -> str | None:
    """The id of the request that this code works for."""
    value = structlog.contextvars.get_contextvars().get("correlation_id")
    return str(value) if value is not None else None
