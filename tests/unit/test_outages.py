"""What is away is said once when it goes and once when it is back, in one line each, with its reason."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from celery import Celery
from sqlalchemy.exc import IntegrityError, OperationalError
from structlog.testing import capture_logs

from config.celery import make_celery
from config.settings import Settings
from engine.errors import ServiceUnavailable
from engine.job_names import Job
from engine.jobs.shutdown import ShuttingDown
from engine.stores.database_errors import reason
from models.session import Database
from schedules.periodic import timetable
from schedules.timekeeper import Timekeeper
from tasks.base import BaseTask


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def task(job: Job, run: Callable[[], object], **options: Any) -> Callable[[], Any]:
    """A task of the workers' class, to be called as the pool child calls it."""
    app = Celery("test", task_cls=BaseTask, set_as_current=False)
    made: Callable[[], Any] = app.task(run, name=job.value, shared=False, **options)
    return made


def nothing() -> None:
    return None


def raising(error: Exception) -> Callable[[], object]:
    def run() -> object:
        raise error

    return run


def test_tasks_without_a_database_say_so_once(closed_port: int) -> None:
    database = Database(f"postgresql+psycopg://ann:secret@127.0.0.1:{closed_port}/medianest", pool_size=1)

    def ask() -> None:
        with database.unit_of_work() as db:
            db.connection()

    with capture_logs() as said:
        for job in (Job.RECONCILE, Job.CHECK_PLEX_ACCESS, Job.SYNC_DUE, Job.WATCHED):
            task(job, ask)()
        task(Job.NOOP, nothing, uses_database=False)()  # its success says nothing about the database
        for _ in range(2):
            task(Job.MAIL, nothing)()
    assert [(line["event"], line["log_level"], line["job"]) for line in said] == [
        ("job.database_lost", "critical", Job.RECONCILE),
        ("job.database_back", "info", Job.MAIL),
    ]
    assert "refused" in said[0]["reason"]
    assert "secret" not in str(said)


def test_a_mistake_of_ours_is_said_each_time() -> None:
    error = IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation("twice"))
    with capture_logs() as said:
        for _ in range(2):
            task(Job.MAIL, raising(error))()
    assert [line["event"] for line in said] == ["job.database_lost"] * 2


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (redis.ConnectionError("gone"), "job.redis_lost"),
        (ServiceUnavailable("The token can't be read."), "job.refused"),
        (ShuttingDown(), "job.interrupted"),
    ],
)
def test_what_a_task_can_not_help_is_one_line(error: Exception, event: str) -> None:
    with capture_logs() as said:
        task(Job.SYNC_DUE, raising(error))()
    assert [(line["event"], line["job"]) for line in said] == [(event, Job.SYNC_DUE)]


def test_a_bug_of_a_task_goes_on_to_celery() -> None:
    with capture_logs() as said, pytest.raises(KeyError):
        task(Job.SYNC_DUE, raising(KeyError("bug")))()
    assert said == []


def test_a_reason_is_one_line_in_the_words_of_the_server() -> None:
    text = 'connection failed: FATAL:  role "nobody" does not exist\nDETAIL: more\npostgresql://a:b@c'
    found = reason(OperationalError("SELECT 1", {}, psycopg.OperationalError(text)))
    assert found == 'connection failed: FATAL:  role "nobody" does not exist'


def test_beat_without_redis_says_so_once(closed_port: int, tmp_path: Path) -> None:
    settings = Settings(
        redis_url=f"redis://127.0.0.1:{closed_port}/0", data_dir=tmp_path, secret_key="s" * 48
    )
    app = make_celery(settings)
    keeper = Timekeeper(app=app, lazy=True)
    name, fields = next(iter(timetable(settings).items()))
    entry = keeper.Entry(name=name, app=app, **fields)
    with capture_logs() as said:
        for _ in range(3):
            keeper.apply_entry(entry)
    assert [(line["event"], line["log_level"]) for line in said] == [("beat.redis_away", "warning")]
    assert "refused" in said[0]["reason"]
