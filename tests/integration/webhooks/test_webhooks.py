"""Webhooks at the door: who is let in, what is stored once, what an admin sees of it, and secrets nowhere."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from door import API, Door, Person, data_of, opened, refused
from sqlalchemy import func, select, text, update
from stack import free_port
from structlog.testing import capture_logs
from webhook_forms import form, plex_path
from werkzeug.test import TestResponse

from config.settings import Settings
from engine.jobs.runner import run_next
from engine.webhooks import inbox, secrets
from engine.webhooks.work import WEBHOOK, work
from models.audit import AuditEntry
from models.base import new_id
from models.plex_library import PlexServer
from models.webhook import Webhook

PLAY = {
    "event": "media.play",
    "Account": {"id": 7, "title": "ann"},
    "Metadata": {"title": "Heat", "type": "movie"},
}
UNSEEN = "0" * 43


def send(door: Door, payload: Any, path: str = "", **more: Any) -> TestResponse:
    return door.stranger().post(path or plex_path(door), **form(payload, **more))


def signed(secret: str, body: bytes, at: float | None = None) -> dict[str, str]:
    stamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {
        "X-Timestamp": stamp,
        "X-Hub-Signature-256": f"sha256={digest}",
        "Content-Type": "application/json",
    }


def rows(door: Door) -> list[Webhook]:
    with door.runtime.unit_of_work() as db:
        return list(db.scalars(select(Webhook).order_by(Webhook.id)))


def sender(admin: Person, name: str = "sonarr") -> dict[str, Any]:
    answer = admin.post("/admin/webhooks/senders", json={"name": name})
    assert answer.status_code == 201, answer.text
    return dict(data_of(answer))


class TestPlex:
    @pytest.mark.parametrize(
        "name",
        [
            "admin_database_backup",
            "library_new_movie",
            "media_play_track",
            "media_scrobble_episode_new_agent",
            "media_stop_movie_legacy_guid",
        ],
    )
    def test_recorded_messages_are_stored(
        self, own_door: Door, fixtures: Callable[[str], Path], name: str
    ) -> None:
        recorded = fixtures(f"plex_webhooks/{name}.json").read_bytes()

        answer = send(own_door, recorded, thumb=b"\xff\xd8\xff\xe0" + bytes(200_000))

        (row,) = rows(own_door)
        assert data_of(answer) == {"id": row.id, "status": "received"}
        assert row.id.startswith("wh-")
        assert (row.source, row.event) == ("plex", json.loads(recorded)["event"])
        assert row.payload == json.loads(recorded)

    def test_json_is_taken_from_those_who_pass_it_on(self, own_door: Door) -> None:
        first = own_door.stranger().post(plex_path(own_door), json=PLAY)
        second = send(own_door, PLAY)

        assert data_of(first)["id"] == data_of(second)["id"]

    def test_a_form_without_parts_is_taken_too(self, own_door: Door) -> None:
        answer = own_door.stranger().post(plex_path(own_door), data={"payload": json.dumps(PLAY)})

        assert data_of(answer)["id"] == data_of(send(own_door, PLAY))["id"]

    def test_the_payload_may_come_as_a_file(self, own_door: Door) -> None:
        attached = {"payload": (io.BytesIO(json.dumps(PLAY).encode()), "payload.json")}

        assert data_of(own_door.stranger().post(plex_path(own_door), data=attached))["status"] == "received"

    def test_another_secret_is_refused_and_noted(self, own_door: Door) -> None:
        path, short = plex_path(own_door), f"{API}/webhooks/plex/short"
        other = path[:-1] + ("a" if path[-1] != "a" else "b")

        with capture_logs() as said:
            for wrong in (other, short, f"{API}/webhooks/plex/ü", path + "a"):
                refused(send(own_door, PLAY, wrong), 401, "UNAUTHORIZED")

        assert rows(own_door) == []
        noted = [line for line in said if line["event"] == "webhook.unproven"]
        assert len(noted) == 4
        assert noted[0] == {
            "event": "webhook.unproven", "log_level": "warning", "source": "plex", "reason": "another secret",
            "address": "127.0.0.1",
        }  # fmt: skip

    def test_nobody_is_let_in_before_a_secret_was_made(self, own_door: Door) -> None:
        refused(send(own_door, PLAY, f"{API}/webhooks/plex/{UNSEEN}"), 401, "UNAUTHORIZED")

    def test_another_server_is_refused_once_ours_is_known(self, settings: Settings) -> None:
        with opened(settings, plex_url="http://plex.test:32400", plex_token="t") as door:
            named = {**PLAY, "Server": {"title": "Office", "uuid": "ours"}}
            other = {**PLAY, "Server": {"title": "Office", "uuid": "theirs"}}
            assert send(door, other).status_code == 200, "not known yet"
            with door.runtime.unit_of_work() as db:
                seen = db.scalar(select(func.now()))
                db.add(
                    PlexServer(
                        id="ours", name="Office", url="http://plex.test:32400", seen_at=seen, failures=0
                    )
                )

            assert send(door, named).status_code == 200
            assert send(door, PLAY).status_code == 200, "it names none"
            refused(send(door, other), 401, "UNAUTHORIZED")

    def test_the_secret_is_made_once(self, own_door: Door) -> None:
        with ThreadPoolExecutor(8) as pool:
            paths = set(pool.map(lambda _: plex_path(own_door), range(16)))

        assert len(paths) == 1
        assert len(paths.pop().rpartition("/")[2]) >= 43

    @pytest.mark.parametrize(
        ("said", "status", "code"),
        [
            (form(b"{"), 400, "VALIDATION_ERROR"),
            (form(b"[1]"), 400, "VALIDATION_ERROR"),
            (form(b""), 400, "VALIDATION_ERROR"),
            (form(b'{"event": "\xff"}'), 200, ""),
            ({"data": b"--xyz\r\nrubbish", "content_type": "multipart/form-data; boundary=xyz"}, 400, "VALIDATION_ERROR"),
            ({"data": b"", "content_type": "multipart/form-data"}, 400, "VALIDATION_ERROR"),
            ({"data": {"thumb": (io.BytesIO(b"x"), "thumb.jpg")}}, 400, "VALIDATION_ERROR"),
            ({"data": b"{}", "content_type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
            ({"data": b"{}"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ],
    )  # fmt: skip
    def test_what_is_malformed_is_refused(self, own_door: Door, said: Any, status: int, code: str) -> None:
        answer = own_door.stranger().post(plex_path(own_door), **said)

        if code:
            refused(answer, status, code)
        assert answer.status_code == status
        assert len(rows(own_door)) == (status == 200)

    def test_texts_that_the_database_can_not_hold(self, own_door: Door) -> None:
        answer = send(
            own_door,
            b'{"event": "media\\u0000.play", "a\\u0000": ["\\u0000x", 1e300, 123456789012345678901234567890]}',
        )

        assert answer.status_code == 200, answer.text
        assert rows(own_door)[0].payload["a"][0] == "x"


class TestSizes:
    def test_as_large_as_it_may_be(self, own_door: Door) -> None:
        picture = bytes(5 * 1024 * 1024 - 1000)

        assert send(own_door, PLAY, thumb=picture).status_code == 200
        refused(send(own_door, PLAY, thumb=picture + bytes(1000)), 413, "PAYLOAD_TOO_LARGE")

    def test_a_long_payload_is_no_form_error(self, own_door: Door) -> None:
        long = {**PLAY, "Metadata": {"title": "x" * 2_000_000}}

        assert send(own_door, long).status_code == 200

    def test_other_routes_still_take_a_mebibyte(self, own_door: Door, own_admin: Person) -> None:
        refused(
            own_admin.post("/admin/webhooks/senders", json={"name": "x" * 1_100_000}),
            413,
            "PAYLOAD_TOO_LARGE",
        )


class TestOnce:
    def test_boundaries_and_the_order_of_keys_make_no_other_message(self, own_door: Door) -> None:
        first = send(own_door, PLAY, boundary="one")
        second = send(own_door, dict(reversed(PLAY.items())), boundary="two", thumb=b"x")

        assert data_of(first)["id"] == data_of(second)["id"]
        assert [row.copies for row in rows(own_door)] == [2]

    def test_a_hundred_at_once_are_one_row(self, own_door: Door) -> None:
        path = plex_path(own_door)
        messages = [{**PLAY, "number": number % 4} for number in range(100)]
        random.shuffle(messages)

        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda said: send(own_door, said, path), messages))

        assert {answer.status_code for answer in answers} == {200}
        assert [row.copies for row in rows(own_door)] == [25] * 4

    def test_after_ten_minutes_it_is_another(self, own_door: Door) -> None:
        for age, expected in ((timedelta(minutes=9), 1), (timedelta(minutes=11), 2)):
            send(own_door, PLAY)
            with own_door.runtime.unit_of_work() as db:
                db.execute(update(Webhook).values(created_at=func.now() - age))
            send(own_door, PLAY)
            assert len(rows(own_door)) == expected

    def test_the_same_of_another_source_is_another(self, own_door: Door, own_admin: Person) -> None:
        body = json.dumps(PLAY).encode()
        send(own_door, PLAY)
        path, secret = f"{API}/webhooks/sonarr", sender(own_admin)["secret"]

        assert own_door.stranger().post(path, data=body, headers=signed(secret, body)).status_code == 200
        assert [row.source for row in rows(own_door)] == ["plex", "sonarr"]


class TestSignatures:
    BODY = b'{"event": "Download", "n": 1}'

    def post(
        self, door: Door, headers: dict[str, str], body: bytes = BODY, name: str = "sonarr"
    ) -> TestResponse:
        return door.stranger().post(f"{API}/webhooks/{name}", data=body, headers=headers)

    def test_a_sender_who_signs(self, own_door: Door, own_admin: Person) -> None:
        made = sender(own_admin)

        answer = self.post(own_door, signed(made["secret"], self.BODY))

        assert made["url"].endswith("/api/v1/webhooks/sonarr")
        (row,) = rows(own_door)
        assert data_of(answer)["id"] == row.id
        assert (row.source, row.event, row.payload["n"]) == ("sonarr", "Download", 1)

    @pytest.mark.parametrize("off", [-270, 290])
    def test_clocks_may_differ(self, own_door: Door, own_admin: Person, off: int) -> None:
        secret = sender(own_admin)["secret"]

        assert self.post(own_door, signed(secret, self.BODY, time.time() + off)).status_code == 200

    def test_what_proves_nothing(self, own_door: Door, own_admin: Person) -> None:
        secret = sender(own_admin)["secret"]
        good = signed(secret, self.BODY)
        bad: list[dict[str, str]] = [
            {"Content-Type": "application/json"},
            signed(secret, self.BODY + b" "),
            signed("another", self.BODY),
            signed(secret, self.BODY, time.time() - 310),
            signed(secret, self.BODY, time.time() + 310),
            {**good, "X-Timestamp": str(int(good["X-Timestamp"]) - 1)},
            {**good, "X-Timestamp": "now"},
            {**good, "X-Timestamp": "-1"},
            {**good, "X-Timestamp": "9" * 30},
            {**good, "X-Hub-Signature-256": good["X-Hub-Signature-256"].removeprefix("sha256=")},
            {**good, "X-Hub-Signature-256": good["X-Hub-Signature-256"].upper()},
            {**good, "X-Hub-Signature-256": "sha256="},
            {key: value for key, value in good.items() if key != "X-Timestamp"},
        ]

        for headers in bad:
            refused(self.post(own_door, headers), 401, "UNAUTHORIZED")
        refused(self.post(own_door, good, name="radarr"), 401, "UNAUTHORIZED")
        refused(self.post(own_door, good, name="plex"), 401, "UNAUTHORIZED")
        assert rows(own_door) == []

    def test_what_was_overheard_and_sent_again_is_the_same_row(
        self, own_door: Door, own_admin: Person
    ) -> None:
        headers = signed(sender(own_admin)["secret"], self.BODY)

        answers = [self.post(own_door, headers) for _ in range(3)]

        assert {data_of(answer)["id"] for answer in answers} == {rows(own_door)[0].id}

    def test_proven_but_malformed(self, own_door: Door, own_admin: Person) -> None:
        secret = sender(own_admin)["secret"]
        text = {**signed(secret, b"hello"), "Content-Type": "text/plain"}

        refused(self.post(own_door, signed(secret, b"hello"), b"hello"), 400, "VALIDATION_ERROR")
        refused(self.post(own_door, signed(secret, b""), b""), 400, "VALIDATION_ERROR")
        refused(self.post(own_door, text, b"hello"), 415, "UNSUPPORTED_MEDIA_TYPE")


class TestOverseerr:
    def test_the_header_as_it_was_typed(self, own_door: Door) -> None:
        with own_door.runtime.unit_of_work() as db:
            proof = secrets.overseerr_authorization(db, own_door.runtime.settings)
            assert secrets.overseerr_authorization(db, own_door.runtime.settings) == proof
        body = {"notification_type": "TEST_NOTIFICATION", "media": None, "request": None}
        path, post = f"{API}/webhooks/overseerr", own_door.stranger().post

        answer = post(path, json=body, headers={"Authorization": proof})

        (row,) = rows(own_door)
        assert data_of(answer)["id"] == row.id
        assert (row.source, row.event) == ("overseerr", "TEST_NOTIFICATION")
        for wrong in ({}, {"Authorization": f"Bearer {proof}"}, {"Authorization": proof[:-1]}):
            refused(post(path, json=body, headers=wrong), 401, "UNAUTHORIZED")


class TestRateLimits:
    def test_only_what_is_not_proven_counts(self, settings: Settings) -> None:
        with opened(settings, app_env="production", rate_limit_enabled=True) as door:
            wrong, right = f"{API}/webhooks/plex/{UNSEEN}", plex_path(door)

            statuses = [send(door, {**PLAY, "n": n}, right).status_code for n in range(30)]
            guesses = [send(door, PLAY, wrong) for _ in range(12)]

            assert set(statuses) == {200}
            assert [answer.status_code for answer in guesses] == [401] * 10 + [429] * 2
            assert guesses[-1].headers["Retry-After"]
            assert send(door, {**PLAY, "n": 30}, right).status_code == 200, "Plex at the same address"


class TestSenders:
    def test_made_listed_given_another_secret_deleted(self, own_door: Door, own_admin: Person) -> None:
        made = sender(own_admin)
        sender(own_admin, "radarr")

        assert [each["name"] for each in data_of(own_admin.get("/admin/webhooks/senders"))["senders"]] == [
            "radarr",
            "sonarr",
        ]
        refused(own_admin.post("/admin/webhooks/senders", json={"name": "sonarr"}), 409, "CONFLICT")
        other = data_of(own_admin.post("/admin/webhooks/senders/sonarr/rotate"))
        assert other["secret"] != made["secret"]
        body = b"{}"
        knock = own_door.stranger().post
        assert (
            knock(f"{API}/webhooks/sonarr", data=body, headers=signed(made["secret"], body)).status_code
            == 401
        )
        assert (
            knock(f"{API}/webhooks/sonarr", data=body, headers=signed(other["secret"], body)).status_code
            == 200
        )
        assert data_of(own_admin.delete("/admin/webhooks/senders/sonarr"))["name"] == "sonarr"
        refused(own_admin.delete("/admin/webhooks/senders/sonarr"), 404, "NOT_FOUND")
        refused(own_admin.post("/admin/webhooks/senders/sonarr/rotate"), 404, "NOT_FOUND")
        assert (
            knock(f"{API}/webhooks/sonarr", data=body, headers=signed(other["secret"], body)).status_code
            == 401
        )

    @pytest.mark.parametrize("name", ["plex", "overseerr"])
    def test_reserved_names(self, own_door: Door, own_admin: Person, name: str) -> None:
        refused(own_admin.post("/admin/webhooks/senders", json={"name": name}), 409, "CONFLICT")
        refused(own_admin.delete(f"/admin/webhooks/senders/{name}"), 409, "CONFLICT")
        before = data_of(own_admin.post(f"/admin/webhooks/senders/{name}/rotate"))["secret"]
        assert data_of(own_admin.post(f"/admin/webhooks/senders/{name}/rotate"))["secret"] != before
        assert data_of(own_admin.get("/admin/webhooks/senders"))["senders"] == []

    def test_another_secret_for_plex(self, own_door: Door, own_admin: Person) -> None:
        before = plex_path(own_door)

        url = data_of(own_admin.post("/admin/webhooks/senders/plex/rotate"))["url"]

        assert url.endswith(plex_path(own_door))
        refused(send(own_door, PLAY, before), 401, "UNAUTHORIZED")
        assert send(own_door, PLAY).status_code == 200

    @pytest.mark.parametrize("name", ["", "Sonarr", "a b", "a/b", "-a", "ä", "x" * 41, "a\n"])
    def test_names(self, own_admin: Person, name: str) -> None:
        refused(own_admin.post("/admin/webhooks/senders", json={"name": name}), 400, "VALIDATION_ERROR")

    def test_every_change_is_in_the_audit_log(self, own_door: Door, own_admin: Person) -> None:
        made = sender(own_admin)
        own_admin.post("/admin/webhooks/senders/sonarr/rotate")
        own_admin.delete("/admin/webhooks/senders/sonarr")

        with own_door.runtime.unit_of_work() as db:
            entries = list(db.scalars(select(AuditEntry).order_by(AuditEntry.id)))
        assert [(entry.action, entry.subject_id, entry.actor_id) for entry in entries] == [
            (f"webhook_sender.{done}", "sonarr", own_admin.id) for done in ("created", "rotated", "deleted")
        ]
        assert made["secret"] not in str([entry.details for entry in entries])


class TestInbox:
    def test_a_list_with_filters(self, own_door: Door, own_admin: Person) -> None:
        for number, event in enumerate(["media.play", "media.stop", "media.play"]):
            send(own_door, {"event": event, "n": number})

        def ids(query: str) -> list[str]:
            return [each["id"] for each in data_of(own_admin.get(f"/admin/webhooks{query}"))["items"]]

        first, second, third = (row.id for row in rows(own_door))
        assert ids("") == [third, second, first]
        assert ids("?event=media.play&limit=1") == [third]
        assert ids("?event=media.play&limit=1&page=2") == [first]
        assert ids("?source=sonarr") == ids("?status=failed") == []
        assert ids("?status=received&source=plex") == [third, second, first]
        refused(own_admin.get("/admin/webhooks?status=done"), 400, "VALIDATION_ERROR")

    def test_one_with_what_it_says(self, own_door: Door, own_admin: Person) -> None:
        said = {
            "event": "x.y",
            "thumb": "http://plex:32400/photo?X-Plex-Token=canarytoken&width=1",
            "deep": [{"authToken": "canarytoken", "title": "Basic Instinct and Token Ring"}],
        }
        row_id = data_of(send(own_door, said))["id"]

        answer = own_admin.get(f"/admin/webhooks/{row_id}")

        shown = data_of(answer)
        assert {key: shown[key] for key in ("id", "source", "event", "status", "attempts", "copies", "error")} == {
            "id": row_id, "source": "plex", "event": "x.y", "status": "received", "attempts": 0, "copies": 1, "error": None,
        }  # fmt: skip
        assert shown["payload"]["deep"][0]["title"] == "Basic Instinct and Token Ring"
        assert shown["payload"]["thumb"].endswith("&width=1")
        with own_door.runtime.unit_of_work() as db:
            stored = db.scalar(text("SELECT string_agg(webhooks::text, '') FROM webhooks"))
        assert "canarytoken" not in answer.text + str(stored)
        refused(own_admin.get(f"/admin/webhooks/{new_id('wh')}"), 404, "NOT_FOUND")

    def test_what_nobody_understands_is_kept(self, own_door: Door, own_admin: Person) -> None:
        send(own_door, {"event": "media.levitate"})
        body = b'{"type": "grab"}'
        headers = signed(sender(own_admin)["secret"], body)
        own_door.stranger().post(f"{API}/webhooks/sonarr", data=body, headers=headers)

        assert run_next(own_door.runtime, WEBHOOK, work)
        assert run_next(own_door.runtime, WEBHOOK, work)

        ignored = data_of(own_admin.get("/admin/webhooks?status=ignored"))["items"]
        assert len(ignored) == len(rows(own_door)) == 2
        for shown in ignored:
            assert shown["processedAt"]
            assert shown["outcome"]
            assert (shown["attempts"], shown["error"]) == (1, None)

    def test_replay(self, own_door: Door, own_admin: Person) -> None:
        row_id = data_of(send(own_door, PLAY))["id"]

        waiting = own_admin.post(f"/admin/webhooks/{row_id}/replay")
        run_next(own_door.runtime, WEBHOOK, work)
        again = own_admin.post(f"/admin/webhooks/{row_id}/replay")

        assert (waiting.status_code, again.status_code) == (200, 202)
        assert again.headers["Location"] == f"{API}/admin/webhooks/{row_id}"
        assert data_of(again)["status"] == "received"
        assert run_next(own_door.runtime, WEBHOOK, work)
        assert rows(own_door)[0].status == "processed"
        refused(own_admin.post(f"/admin/webhooks/{new_id('wh')}/replay"), 404, "NOT_FOUND")
        with own_door.runtime.unit_of_work() as db:
            assert db.scalars(select(AuditEntry.action)).all() == ["webhook.replayed"]

    def test_old_ones_go(self, own_door: Door) -> None:
        send(own_door, {**PLAY, "n": 1})
        run_next(own_door.runtime, WEBHOOK, work)
        send(own_door, {**PLAY, "n": 2})
        with own_door.runtime.unit_of_work() as db:
            db.execute(update(Webhook).values(created_at=func.now() - timedelta(days=31)))
        send(own_door, {**PLAY, "n": 3})

        with own_door.runtime.unit_of_work() as db:
            inbox.forget_old(db, inbox.RETENTION)

        assert [row.payload["n"] for row in rows(own_door)] == [2, 3], "what was not worked on stays"


class TestRedisAway:
    def test_it_is_taken_all_the_same(self, settings: Settings) -> None:
        nowhere = f"redis://127.0.0.1:{free_port()}/0"
        with opened(settings, redis_url=nowhere, rate_limit_enabled=True) as door:
            assert send(door, PLAY).status_code == 200
            refused(send(door, PLAY, f"{API}/webhooks/plex/{UNSEEN}"), 401, "UNAUTHORIZED")
            assert run_next(door.runtime, WEBHOOK, work)
            assert rows(door)[0].status == "processed"


def test_the_door_is_quick_to_say_no_to_what_is_too_large(own_door: Door) -> None:
    """20 MB: refused by its announced length."""
    answer = own_door.stranger().post(
        plex_path(own_door), data=bytes(20_000_000), content_type="application/json"
    )

    refused(answer, 413, "PAYLOAD_TOO_LARGE")
    assert rows(own_door) == []
