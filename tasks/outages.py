"""Tasks without a database: said once when it goes and once when it is back, not by each task again."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from engine.job_names import Job
from engine.stores.database_errors import reason

log = structlog.get_logger(__name__)

_away = mmap.mmap(-1, 1)  # anonymous and shared: all pool children of a worker know what one of them has said


@contextmanager
def outlived(job: Job) -> Iterator[None]:
    """Let a task end quietly where it finds no database: the reconciler brings back what it was rung for."""
    try:
        yield
    except DBAPIError as error:
        gone = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        if not (gone and _away[0]):
            log.critical("job.database_lost", job=job.value, reason=reason(error))
        _away[0] = max(_away[0], gone)
    else:
        if _away[0]:
            _away[0] = 0
            log.info("job.database_back", job=job.value)
