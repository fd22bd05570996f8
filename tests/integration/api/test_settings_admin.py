"""Settings that an admin sees and changes: typed, audited, secrets never read back, in force everywhere soon."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from door import API, Door, Person, data_of, opened, refused
from sqlalchemy import text
from stack import Client, Stack, eventually, free_port, running
from werkzeug.test import TestResponse

from config.settings import Settings
from engine.runtime import Runtime
from engine.settings import admin as settings_admin
from engine.settings.live import LiveSettings

SMTP = "smtp://mailer:canary-of-a-secret@mail.example:587"


@pytest.fixture(autouse=True)
def unset(door: Door) -> Iterator[None]:
    """Remove what a test has set."""
    yield
    with door.runtime.unit_of_work() as db:
        db.execute(text("DELETE FROM stored_settings"))
        db.execute(text("DELETE FROM audit_entries"))
    door.runtime.live.expire()


@pytest.fixture
def root(door: Door) -> Person:
    return door.person("super_admin")


def patch(person: Person, **changes: Any) -> TestResponse:
    return person.request("PATCH", "/admin/settings", json=changes)


def shown(person: Person) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = data_of(person.get("/admin/settings"))["settings"]
    return found


def audited(door: Door) -> list[Any]:
    with door.runtime.reading() as db:
        return list(
            db.execute(
                text(
                    "SELECT details->'changes' FROM audit_entries WHERE action = 'settings.changed' ORDER BY id"
                )
            ).scalars()
        )


def test_all_settings_are_shown_with_where_they_come_from(
    root: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREVIEW_SECONDS", "30")
    patch(root, downloadHostLimit=3)

    settings = shown(root)

    assert len(settings) == len(Settings.__dataclass_fields__)
    assert settings["downloadHostLimit"] == {
        "value": 3,
        "default": 4,
        "source": "database",
        "readOnly": False,
        "live": True,
        "secret": False,
        "configured": True,
        "variable": "DOWNLOAD_HOST_LIMIT",
        "description": "downloads at once from one host",
    }
    assert (settings["previewSeconds"]["source"], settings["previewSeconds"]["readOnly"]) == (
        "environment",
        True,
    )
    assert (settings["port"]["value"], settings["port"]["readOnly"], settings["port"]["live"]) == (
        4000,
        True,
        False,
    )
    assert settings["rateLimitUser"]["value"] == "100/min,1000/h"
    assert settings["rateLimitGlobal"]["value"] == "off"
    assert settings["downloadAllowedHosts"]["value"] == ["127.0.0.1"]


def test_secrets_are_never_read_back(door: Door, root: Person) -> None:
    answer = patch(root, smtpUrl=SMTP)
    assert answer.status_code == 200
    everything = answer.text + root.get("/admin/settings").text

    smtp = shown(root)["smtpUrl"]
    assert (smtp["secret"], smtp["value"], smtp["default"], smtp["configured"]) == (True, None, None, True)
    secrets = {name for name, setting in shown(root).items() if setting["secret"]}
    assert secrets == {
        "databaseUrl", "redisUrl", "secretKey", "secretKeyPrevious", "setupToken", "plexToken", "smtpUrl",
        "tmdbToken", "overseerrApiKey", "notifyUrls",
    }  # fmt: skip
    assert "canary" not in everything
    assert "s" * 48 not in everything
    assert door.runtime.settings.smtp_url == SMTP
    with door.runtime.reading() as db:
        assert "canary" not in str(db.execute(text("SELECT s::text FROM stored_settings s")).all())
        assert "canary" not in str(db.execute(text("SELECT a::text FROM audit_entries a")).all())
    assert audited(door) == [{"smtpUrl": {"configured": True}}]

    # Given it is forgotten, then it is not configured, and the same again changes nothing.
    assert not data_of(patch(root, smtpUrl=None))["settings"]["smtpUrl"]["configured"]
    patch(root, smtpUrl=None)
    assert len(audited(door)) == 2


def test_a_change_holds_at_once_and_is_audited(door: Door, root: Person) -> None:
    changes = {
        "downloadHostLimit": 3,
        "previewSeconds": 12.75,
        "downloadEmbed": False,
        "mailFrom": "Media <a@example.com>",
        "rateLimitUser": "200/min",
        "rateLimitSearch": ["10/min", "50/h"],
        "rateLimitLogin": "off",
        "frontendUrl": ["https://a.example", "https://b.example/"],
        "downloadAllowedHosts": "example.com, youtube.com",
    }
    data_of(patch(root, **changes))

    now = door.runtime.settings
    assert (now.download_host_limit, now.preview_seconds, now.download_embed) == (3, 12.75, False)
    assert (now.mail_from, now.frontend_url) == (
        "Media <a@example.com>",
        ("https://a.example", "https://b.example"),
    )
    assert [str(rate) for rate in now.rate_limit_search] == ["10/min", "50/h"]
    assert (now.rate_limit_login, now.download_allowed_hosts) == ((), ("example.com", "youtube.com"))
    (entry,) = audited(door)
    assert entry["downloadHostLimit"] == {"old": 4, "new": 3}
    assert entry["rateLimitLogin"] == {"old": "5/15min", "new": "off"}
    assert set(entry) == set(changes)

    # Given null, then the default is back, and the row is gone.
    assert (
        data_of(patch(root, downloadHostLimit=None))["settings"]["downloadHostLimit"]["source"] == "default"
    )
    assert door.runtime.settings.download_host_limit == 4
    assert audited(door)[-1] == {"downloadHostLimit": {"old": 3, "new": 4}}
    assert data_of(patch(root))["settings"]["downloadEmbed"]["value"] is False
    assert len(audited(door)) == 2


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("downloadHostLimit", 0, "a whole number from 1 to 64"),
        ("downloadHostLimit", "3", "a whole number from 1 to 64"),
        ("downloadHostLimit", 3.5, "a whole number from 1 to 64"),
        ("downloadHostLimit", True, "a whole number from 1 to 64"),
        ("downloadHostLimit", [3], "a whole number from 1 to 64"),
        ("downloadHostLimit", 10**18, "a whole number from 1 to 64"),
        ("previewSeconds", "soon", "seconds from 1 to 120"),
        ("previewSeconds", 1e300, "seconds from 1 to 120"),
        ("downloadEmbed", "true", "true or false"),
        ("downloadEmbed", 1, "true or false"),
        ("rateLimitUser", "many", "limits such as"),
        ("rateLimitUser", "0/min", "limits such as"),
        ("rateLimitUser", 5, "limits such as"),
        ("rateLimitUser", ["5/min", 3], "limits such as"),
        ("frontendUrl", "example.com", "origins such as"),
        ("frontendUrl", [], "origins such as"),
        ("downloadAllowedHosts", ["a.example,b.example"], "host names"),
        ("smtpUrl", "https://canary:canary@x", "a URL that starts with smtp://"),
        ("smtpUrl", "", "a URL that starts with smtp://"),
        ("mailFrom", "a@example.com\nBcc: everyone@example.com", "an address such as"),
        ("mailFrom", "a\0b", "an address such as"),
        ("mailFrom", "x" * 5000, "an address such as"),
        ("mailFrom", {"a": 1}, "an address such as"),
        ("notifyUrls", ["json://127.0.0.1:9/a", "mailto://canary@example.com"], "Must begin with one of"),
        ("notifyUrls", "tgram://canary", "a part of it is missing or wrong"),
        ("notifyUrls", "json://127.0.0.1/?template=/etc/canary", "name files"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_accepted(
    door: Door, root: Person, name: str, value: Any, said: str
) -> None:
    answer = patch(root, **{name: value, "downloadAttempts": 9})
    error = refused(answer, 400, "VALIDATION_ERROR")
    assert said in error["details"][name][0]
    assert said in error["message"]
    assert "canary" not in answer.text
    assert door.runtime.settings.download_attempts == 5
    assert audited(door) == []


def test_unknown_fixed_and_nonsense(door: Door, root: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nonsense" in refused(patch(root, nonsense=1), 400, "VALIDATION_ERROR")["details"]
    refused(root.request("PATCH", "/admin/settings", json=[1]), 400, "VALIDATION_ERROR")

    error = refused(patch(root, port=1, downloadAttempts=9), 409, "CONFLICT")
    assert "set PORT in the environment and restart" in error["message"]
    refused(patch(root, secretKey="x" * 40), 409, "CONFLICT")

    monkeypatch.setenv("DOWNLOAD_HOST_LIMIT", "7")
    error = refused(patch(root, downloadHostLimit=None, downloadAttempts=9), 409, "CONFLICT")
    assert "DOWNLOAD_HOST_LIMIT in the environment" in error["message"]
    assert door.runtime.settings.download_attempts == 5
    assert audited(door) == []


def test_the_environment_wins_over_what_was_stored(
    door: Door, root: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch(root, downloadHostLimit=3)
    monkeypatch.setenv("DOWNLOAD_HOST_LIMIT", "4")
    setting = shown(root)["downloadHostLimit"]
    assert (setting["value"], setting["source"], setting["readOnly"]) == (4, "environment", True)


def test_only_a_super_admin_may(door: Door) -> None:
    admin = door.person("admin")
    refused(admin.get("/admin/settings"), 403, "FORBIDDEN")
    refused(patch(admin, downloadHostLimit=1), 403, "FORBIDDEN")
    refused(
        door.stranger().patch(f"{API}/admin/settings", json={"downloadHostLimit": 1}), 401, "UNAUTHORIZED"
    )


def test_addresses_are_shown_without_passwords(root: Person) -> None:
    patch(root, publicUrl="https://ann:canary-of-a-secret@media.example")
    assert shown(root)["publicUrl"]["value"] == "https://[redacted]@media.example"


def test_a_secret_that_no_key_opens_counts_as_none(door: Door, root: Person) -> None:
    patch(root, smtpUrl=SMTP)
    with opened(door.runtime.live.environment, secret_key="another key of more than 32 characters") as other:
        boss = other.person("super_admin")
        setting = shown(boss)["smtpUrl"]
        assert (setting["configured"], setting["source"]) == (False, "default")
        assert other.runtime.settings.smtp_url == ""
        data_of(patch(boss, smtpUrl=None))
    assert not shown(root)["smtpUrl"]["configured"]


def test_what_was_read_before_a_change_does_not_undo_it(runtime: Runtime) -> None:
    """A thread that reads, then sleeps while another stores and expires, then wakes."""
    live = LiveSettings(runtime.settings)
    with runtime.database.reading() as db:
        stale = _SleepingRead(db, lambda: _store(runtime, live, "8"))
        live.refresh(stale)  # type: ignore[arg-type]
        assert stale.slept
        assert (
            live.settings.download_host_limit != 8
        )  # what it read is not taken over; nor is it taken for fresh
        live.refresh(db)
    assert live.settings.download_host_limit == 8


class _SleepingRead:
    """A session whose answer is old by the time it arrives."""

    def __init__(self, db: Any, meanwhile: Any) -> None:
        self._db, self._meanwhile, self.slept = db, meanwhile, False

    def execute(self, *args: Any) -> Any:
        rows = self._db.execute(*args).all()
        self._meanwhile()
        self.slept = True
        return rows


def _store(runtime: Runtime, live: LiveSettings, value: str) -> None:
    with runtime.database.unit_of_work() as db:
        db.execute(
            text(
                "INSERT INTO stored_settings (name, value, updated_at) VALUES ('download_host_limit', :value, now())"
                " ON CONFLICT (name) DO UPDATE SET value = :value"
            ),
            {"value": value},
        )
    live.expire()


def test_many_threads_never_see_an_older_value_again(runtime: Runtime) -> None:
    live, over, backwards = runtime.live, threading.Event(), []

    def look() -> None:
        last = 0
        while not over.is_set():
            with runtime.reading():
                seen = runtime.settings.download_attempts
            if seen != 5 and seen < last:
                backwards.append((last, seen))
            last = seen if seen != 5 else last
            live._fresh_until = 0.0  # always read

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for value in [str(number) for number in range(6, 21)]:
        with runtime.unit_of_work() as db:
            settings_admin.change(db, live.environment, {"download_attempts": value}, _nobody())
        live.expire()
        with runtime.reading():
            assert runtime.settings.download_attempts == int(value)
    over.set()
    for thread in threads:
        thread.join()
    assert backwards == []


def _nobody() -> Any:
    return settings_admin.Actor()


@contextmanager
def two_webs(folder: Path, database_url: str, redis_url: str) -> Iterator[tuple[Stack, str]]:
    """A stack with a second web server; none of the settings in question is in their environment."""
    stack = Stack(folder, database_url, redis_url)
    for name in ("DOWNLOAD_HOST_LIMIT", "DOWNLOAD_ALLOWED_HOSTS"):
        del stack.env[name]
    port = free_port()
    with running(stack):
        stack.start_web()
        stack.start("web2", "gunicorn", "--config", "python:api.gunicorn", "api.wsgi:app", PORT=str(port))
        other = f"http://127.0.0.1:{port}"
        eventually(lambda: _serves(other), what="the second web server answers")
        yield stack, other


def _serves(url: str) -> bool:
    try:
        return requests.get(f"{url}/health", timeout=1).ok
    except requests.RequestException:
        return False


def _allows(url: str, origin: str) -> bool:
    asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    answer = requests.options(f"{url}/api/v1/auth/session", headers=asked, timeout=5)
    return answer.headers.get("Access-Control-Allow-Origin") == origin


def test_a_change_reaches_workers_and_other_servers_within_5_seconds(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    with two_webs(tmp_path, database_url, redis_url) as (stack, other):
        stack.start_worker()
        boss = stack.bootstrap()
        elsewhere = Client(other, boss.token)
        film = "http://127.0.0.1:1/film.mp4"
        # Given both servers refuse the host, and the worker tries a download five times.
        for client in (boss, elsewhere):
            assert client.call("POST", "/youtube/download", json={"url": film}).status_code == 400

        changes = {
            "downloadAllowedHosts": ["127.0.0.1"],
            "downloadAttempts": 1,
            "frontendUrl": ["https://a.example"],
        }
        answer = boss.call("PATCH", "/admin/settings", json=changes)
        began = time.monotonic()
        assert answer.status_code == 200, answer.text

        # Then the other server knows soon, although nobody asks it for anything that needs the database.
        eventually(
            lambda: _allows(other, "https://a.example"),
            5.0 - (time.monotonic() - began),
            what="the other server lets the new origin in",
        )
        # The one that was asked has changed at once, and the worker gives up after one.
        first = boss.download(film)
        eventually(
            lambda: elsewhere.call("POST", "/youtube/download", json={"url": film}).status_code != 400,
            5.0 - (time.monotonic() - began),
            what="the other server accepts the host",
        )
        row = boss.wait(first["id"], "failed", "completed", seconds=15)
        assert row["status"] == "failed"
        assert stack.query("SELECT attempt FROM downloads WHERE id = %s", first["id"]) == [(1,)]
