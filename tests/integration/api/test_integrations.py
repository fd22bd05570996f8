"""Integrations: connecting a Plex server by address or through one's account, what a test says, who sees what."""

from __future__ import annotations

import dataclasses
import datetime
import http.server
import ipaddress
import logging
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from fakes.plextv import FakeAccount, FakePlexTv, resource
from sqlalchemy import func, select, text, update
from werkzeug.test import TestResponse

from cli.doctor.plex_server import plex_server
from cli.doctor.services import Services
from config.redis import make_redis
from config.settings import Settings
from engine import errors
from engine.accounts import plex_access
from engine.clients.plex.errors import PlexBreakerOpen, PlexError, PlexGone, PlexTls, PlexUnreachable
from engine.clients.plex.push import messages
from engine.job_names import Job
from engine.jobs.runner import run_next
from engine.plex.server import connection, libraries, user_tokens
from engine.plex.sync import runs as sync
from engine.plex.sync import work as sync_work
from engine.runtime import Runtime
from engine.secrets import rotation, secret_box
from models.audit import AuditEntry
from models.integration import Integration
from models.plex_library import PlexServer
from models.sync_run import SyncRun
from tests.fakes.overseerr_server import OverseerrDouble
from tests.fakes.plex_server import PlexDouble
from tests.fakes.tmdb_server import TmdbDouble

NOBODY = "http://127.0.0.1:1"
PLEX = "/integrations/plex"


@pytest.fixture
def plex() -> Iterator[PlexDouble]:
    with PlexDouble() as double:
        films = double.library.add_section("movie", "Films", "/media/films")
        double.library.add_film(films, "Heat", 1995)
        yield double


@pytest.fixture
def settings(settings: Settings, plextv: FakePlexTv) -> Settings:
    return dataclasses.replace(settings, plex_tv_url=plextv.url, public_url="https://media.example")


def put(person: Person, path: str = PLEX, **body: Any) -> TestResponse:
    return person.request("PUT", path, json=body)


def connect(person: Person, plex: PlexDouble, **more: Any) -> dict[str, Any]:
    data: dict[str, Any] = data_of(put(person, url=plex.url, token=plex.token, **more))
    assert data["test"]["ok"], data
    return data


def tried(person: Person, path: str = PLEX, **body: Any) -> dict[str, Any]:
    data: dict[str, Any] = data_of(person.post(f"{path}/test", json=body))
    return data


def sync_runs(runtime: Runtime) -> list[SyncRun]:
    with runtime.reading() as db:
        return list(db.scalars(select(SyncRun).order_by(SyncRun.id)))


# -- configuring -------------------------------------------------------------------------------------------------------


def test_connecting_a_server_begins_a_sync(
    own_door: Door, own_admin: Person, plex: PlexDouble, rung: list[Job], runtime: Runtime
) -> None:
    assert data_of(own_admin.get(PLEX))["state"] == "disabled"

    data = connect(own_admin, plex, paths=[{"ours": "/downloads", "plex": "D:\\media"}], verifyTls=True)

    assert data["test"]["server"] == {
        "name": "Double",
        "version": plex.version,
        "platform": "Linux",
        "machineIdentifier": plex.machine_id,
    }
    assert data["machineIdentifier"] == plex.machine_id
    assert (data["configured"], data["source"], data["readOnly"], data["fixed"]) == (
        True,
        "database",
        False,
        [],
    )
    assert (data["serverName"], data["version"], data["lastError"]) == ("Double", plex.version, None)
    assert data["paths"] == [{"ours": "/downloads", "plex": "D:\\media"}]
    assert data["state"] == "online"
    assert data["tokenConfigured"] is True
    (run,) = sync_runs(runtime)
    assert (run.id, run.status, run.trigger, run.user_id) == (
        data["syncId"],
        "queued",
        "manual",
        own_admin.id,
    )
    assert rung == [Job.SYNC]
    run_next(runtime, sync_work.SYNC, sync_work.work)
    assert sync_runs(runtime)[0].status == "completed"
    assert data_of(own_admin.get(PLEX))["syncedAt"]


def test_what_is_absent_stays_as_it_is(own_admin: Person, plex: PlexDouble) -> None:
    connect(own_admin, plex, paths=[{"ours": "/a", "plex": "/b"}])

    data = data_of(put(own_admin, verifyTls=False))

    assert data["test"]["ok"], data
    assert (data["url"], data["machineIdentifier"]) == (plex.url, plex.machine_id)
    assert (data["verifyTls"], data["paths"]) == (False, [{"ours": "/a", "plex": "/b"}])


def test_a_server_that_is_down_can_be_configured_and_is_kept_to_once_it_answers(
    own_admin: Person, plex: PlexDouble, runtime: Runtime
) -> None:
    plex.stop()
    data = data_of(put(own_admin, url=plex.url, token=plex.token))
    assert (data["test"]["reason"], data["syncId"], data["machineIdentifier"]) == ("refused", None, None)
    assert (data["configured"], data["state"], data["lastError"]) == (
        True,
        "degraded",
        data["test"]["message"],
    )
    plex.start()
    with runtime.unit_of_work() as db:
        sync.start(db, full=False, trigger="schedule")
    run_next(runtime, sync_work.SYNC, sync_work.work)

    data = data_of(own_admin.get(PLEX))
    assert (data["machineIdentifier"], data["state"], data["lastError"]) == (plex.machine_id, "online", None)
    plex.machine_id = "somebody-else"
    assert tried(own_admin)["reason"] == "other_server"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "ftp://host"}, "url"),
        ({"url": "http://user:pass@host:32400"}, "url"),
        ({"url": "http://host:99999"}, "url"),
        ({"url": "http://host/?x=1"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"token": "two words"}, "token"),
        ({"url": "http://host:32400"}, "token"),
        ({"token": "abc"}, "url"),
        ({"url": NOBODY, "token": "t", "paths": [{"ours": "relative", "plex": "/x"}]}, "paths"),
        ({"url": NOBODY, "token": "t", "paths": [{"ours": "/x"}]}, "paths"),
        ({"url": NOBODY, "token": "t", "colour": "red"}, "colour"),
    ],
)
def test_what_is_malformed_is_refused(own_admin: Person, body: dict[str, Any], field: str) -> None:
    error = refused(put(own_admin, **body), 400, "VALIDATION_ERROR")

    assert field in error["details"]
    assert data_of(own_admin.get(PLEX))["configured"] is False


def test_an_unknown_integration_is_404(own_admin: Person) -> None:
    refused(own_admin.get("/integrations/sonarr"), 404, "NOT_FOUND")
    refused(put(own_admin, "/integrations/sonarr", url=NOBODY, token="t"), 404, "NOT_FOUND")
    refused(own_admin.post("/integrations/sonarr/test", json={}), 404, "NOT_FOUND")
    refused(own_admin.delete("/integrations/sonarr"), 404, "NOT_FOUND")


def test_the_stored_token_is_only_sent_to_where_it_was_stored_for(
    own_admin: Person, plex: PlexDouble
) -> None:
    connect(own_admin, plex)
    with PlexDouble() as thief:
        thief.machine_id = plex.machine_id

        for answer in (
            put(own_admin, url=thief.url),
            own_admin.post(f"{PLEX}/test", json={"url": thief.url}),
        ):
            assert "token" in refused(answer, 400, "VALIDATION_ERROR")["details"]

        assert thief.requests == []
    assert data_of(own_admin.get(PLEX))["url"] == plex.url


def test_the_token_goes_only_to_a_server_that_says_it_is_the_right_one(
    own_admin: Person, plex: PlexDouble
) -> None:
    connect(own_admin, plex)
    plex.machine_id = "another"
    plex.forget()

    assert tried(own_admin)["reason"] == "other_server"

    assert [seen.path for seen in plex.requests] == ["/identity"]
    assert plex.token not in str([seen.headers for seen in plex.requests])


def test_forgetting(own_admin: Person, plex: PlexDouble, runtime: Runtime) -> None:
    connect(own_admin, plex)
    run_next(runtime, sync_work.SYNC, sync_work.work)

    assert data_of(own_admin.delete(PLEX))["url"] == plex.url

    data = data_of(own_admin.get(PLEX))
    assert (data["configured"], data["state"], data["url"]) == (False, "disabled", None)
    refused(own_admin.delete(PLEX), 404, "NOT_FOUND")
    with runtime.reading() as db:
        assert connection.configured(db, runtime.settings) is None
        assert connection.server_id(db, runtime.settings) is None
        assert db.get(PlexServer, plex.machine_id) is not None


def test_another_server_hides_the_library_and_the_first_brings_it_back(
    own_admin: Person, plex: PlexDouble, runtime: Runtime
) -> None:
    def ours() -> str | None:
        with runtime.reading() as db:
            return connection.server_id(db, runtime.settings)

    connect(own_admin, plex)
    assert ours() == plex.machine_id
    with PlexDouble() as other:
        data = connect(own_admin, other)
        assert ours() == other.machine_id
        first, second = sync_runs(runtime)
        assert (first.status, second.id, second.status) == ("cancelled", data["syncId"], "queued")
    connect(own_admin, plex)
    assert ours() == plex.machine_id


def test_a_sync_that_runs_with_the_old_server_does_not_stand_for_the_new_one(
    own_admin: Person, plex: PlexDouble, runtime: Runtime
) -> None:
    connect(own_admin, plex)
    with runtime.unit_of_work() as db:
        lease = func.now() + text("interval '90 s'")
        db.execute(update(SyncRun).values(status="running", lease_until=lease))
    with PlexDouble() as other:
        data = connect(own_admin, other)

    running, waiting = sync_runs(runtime)
    assert running.cancel_requested_at is not None
    assert (waiting.id, waiting.status) == (data["syncId"], "queued")


# -- the test ----------------------------------------------------------------------------------------------------------


def spoiled(plex: PlexDouble, how: str) -> None:
    match how:
        case "unauthorized":
            plex.library.owner.token = "changed-at-plex"
        case "too_old":
            plex.version = "1.19.9.1-aaaa"
        case "not_ready":
            plex.faults.add("status", code=503)
        case "not_plex":
            plex.faults.add("html_200")
        case "refused":
            plex.stop()
        case "timeout":
            plex.faults.add("hang")


@pytest.mark.parametrize("how", ["unauthorized", "too_old", "not_ready", "not_plex", "refused", "timeout"])
def test_a_test_says_what_is_wrong(
    own_admin: Person, plex: PlexDouble, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.clients.connection_test.SECONDS", 1.0)
    token = plex.token
    spoiled(plex, how)

    data = tried(own_admin, url=plex.url, token=token)

    assert (data["ok"], data["reason"]) == (False, how)
    assert data["message"].endswith(".")
    assert data["advice"].endswith(".")
    assert token not in str(data)
    assert data_of(own_admin.get(PLEX))["configured"] is False


def test_a_test_without_anything_to_test(own_admin: Person) -> None:
    assert (
        "give url and token" in refused(own_admin.post(f"{PLEX}/test", json={}), 409, "CONFLICT")["message"]
    )


def test_a_name_that_does_not_exist(own_admin: Person) -> None:
    assert tried(own_admin, url="http://nowhere.invalid:32400", token="t")["reason"] == "unknown_host"


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_a_certificate_for_something_else(own_admin: Person, tmp_path: Path) -> None:
    with PlexDouble(tls=tls(tmp_path)) as secure:
        data = tried(own_admin, url=secure.url, token=secure.token)
        assert (data["ok"], data["reason"]) == (False, "tls")

        assert connect(own_admin, secure, verifyTls=False)["state"] == "online"

        assert tried(own_admin)["ok"] is True
        plain = tried(own_admin, url=secure.url.replace("https", "http"), token=secure.token)
        assert plain["reason"] in {"refused", "not_plex"}


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_authorities_of_the_environment_count_unless_any_certificate_will_do(
    own_admin: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PlexDouble(tls=tls(tmp_path)) as secure:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "c.pem"))
        assert tried(own_admin, url=secure.url, token=secure.token)["ok"] is True
        assert next(messages(secure.url, secure.token, "me")) is None

        monkeypatch.setenv("REQUESTS_CA_BUNDLE", requests.certs.where())
        assert tried(own_admin, url=secure.url, token=secure.token)["reason"] == "tls"
        with pytest.raises(PlexTls):
            next(messages(secure.url, secure.token, "me"))
        assert connect(own_admin, secure, verifyTls=False)["state"] == "online"


def test_a_server_that_speaks_no_https(own_admin: Person, plex: PlexDouble) -> None:
    assert tried(own_admin, url=plex.url.replace("http", "https"), token=plex.token)["reason"] == "tls"


Answering = Callable[[http.server.BaseHTTPRequestHandler], None]


@pytest.fixture
def speaking() -> Iterator[Callable[[Answering], str]]:
    """Makes servers that answer as they are told; returns their address."""
    made: list[http.server.HTTPServer] = []

    def make(answer: Answering) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                """Silent."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        made.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def sending(status: int, kind: str, body: bytes, **headers: str) -> Answering:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


UNCLAIMED = b'{"MediaContainer": {"claimed": false, "machineIdentifier": "m", "version": "1.41.0.1-a"}}'
ONLY_XML = b'<?xml version="1.0"?><MediaContainer machineIdentifier="m" version="0.9.16" claimed="1"/>'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (sending(200, "application/json", UNCLAIMED), "unclaimed"),
        (sending(200, "text/xml", ONLY_XML), "too_old"),
        (sending(200, "application/json", b"[1]"), "not_plex"),
        (sending(200, "application/json", b'{"MediaContainer": {}}'), "not_plex"),
        (sending(401, "text/html", b"who are you?"), "not_plex"),
        (sending(404, "text/html", b"no"), "not_plex"),
        (sending(200, "application/json", b'{"MediaContainer": {"a": "' + b"x" * 3_000_000), "not_plex"),
    ],
)
def test_what_is_no_server_of_ours(
    own_admin: Person, speaking: Callable[[Answering], str], answer: Answering, reason: str
) -> None:
    assert tried(own_admin, url=speaking(answer), token="t")["reason"] == reason


def test_no_redirect_is_followed(
    own_admin: Person, plex: PlexDouble, speaking: Callable[[Answering], str]
) -> None:
    elsewhere = speaking(sending(302, "text/html", b"", Location=plex.url + "/identity"))

    assert tried(own_admin, url=elsewhere, token=plex.token)["reason"] == "not_plex"

    assert plex.requests == []


def test_a_server_that_answers_slowly_blocks_nobody(
    own_admin: Person, speaking: Callable[[Answering], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = threading.Event()

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        while not gone.wait(0.1):
            try:
                handler.wfile.write(b"H")
            except OSError:
                return

    monkeypatch.setattr("engine.clients.connection_test.run_with_deadline.__defaults__", (1.0,))
    assert tried(own_admin, url=speaking(drip), token="t")["reason"] == "timeout"
    gone.set()


# -- who sees what -----------------------------------------------------------------------------------------------------


def test_users_see_a_state_and_nothing_else(own_door: Door, own_admin: Person, plex: PlexDouble) -> None:
    connect(own_admin, plex)

    person = own_door.person("user")
    row = {"name": "plex", "configured": True, "enabled": True, "state": "online", "readOnly": False}
    assert data_of(person.get(PLEX)) == row
    listed = data_of(person.get("/integrations"))["integrations"]
    assert [each["name"] for each in listed] == ["plex", "overseerr", "tmdb"]
    assert listed[0] == row
    refused(put(person, url=NOBODY, token="t"), 403, "FORBIDDEN")
    refused(person.post(f"{PLEX}/test", json={"url": NOBODY, "token": "t"}), 403, "FORBIDDEN")
    refused(person.delete(PLEX), 403, "FORBIDDEN")
    refused(person.get(f"{PLEX}/servers"), 403, "FORBIDDEN")
    refused(own_door.person("guest").get(PLEX), 403, "FORBIDDEN")


def test_the_addresses_for_webhooks_are_shown_configured_or_not(own_admin: Person) -> None:
    url = data_of(own_admin.get(PLEX))["webhookUrl"]
    assert url.startswith("https://media.example/api/v1/webhooks/plex/")
    assert data_of(own_admin.get(PLEX))["webhookUrl"] == url
    row = data_of(own_admin.get("/integrations/overseerr"))
    assert row["webhookUrl"] == "https://media.example/api/v1/webhooks/overseerr"
    assert row["webhookAuthorization"]


def test_the_token_is_nowhere(
    own_admin: Person, plex: PlexDouble, runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        put(own_admin, url=plex.url, token=plex.token),
        put(own_admin, verifyTls=True),
        own_admin.get(PLEX),
    ]
    plex.stop()
    answers += [
        own_admin.post(f"{PLEX}/test", json={}),
        own_admin.delete(PLEX),
        put(own_admin, url=plex.url, token=plex.token),
    ]

    assert [answer.status_code for answer in answers] == [200] * 6
    assert all(plex.token not in answer.text for answer in answers)
    assert plex.token not in caplog.text
    with runtime.reading() as db:
        entries = db.scalars(select(AuditEntry).where(AuditEntry.action.startswith("integration."))).all()
        stored = db.get_one(Integration, "plex").token
    assert [entry.action.partition(".")[2] for entry in sorted(entries, key=lambda each: each.id)] == [
        "configured",
        "configured",
        "removed",
        "configured",
    ]
    assert all(plex.token not in str(entry.details) for entry in entries)
    first = min(entries, key=lambda each: each.id)
    assert first.details is not None
    assert first.details["changed"] == ["machineIdentifier", "token", "url"]
    assert first.actor_id == own_admin.id
    assert stored is not None
    assert plex.token not in stored


def test_a_new_secret_key_seals_the_token_anew(own_admin: Person, plex: PlexDouble, runtime: Runtime) -> None:
    connect(own_admin, plex)
    rotated = dataclasses.replace(
        runtime.settings, secret_key="n" * 48, secret_key_previous=(runtime.settings.secret_key,)
    )
    with runtime.unit_of_work() as db:
        before = db.get_one(Integration, "plex").token
        assert rotation.reseal(db, rotated) >= 1
    only_new = dataclasses.replace(rotated, secret_key_previous=())
    with runtime.unit_of_work() as db:
        assert db.get_one(Integration, "plex").token != before
        found = connection.configured(db, only_new)
        assert found is not None
        assert found.token == plex.token


# -- the environment ---------------------------------------------------------------------------------------------------


def test_the_environment_wins(
    own_door: Door, own_admin: Person, plex: PlexDouble, settings: Settings
) -> None:
    connect(own_admin, plex)
    with PlexDouble() as other, opened(settings, plex_url=other.url, plex_token=other.token) as fixed:
        boss = fixed.person("admin")

        row = data_of(boss.get(PLEX))
        assert (row["url"], row["source"], row["readOnly"]) == (other.url, "environment", True)
        assert row["fixed"] == ["url", "token"]
        for body in ({"url": NOBODY}, {"token": "t"}, {"machineIdentifier": "x"}):
            assert "environment" in refused(put(boss, **body), 409, "CONFLICT")["message"]
        data = data_of(put(boss, paths=[{"ours": "/a", "plex": "/b"}]))
        assert data["test"]["server"]["machineIdentifier"] == other.machine_id
        assert data["paths"] == [{"ours": "/a", "plex": "/b"}]
        with fixed.runtime.reading() as db:
            assert connection.server_id(db, fixed.runtime.settings) == other.machine_id
        refused(boss.delete(PLEX), 409, "CONFLICT")
    row = data_of(own_admin.get(PLEX))
    assert (row["configured"], row["source"]) == (True, "database"), "what was stored before is still there"


@pytest.mark.parametrize("name", ["overseerr", "tmdb"])
def test_the_environment_fixes_others_too(settings: Settings, name: str) -> None:
    with OverseerrDouble() as overseerr, TmdbDouble() as tmdb:
        given = {
            "overseerr": {"overseerr_url": overseerr.url, "overseerr_api_key": overseerr.key},
            "tmdb": {"tmdb_url": tmdb.url, "tmdb_token": tmdb.token},
        }[name]
        with opened(settings, **given) as fixed:
            boss, path = fixed.person("admin"), f"/integrations/{name}"
            row = data_of(boss.get(path))
            assert (row["configured"], row["source"], row["readOnly"]) == (True, "environment", True)
            assert (row["url"], row["fixed"]) == (given[f"{name}_url"], ["url", "token"])
            assert data_of(boss.post(f"{path}/test", json={}))["ok"] is True
            assert [data_of(boss.get(path))[key] for key in ("state", "source")] == ["online", "environment"]
            changed = put(boss, path, url=NOBODY, token="t")
            assert "environment" in refused(changed, 409, "CONFLICT")["message"]
            refused(boss.delete(path), 409, "CONFLICT")
            assert not any(secret in str(row) for secret in (overseerr.key, tmdb.token))


def test_plex_switched_off(own_door: Door, own_admin: Person, plex: PlexDouble, settings: Settings) -> None:
    connect(own_admin, plex)
    plex.forget()
    with opened(settings, plex_enabled=False) as off:
        boss = off.person("admin")

        row = data_of(boss.get(PLEX))
        assert (row["enabled"], row["state"], row["configured"]) == (False, "disabled", True)
        assert "webhookUrl" not in row
        for answer in (
            put(boss, url=plex.url, token=plex.token),
            boss.post(f"{PLEX}/test", json={}),
            boss.delete(PLEX),
            boss.get(f"{PLEX}/servers"),
            boss.post(f"{PLEX}/servers", json={"machineIdentifier": "x"}),
        ):
            assert "switched off" in refused(answer, 409, "CONFLICT")["message"]
        with off.runtime.reading() as db:
            assert connection.configured(db, off.runtime.settings) is None
            assert connection.server_id(db, off.runtime.settings) is None
        with pytest.raises(errors.NotFound), libraries.asking(off.runtime):
            pass
        health = data_of(off.stranger().get(f"{API}/health"))
        assert health["services"]["plex"] == "disabled"
    assert plex.requests == []


# -- found through one's account ---------------------------------------------------------------------------------------


def linked(runtime: Runtime, person: Person, account: FakeAccount) -> None:
    with runtime.unit_of_work() as db:
        secret_box.put(db, runtime.settings, user_tokens.secret_name(person.id), account.token)


def test_the_best_address_that_answers_is_chosen(
    own_admin: Person, plex: PlexDouble, plextv: FakePlexTv, runtime: Runtime
) -> None:
    """The local address is dead, another server answers at the second, a relay stands last."""
    with PlexDouble() as neighbour, PlexDouble() as relay:
        relay.machine_id = plex.machine_id
        places = (
            ("relay", relay.url),
            ("remote", plex.url),
            ("local", NOBODY),
            ("local", neighbour.url),
        )
        mine = resource("Home", plex.machine_id, plex.token, *places)
        friends = resource(
            "A friend's", "friend-1", "friends-token", ("remote", "http://127.0.0.1:2"), owned=False
        )
        account = plextv.account("ann", listed=[friends, mine])
        linked(runtime, own_admin, account)

        found = data_of(own_admin.get(f"{PLEX}/servers"))["servers"]

        assert [(each["name"], each["owned"], each["connected"]) for each in found] == [
            ("Home", True, False),
            ("A friend's", False, False),
        ]
        assert found[0]["preferred"] == plex.url
        assert found[1]["preferred"] is None
        assert [(each["uri"], each["reason"]) for each in found[0]["connections"]] == [
            (NOBODY, "refused"),
            (neighbour.url, "other_server"),
            (plex.url, None),
            (relay.url, None),
        ]
        assert not any("x-plex-token" in seen.headers for seen in [*neighbour.requests, *plex.requests])

        data = data_of(own_admin.post(f"{PLEX}/servers", json={"machineIdentifier": plex.machine_id}))

        assert (data["url"], data["test"]["ok"]) == (plex.url, True)
        assert plex.token not in str(data) + str(found)
        assert not any("x-plex-token" in seen.headers for seen in neighbour.requests)
        assert data_of(own_admin.get(f"{PLEX}/servers"))["servers"][0]["connected"] is True
        data = data_of(
            own_admin.post(f"{PLEX}/servers", json={"machineIdentifier": plex.machine_id, "uri": relay.url})
        )
        assert data["url"] == relay.url
        refused(own_admin.post(f"{PLEX}/servers", json={"machineIdentifier": "nobody"}), 404, "NOT_FOUND")
        foreign = {"machineIdentifier": plex.machine_id, "uri": "http://elsewhere:32400"}
        assert (
            "uri"
            in refused(own_admin.post(f"{PLEX}/servers", json=foreign), 400, "VALIDATION_ERROR")["details"]
        )
        gone = {"machineIdentifier": "friend-1"}
        refused(own_admin.post(f"{PLEX}/servers", json=gone), 503, "PLEX_UNREACHABLE")


def test_finding_servers_takes_a_linked_account_that_holds(
    own_admin: Person, plextv: FakePlexTv, runtime: Runtime
) -> None:
    assert "POST /users/me/plex" in refused(own_admin.get(f"{PLEX}/servers"), 409, "CONFLICT")["message"]
    account = plextv.account("ann")
    linked(runtime, own_admin, account)
    assert data_of(own_admin.get(f"{PLEX}/servers"))["servers"] == []
    account.token_status = 401
    assert "link it anew" in refused(own_admin.get(f"{PLEX}/servers"), 409, "CONFLICT")["message"]
    account.token_status = 200
    plextv.fail("503")
    refused(own_admin.get(f"{PLEX}/servers"), 503, "PLEX_UNREACHABLE")


def test_who_is_to_connect_the_first_server_can_link_their_account_before_there_is_one(
    own_door: Door, plextv: FakePlexTv, runtime: Runtime
) -> None:
    account = plextv.account("ann")
    for role, status in (("user", 403), ("admin", 200)):
        person = own_door.person(role)
        browser = own_door.browser()
        begun = browser.post(f"{API}/auth/plex/pin", json={})
        plextv.claim(data_of(begun)["id"], account)
        answer = browser.post(
            f"{API}/users/me/plex",
            json={"pinId": data_of(begun)["id"], "currentPassword": PASSWORD},
            headers={"Authorization": f"Bearer {person.token}"},
        )
        assert answer.status_code == status, answer.text


def test_who_may_sign_in_follows_the_server_that_is_connected(
    own_admin: Person, plex: PlexDouble, plextv: FakePlexTv, runtime: Runtime
) -> None:
    guest = plextv.account("eve", servers={plex.machine_id})

    def may() -> bool:
        with plex_access.conversation(runtime) as tv:
            try:
                return plex_access.admit(runtime, tv, guest.token).account.username == "eve"
            except plex_access.AccessRefused:
                return False

    assert not may()
    connect(own_admin, plex)
    plex.stop()
    assert may()
    with PlexDouble() as other:
        connect(own_admin, other)
        assert not may()
    own_admin.delete(PLEX)
    assert not may()


def test_the_secret_key_is_another_one(own_admin: Person, plex: PlexDouble, settings: Settings) -> None:
    connect(own_admin, plex)
    assert "webhookUrl" in data_of(own_admin.get(PLEX))
    with opened(settings, secret_key="x" * 48) as other:
        boss = other.person("admin")

        row = data_of(boss.get(PLEX))

        assert (row["tokenConfigured"], "webhookUrl" in row) == (True, False)
        refused(put(boss, verifyTls=True), 503, "SERVICE_UNAVAILABLE")
        assert connect(boss, plex)["state"] == "online"


# -- how the server is -------------------------------------------------------------------------------------------------


def plex_state(door: Door) -> str:
    state: str = data_of(door.stranger().get(f"{API}/health"))["services"]["plex"]
    return state


def test_health_tells_how_the_server_was_found(
    own_door: Door, own_admin: Person, plex: PlexDouble, runtime: Runtime
) -> None:
    assert plex_state(own_door) == "disabled"
    connect(own_admin, plex)
    assert plex_state(own_door) == "online"
    run_next(runtime, sync_work.SYNC, sync_work.work)
    plex.library.owner.token = "changed-at-plex"
    with runtime.unit_of_work() as db:
        sync.start(db, full=False, trigger="schedule")
    run_next(runtime, sync_work.SYNC, sync_work.work)
    assert sync_runs(runtime)[-1].status == "failed"
    plex.forget()
    assert plex_state(own_door) == "degraded"
    assert "token" in data_of(own_admin.get(PLEX))["lastError"]
    with runtime.unit_of_work() as db:
        db.execute(update(PlexServer).values(seen_at=func.now() - text("interval '21 minutes'")))
    assert plex_state(own_door) == "offline"
    assert plex.requests == []


def diagnosis(settings: Settings) -> tuple[str, str, str]:
    """What the doctor says."""
    services = Services(settings)
    list(services.database())
    (found,) = plex_server(services)
    return found.state, found.text, found.advice


def test_the_doctor_asks_the_server(own_admin: Person, plex: PlexDouble, settings: Settings) -> None:
    assert diagnosis(settings)[0] == "ok"
    assert diagnosis(dataclasses.replace(settings, plex_url=plex.url))[0] == "warn"
    connect(own_admin, plex)
    assert diagnosis(settings) == ("ok", f"Double answers, version {plex.version}", "")
    assert diagnosis(dataclasses.replace(settings, secret_key="x" * 48))[0] == "fail"
    token = plex.token
    plex.library.owner.token = "changed-at-plex"
    state, words, advice = diagnosis(settings)
    assert (state, words) == ("fail", "The Plex server does not accept the token.")
    assert token not in words + advice
    plex.stop()
    assert diagnosis(settings)[:2] == ("fail", "Nobody listens at this address.")
    assert diagnosis(dataclasses.replace(settings, plex_enabled=False))[0] == "ok"


def ask(runtime: Runtime) -> None:
    with libraries.asking(runtime, seconds=2.0) as plex:
        plex.container("/status/sessions")


@pytest.fixture
def second(settings: Settings) -> Iterator[Runtime]:
    """Another process."""
    built = Runtime(settings, make_redis(settings), lambda job: None)
    yield built
    built.database.close()
    built.redis.close()


def wait_over(runtime: Runtime) -> None:
    """Let the pause be over."""
    with runtime.unit_of_work() as db:
        db.execute(update(PlexServer).values(open_until=func.now() - text("interval '1 s'")))


def pause(runtime: Runtime) -> float:
    """The pause that begins now, in seconds."""
    with runtime.reading() as db:
        left = func.extract("epoch", PlexServer.open_until - func.clock_timestamp())
        return float(db.scalar(select(left)) or 0)


def test_a_server_that_fails_is_left_alone_by_all_processes(
    own_door: Door, own_admin: Person, plex: PlexDouble, runtime: Runtime, second: Runtime
) -> None:
    connect(own_admin, plex)
    ask(runtime)
    plex.stop()
    for number in range(3):
        with pytest.raises(PlexUnreachable):
            ask((runtime, second)[number % 2])
    assert 4 < pause(runtime) <= 5

    for process in (runtime, second):
        with pytest.raises(PlexBreakerOpen) as refusal:
            ask(process)
        assert refusal.value.code == "PLEX_UNREACHABLE"
        assert refusal.value.retry_after in {4, 5}
    assert plex_state(own_door) == "offline"

    for doubled in (10, 20, 40, 80, 160, 300, 300):
        wait_over(runtime)
        with pytest.raises(PlexUnreachable):
            ask(second)
        assert doubled - 1 < pause(runtime) <= doubled

    plex.start()
    wait_over(runtime)
    ask(second)
    assert plex_state(own_door) == "online"
    ask(runtime)


def test_one_probe_goes_first(own_admin: Person, plex: PlexDouble, runtime: Runtime, second: Runtime) -> None:
    connect(own_admin, plex)
    with runtime.unit_of_work() as db:
        db.execute(update(PlexServer).values(failures=3))
    wait_over(runtime)
    fault = plex.faults.add("hang", path="/status/sessions")
    went_wrong: list[BaseException] = []

    def probe() -> None:
        try:
            with libraries.asking(runtime, seconds=20.0) as client:
                client.container("/status/sessions")
        except BaseException as error:
            went_wrong.append(error)

    first = threading.Thread(target=probe)
    first.start()
    fault.wait_met()
    with pytest.raises(PlexBreakerOpen):
        ask(second)
    plex.faults.clear()
    first.join(20)
    assert not went_wrong
    ask(second)


def test_of_many_at_once_one_goes_first(own_admin: Person, plex: PlexDouble, runtime: Runtime) -> None:
    connect(own_admin, plex)
    with runtime.unit_of_work() as db:
        db.execute(update(PlexServer).values(failures=3))
    wait_over(runtime)
    fault = plex.faults.add("hang", path="/status/sessions")
    ready, refusals = threading.Barrier(8), queue.SimpleQueue[str]()

    def one() -> None:
        ready.wait(20)
        try:
            with libraries.asking(runtime, seconds=20.0) as client:
                client.container("/status/sessions")
        except PlexBreakerOpen as refusal:
            refusals.put(refusal.code)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert [refusals.get(timeout=20) for _ in range(7)] == ["PLEX_UNREACHABLE"] * 7
    assert fault.reached.wait(20)  # the one may be slower than the seven that are refused
    assert fault.met == 1
    plex.faults.clear()
    for thread in threads:
        thread.join(20)


def test_failures_at_once_do_not_add_up(own_admin: Person, plex: PlexDouble, runtime: Runtime) -> None:
    connect(own_admin, plex)
    fault = plex.faults.add("status", path="/status/sessions", code=503)
    ready = threading.Barrier(8)

    def one() -> None:
        with pytest.raises(PlexError), libraries.asking(runtime) as client:
            ready.wait(20)
            client.container("/status/sessions")

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert fault.done == 8
    assert pause(runtime) <= 5
    with runtime.reading() as db:
        assert db.get_one(PlexServer, plex.machine_id).failures == 3


def test_an_answer_that_says_no_is_an_answer(own_admin: Person, plex: PlexDouble, runtime: Runtime) -> None:
    connect(own_admin, plex)
    plex.faults.add("status", path="/status/sessions", code=503, times=2)
    for _ in range(2):
        with pytest.raises(PlexUnreachable):
            ask(runtime)
    with pytest.raises(PlexGone), libraries.asking(runtime) as client:
        client.container("/library/metadata/999999")
    with runtime.reading() as db:
        assert db.get_one(PlexServer, plex.machine_id).failures == 0


# -- the others --------------------------------------------------------------------------------------------------------


def overseerr(handler: http.server.BaseHTTPRequestHandler) -> None:
    match handler.path, handler.headers.get("X-Api-Key"):
        case "/api/v1/settings/public", None:
            sending(200, "application/json", b'{"initialized": true}')(handler)
        case "/api/v1/request/count", "right-key":
            sending(200, "application/json", b'{"total": 3}')(handler)
        case _:
            sending(403, "application/json", b'{"status": 403, "error": "no"}')(handler)


def tmdb(handler: http.server.BaseHTTPRequestHandler) -> None:
    key = "a" * 32
    if handler.headers.get("Authorization") == "Bearer right-token" or handler.path.endswith(
        f"?api_key={key}"
    ):
        sending(200, "application/json", b'{"images": {}}')(handler)
    else:
        sending(401, "application/json", b'{"status_code": 7}')(handler)


def test_overseerr(own_door: Door, own_admin: Person, speaking: Callable[[Answering], str]) -> None:
    url = speaking(overseerr)
    path = "/integrations/overseerr"

    assert data_of(put(own_admin, path, url=url, token="wrong-key"))["test"]["reason"] == "unauthorized"
    assert data_of(own_door.person().get(path))["state"] == "offline"
    data = data_of(put(own_admin, path, token="right-key"))
    assert (data["test"], data["state"], data["syncId"]) == ({"ok": True}, "online", None)
    assert "right-key" not in own_admin.get(path).text
    assert "paths" in refused(put(own_admin, path, paths=[]), 400, "VALIDATION_ERROR")["details"]
    assert data_of(own_admin.delete(path))["url"] == url


def test_tmdb_takes_a_token_or_a_key(own_admin: Person, speaking: Callable[[Answering], str]) -> None:
    url = speaking(tmdb)
    path = "/integrations/tmdb"

    assert data_of(own_admin.get(path))["url"] == "https://api.themoviedb.org/3"
    for token, good in (("right-token", True), ("a" * 32, True), ("b" * 32, False), ("wrong", False)):
        assert tried(own_admin, path, url=url, token=token)["ok"] is good
    assert data_of(put(own_admin, path, url=url, token="right-token"))["state"] == "online"


def tls(folder: Path) -> ssl.SSLContext:
    """A server's context with a certificate that nobody has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "double")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(
        key, hashes.SHA256()
    )
    (folder / "c.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    (folder / "k.pem").write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    return context
