"""Migrations: what `medianest migrate` says, and that they make the tables that the models describe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine

from models import Base
from models.revision import newest

ROOT = Path(__file__).resolve().parents[3]


def migrate(url: str, folder: Path) -> list[dict[str, str]]:
    env = os.environ | {
        "APP_ENV": "production", "DATABASE_URL": url, "DATA_DIR": str(folder), "SECRET_KEY": "s" * 48
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "migrate"],
        cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [line for line in lines if line["event"] == "schema.upgraded"]


def test_an_upgrade_is_told_with_both_schemas(postgres: str, tmp_path: Path) -> None:
    plain = postgres.replace("+psycopg", "")
    with psycopg.connect(plain.replace("/medianest?", "/postgres?"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE migrate_me")
        try:
            url = plain.replace("/medianest?", "/migrate_me?")
            (said,) = migrate(url, tmp_path)
            assert (said["before"], said["after"], said["level"]) == (None, newest(), "info")
            assert migrate(url, tmp_path) == []
        finally:
            connection.execute("DROP DATABASE migrate_me WITH (FORCE)")


def test_the_migrations_make_the_tables_that_the_models_describe(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        compared = MigrationContext.configure(connection, opts={"compare_server_default": True})
        missing = compare_metadata(compared, Base.metadata)
    engine.dispose()
    assert missing == [], "these differences need a migration in models/migrations/versions"
