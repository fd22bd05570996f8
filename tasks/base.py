"""The class of every task: what it raises becomes one line in the log, since the job's row brings it back."""

from __future__ import annotations

import mmap
from typing import Any

import structlog
from celery import Task
from redis import RedisError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from engine.errors import MediaNestError
from engine.jobs.shutdown import ShuttingDown
from engine.stores.database_errors import reason

log = structlog.get_logger(__name__)

# Anonymous and shared: all pool children of a worker know that one of them has logged that the database is away.
_database_away = mmap.mmap(-1, 1)


class BaseTask(Task):  # type: ignore[misc]
    """Ends each task in the same way, whatever it raises.

    Without a database: one critical line when it goes and one when it is back, not one from each task. Without Redis,
    or where a request is refused: one line. A worker that shuts down: nothing. Anything else is a bug, which Celery
    logs with its trace.

    Attributes:
        uses_database: False for a task whose success says nothing about the database.
    """

    uses_database = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task; what it was to do, it does at its next message, or the reconciler's."""
        try:
            result = super().__call__(*args, **kwargs)
        except DBAPIError as error:
            self._lost_database(error)
        except RedisError as error:
            log.warning("job.redis_lost", job=self.name, error=type(error).__name__)
        except MediaNestError as error:
            log.error("job.refused", job=self.name, code=error.code, reason=error.message)
        except ShuttingDown:
            log.info("job.interrupted", job=self.name)
        else:
            if self.uses_database and _database_away[0]:
                _database_away[0] = 0
                log.info("job.database_back", job=self.name)
            return result

    def _lost_database(self, error: DBAPIError) -> None:
        gone = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        if not (gone and _database_away[0]):
            log.critical("job.database_lost", job=self.name, reason=reason(error))
        _database_away[0] = max(_database_away[0], gone)
