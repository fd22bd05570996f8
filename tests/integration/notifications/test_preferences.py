"""Where one is told of what: channels with secrets in them, and what is accepted."""

from __future__ import annotations

from typing import Any

import pytest
from door import Person, data_of, refused
from fakes.webhook_target import WebhookTarget
from post import Post
from sqlalchemy import select

from engine.notifications.notifications import notify
from engine.secrets import rotation
from models.audit import AuditEntry
from models.delivery import NotificationChannel

PATH = "/users/me/notifications"
NTFY = {"kind": "apprise", "name": "Phone", "url": "ntfys://me:canary-password@ntfy.example.org/canary-topic"}


def put(person: Person, **changes: Any) -> Any:
    return person.request("PUT", PATH, json=changes)


def test_at_first_everything_goes_to_the_socket_and_nothing_elsewhere(ann: Person) -> None:
    found = data_of(ann.get(PATH))

    assert found["channels"] == []
    assert set(map(tuple, found["events"].values())) == {("socket",)}
    assert "request.available" in found["events"]
    assert "request.new" not in found["events"]
    assert (found["quietHours"], found["digest"]) == (None, "none")


def test_what_is_switched_off_stands_in_the_history_and_is_not_new(post: Post, ann: Person) -> None:
    assert put(ann, events={"download.completed": []}).status_code == 200
    with post.runtime.unit_of_work() as db:
        for type_ in ("download.completed", "download.failed"):
            notify(db, ann.id, type=type_, title=type_, message="It has ended.")

    found = data_of(ann.get("/dashboard/notifications"))
    assert [(row["type"], row["read"]) for row in found["items"]] == [
        ("download.failed", False), ("download.completed", True),
    ]  # fmt: skip
    assert [row["type"] for row in data_of(ann.get("/dashboard/notifications?unread=true"))["items"]] == [
        "download.failed"
    ]


def test_an_admin_may_choose_what_admins_are_told(post: Post) -> None:
    assert {"request.new", "sync.failed"} <= data_of(post.door.person("admin").get(PATH))["events"].keys()


def test_an_address_is_sealed_and_never_read_back(post: Post, ann: Person) -> None:
    answer = put(ann, channels=[NTFY])

    channel = data_of(answer)["channels"][0]
    assert channel["url"] == "ntfys://ntfy.example.org"
    assert "canary" not in answer.text + ann.get(PATH).text
    with post.runtime.unit_of_work() as db:
        row = db.scalars(select(NotificationChannel)).one()
        assert "canary" not in f"{row.url} {row.shown} {row.name}"
        entries = str([(entry.details, entry.subject_name) for entry in db.scalars(select(AuditEntry))])
        rotation.check(db, post.runtime.settings)
        assert rotation.reseal(db, post.runtime.settings) == 1
    assert "canary" not in entries


def test_a_channel_keeps_its_address_where_none_is_given(
    post: Post, ann: Person, target: WebhookTarget
) -> None:
    channel_id = post.channel(ann, url=target.url())

    kept = {"id": channel_id, "kind": "apprise", "name": "Renamed"}
    assert data_of(put(ann, channels=[kept]))["channels"][0]["url"] == f"json://127.0.0.1:{target.port}"

    post.tell(ann)
    post.send()
    assert len(target.received) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channels": [{"kind": "webpush", "name": "Browser"}]}, "channels"),
        ({"channels": [{"kind": "apprise", "name": "No address"}]}, "channels"),
        ({"channels": [{"kind": "email", "name": "Mail", "url": "json://example.org"}]}, "channels"),
        ({"channels": [NTFY] * 11}, "channels"),
        ({"channels": [{**NTFY, "name": "x" * 101}]}, "channels"),
        ({"events": {"request.lost": ["socket"]}}, "events"),
        ({"events": {"request.available": ["chn-of-nobody"]}}, "events"),
        ({"quietHours": {"from": "22:00", "to": "22:00", "timeZone": "Europe/Berlin"}}, "quietHours"),
        ({"quietHours": {"from": "25:00", "to": "06:00", "timeZone": "Europe/Berlin"}}, "quietHours"),
        ({"quietHours": {"from": "22:00", "to": "06:00", "timeZone": "Mars/Olympus"}}, "timeZone"),
        ({"digest": "hourly"}, "digest"),
    ],
)
def test_what_is_not_accepted(ann: Person, changes: dict[str, Any], field: str) -> None:
    error = refused(put(ann, **changes), 400, "VALIDATION_ERROR")

    assert field in error["details"]
    assert data_of(ann.get(PATH))["channels"] == []


@pytest.mark.parametrize(
    "url",
    [
        "mailto://me:canary@example.org",
        "dbus://canary",
        "syslog://canary",
        "mqtt://canary.example.org/topic",
        "file:///canary",
        "apprise://example.org/canary",
        "json://",
        "discord://too-short",
        "json://example.org/canary?template=/etc/passwd",
        "json://example.org/canary?Attach=/etc/passwd",
        "matrix://me:canary@example.org/#room?path=/etc",
        "slack://canary",
        "json://exa mple.org/canary",
        "json://example.org/" + "canary" * 400,
    ],
)
def test_an_address_is_refused_without_being_repeated(ann: Person, url: str) -> None:
    answer = put(ann, channels=[{"kind": "apprise", "name": "Mine", "url": url}])

    refused(answer, 400, "VALIDATION_ERROR")
    assert "canary" not in answer.text


def test_nobody_has_somebody_elses_channels(post: Post, ann: Person) -> None:
    channel_id = post.channel(ann)
    bob = post.door.person()

    refused(put(bob, channels=[{"id": channel_id, "kind": "email", "name": "Mine"}]), 404, "NOT_FOUND")
    refused(bob.post(f"{PATH}/test", json={"channelId": channel_id}), 404, "NOT_FOUND")


def test_a_channel_that_is_removed_is_told_nothing_that_waits(post: Post, ann: Person) -> None:
    post.channel(ann)
    post.tell(ann, group="tv:1")

    put(ann, channels=[])

    assert [row.status for row in post.deliveries()] == ["cancelled"]
    post.make_due()
    assert post.send() == 0


def test_who_is_deleted_keeps_no_channel(post: Post, ann: Person) -> None:
    post.channel(ann)
    admin = post.door.person("admin")

    data_of(admin.delete(f"/admin/users/{ann.id}"))

    with post.runtime.unit_of_work() as db:
        assert db.scalars(select(NotificationChannel)).all() == []
