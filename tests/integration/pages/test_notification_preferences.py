"""What one is told where, as a page without scripts; and how admins see the messages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from door import Door, data_of
from fakes.webhook_target import WebhookTarget
from page_visits import PageVisits
from post import Post
from sqlalchemy import update

from models.user import User

PATH = "notifications/preferences"


@pytest.fixture
def ann(own_door: Door) -> PageVisits:
    return PageVisits(own_door, "user")


@pytest.fixture
def target() -> Iterator[WebhookTarget]:
    with WebhookTarget() as target:
        yield target


def chosen(ann: PageVisits) -> dict[str, list[str]]:
    return dict(data_of(ann.person.get("/users/me/notifications"))["events"])


def proof(ann: PageVisits) -> dict[str, str]:
    return {"csrfToken": ann.person.signed_in["csrfToken"]}


def test_at_first_it_offers_mail_with_one_click(ann: PageVisits) -> None:
    assert "You are told here only" in ann.see(PATH)

    seen = ann.told("notifications/channels/email", proof(ann))

    assert "You are told here and in one other place" in seen
    (channel,) = data_of(ann.person.get("/users/me/notifications"))["channels"]
    assert chosen(ann)["request.available"] == ["socket", channel["id"]]
    assert chosen(ann)["download.completed"] == ["socket"]


def test_a_channel_is_added_without_its_secret_being_shown_again(
    ann: PageVisits, target: WebhookTarget
) -> None:
    ann.told("notifications/channels", {**proof(ann), "name": "My room", "url": target.url("canary")})

    page = ann.get(PATH).text
    assert f"json://127.0.0.1:{target.port}" in page
    assert "canary" not in page


def test_an_address_that_is_not_accepted_is_said_at_the_form(ann: PageVisits) -> None:
    answer = ann.send("notifications/channels", {**proof(ann), "name": "My room", "url": "mailto://x@y.z"})

    assert answer.status_code == 400
    assert 'value="My room"' in answer.text
    assert "Must begin with one of" in answer.text


def test_ticks_quiet_hours_and_digest_are_stored(ann: PageVisits) -> None:
    ann.told("notifications/channels/email", proof(ann))
    (channel,) = data_of(ann.person.get("/users/me/notifications"))["channels"]
    to = [f"request.denied {channel['id']}", "request.available socket"]
    times = {"quietFrom": "22:30", "quietTo": "07:00", "timeZone": "Europe/Berlin", "digest": "daily"}

    seen = ann.told(PATH, {**proof(ann), "to": to, **times})

    assert "It is stored." in seen
    found = data_of(ann.person.get("/users/me/notifications"))
    assert found["events"]["request.denied"] == [channel["id"]]
    assert found["events"]["request.available"] == ["socket"]
    assert found["events"]["request.failed"] == []
    assert found["quietHours"] == {"from": "22:30", "to": "07:00", "timeZone": "Europe/Berlin"}
    assert found["digest"] == "daily"
    assert 'name="timeZone" type="text" value="Europe/Berlin"' in ann.get(PATH).text
    refused = ann.send(PATH, {**proof(ann), **times, "timeZone": "Mars/Olympus"})
    assert (refused.status_code, "Must be one such as Europe/Berlin." in refused.text) == (400, True)


def test_a_channel_is_switched_off_and_removed(ann: PageVisits) -> None:
    ann.told("notifications/channels/email", proof(ann))
    (channel,) = data_of(ann.person.get("/users/me/notifications"))["channels"]

    ann.told(f"notifications/channels/{channel['id']}/switch", {**proof(ann), "on": "false"})
    assert [each["enabled"] for each in data_of(ann.person.get("/users/me/notifications"))["channels"]] == [
        False
    ]
    ann.told(f"notifications/channels/{channel['id']}/remove", proof(ann))

    assert data_of(ann.person.get("/users/me/notifications"))["channels"] == []


def test_notifications_are_shown_in_the_language_of_the_page(own_door: Door, ann: PageVisits) -> None:
    post = Post(own_door)
    post.tell(ann.person, "“Tide” can be watched", details={"title": "Tide", "own": True})
    with own_door.runtime.unit_of_work() as db:
        db.execute(update(User).where(User.id == ann.person.id).values(language="de"))

    assert "„Tide“ ist da" in ann.see("notifications")


def test_an_admin_sees_what_was_not_sent_and_sends_it_again(
    own_door: Door, ann: PageVisits, target: WebhookTarget
) -> None:
    post = Post(own_door)
    admin = PageVisits(own_door, "admin")
    assert "No message was sent yet" in admin.see("admin/deliveries")
    post.configure(notify_allow_private_networks=True)
    post.channel(ann.person, url=target.url("canary"))
    target.statuses = [404]
    post.tell(ann.person)
    post.send()

    seen = admin.see("admin/deliveries?status=failed")
    assert "One message could not be sent" in seen
    assert "A request can be watched" in seen
    assert "canary" not in seen
    (row,) = post.deliveries()
    admin.told(f"admin/deliveries/{row.id}/retry", proof(admin))
    post.send()

    assert "All messages find their way" in admin.see("admin/deliveries")
