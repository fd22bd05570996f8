"""Runs one job: claims a row, keeps its lease while the work goes on, and writes down how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from engine.jobs import lease
from engine.jobs.kinds import JobKind, R
from engine.jobs.lease import CancelRequested, Fenced
from engine.jobs.owner import end_attempt, this_process
from engine.jobs.shutdown import ShuttingDown, is_shutting_down
from engine.runtime import Runtime
from engine.stores.database_errors import reason

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Retry(Exception):
    """This attempt failed; the next may succeed.

    Args:
        error: for the row, `{"kind", "message", "advice", "retryable"}`.
        after: seconds to wait; None for the kind's own pause, which grows from attempt to attempt.
        counts: False where waiting is no failure (a premiere, a full disk). An attempt that got further
            (`JobKind.step`) is not counted either ...
        limit: ... except where it was ended by a limit, which bounds what gets further as well.
        given_up: the advice instead of the error's own, where this was the last attempt.
    """

    def __init__(
        self,
        error: Mapping[str, Any],
        after: float | None = None,
        *,
        counts: bool = True,
        limit: bool = False,
        given_up: str | None = None,
    ) -> None:
        super().__init__(error["kind"])
        self.error, self.after, self.counts, self.limit = dict(error), after, counts, limit
        self.last_error = self.error if given_up is None else self.error | {"advice": given_up}


class GiveUp(Exception):
    """No attempt can succeed; `error` as for `Retry`."""

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(error["kind"])
        self.error = dict(error)


class Yielded(Exception):
    """This attempt makes room for another row; its own waits again, uncounted. `values` are columns to write."""

    def __init__(self, **values: Any) -> None:
        super().__init__()
        self.values = values


class Crashed(Exception):
    """The process of the attempt died without a word."""


INTERNAL = {
    "kind": "internal",
    "message": "Something went wrong inside MediaNest.",
    "advice": "Try again; if it happens again, an admin finds the cause in the log.",
    "retryable": True,
}
POISON = {
    "kind": "poison",
    "message": "Each attempt took its worker down with it.",
    "advice": "This job was given up to protect the others. An admin finds the cause in the log.",
    "retryable": False,
}


class Attempt(Generic[R]):
    """One attempt at a claimed row; every write goes through it and carries the row's epoch."""

    def __init__(self, runtime: Runtime, kind: JobKind[R], claimed: lease.Claim[R]) -> None:
        self.runtime, self.kind, self.row = runtime, kind, claimed.row
        self.predecessor = claimed.predecessor
        self._renewed = time.monotonic()

    def write(self, **values: Any) -> None:
        """Write to the row, unless it is to be cancelled; survives a short absence of the database.

        Raises:
            Fenced: the lease was lost.
            CancelRequested: the row is to end.
        """
        self._persist(lambda db: lease.write(db, self.kind, self.row, unless_cancelled=True, **values))

    def beat(self, values: Mapping[str, Any]) -> None:
        """Write progress, renew the lease when it is time; call it about once a second.

        While the database is away the work goes on for as long as the lease may still hold.

        Raises:
            Fenced: the lease was lost, or may have been.
            CancelRequested: the row is to end.
            ShuttingDown: this worker shuts down.
        """
        if is_shutting_down():
            raise ShuttingDown
        started = time.monotonic()
        due = started - self._renewed >= self.kind.renewal(self.runtime.settings)
        duration = self.kind.lease(self.runtime.settings)
        try:
            with self.runtime.unit_of_work() as db:
                cancelled = lease.beat(db, self.kind, self.row, duration if due else None, values)
        except DBAPIError as error:
            log.warning("job.database_away", job=self.kind.job.value, row=self.row.id, reason=reason(error))
            if started - self._renewed > duration.total_seconds():
                raise Fenced from error
            return
        if due:
            self._renewed = started
        if cancelled:
            raise CancelRequested

    def complete(self, *, status: str | None = None, **values: Any) -> None:
        """End the row well; as `status` where its kind has more than one good end."""
        self._end(status or self.kind.completed, error=None, **values)

    def fail(self, error: Mapping[str, Any], **values: Any) -> None:
        """End the row badly, for good."""
        self._end(self.kind.failed, error=dict(error), **values)

    def cancel(self) -> None:
        """End the row as its owner wished."""
        self._end(self.kind.cancelled)

    def give_back(self, *, after: float = 0.0, counts: bool = True, **values: Any) -> None:
        """Let the row wait for another attempt."""
        if not counts:
            values["attempt"] = self.row.attempt - 1
        self._persist(lambda db: lease.give_back(db, self.kind, self.row, after=after, **values))

    def got_further(self) -> bool:
        """Whether this attempt got further than any before it."""
        return self.kind.got_further(self._as_written())

    def crashed(self) -> None:
        """Count a crash of the attempt; too many in a row that got no further end the row."""
        crashes = self.kind.crashes(self._as_written())
        if crashes >= self.runtime.settings.poison_crashes:
            self._end(self.kind.failed, error=POISON, crash_count=crashes)
            log.error("job.failed", kind=POISON["kind"])
        else:
            self.give_back(after=1.0, crash_count=crashes)

    def _as_written(self) -> R:
        """The row as it was written down: what was not is lost to the next attempt, and would pass for new again."""
        return self._persist(lambda db: db.get_one(self.kind.model, self.row.id))

    def _end(self, status: str, **values: Any) -> None:
        self._persist(lambda db: lease.finish(db, self.kind, self.row, status, **values))

    def _persist(self, change: Callable[[Session], T]) -> T:
        """Commit `change`, again and again while the database is away and the lease may still hold."""
        for again in Retrying(
            retry=retry_if_exception_type(DBAPIError),
            wait=wait_random_exponential(0.2, max=2),
            stop=stop_after_delay(self.kind.lease(self.runtime.settings)),
            reraise=True,
        ):
            with again, self.runtime.unit_of_work() as db:
                result = change(db)
        return result


def run_next(runtime: Runtime, kind: JobKind[R], work: Callable[[Attempt[R]], Mapping[str, Any]]) -> bool:
    """Claim the next row of `kind` and do `work` on it; False where nothing may run now.

    `work` returns the columns of a completed row (`status` among them for another good end), or raises `Retry`,
    `GiveUp`, `Yielded`, or what `Attempt.beat` raises. Whatever else it raises is a bug: logged with its trace, and
    the row fails or waits as after any failure.
    """
    if is_shutting_down():
        return False
    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, kind, runtime.settings, this_process())
        if claimed is not None:
            runtime.live.reread(db)  # a setting that was changed before the job was requested counts for it
    if claimed is None:
        return False
    attempt = Attempt(runtime, kind, claimed)
    row = claimed.row
    with structlog.contextvars.bound_contextvars(
        correlation_id=row.correlation_id,
        job=kind.job.value,
        row=row.id,
        attempt=row.attempt,
        epoch=row.epoch,
    ):
        if end_attempt(claimed.predecessor):
            log.warning("job.predecessor_killed")
        log.info("job.started")
        try:
            _settle(attempt, work)
        except Fenced:
            log.warning("job.fenced")
    return True


def _settle(attempt: Attempt[R], work: Callable[[Attempt[R]], Mapping[str, Any]]) -> None:
    """Do the work and write its outcome down."""
    try:
        values = work(attempt)
    except CancelRequested:
        attempt.cancel()
        log.info("job.cancelled")
    except ShuttingDown:
        attempt.give_back(counts=False)
        log.info("job.interrupted")
    except Yielded as end:
        attempt.give_back(counts=False, **end.values)
        log.info("job.yielded")
    except Retry as failure:
        _try_again(attempt, failure)
    except GiveUp as failure:
        attempt.fail(failure.error)
        log.error("job.failed", kind=failure.error["kind"])
    except Crashed as crash:
        log.error("job.crashed", reason=str(crash))
        attempt.crashed()
    except (Fenced, DBAPIError):
        raise
    except Exception:
        log.exception("job.bug")
        _try_again(
            attempt, Retry(INTERNAL)
        )  # what looks like a mistake of ours may be a passing fault of the host
    else:
        attempt.complete(**values)
        log.info("job.completed")


def _try_again(attempt: Attempt[Any], failure: Retry) -> None:
    """Let the row wait for its next attempt, or end it when it has had its share."""
    settings, number = attempt.runtime.settings, attempt.row.attempt
    counts = failure.counts and (failure.limit or not attempt.got_further())
    if counts and number >= attempt.kind.attempts(settings):
        attempt.fail(failure.last_error)
        log.error("job.failed", kind=failure.error["kind"], attempts=number)
        return
    after = attempt.kind.pause(settings, number) if failure.after is None else failure.after
    attempt.give_back(after=after, counts=counts, error=failure.error)
    say = log.warning if failure.counts else log.info  # to wait for something is no trouble
    say("job.retry", kind=failure.error["kind"], after=round(after, 1), counted=counts)


class Keeper:
    """Keeps the lease of a short job from a thread while `with` lasts; `check()` says whether to go on."""

    def __init__(self, attempt: Attempt[Any]) -> None:
        self._attempt = attempt
        self._stop = threading.Event()
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)

    def __enter__(self) -> Keeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def check(self) -> None:
        """Raise what the lease's keeper met: `Fenced`, `CancelRequested`, `ShuttingDown`."""
        if self._trouble is not None:
            raise self._trouble

    def _run(self) -> None:
        while not self._stop.wait(1.0) and self._trouble is None:
            try:
                self._attempt.beat({})
            except (Fenced, CancelRequested, ShuttingDown) as trouble:
                self._trouble = trouble


__all__ = ["Attempt", "Crashed", "GiveUp", "Keeper", "Retry", "Yielded", "run_next"]
