"""Ringing for a job: after the commit, without an id."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.job_names import Job


def enqueue(db: Session, job: Job) -> None:
    """Ring for `job` once this unit of work has been committed.

    The bell carries no id: whoever hears it claims the row that is next. So order, fairness and budgets are
    decided at the claim, in one place, and a bell that is lost or heard twice does no harm.
    """
    jobs: list[Job] = db.info.setdefault("jobs", [])
    jobs.append(job)
