"""Backup and restore: everything comes back, nothing is lost by a restore that must not be."""

from __future__ import annotations

import io
import json
import stat
import tarfile
import threading
from dataclasses import fields
from pathlib import Path
from typing import Any

import psycopg
import pytest
from factories import make_user
from psycopg import sql

from cli.embedded import EmbeddedPostgres
from cli.main import main
from cli.maintenance import archive
from config.settings import Settings
from models.migrate import upgrade
from models.revision import newest
from models.session import Database

SECRET = "k" * 40


def rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the database, by table."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()
        return {
            table: connection.execute(
                sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(table))
            ).fetchall()
            for (table,) in tables
        }


def fill(url: str) -> None:
    database = Database(url, pool_size=1)
    with database.unit_of_work() as db:
        for role in ("admin", "user"):
            make_user(db, role=role)
    database.close()
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("INSERT INTO queues (name, paused_at) VALUES ('downloads', now())")


@pytest.fixture
def external(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> str:
    """The environment of an installation with a database of its own, which holds something."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg", ""))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SECRET_KEY", SECRET)
    fill(database_url)
    return database_url


def altered(path: Path, name: str, content: bytes) -> Path:
    """A copy of an archive with another file in it."""
    copy = path.with_name(f"altered-{path.name}")
    with tarfile.open(path) as old, tarfile.open(copy, "w") as new:
        for member in old:
            data = content if member.name == name else old.extractfile(member).read()  # type: ignore[union-attr]
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return copy


def test_an_embedded_installation_moves_to_another_folder(
    monkeypatch: pytest.MonkeyPatch, short_tmp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there, file = short_tmp / "here", short_tmp / "there", tmp_path / "backup.tar"
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOWNLOAD_ATTEMPTS", "7")
    with EmbeddedPostgres(here, durable=False).running() as url:
        upgrade(url)
        fill(url)
        before = rows(url)

    # Given nothing runs; when it is backed up and restored elsewhere.
    monkeypatch.setenv("DATA_DIR", str(here))
    assert main(["backup", str(file)]) == 0
    assert "DOWNLOAD_ATTEMPTS" in capsys.readouterr().out, "it says which settings came along"
    monkeypatch.setenv("DATA_DIR", str(there))
    assert main(["restore", str(file)]) == 0

    # Then everything is there: rows, the secret key, the settings; and nobody but the owner can read it.
    assert "2 users, 0 downloads" in capsys.readouterr().out
    assert (there / "secret.key").read_text() == (here / "secret.key").read_text()
    assert "DOWNLOAD_ATTEMPTS=7" in (there / "restored-settings.env").read_text()
    for path in (file, there / "secret.key", there / "restored-settings.env"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with EmbeddedPostgres(there, durable=False).running() as url:
        assert rows(url) == before
    assert not [path for path in there.iterdir() if path.name.startswith(".medianest")]


def test_a_database_that_holds_something_is_replaced_only_by_force(
    external: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar"
    assert main(["backup", str(file)]) == 0
    before = rows(external)
    with psycopg.connect(external.replace("+psycopg", "")) as connection:
        connection.execute("DELETE FROM queues")
        connection.execute("CREATE TABLE later (n int)")

    assert main(["restore", str(file)]) == 1
    assert "not empty (2 users): --force" in capsys.readouterr().err
    assert main(["restore", "--force", str(file)]) == 0
    assert rows(external) == before

    # A key that differs from the backup's is told, and kept beside.
    monkeypatch.setenv("SECRET_KEY", "another" * 10)
    assert main(["restore", "--force", str(file)]) == 0
    assert "SECRET_KEY is not the one of the backup" in capsys.readouterr().out
    assert (tmp_path / "data" / "restored-secret.key").read_text() == SECRET


def test_a_busy_database_is_kept_as_of_one_moment(external: str, tmp_path: Path) -> None:
    file, plain = tmp_path / "backup.tar", external.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE TABLE others (n int)")
    over = threading.Event()

    def write() -> None:
        with psycopg.connect(plain) as connection:
            while not over.is_set():
                connection.execute("INSERT INTO schedule_slots VALUES (gen_random_uuid()::text, now())")
                connection.execute("INSERT INTO facts VALUES (gen_random_uuid()::text, '1', now())")
                connection.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert main(["backup", str(file)]) == 0
    finally:
        over.set()
        writer.join()
    assert main(["restore", "--force", str(file)]) == 0
    kept = rows(external)
    assert len(kept["schedule_slots"]) == len(kept["facts"])


def test_what_must_not_be_restored_is_refused(
    external: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "backup.tar"
    assert main(["backup", str(file)]) == 0
    assert main(["backup", str(file)]) == 1
    assert "exists already" in capsys.readouterr().err
    before = rows(external)

    with tarfile.open(file) as tar:
        manifest = json.load(tar.extractfile(archive.MANIFEST))  # type: ignore[arg-type]
    assert manifest["revision"] == newest()
    newer = altered(file, archive.MANIFEST, json.dumps(manifest | {"revision": "9999"}).encode())
    assert main(["restore", "--force", str(newer)]) == 1
    assert "newer than this version's" in capsys.readouterr().err

    damaged = altered(file, archive.DATABASE, b"DROP TABLE users")
    assert main(["restore", "--force", str(damaged)]) == 1
    assert "is damaged" in capsys.readouterr().err

    for nonsense in (b"", b"no archive at all", file.read_bytes()[:1500]):
        (tmp_path / "nonsense").write_bytes(nonsense)
        assert main(["restore", "--force", str(tmp_path / "nonsense")]) == 1
        assert "Traceback" not in capsys.readouterr().err
    assert main(["restore", "--force", str(tmp_path / "absent")]) == 1

    with psycopg.connect(external.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO heartbeats (name, queues, owner, seen_at) VALUES ('w', 'media', '{}', clock_timestamp())"
        )
    assert main(["restore", "--force", str(file)]) == 1
    assert "MediaNest runs on this database (w)" in capsys.readouterr().err
    with psycopg.connect(external.replace("+psycopg", "")) as connection:
        connection.execute("DELETE FROM heartbeats")
    assert rows(external) == before


def test_a_backup_without_the_servers_variables_says_that_none_was_saved(
    external: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep = {"DATABASE_URL", "DATA_DIR", "SECRET_KEY"}
    for field in fields(Settings):
        if field.metadata["env"] not in keep:
            monkeypatch.delenv(field.metadata["env"], raising=False)
    monkeypatch.delenv("DATA_DIR")
    monkeypatch.chdir(tmp_path)
    assert main(["backup", str(tmp_path / "cron.tar")]) == 0
    assert "No variable of MediaNest is set here, so none was saved" in capsys.readouterr().out
