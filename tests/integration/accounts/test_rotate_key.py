"""A new secret key: nobody is signed out, nothing that is stored is lost, whatever happens in between."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from cryptography.fernet import InvalidToken
from stack import BIN, PASSWORD, ROOT, Stack, eventually, running

from config.settings import Settings
from engine.identity.refresh_tokens import RefreshToken
from engine.secrets import rotation, secret_box
from models.session import Database
from tests import warm

OLD, NEW = "o" * 48, "n" * 48
COOKIES = "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\t2000000000\tSID\tthe-cookie\n"


def medianest(env: Mapping[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return warm.medianest(words, env, ROOT)


def rotation_begun(env: Mapping[str, str], folder: Path) -> warm.WarmProcess:
    return warm.WarmProcess(["medianest", "rotate-key"], env, ROOT, folder / "rotation.log")


class Visitor:
    """The administrator in a browser: cookies, and the CSRF token of their sign-in."""

    def __init__(self, url: str) -> None:
        self.url, self.session = f"{url}/api/v1", requests.Session()
        body = {"email": "admin@example.com", "password": PASSWORD, "rememberMe": True}
        answer = self.session.post(f"{self.url}/auth/login", json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        self.tokens: dict[str, Any] = answer.json()["data"]

    def bearer(self) -> int:
        headers = {"Authorization": f"Bearer {self.tokens['token']}"}
        return requests.get(f"{self.url}/auth/session", headers=headers, timeout=10).status_code

    def change(self) -> int:
        """A change by cookie, proven with the token of the sign-in."""
        headers = {"X-CSRF-Token": self.tokens["csrfToken"]}
        changes = {"downloadAttempts": 7}
        answer = self.session.patch(f"{self.url}/admin/settings", json=changes, headers=headers, timeout=10)
        return answer.status_code

    def renew(self) -> int:
        body = {"refreshToken": self.tokens["refreshToken"]}
        answer = self.session.post(f"{self.url}/auth/refresh", json=body, timeout=10)
        if answer.ok:
            self.tokens = answer.json()["data"]
        return answer.status_code

    def stored(self) -> tuple[list[str], bool]:
        """Of which sites cookies can be read, and whether there is a mail server."""
        headers = {"Authorization": f"Bearer {self.tokens['token']}"}
        cookies = requests.get(f"{self.url}/admin/cookies", headers=headers, timeout=10).json()["data"]
        settings = requests.get(f"{self.url}/admin/settings", headers=headers, timeout=10).json()["data"]
        return cookies["domains"], settings["settings"]["smtpUrl"]["configured"]


READABLE = (["youtube.com"], True)


def store_secrets(stack: Stack) -> None:
    boss = stack.bootstrap()
    assert boss.call("PUT", "/admin/cookies", json={"cookies": COOKIES}).ok
    assert boss.call("PATCH", "/admin/settings", json={"smtpUrl": "smtp://u:hidden@mail.example"}).ok


def tokens(stack: Stack) -> list[str]:
    return [
        token
        for (token,) in stack.query(
            "SELECT value FROM secrets UNION ALL SELECT value FROM stored_settings WHERE name = 'smtp_url' "
            "UNION ALL SELECT details FROM mails WHERE details IS NOT NULL"
        )
    ]


def opens(secret_key: str, token: str) -> bool:
    try:
        secret_box.resealed(Settings(secret_key=secret_key), token)
    except InvalidToken:
        return False
    return True


@pytest.fixture
def stack(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Stack]:
    with running(Stack(tmp_path, database_url, redis_url)) as stack:
        yield stack


def restart_web(stack: Stack) -> None:
    stack.kill_group("web")
    stack.start_web()


def test_with_a_key_file_nobody_notices(stack: Stack, tmp_path: Path) -> None:
    del stack.env["SECRET_KEY"]
    file = tmp_path / "secret.key"
    stack.start_web()
    store_secrets(stack)
    visitor, idle = Visitor(stack.url), Visitor(stack.url)
    (old,) = file.read_text().split()

    # Given the product runs, when the key is rotated.
    done = medianest(stack.env, "rotate-key")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 stored secrets" in done.stdout

    # Then there is a new key, closed to others; everything is sealed with it.
    new, *older = file.read_text().split()
    assert older == [old] != [new]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "secret.key" in path.name] == ["secret.key"]
    assert [(opens(new, token), opens(old, token)) for token in tokens(stack)] == [(True, False)] * 2
    assert new not in done.stdout

    # And all goes on as before, without a restart, and after one.
    for _ in range(2):
        assert (visitor.bearer(), visitor.change(), visitor.stored()) == (200, 200, READABLE)
        restart_web(stack)
    assert visitor.renew() == 200
    assert (visitor.bearer(), visitor.change(), visitor.stored()) == (200, 200, READABLE)

    # When the old key is dropped, then only what it signed is void.
    done = medianest(stack.env, "rotate-key", "--forget-old")
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_text().split() == [new]
    assert (idle.bearer(), idle.renew(), idle.change()) == (401, 401, 401)
    assert (visitor.bearer(), visitor.renew(), visitor.change(), visitor.stored()) == (
        200,
        200,
        200,
        READABLE,
    )
    assert Visitor(stack.url).stored() == READABLE


@pytest.mark.long
def test_with_a_key_in_the_environment(stack: Stack) -> None:
    stack.env["SECRET_KEY"] = OLD
    stack.start_web()
    store_secrets(stack)
    visitor = Visitor(stack.url)

    stack.env |= {"SECRET_KEY": NEW, "SECRET_KEY_PREVIOUS": OLD}
    restart_web(stack)
    assert (visitor.bearer(), visitor.change(), visitor.stored()) == (200, 200, READABLE)
    assert not opens(NEW, tokens(stack)[0])

    done = medianest(stack.env, "rotate-key")
    assert (done.returncode, done.stderr) == (0, "")
    assert "SECRET_KEY_PREVIOUS" in done.stdout
    assert all(opens(NEW, token) for token in tokens(stack))
    assert visitor.renew() == 200

    del stack.env["SECRET_KEY_PREVIOUS"]
    restart_web(stack)
    assert (visitor.bearer(), visitor.change(), visitor.stored()) == (200, 200, READABLE)
    refused = medianest(stack.env, "rotate-key", "--forget-old")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "SECRET_KEY_PREVIOUS" in refused.stderr


@pytest.fixture
def env(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of an installation that does not run, with a key file."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "DATABASE_URL": database_url, "DATA_DIR": str(tmp_path)}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, pool_size=2)
    yield database
    database.close()


def seal_something(database: Database, settings: Settings) -> None:
    with database.unit_of_work() as db:
        secret_box.put(db, settings, "download cookies", "the-cookie")
        secret_box.put(db, settings, "plex-user:user-1", "the-plex-token")


def test_what_no_key_opens_is_named_and_nothing_changes(
    env: dict[str, str], database: Database, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    seal_something(database, settings)
    with database.unit_of_work() as db:
        secret_box.put(db, Settings(secret_key=OLD), "plex-user:user-2", "sealed by somebody else")
    before, key = _rows(database), (tmp_path / "secret.key").read_text()

    for words in (["rotate-key"], ["rotate-key", "--forget-old"]):
        done = medianest(env, *words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "secrets plex-user:user-2" in done.stderr
        assert "user-1" not in done.stderr
    assert (_rows(database), (tmp_path / "secret.key").read_text()) == (before, key)

    # Given the key that is missing, then it works.
    assert medianest(env | {"SECRET_KEY_PREVIOUS": OLD}, "rotate-key").returncode == 0
    new = (tmp_path / "secret.key").read_text().split()[0]
    assert all(opens(new, token) for _, token in _rows(database))


def _rows(database: Database) -> list[tuple[str, str]]:
    with database.reading() as db:
        found = [(name, token) for _, _, name, token in rotation._sealed(db)]
    assert found, "nothing is sealed that could be read"
    return found


def test_several_at_once_come_one_after_the_other(
    env: dict[str, str], database: Database, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path)
    seal_something(database, settings)
    running = [rotation_begun(env, tmp_path) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    keys = (tmp_path / "secret.key").read_text().split()
    assert len(set(keys)) == 5
    assert all(opens(keys[0], token) for _, token in _rows(database))


def test_a_crash_between_file_and_database_loses_nothing(
    env: dict[str, str], database: Database, database_url: str, tmp_path: Path
) -> None:
    settings, file = Settings(data_dir=tmp_path), tmp_path / "secret.key"
    seal_something(database, settings)
    (old,) = file.read_text().split()
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        # Given a row that can't be written for the moment, the rotation has written the file and waits.
        connection.execute("SELECT * FROM secrets FOR UPDATE")
        process = rotation_begun(env, tmp_path)
        eventually(lambda: len(file.read_text().split()) == 2, what="the file has the new key")
        process.kill()
        process.wait()
    eventually(lambda: _lock_is_free(database_url), what="PostgreSQL has ended the killed one's transaction")
    assert all(opens(old, token) for _, token in _rows(database))
    with database.reading() as db:
        assert secret_box.take(db, settings, "download cookies") == "the-cookie"

    # And the next rotation puts all in order.
    assert medianest(env, "rotate-key").returncode == 0
    assert medianest(env, "rotate-key", "--forget-old").returncode == 0
    (current,) = file.read_text().split()
    assert all(opens(current, token) for _, token in _rows(database))
    with database.reading() as db:
        assert secret_box.take(db, settings, "plex-user:user-1") == "the-plex-token"


def _lock_is_free(url: str) -> bool:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        try:
            connection.execute("LOCK TABLE secrets IN ACCESS EXCLUSIVE MODE NOWAIT")
        except psycopg.errors.LockNotAvailable:
            return False
    return True


@pytest.mark.long
def test_a_backup_has_all_keys(env: dict[str, str], database: Database, tmp_path: Path) -> None:
    settings, file = Settings(data_dir=tmp_path), tmp_path / "secret.key"
    seal_something(database, settings)
    assert medianest(env, "rotate-key").returncode == 0
    keys = file.read_text().split()
    archive = tmp_path / "backup.tar"
    assert medianest(env, "backup", str(archive)).returncode == 0

    # Into another folder: the keys are put back.
    there = tmp_path / "there"
    moved = env | {"DATA_DIR": str(there)}
    done = medianest(moved, "restore", "--force", str(archive))
    assert (done.returncode, done.stderr) == (0, "")
    assert (there / "secret.key").read_text().split() == keys

    # Where SECRET_KEY is set: a key that is missing is told, one that is known as an older one is not.
    done = medianest(env | {"SECRET_KEY": NEW}, "restore", "--force", str(archive))
    assert "SECRET_KEY is not the one of the backup" in done.stdout
    known = env | {"SECRET_KEY": NEW, "SECRET_KEY_PREVIOUS": ",".join(keys)}
    assert "SECRET_KEY is not" not in medianest(known, "restore", "--force", str(archive)).stdout
    assert medianest(known, "rotate-key").returncode == 0
    assert all(opens(NEW, token) for _, token in _rows(database))


def test_a_key_file_that_holds_none_is_refused(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("short\n")
    done = medianest(env, "rotate-key")
    assert done.returncode == 2
    assert "at least 32 characters" in done.stderr
    assert "Traceback" not in done.stderr
    # Nor does anything start with it.
    serving = env | {"REDIS_URL": "redis://127.0.0.1:1"}
    started = subprocess.run(
        [BIN / "gunicorn", "--config", "python:api.gunicorn", "api.wsgi:app"],
        env=serving,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode != 0
    assert "at least 32 characters" in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_file_stays_with_its_owner(env: dict[str, str], database: Database, tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    seal_something(database, Settings(data_dir=tmp_path))
    os.chown(file, 65534, 65534)
    for words in (["rotate-key"], ["rotate-key", "--forget-old"]):
        assert medianest(env, *words).returncode == 0
        assert (file.stat().st_uid, file.stat().st_gid, stat.S_IMODE(file.stat().st_mode)) == (
            65534,
            65534,
            0o600,
        )


def test_a_client_that_lost_an_answer_gets_the_same_one_after_a_rotation() -> None:
    before, after = Settings(secret_key=OLD), Settings(secret_key=NEW, secret_key_previous=(OLD,))
    text = RefreshToken.make("ses-1").text(before)
    first, again = RefreshToken.parse(before, text), RefreshToken.parse(after, text)
    assert first is not None
    assert again is not None
    assert again.successor(after) == first.successor(before)
    # From then on the new key is in use.
    following = RefreshToken.parse(after, again.successor(after).text(after))
    assert following is not None
    assert RefreshToken.parse(Settings(secret_key=NEW), following.text(after)) == following
    assert RefreshToken.parse(before, following.text(after)) is None
