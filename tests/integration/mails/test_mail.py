"""A mail is handed to the mail server once, or not at all, and says in its row why."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes.mail_server import MailServer, Received, make_certificate
from sqlalchemy import func, select, text, update

from config.redis import make_redis
from config.settings import Settings
from engine.job_names import Job
from engine.job_registry import send_mail
from engine.jobs.reconcile import rescue
from engine.jobs.runner import run_next
from engine.mails import mails
from engine.mails import work as mail_work
from engine.mails.texts import Template
from engine.runtime import Runtime
from models.mail import Mail

ROOT = Path(__file__).resolve().parents[3]
TO = "ann@example.com"
DETAILS = {"inviter": "Bob", "url": "http://localhost:4000/invitation?token=canary", "until": "tomorrow"}


@pytest.fixture
def office(settings: Settings, mail_server: MailServer, rung: list[Job]) -> Iterator[Office]:
    with_server = dataclasses.replace(settings, smtp_url=mail_server.url(), app_env="production")
    runtime = Runtime(with_server, make_redis(with_server), rung.append)
    yield Office(runtime)
    runtime.database.close()
    runtime.redis.close()


class Office:
    """Queues mails, and works on them as a worker does."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def configure(self, **changes: Any) -> None:
        self.runtime.live.environment = dataclasses.replace(self.runtime.live.environment, **changes)
        self.runtime.live.settings = self.runtime.live.environment

    def queue(self, recipient: str = TO, **details: str) -> str:
        with self.runtime.unit_of_work() as db:
            row = mails.queue(
                db,
                self.runtime.settings,
                template=Template.INVITATION,
                recipient=recipient,
                details={**DETAILS, **details},
            )
        return row.id

    def work(self) -> bool:
        return run_next(self.runtime, mail_work.MAIL, send_mail)

    def make_due(self) -> None:
        with self.runtime.unit_of_work() as db:
            db.execute(update(Mail).values(next_run_at=func.now() - timedelta(seconds=1)))

    def row(self, mail_id: str) -> Mail:
        with self.runtime.unit_of_work() as db:
            return db.scalars(select(Mail).where(Mail.id == mail_id)).one()

    def send(self, recipient: str = TO, **details: str) -> Mail:
        mail_id = self.queue(recipient, **details)
        assert self.work()
        return self.row(mail_id)


def the_one(server: MailServer) -> Received:
    (mail,) = server.received
    return mail


class TestAMessage:
    def test_arrives_whole_and_is_forgotten(
        self, office: Office, mail_server: MailServer, rung: list[Job]
    ) -> None:
        mail_id = office.queue()
        queued = office.row(mail_id)
        assert queued.details is not None
        assert "canary" not in queued.details
        assert rung == [Job.MAIL]

        assert office.work()

        row, mail = office.row(mail_id), the_one(mail_server)
        assert (row.status, row.details, row.error) == ("completed", None, None)
        assert row.handed_over_at is not None
        assert (mail.sender, mail.recipients) == ("medianest@localhost", (TO,))
        message = mail.message
        assert message["From"] == "MediaNest <medianest@localhost>"
        assert message["To"] == TO
        assert message["Subject"] == "Bob: your invitation to MediaNest"
        assert message["Message-ID"] == f"<{mail_id}@localhost>"
        assert message["Date"].datetime is not None
        assert mail.link == DETAILS["url"]
        html = message.get_body(("html",))
        assert html is not None
        assert f'href="{DETAILS["url"]}"' in html.get_content()
        assert mail_server.reached[-1] == "QUIT"

    def test_nobody_adds_a_header_a_recipient_or_markup(
        self, office: Office, mail_server: MailServer
    ) -> None:
        office.send(inviter="Bob\r\nBcc: eve@example.com\r\n\r\n<b>bold</b>\r\n.\r\nMAIL FROM:<x@y>")

        mail = the_one(mail_server)
        assert mail.recipients == (TO,)
        assert mail.message["Bcc"] is None
        assert mail.message["Subject"].startswith("Bob Bcc: eve@example.com <b>bold</b>")
        html = mail.message.get_body(("html",))
        assert html is not None
        assert "&lt;b&gt;bold" in html.get_content()

    @pytest.mark.parametrize(
        "recipient",
        ["a@example.com, b@example.com", "a@example.com\r\nBcc: b@x.org", "änn@example.com", "a", ""],
    )
    def test_what_is_no_single_address_that_all_servers_know_gets_nothing(
        self, office: Office, mail_server: MailServer, recipient: str
    ) -> None:
        row = office.send(recipient)

        assert (row.status, row.error and row.error["kind"], mail_server.received) == (
            "failed",
            "address",
            [],
        )

    def test_words_and_hosts_beyond_ascii_travel_as_ascii(
        self, office: Office, mail_server: MailServer
    ) -> None:
        office.configure(mail_from="Nest für Öde <nest@example.org>")

        office.send("ann@bücher.example", inviter="Jürgen Æther 😀")

        mail = the_one(mail_server)
        assert mail.recipients == ("ann@xn--bcher-kva.example",)
        assert mail.raw.isascii()
        assert mail.message["Subject"].startswith("Jürgen Æther 😀")
        assert mail.message["From"] == "Nest für Öde <nest@example.org>"
        assert "Jürgen" in mail.plain


class TestOnce:
    def test_a_server_that_wants_it_later_gets_it_later(
        self, office: Office, mail_server: MailServer
    ) -> None:
        mail_server.behaviour.say = {"RCPT": ["450 greylisted"], "TEXT": ["451 try again"]}
        mail_id = office.queue()

        for _ in range(2):
            assert office.work()
            row = office.row(mail_id)
            assert (row.status, row.handed_over_at) == ("queued", None)
            assert row.error is not None
            assert row.error["kind"] == "refused"
            assert row.error["retryable"]
            assert not office.work(), "not due yet"
            office.make_due()
        assert office.work()

        assert office.row(mail_id).status == "completed"
        assert "450 greylisted" not in str(office.row(mail_id).error)
        assert len(mail_server.to(TO)) == 2, "the first of them was refused, and said to be"

    @pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "TEXT"])
    def test_a_refusal_for_good_ends_it(self, office: Office, mail_server: MailServer, verb: str) -> None:
        mail_server.behaviour.say = {verb: ["550 5.1.1 no such user"]}

        row = office.send()

        assert (row.status, row.details) == ("failed", None)
        assert row.error is not None
        assert row.error["kind"] == "refused"
        assert "550 5.1.1 no such user" in row.error["message"]
        assert not row.error["retryable"]

    @pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT"])
    def test_a_server_that_hangs_up_before_the_text_gets_it_later(
        self, office: Office, mail_server: MailServer, verb: str
    ) -> None:
        mail_server.behaviour.close_at = verb
        mail_id = office.queue()
        assert office.work()
        row = office.row(mail_id)
        assert (row.status, row.handed_over_at) == ("queued", None)
        assert row.error is not None
        assert row.error["kind"] == "unreachable"

        mail_server.behaviour.close_at = None
        office.make_due()
        assert office.work()

        assert office.row(mail_id).status == "completed"
        assert len(mail_server.received) == 1

    def test_one_that_hangs_up_after_it_never_gets_it_again(
        self, office: Office, mail_server: MailServer
    ) -> None:
        mail_server.behaviour.close_at = "TEXT"

        row = office.send()
        office.make_due()

        assert (row.status, row.error and row.error["kind"]) == ("failed", "unknown_outcome")
        assert row.details is None
        assert not office.work()
        assert len(mail_server.received) == 1

    def test_one_that_says_nothing_after_it_never_gets_it_again(
        self, office: Office, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("engine.clients.smtp.SECONDS_AFTER_TEXT", 0.5)
        mail_server.behaviour.hang_at = "TEXT"

        row = office.send()

        assert (row.status, row.error and row.error["kind"]) == ("failed", "unknown_outcome")
        assert len(mail_server.received) == 1

    def test_nobody_there(self, office: Office) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            office.configure(smtp_url=f"smtp://127.0.0.1:{closed.getsockname()[1]}")

            row = office.send()

        assert (row.status, row.error and row.error["kind"]) == ("queued", "unreachable")

    def test_a_lease_that_was_lost_before_the_text_sends_nothing(
        self, office: Office, mail_server: MailServer
    ) -> None:
        mail_id = office.queue()
        stolen = mail_work.send_once

        def steal(*args: Any) -> None:
            with office.runtime.unit_of_work() as db:
                db.execute(update(Mail).values(epoch=Mail.epoch + 1))
            stolen(*args)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mail_work, "send_once", steal)
            assert office.work()

        assert mail_server.received == []
        assert office.row(mail_id).handed_over_at is None

    def test_a_dead_worker_is_succeeded_before_the_text_only(
        self, office: Office, mail_server: MailServer
    ) -> None:
        before, after = office.queue("before@example.com"), office.queue("after@example.com")
        dead = {"host": "elsewhere", "pid": 1, "started": 0.0}
        with office.runtime.unit_of_work() as db:
            held = {"status": "sending", "epoch": 1, "attempt": 1, "lease_owner": dead}
            db.execute(update(Mail).values(lease_until=func.now() - timedelta(seconds=1), **held))
            db.execute(update(Mail).where(Mail.id == after).values(handed_over_at=func.now()))
        with office.runtime.unit_of_work() as db:
            assert rescue(db, mail_work.MAIL, office.runtime.settings) == 2
        office.make_due()

        while office.work():
            pass

        assert office.row(before).status == "completed"
        unknown = office.row(after).error
        assert unknown is not None
        assert unknown["kind"] == "unknown_outcome"
        assert [mail.recipients for mail in mail_server.received] == [("before@example.com",)]

    def test_a_mail_that_kills_its_workers_is_given_up_and_forgotten(self, office: Office) -> None:
        mail_id = office.queue()
        with office.runtime.unit_of_work() as db:
            held = {"status": "sending", "epoch": 1, "crash_count": 2}
            db.execute(update(Mail).values(lease_until=func.now() - timedelta(seconds=1), **held))
        with office.runtime.unit_of_work() as db:
            rescue(db, mail_work.MAIL, office.runtime.settings)

        row = office.row(mail_id)
        assert (row.status, row.error and row.error["kind"], row.details) == ("failed", "poison", None)


class TestEncryption:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        return make_certificate(tmp_path, "0.0.0.0")

    # 0.0.0.0 leads to this machine, but does not look like it: what holds for servers elsewhere holds for it.
    ELSEWHERE = "0.0.0.0"

    def test_is_used_where_it_is_offered_and_checked(
        self, office: Office, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with MailServer(certificate=certificate) as server:
            server.behaviour.users = {"ann@example.com": "p@ss/w:rd"}
            office.configure(
                smtp_url=server.url(login="ann%40example.com:p%40ss%2Fw%3Ard", host=self.ELSEWHERE)
            )
            row = office.send()
            assert row.error is not None
            assert row.error["kind"] == "tls"
            assert "certificate" in row.error["message"]
            assert "AUTH" not in server.reached

            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
            office.make_due()
            assert office.work()

            mail = the_one(server)
            assert (mail.encrypted, mail.user) == (True, "ann@example.com")

    def test_from_the_first_byte(
        self, office: Office, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with MailServer(certificate=certificate, tls_at_once=True) as server:
            office.configure(smtp_url=server.url(host=self.ELSEWHERE, scheme="smtps"))
            assert office.send().status == "completed"
            assert the_one(server).encrypted

    def test_a_password_is_told_to_nobody_in_the_clear(self, office: Office, mail_server: MailServer) -> None:
        mail_server.behaviour.users = {"ann": "secret"}
        office.configure(smtp_url=mail_server.url(login="ann:secret", host=self.ELSEWHERE))

        row = office.send()

        assert (row.error and row.error["kind"], "AUTH" in mail_server.reached) == ("tls", False)

    def test_but_on_this_machine_it_is(self, office: Office, mail_server: MailServer) -> None:
        mail_server.behaviour.users = {"ann": "secret"}
        office.configure(smtp_url=mail_server.url(login="ann:secret"))

        assert office.send().status == "completed"

    def test_here_any_certificate_is_good_enough(self, office: Office, certificate: Path) -> None:
        with MailServer(certificate=certificate) as server:
            office.configure(smtp_url=server.url())
            assert office.send().status == "completed"
            assert the_one(server).encrypted

    def test_a_wrong_password_ends_it_without_being_told(
        self, office: Office, mail_server: MailServer
    ) -> None:
        mail_server.behaviour.users = {"ann": "secret"}
        office.configure(smtp_url=mail_server.url(login="ann:canary-password"))

        row = office.send()

        assert row.status == "failed"
        assert "535" in str(row.error)
        assert "canary-password" not in str(row.error)


class TestWithoutAServer:
    def test_in_production_it_fails_and_stays_secret(
        self, office: Office, caplog: pytest.LogCaptureFixture
    ) -> None:
        office.configure(smtp_url="")
        with caplog.at_level(logging.DEBUG):
            row = office.send()

        assert (row.status, row.error and row.error["kind"], row.details) == (
            "failed",
            "not_configured",
            None,
        )
        assert "canary" not in caplog.text

    def test_a_wrong_address_of_the_server_is_said(self, office: Office) -> None:
        office.configure(smtp_url="smtp://mail.example.com:x")
        assert (office.send().error or {})["kind"] == "not_configured"

    @pytest.mark.parametrize(("environment", "shown"), [("development", True), ("production", False)])
    def test_only_in_development_the_log_has_the_text(
        self, office: Office, environment: str, shown: bool
    ) -> None:
        office.queue()
        code = (
            "from config.logging import configure_logging; from config.settings import Settings;"
            "from config.redis import make_redis; from engine.runtime import Runtime;"
            "from engine.jobs.runner import run_next; from engine.job_registry import MAIL, send_mail;"
            "s = Settings.load(); configure_logging(s);"
            "print(run_next(Runtime(s, make_redis(s), lambda job: None), MAIL, send_mail))"
        )
        settings = office.runtime.settings
        env = {
            "PATH": os.environ["PATH"], "APP_ENV": environment, "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url, "SECRET_KEY": settings.secret_key,
            "DATA_DIR": str(settings.data_dir),
        }  # fmt: skip
        ran = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
        )

        assert "True" in ran.stdout
        assert ("token=canary" in ran.stdout) is shown
        assert ("mail.written" if shown else "mail.not_configured") in ran.stdout


def test_another_key_can_not_read_it(office: Office, mail_server: MailServer) -> None:
    mail_id = office.queue()
    office.configure(secret_key="another key of more than 32 characters")
    assert office.work()
    assert (office.row(mail_id).error or {})["kind"] == "unreadable"
    assert mail_server.received == []


def test_old_ones_are_forgotten(office: Office) -> None:
    old, fresh = office.send(), office.send()
    waiting = office.queue()
    with office.runtime.unit_of_work() as db:
        db.execute(update(Mail).where(Mail.id == old.id).values(ended_at=func.now() - timedelta(days=8)))
        mails.forget_old(db, timedelta(days=7))
        assert set(db.scalars(select(Mail.id))) == {fresh.id, waiting}


def test_no_column_shows_what_a_mail_says(office: Office) -> None:
    office.queue()
    with office.runtime.unit_of_work() as db:
        rows = [dict(row) for row in db.execute(text("SELECT * FROM mails")).mappings()]
    assert "canary" not in json.dumps(rows, default=str)
