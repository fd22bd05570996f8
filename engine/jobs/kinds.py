"""What the mechanism needs to know of a kind of job: its table, its words for the states, its rules."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.job_names import Job
from models.job import JobRow

R = TypeVar("R", bound=JobRow)

# In a row's `lease_owner`, noted at its claim:
MARK = "mark"  # how far it was, for its crashes
FURTHEST = "furthest"  # how far it ever was, for its attempts
SINCE = "since"  # when it was that far first, in seconds since 1970


def forget_marks(owner: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A row's `lease_owner` without how far it was: it begins anew."""
    if owner is None:
        return None
    return {key: value for key, value in owner.items() if key not in {MARK, FURTHEST, SINCE}}


def _no_limits(db: Session, settings: Settings) -> Sequence[ColumnElement[bool]]:
    return ()


def _five(settings: Settings) -> int:
    return 5


def growing_pause(first: float, longest: float, attempt: int) -> float:
    """Seconds to wait after a failed `attempt` (from 1): doubling from `first` up to `longest`, spread by a quarter."""
    return min(first * 2.0 ** (attempt - 1), longest) * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load only


def _pause(settings: Settings, attempt: int) -> float:
    return growing_pause(5.0, 600.0, attempt)


def oldest(db: Session, model: type[JobRow], fitting: Sequence[ColumnElement[bool]]) -> str | None:
    """The id of the oldest of the rows that fit."""
    return db.scalar(select(model.id).where(*fitting).order_by(model.id).limit(1))


def longest_due(db: Session, model: type[JobRow], fitting: Sequence[ColumnElement[bool]]) -> str | None:
    """The id of the one that has been due for longest among the rows that fit."""
    return db.scalar(select(model.id).where(*fitting).order_by(model.next_run_at, model.id).limit(1))


First = Callable[[Session, type[JobRow], Sequence[ColumnElement[bool]]], str | None]


def _silent(db: Session, row: Any) -> None:
    return None


def _nowhere(row: Any) -> int:
    return 0


def _never(row: Any) -> float:
    return math.inf


@dataclass(frozen=True, kw_only=True)
class JobKind(Generic[R]):
    """A table whose rows are jobs.

    Attributes:
        job: the name to ring for.
        model: the table.
        running: the status of a held row; `queued`, `completed`, `failed`, `cancelled` are the other four.
        on_claim: further columns that a claim sets.
        long: leases of minutes (downloads, syncs) rather than of seconds (webhooks, notifications).
        limits: conditions on the rows that may be claimed now. Called under a lock of the kind, so that a
            budget that it counts can't be overdrawn by two claims at once.
        first: the id of the one that comes first among the rows that fit the conditions; the oldest by default.
            Whatever it is, it must not grow with the queue: it runs under the kind's lock.
        attempts: how many attempts a row has before it fails.
        pause: seconds to wait after the given failed attempt.
        changed: told in the same unit when a row was claimed, ended or went back to waiting.
        reach: how far a row is, in whatever unit; a crash is held against a row only where it is no further than
            before. Nothing by default: each crash is.
        step: how much further than ever before a failed attempt must have got for it not to be counted, in the unit of
            `reach`; a share of the whole, so that it can't go on for ever. By default each failed attempt is counted.
    """

    job: Job
    model: type[R]
    running: str
    queued: str = "queued"
    completed: str = "completed"
    failed: str = "failed"
    cancelled: str = "cancelled"
    on_claim: Mapping[str, Any] = field(default_factory=dict)
    long: bool = False
    limits: Callable[[Session, Settings], Sequence[ColumnElement[bool]]] = _no_limits
    first: First = oldest
    attempts: Callable[[Settings], int] = _five
    pause: Callable[[Settings, int], float] = _pause
    changed: Callable[[Session, R], None] = _silent
    reach: Callable[[R], int] = _nowhere
    step: Callable[[R], float] = _never

    def lease(self, settings: Settings) -> timedelta:
        """How long a claim holds without renewal."""
        return timedelta(seconds=settings.lease_seconds if self.long else settings.short_lease_seconds)

    def crashes(self, row: R) -> int:
        """How many crashes in a row, with the one just met, left a held row no further than it was at its claim."""
        mark = int((row.lease_owner or {}).get(MARK, 0))
        return 1 if self.reach(row) > mark else row.crash_count + 1

    def mark(self, row: R) -> int:
        """How far a row must get for a crash not to be held against it: the furthest that it was since the first."""
        before = int((row.lease_owner or {}).get(MARK, 0)) if row.crash_count else 0
        return max(before, self.reach(row))

    def marks(self, row: R) -> dict[str, float]:
        """What a claim notes in `lease_owner` of how far the row is."""
        before = row.lease_owner or {}
        furthest, reach = int(before.get(FURTHEST, 0)), self.reach(row)
        since = before.get(SINCE) if reach <= furthest else None
        return {MARK: self.mark(row), FURTHEST: max(furthest, reach), SINCE: since or time.time()}

    def got_further(self, row: R) -> bool:
        """Whether a held row is a step further than it ever was before this attempt."""
        furthest = (row.lease_owner or {}).get(FURTHEST)
        return furthest is not None and self.reach(row) - furthest >= self.step(row)

    def renewal(self, settings: Settings) -> float:
        """Seconds between two renewals."""
        return settings.lease_renew_seconds if self.long else settings.short_lease_renew_seconds
