"""Backups that somebody made by hand: nothing in one is run, and nothing of one lands outside its place."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from factories import make_user

from cli.main import main
from cli.maintenance import archive
from models.session import Database

SECRET = "k" * 40
Files = dict[str, bytes]


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> str:
    """The database of an installation that has a user."""
    monkeypatch.setenv("DATABASE_URL", database_url.replace("+psycopg", ""))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("SECRET_KEY", SECRET)
    database = Database(database_url, pool_size=1)
    with database.unit_of_work() as db:
        make_user(db, role="admin")
    database.close()
    return database_url.replace("+psycopg", "")


@pytest.fixture
def good(url: str, tmp_path: Path) -> Files:
    """The files of a backup of it."""
    file = tmp_path / "good.tar"
    assert main(["backup", str(file)]) == 0
    with tarfile.open(file) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def forged(path: Path, files: Files, *, signed: bool = True, **said: Any) -> Path:
    """An archive of these files whose manifest fits them; unsigned as the first format was."""
    manifest = json.loads(files[archive.MANIFEST]) | said
    manifest["files"] = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name != archive.MANIFEST
    }
    if signed:
        key = files[archive.SECRET_KEY].decode().split()[0]
        manifest["proof"] = archive._proof(archive.BackupManifest(**manifest), key)
    else:
        manifest.pop("proof")
        manifest["format"] = 1
    with tarfile.open(path, "w") as tar:
        for name, content in (files | {archive.MANIFEST: json.dumps(manifest).encode()}).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def with_sql(files: Files, change: Callable[[str], str]) -> Files:
    dump = gzip.decompress(files[archive.DATABASE]).decode()
    return files | {archive.DATABASE: gzip.compress(change(dump).encode())}


def users(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM users").fetchone()
    assert row is not None
    return int(row[0])


def refused(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["restore", "--force", str(file)]) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("signed", [True, False])
def test_a_good_one_is_restored_whether_it_has_a_proof_or_is_older(
    url: str, good: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], signed: bool
) -> None:
    file = forged(tmp_path / "again.tar", good, signed=signed)
    with psycopg.connect(url) as connection:
        connection.execute("TRUNCATE users CASCADE")
    assert main(["restore", "--force", str(file)]) == 0
    assert users(url) == 1
    assert ("does not bear the proof" in capsys.readouterr().out) is not signed


COMMANDS = ["\\! touch {mark}\n", "\\copy (SELECT 1) TO PROGRAM 'touch {mark}'\n", "\\o |touch {mark}\n"]
STATEMENTS = [
    "COPY (SELECT 1) TO PROGRAM 'touch {mark}';\n",
    "CREATE TABLE public.x (n int DEFAULT lo_export(1, '{mark}'));\n",
    "DO $$ BEGIN COPY (SELECT 1) TO PROGRAM 'touch {mark}'; END $$;\n",
    "CREATE EXTENSION file_fdw;\n",
    "ALTER SYSTEM SET archive_command = 'touch {mark}';\n",
    "DROP TABLE public.users;\n",
]


@pytest.mark.parametrize("line", COMMANDS)
@pytest.mark.parametrize("signed", [True, False])
def test_commands_of_psql_are_refused(
    url: str, good: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, signed: bool
) -> None:
    mark = tmp_path / "run"
    files = with_sql(good, lambda dump: line.format(mark=mark) + dump)
    said = refused(forged(tmp_path / "evil.tar", files, signed=signed), capsys)
    assert "holds commands that none of ours holds" in said
    assert not mark.exists()
    assert users(url) == 1


@pytest.mark.parametrize("line", STATEMENTS)
def test_statements_are_not_run(url: str, good: Files, tmp_path: Path, line: str) -> None:
    """The rows come back, and nothing else."""
    mark = tmp_path / "run"
    files = with_sql(good, lambda dump: line.format(mark=mark) + dump + line.format(mark=mark))
    assert main(["restore", "--force", str(forged(tmp_path / "evil.tar", files))]) == 0
    assert not mark.exists()
    assert users(url) == 1
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('public.x')").fetchone() == (None,)


def test_a_function_or_trigger_of_a_stranger_does_not_come_along(
    url: str, good: Files, tmp_path: Path
) -> None:
    files = with_sql(
        good, lambda dump: dump.replace("CREATE FUNCTION public.count_rows", "CREATE FUNCTION public.evil")
    )
    assert main(["restore", "--force", str(forged(tmp_path / "evil.tar", files))]) == 0
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
        ).fetchall()
    assert ("count_rows",) in names
    assert ("evil",) not in names


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda dump: "SELECT 1;\n", "it has no action_links, api_keys"),
        (lambda dump: dump.replace("COPY public.users (id,", "COPY public.users (evil,"), "users has no column evil"),
        (lambda dump: dump.partition("COPY public.users ")[0] + "COPY public.users (id) FROM stdin;\n1\n", "has no end"),
        (lambda dump: dump + "COPY public.users (id) FROM stdin;\n\\.\n", "two tables users"),
        (lambda dump: dump.replace("COPY public.facts ", "COPY public.fact "), "it has no facts"),
        (lambda dump: " " * 100_000_000 + "\n", "unpacks without end"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_change_nothing(
    url: str,
    good: Files,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[str], str],
    words: str,
) -> None:
    assert words in refused(forged(tmp_path / "odd.tar", with_sql(good, change)), capsys)
    assert users(url) == 1


def test_a_manifest_that_was_changed_is_not_believed(
    url: str, good: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads(good[archive.MANIFEST])
    for change in (
        {"revision": "0001"}, {"proof": "0" * 64}, {"format": 3}, {"format": "x"}, {"files": []}, {"revision": "-1"},
        {"made_at": "\x1b[2J" + "a" * 1000}, {"files": manifest["files"] | {"../../x": "0" * 64}}, {"more": 1},
    ):  # fmt: skip
        with tarfile.open(tmp_path / "changed.tar", "w") as tar:
            for name, content in (good | {archive.MANIFEST: json.dumps(manifest | change).encode()}).items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        assert "Traceback" not in refused(tmp_path / "changed.tar", capsys)
    assert users(url) == 1
    said = refused(forged(tmp_path / "odd.tar", good, revision="0000"), capsys)
    assert "which no version of MediaNest had" in said


@pytest.mark.parametrize(
    "member",
    [
        {"name": "../outside"},
        {"name": "/tmp/medianest-outside"},
        {"name": archive.SETTINGS, "type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"name": archive.SETTINGS, "type": tarfile.LNKTYPE, "linkname": archive.SECRET_KEY},
        {"name": archive.SETTINGS, "type": tarfile.CHRTYPE},
        {"name": archive.SETTINGS, "type": tarfile.FIFOTYPE},
        {"name": archive.SETTINGS, "type": tarfile.DIRTYPE},
        {"name": archive.SECRET_KEY},
        {"name": archive.SETTINGS, "size": 5 << 20},
        {"name": "readme.txt"},
    ],
)
def test_members_that_are_none_of_ours_are_refused_before_anything_is_touched(
    url: str, good: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], member: dict[str, Any]
) -> None:
    file = tmp_path / "odd.tar"
    with tarfile.open(file, "w") as tar:
        for name in (archive.DATABASE, archive.SECRET_KEY, archive.MANIFEST):
            info = tarfile.TarInfo(name)
            info.size = len(good[name])
            tar.addfile(info, io.BytesIO(good[name]))
        odd = tarfile.TarInfo()
        for name, value in member.items():
            setattr(odd, name, value)
        tar.addfile(odd, io.BytesIO(b"\0" * odd.size) if odd.size else None)
    assert "is no backup of MediaNest" in refused(file, capsys)
    assert not (tmp_path / "outside").exists()
    assert not list((tmp_path / "data").glob("*.key"))
    assert users(url) == 1


@pytest.mark.parametrize(
    "key", [b"", b"\n", b"kkkk", b"\xff\xfe" * 40], ids=["none", "blank", "short", "no text"]
)
def test_a_key_that_is_none_replaces_nothing(
    url: str, good: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: bytes
) -> None:
    """It would lock everybody out, and `restore` itself with them."""
    file = forged(tmp_path / "bad.tar", good | {archive.SECRET_KEY: key}, signed=key == b"kkkk")
    assert "is damaged" in refused(file, capsys)
    assert users(url) == 1


@pytest.mark.parametrize("name", [archive.SETTINGS, archive.DATABASE])
def test_damage_inside_is_told_in_words_before_anything_changes(
    url: str, good: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    packed = good[archive.DATABASE]
    broken = {archive.SETTINGS: b"\xff\xfe", archive.DATABASE: packed[:40] + b"\xff" * 40 + packed[80:]}
    file = forged(tmp_path / "bad.tar", good | {name: broken[name]})
    assert "damaged" in refused(file, capsys)
    assert users(url) == 1
