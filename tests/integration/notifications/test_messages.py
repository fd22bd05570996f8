"""Which messages notifications become: one a channel for what belongs together, when their recipient may be told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from door import Person, data_of
from factories import make_download
from fakes.mail_server import MailServer
from fakes.webhook_target import WebhookTarget
from post import Post
from sqlalchemy import select, update

from engine.downloads.notices import tell_owner
from engine.events import CHANNEL_PATTERN
from engine.notifications.notifications import notify
from engine.notifications.recipients import notify_holders
from engine.permissions import Permission
from models.delivery import DeliveredNotification
from models.notification import Notification
from models.user import User


def episodes(post: Post, ann: Person, numbers: range, *, type_: str = "request.approved") -> None:
    for number in numbers:
        post.tell(
            ann, f"Film {number}", type=type_, group="batch-1", dedupe_key=f"step-{number}",
            details={"title": f"Film {number}", "own": True},
        )  # fmt: skip


def test_at_once_to_every_channel_that_was_chosen(
    post: Post, ann: Person, target: WebhookTarget, mail_server: MailServer
) -> None:
    post.channel(ann, name="Webhook", url=target.url())
    post.channel(ann, name="Mail")
    ids = [channel["id"] for channel in post.channels(ann)]
    post.preferences(ann, events={"request.available": ids})

    post.tell(ann, "Kestrel is there")
    post.tell(ann, "Not chosen", type="request.approved")
    assert post.send() == 2

    assert target.received == [("Kestrel is there", "Kestrel is there.")]
    assert [mail.message["Subject"] for mail in mail_server.to(ann.email)] == ["Kestrel is there"]
    assert {row.status for row in post.deliveries()} == {"completed"}


def test_what_happened_in_a_unit_that_failed_is_told_to_nobody(post: Post, ann: Person) -> None:
    post.channel(ann)

    with pytest.raises(RuntimeError), post.runtime.unit_of_work() as db:
        notify(db, ann.id, type="request.available", title="There", message="It is there.")
        raise RuntimeError

    assert (post.history(ann), post.deliveries()) == ([], [])


def test_a_hundred_are_one_notification_and_one_message(
    post: Post, ann: Person, target: WebhookTarget
) -> None:
    post.channel(ann, ("request.approved",), url=target.url())

    episodes(post, ann, range(100))
    assert post.send() == 0  # more may follow
    post.make_due()
    post.send()

    assert [row.count for row in post.history(ann)] == [100]
    title, message = target.received[0]
    assert title == "100 requests were approved"
    assert message.startswith("“Film 0”, “Film 1”, “Film 2”, “Film 3”, “Film 4” and 95 more.")
    assert len(target.received) == 1


def test_those_of_one_series_keep_its_words(post: Post, ann: Person) -> None:
    for number in range(12):
        post.tell(
            ann, "“Tide” can be watched", group="tv:1", dedupe_key=str(number), details={"title": "Tide"}
        )

    row = post.history(ann)[0]
    assert (row.count, row.title) == (12, "“Tide” can be watched")


def test_at_the_same_moment_too_each_counts_once(post: Post, ann: Person) -> None:
    post.channel(ann, ("request.approved",))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: episodes(post, ann, range(n % 12, n % 12 + 1)), range(36)))

    assert [row.count for row in post.history(ann)] == [12]
    assert len(post.deliveries()) == 1


def test_one_that_comes_again_much_later_is_known(post: Post, ann: Person) -> None:
    episodes(post, ann, range(3))
    with post.runtime.unit_of_work() as db:
        db.execute(update(Notification).values(created_at=datetime.now(UTC) - timedelta(days=1)))

    episodes(post, ann, range(3))

    assert [row.count for row in post.history(ann)] == [3]


def test_behind_the_window_a_new_group_begins(post: Post, ann: Person) -> None:
    episodes(post, ann, range(2))
    with post.runtime.unit_of_work() as db:
        db.execute(update(Notification).values(created_at=datetime.now(UTC) - timedelta(minutes=6)))

    episodes(post, ann, range(2, 4))

    assert [row.count for row in post.history(ann)] == [2, 2]


def test_what_joins_a_group_that_was_read_is_new_again(post: Post, ann: Person) -> None:
    episodes(post, ann, range(1))
    data_of(ann.post("/dashboard/notifications/read", json={"all": True}))

    episodes(post, ann, range(1, 2))

    assert data_of(ann.get("/dashboard/notifications"))["unread"] == 1


def test_quiet_hours_hold_messages_back_and_merge_them(
    post: Post, ann: Person, target: WebhookTarget
) -> None:
    post.channel(ann, url=target.url())
    now = datetime.now(UTC)
    hours = {"from": f"{now - timedelta(hours=1):%H:%M}", "to": f"{now + timedelta(hours=2):%H:%M}"}
    post.preferences(ann, quietHours={**hours, "timeZone": "UTC"})

    post.tell(ann, "First")
    post.tell(ann, "Second")

    assert post.send() == 0
    (waiting,) = post.deliveries()
    assert timedelta(minutes=118) < waiting.next_run_at - now <= timedelta(minutes=120)
    post.make_due()
    post.send()
    assert target.received == [("2 notifications from MediaNest", "First: First.\n\nSecond: Second.")]


def test_a_digest_is_one_message_a_day(post: Post, ann: Person, target: WebhookTarget) -> None:
    post.channel(ann, ("request.available", "request.approved"), url=target.url())
    post.preferences(ann, digest="daily")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: post.tell(ann, f"Film {n}"), range(4)))
    episodes(post, ann, range(5))

    assert post.send() == 0
    assert [row.digest for row in post.deliveries()] == [True]
    post.make_due()
    post.send()
    assert [title for title, _ in target.received] == ["Your day in MediaNest: 9 notifications"]


def test_what_is_about_the_safety_of_an_account_waits_for_nothing(
    post: Post, ann: Person, target: WebhookTarget
) -> None:
    post.channel(ann, ("security",), url=target.url())
    post.preferences(
        ann, digest="daily", quietHours={"from": "00:00", "to": "23:59", "timeZone": "Europe/Berlin"}
    )

    post.tell(ann, "Somebody signed in", type="security.sign_in")

    assert post.send() == 1
    assert target.received[0][0] == "Somebody signed in"


def test_without_the_socket_it_is_in_the_history_only(post: Post, ann: Person) -> None:
    post.preferences(ann, events={"request.available": []})

    assert post.tell(ann) is not None
    assert len(post.history(ann)) == 1


def test_targets_of_the_installation_are_told_once_what_all_admins_are(
    post: Post, target: WebhookTarget
) -> None:
    post.configure(notify_urls=(target.url("canary"),))
    for _ in range(3):
        post.door.person("admin")
    ann = post.door.person()

    with post.runtime.unit_of_work() as db:
        told = notify_holders(db, Permission.REQUESTS_MANAGE, type="request.new", title="Somebody asks",
                              message="“Tide” waits.", subject=("request", "req-1"), dedupe_key="step-1")  # fmt: skip
    post.tell(ann, "Not for admins")
    post.send()

    assert told == 3
    assert [title for title, _ in target.received] == ["Somebody asks"]
    (row,) = post.deliveries()
    assert (row.user_id, row.kind, row.shown, "canary" in str(vars(row))) == (
        None,
        "installation",
        "json://",
        False,
    )
    shown = data_of(post.door.person("admin").get("/admin/deliveries"))["items"][0]
    assert (shown["user"], shown["kind"]) == (None, "installation")


def test_a_mail_speaks_the_language_of_its_reader(post: Post, ann: Person, mail_server: MailServer) -> None:
    post.channel(ann)
    with post.runtime.unit_of_work() as db:
        db.execute(update(User).where(User.id == ann.id).values(language="de"))

    post.tell(ann, "“Tide” can be watched", details={"title": "Tide", "own": True})
    post.send()

    (mail,) = mail_server.received
    assert mail.message["Subject"] == "„Tide“ ist da"
    assert "Dein Wunsch ist jetzt in Plex." in mail.plain
    html = mail.message.get_body(("html",))
    assert html is not None
    assert '<html lang="de">' in html.get_content()


def test_a_notification_is_told_by_each_channel_once(post: Post, ann: Person) -> None:
    post.channel(ann)
    for _ in range(3):
        post.tell(ann, dedupe_key="step-1")

    assert (len(post.history(ann)), len(post.deliveries())) == (1, 1)
    with post.runtime.unit_of_work() as db:
        assert len(db.scalars(select(DeliveredNotification)).all()) == 1


def test_downloads_that_end_are_told_to_their_owner(post: Post, ann: Person, target: WebhookTarget) -> None:
    post.channel(ann, ("download.completed", "download.failed"), url=target.url())
    with post.runtime.unit_of_work() as db:
        owner = db.get_one(User, ann.id)
        for number, status in enumerate(("completed", "completed", "failed", "cancelled")):
            row = make_download(db, owner, status=status, title=f"Video {number}", epoch=1)
            tell_owner(db, row)
            tell_owner(db, row)  # by a worker that died behind it, and its successor
        tell_owner(db, make_download(db, owner, status="completed", request_id="req-1"))

    post.make_due()
    post.send()

    assert [(row.type, row.count) for row in post.history(ann)] == [
        ("download.completed", 2),
        ("download.failed", 1),
    ]
    assert sorted(title for title, _ in target.received) == ["3 notifications from MediaNest"]


def test_a_group_that_grows_is_published_again(post: Post, ann: Person) -> None:
    with post.runtime.redis.pubsub(ignore_subscribe_messages=True) as listening:
        listening.psubscribe(CHANNEL_PATTERN)
        listening.get_message(timeout=5)
        episodes(post, ann, range(2))
        heard = [listening.get_message(timeout=5) for _ in range(2)]

    first, second = (orjson.loads(each["data"])["frame"]["data"] for each in heard if each is not None)
    assert first["id"] == second["id"]
    assert second["title"] == "2 requests were approved"


def test_settings_show_no_address(post: Post, target: WebhookTarget) -> None:
    chief = post.door.person("super_admin")

    changed = chief.request("PATCH", "/admin/settings", json={"notifyUrls": target.url("canary")})

    assert changed.status_code == 200, changed.text
    assert post.runtime.settings.notify_urls == (target.url("canary"),)
    assert "canary" not in changed.text + chief.get("/admin/settings").text
