"""What is away is said once when it goes and once when it is back, in one line each, with its reason."""

from __future__ import annotations

import socket
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError, OperationalError
from structlog.testing import capture_logs

from config.celery import make_celery
from config.settings import Settings
from engine.job_names import Job
from engine.stores.database_errors import reason
from models.session import Database
from schedules.periodic import timetable
from schedules.timekeeper import Timekeeper
from tasks.outages import outlived


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def test_tasks_without_a_database_say_so_once(closed_port: int) -> None:
    database = Database(f"postgresql+psycopg://ann:secret@127.0.0.1:{closed_port}/medianest", pool_size=1)
    with capture_logs() as said:
        for job in (Job.RECONCILE, Job.RECONCILE, Job.MAIL):
            with outlived(job), database.unit_of_work() as db:
                db.connection()
        for _ in range(2):
            with outlived(Job.MAIL):
                pass
    assert [(line["event"], line["log_level"]) for line in said] == [
        ("job.database_lost", "critical"),
        ("job.database_back", "info"),
    ]
    assert "refused" in said[0]["reason"]
    assert "secret" not in str(said)


def test_a_mistake_of_ours_is_said_each_time() -> None:
    with capture_logs() as said:
        for _ in range(2):
            with outlived(Job.MAIL):
                raise IntegrityError("INSERT", {}, psycopg.errors.UniqueViolation("twice"))
    assert [line["event"] for line in said] == ["job.database_lost"] * 2


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
