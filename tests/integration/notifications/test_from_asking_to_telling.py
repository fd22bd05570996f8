"""The way of a request through messages: asked for, decided from the mail, and who asked is told once."""

from __future__ import annotations

import re

from door import Person, data_of
from fakes.mail_server import MailServer
from fakes.webhook_target import WebhookTarget
from page_forms import PlainBrowser
from post import Post

from engine.jobs.runner import run_next
from engine.media_requests import announcing

VIDEO = "http://127.0.0.1/kestrels.mp4"


def announce(post: Post) -> None:
    while run_next(post.runtime, announcing.ANNOUNCE, announcing.work):
        pass


def asked(post: Post, ann: Person) -> str:
    """A request of hers, of which admins were told."""
    body = {"url": VIDEO, "comment": "For Friday"}
    request_id = data_of(ann.post("/media/request", json=body))["id"]
    announce(post)
    return str(request_id)


def test_approved_from_the_mail(
    post: Post, ann: Person, mail_server: MailServer, target: WebhookTarget
) -> None:
    boss, other = post.door.person("admin"), post.door.person("admin")
    post.channel(boss, ("request.new",))
    post.channel(ann, ("request.approved",), url=target.url())
    request_id = asked(post, ann)
    post.send()

    (mail,) = mail_server.received
    assert mail.recipients == (boss.email,)
    assert "For Friday" in mail.plain
    links = re.findall(r"/(decide/\S+)", mail.plain)
    browser = PlainBrowser(post.door)
    browser.open(links[0])
    browser.send(links[0], decision="approve")
    announce(post)
    assert post.send() == 1

    assert [row.type for row in post.history(ann)] == ["request.approved"]
    assert len(target.received) == 1
    assert [row.type for row in post.history(other)] == ["request.new"]
    found = data_of(ann.get(f"/media/requests/{request_id}"))
    assert found["decidedBy"]["id"] == boss.id


def test_denied_with_a_reason_that_reaches_who_asked(
    post: Post, ann: Person, mail_server: MailServer, target: WebhookTarget
) -> None:
    boss = post.door.person("admin")
    post.channel(boss, ("request.new",))
    post.channel(ann, ("request.denied",), url=target.url())
    asked(post, ann)
    post.send()

    link = re.findall(r"/(decide/\S+)", mail_server.received[0].plain)[0]
    browser = PlainBrowser(post.door)
    browser.open(link)
    browser.send(link, decision="deny", reason="It is on the other server.")
    announce(post)
    post.send()

    assert "It is on the other server." in target.received[0][1]


def test_several_that_are_approved_together_are_one_message(
    post: Post, ann: Person, target: WebhookTarget
) -> None:
    boss = post.door.person("admin")
    post.channel(ann, ("request.approved",), url=target.url())
    ids = []
    for number in range(5):
        body = {"url": f"http://127.0.0.1/{number}.mp4"}
        ids.append(data_of(ann.post("/media/request", json=body))["id"])

    data_of(boss.post("/admin/requests/approve", json={"ids": ids}))
    announce(post)
    post.make_due()
    post.send()

    assert [row.count for row in post.history(ann)] == [5]
    assert [title for title, _ in target.received] == ["5 requests were approved"]
