"""`medianest migrate` says from which schema to which it went, and nothing where there was nothing to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg

from models.revision import newest

ROOT = Path(__file__).resolve().parents[2]


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
