"""A message on its way: sent once, tried again, given up with the reason, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from door import API, Person, data_of, refused
from fakes.mail_server import MailServer
from fakes.webhook_target import WebhookTarget
from post import Post
from sqlalchemy import func, update
from stack import eventually

from engine import retention
from engine.jobs.reconcile import rescue
from engine.notifications.delivery_work import DELIVER
from models.delivery import Delivery
from models.user import User

ROOT = Path(__file__).resolve().parents[3]
WORKER = (
    "from config.settings import Settings; from config.redis import make_redis; from engine.runtime import Runtime;"
    "from engine.jobs.runner import run_next; from engine.notifications.delivery_work import DELIVER, work;"
    "s = Settings.load(); run_next(Runtime(s, make_redis(s), lambda job: None), DELIVER, work)"
)


def worker(post: Post) -> subprocess.Popen[bytes]:
    """A worker that works on one delivery, and can be killed."""
    settings = post.runtime.settings
    env = {
        "PATH": os.environ["PATH"], "APP_ENV": "production", "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url, "SECRET_KEY": settings.secret_key or "", "DATA_DIR": str(settings.data_dir),
        "SMTP_URL": settings.smtp_url, "NOTIFY_ALLOW_PRIVATE_NETWORKS": "true",
    }  # fmt: skip
    return subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=env)


def succeed(post: Post) -> None:
    """The reconciler gives back what a dead worker held, and it is due."""
    with post.runtime.unit_of_work() as db:
        rescue(db, DELIVER, post.runtime.settings)
    post.make_due()


def error_of(post: Post) -> dict[str, Any]:
    return post.deliveries()[-1].error or {}


class TestThroughApprise:
    def test_a_failure_that_passes_is_tried_again(
        self, post: Post, ann: Person, target: WebhookTarget
    ) -> None:
        post.channel(ann, url=target.url("canary"))
        target.statuses = [503]

        post.tell(ann)
        post.send()
        assert (post.deliveries()[0].status, error_of(post)["message"]) == (
            "queued",
            "The service did not take the message (status 503).",
        )
        post.make_due()
        post.send()

        (row,) = post.deliveries()
        assert (row.status, row.error, row.attempt) == ("completed", None, 2)

    def test_a_dead_letter_has_its_reason_and_so_has_the_channel(
        self, post: Post, ann: Person, target: WebhookTarget
    ) -> None:
        post.channel(ann, url=target.url("canary"))
        target.statuses = [404]

        post.tell(ann)
        post.send()

        assert (post.deliveries()[0].status, error_of(post)["kind"]) == ("failed", "refused")
        channel = data_of(ann.get("/users/me/notifications"))["channels"][0]
        assert "status 404" in channel["error"]
        assert "canary" not in str(error_of(post)) + str(channel)

    def test_a_message_that_arrives_clears_the_error(
        self, post: Post, ann: Person, target: WebhookTarget
    ) -> None:
        post.channel(ann, url=target.url())
        target.statuses = [404]
        for _ in range(2):
            post.tell(ann)
            post.send()

        assert data_of(ann.get("/users/me/notifications"))["channels"][0]["error"] is None

    def test_private_networks_are_not_reached(self, post: Post, ann: Person, target: WebhookTarget) -> None:
        post.configure(notify_allow_private_networks=False)
        post.channel(ann, url=target.url())

        post.tell(ann)
        post.send()

        assert (error_of(post)["kind"], target.received) == ("blocked_address", [])

    def test_a_redirect_leads_nowhere_else_either(
        self, post: Post, ann: Person, target: WebhookTarget
    ) -> None:
        # Metadata services of clouds are never reached, whatever is allowed.
        target.statuses, target.location = [307], "http://169.254.169.254/latest"
        post.channel(ann, url=target.url())

        post.tell(ann)
        post.send()

        assert (error_of(post)["kind"], len(target.received)) == ("blocked_address", 1)

    def test_a_comment_calls_nobody(self, post: Post, ann: Person, target: WebhookTarget) -> None:
        post.channel(ann, url=target.url())

        post.tell(ann, message="@everyone look, <@&42> and me@everywhere.example")
        post.send()

        assert target.received[0][1] == "@\u200beveryone look, <\u200b@&42> and me@everywhere.example"

    def test_nothing_secret_is_logged(
        self, post: Post, ann: Person, target: WebhookTarget, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for status in (200, 404, 503):
            target.statuses = [status]
            post.channel(ann, name=f"Channel {status}", url=target.url("canary"))
            post.tell(ann)
            post.send()

        heard = capfd.readouterr()
        assert "canary" not in heard.out + heard.err

    def test_it_arrives_although_a_worker_is_killed(
        self, post: Post, ann: Person, target: WebhookTarget
    ) -> None:
        post.channel(ann, url=target.url())
        post.tell(ann)
        running = worker(post)
        target.before_answer = lambda: os.kill(running.pid, signal.SIGKILL)

        assert running.wait(60) == -signal.SIGKILL
        target.before_answer = lambda: None
        succeed(post)
        post.send()

        assert (len(target.received), post.deliveries()[0].status) == (2, "completed")
        assert len(post.history(ann)) == 1


class TestByMail:
    def test_it_can_be_ended_with_one_click(self, post: Post, ann: Person, mail_server: MailServer) -> None:
        post.channel(ann)
        post.tell(ann, subject=("request", "req-1"))
        post.send()

        (mail,) = mail_server.received
        assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        path = mail.message["List-Unsubscribe"].strip("<>").partition(API)[2]
        stranger = post.door.stranger()
        refused(stranger.post(f"{API}{path}x"), 404, "NOT_FOUND")
        clicked = stranger.post(f"{API}{path}", data={"List-Unsubscribe": "One-Click"})
        assert data_of(clicked) == {"unsubscribed": True}
        assert [channel["enabled"] for channel in post.channels(ann)] == [False]
        post.tell(ann)
        assert post.send() == 0

    def test_the_server_that_dies_before_the_text_is_asked_again(
        self, post: Post, ann: Person, mail_server: MailServer
    ) -> None:
        post.channel(ann)
        mail_server.behaviour.close_at = "RCPT"
        post.tell(ann)
        post.send()
        assert (error_of(post)["kind"], post.deliveries()[0].status) == ("unreachable", "queued")

        mail_server.behaviour.close_at = None
        post.make_due()
        post.send()

        assert len(mail_server.received) == 1

    def test_the_server_that_dies_behind_the_text_is_not(
        self, post: Post, ann: Person, mail_server: MailServer
    ) -> None:
        post.channel(ann)
        mail_server.behaviour.close_at = "TEXT"
        post.tell(ann)

        post.send()
        post.make_due()
        post.send()

        assert (len(mail_server.received), error_of(post)["kind"]) == (1, "unknown_outcome")
        admin = post.door.person("admin")
        refused(admin.post(f"/admin/deliveries/{post.deliveries()[0].id}/retry"), 409, "CONFLICT")

    @pytest.mark.parametrize("verb", ["EHLO", "RCPT", "TEXT"])
    def test_a_worker_that_is_killed_sends_at_most_one(
        self, post: Post, ann: Person, mail_server: MailServer, verb: str
    ) -> None:
        post.channel(ann)
        post.tell(ann)
        mail_server.behaviour.hang_at = verb
        running = worker(post)
        reached = "DATA" if verb == "TEXT" else verb
        eventually(lambda: reached in mail_server.reached, what=f"{verb} is reached")
        if verb == "TEXT":
            eventually(lambda: mail_server.received, what="the text is there")
        running.kill()
        running.wait(60)

        mail_server.behaviour.hang_at = None
        mail_server.released.set()
        succeed(post)
        post.send()

        assert len(mail_server.received) == 1
        assert post.deliveries()[0].status == ("failed" if verb == "TEXT" else "completed")

    def test_without_a_server_it_says_so(self, post: Post, ann: Person) -> None:
        post.configure(smtp_url="")
        post.channel(ann)
        post.tell(ann)
        post.send()

        assert error_of(post)["kind"] == "not_configured"

    def test_who_may_not_sign_in_any_more_is_told_nothing(
        self, post: Post, ann: Person, mail_server: MailServer
    ) -> None:
        post.channel(ann)
        post.tell(ann)
        with post.runtime.unit_of_work() as db:
            db.execute(update(User).where(User.id == ann.id).values(disabled_at=func.now()))

        post.send()

        assert (post.deliveries()[0].status, mail_server.received) == ("cancelled", [])


class TestTrying:
    def test_a_channel_says_whether_it_works(self, post: Post, ann: Person, target: WebhookTarget) -> None:
        channel_id = post.channel(ann, (), url=target.url())
        target.statuses = [200, 500]

        answers = []
        with ThreadPoolExecutor(1) as threads:
            for _ in range(2):
                body = {"channelId": channel_id}
                asked = threads.submit(ann.post, "/users/me/notifications/test", json=body)
                eventually(post.send, what="the test is sent")
                answers.append(data_of(asked.result()))

        assert answers == [
            {"delivered": True, "error": None},
            {"delivered": False, "error": "The service did not take the message (status 500)."},
        ]
        assert target.received[0][0] == "This channel works"


class TestDeliveries:
    def test_an_admin_sees_them_and_sends_again_what_failed(
        self, post: Post, ann: Person, target: WebhookTarget
    ) -> None:
        admin = post.door.person("admin")
        post.channel(ann, url=target.url("canary"))
        target.statuses = [404]
        post.tell(ann)
        post.send()
        post.tell(ann)
        post.send()

        answer = admin.get(f"/admin/deliveries?status=failed&user={ann.id}&kind=apprise")
        (failed,) = data_of(answer)["items"]
        assert "canary" not in answer.text
        assert (failed["channel"], failed["type"]) == (f"json://127.0.0.1:{target.port}", "request.available")
        answer = admin.post(f"/admin/deliveries/{failed['id']}/retry")
        again = data_of(answer)
        assert answer.status_code == 202
        assert (again["status"], again["attempts"], again["error"]) == ("queued", 0, None)
        post.send()

        assert data_of(admin.get("/admin/deliveries?status=failed"))["items"] == []
        assert len(target.received) == 3
        refused(admin.post(f"/admin/deliveries/{failed['id']}/retry"), 409, "CONFLICT")
        refused(ann.get("/admin/deliveries"), 403, "FORBIDDEN")

    def test_they_are_given_up_behind_the_last_attempt(
        self, post: Post, ann: Person, target: WebhookTarget
    ) -> None:
        post.channel(ann, url=target.url())
        target.statuses = [503] * 20
        post.tell(ann)
        with post.runtime.unit_of_work() as db:
            db.execute(update(Delivery).values(attempt=9))

        post.send()

        assert (post.deliveries()[0].status, len(target.received)) == ("failed", 1)

    def test_what_ended_long_ago_is_forgotten(self, post: Post, ann: Person) -> None:
        post.channel(ann)
        post.tell(ann)
        post.send()
        with post.runtime.unit_of_work() as db:
            db.execute(update(Delivery).values(ended_at=func.now() - timedelta(days=91)))

        with post.runtime.unit_of_work() as db:
            retention.forget_old(db, post.runtime.settings)

        assert post.deliveries() == []
