"""A whole installation with invented people, films and downloads, for whoever looks at the pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from catalogues import synced
from factories import make_download, make_user
from flask import Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from stack import Stack, running

from api.security import page_sessions
from config.celery import QUEUES
from config.redis import make_redis
from config.settings import Settings
from engine import audit
from engine.audit import Actor, Subject
from engine.identity import passwords, sessions
from engine.identity.sessions import Device
from engine.monitoring import beat_pulse
from engine.notifications import notifications
from engine.runtime import Runtime
from engine.webhooks import inbox
from models.base import new_id
from models.download import Download
from models.heartbeat import Heartbeat
from models.integration import Integration
from models.invitation import Invitation
from models.user import User
from models.webhook import Webhook
from tests.browser.films import fill_library, fill_watching
from tests.browser.showroom_channels import fill_channels, message_link
from tests.browser.showroom_requests import fill_requests, fill_titles
from tests.fakes.plex_server import PlexDouble
from tests.fakes.plextv import FakePlexTv
from tests.fakes.tmdb_server import TmdbDouble

PASSWORD = "lantern-orchard-kestrel"
MINUTE = 60.0
HOUR = timedelta(hours=1)  # the showroom has no workers: their heartbeats last as long as a visit


@dataclass(frozen=True)
class Showroom:
    """What tests and pictures need of it.

    Attributes:
        stack: its processes.
        runtime: its database and Redis.
        plex: the server that it mirrors.
        plextv: where its people sign in with Plex.
    """

    stack: Stack
    runtime: Runtime
    plex: PlexDouble
    plextv: FakePlexTv

    @property
    def url(self) -> str:
        return self.stack.url

    def path(self, rule: str, role: str) -> str:
        """The address of a page, without the leading slash, with ids that the person of a role may see."""
        email = self.email(role or "user")
        ids = {
            "download_id": "SELECT d.id FROM downloads d JOIN users u ON u.id = d.user_id WHERE u.email = %s LIMIT 1",
            "item_id": "SELECT id FROM media_items WHERE type = 'show' AND %s <> '' LIMIT 1",
            "library_key": "SELECT key FROM plex_sections WHERE %s <> '' LIMIT 1",
            "user_id": "SELECT id FROM users WHERE %s <> '' AND role = 'user' LIMIT 1",
            "sync_id": "SELECT id FROM sync_runs WHERE %s <> '' LIMIT 1",
            "name": "SELECT 'overseerr' WHERE %s <> ''",
            "media_type": "SELECT 'tv' WHERE %s <> ''",
            "tmdb_id": "SELECT '7003' WHERE %s <> ''",
            "request_id": "SELECT r.id FROM media_requests r WHERE %s <> '' AND status = 'pending' LIMIT 1",
            "webhook_id": "SELECT id FROM webhooks WHERE %s <> '' LIMIT 1",
        }

        if "<token>" in rule:
            with self.runtime.unit_of_work() as db:
                rule = rule.replace("<token>", message_link(db, self.runtime.settings, rule))

        def found(name: re.Match[str]) -> str:
            return str(self.stack.query(ids[name[1]], email)[0][0])

        return re.sub(r"<(\w+)>", found, rule).lstrip("/")

    def cookie(self, role: str) -> tuple[str, str]:
        """Name and value of the cookie of a new session of the person of a role."""
        answer = Response()
        with self.runtime.unit_of_work() as db:
            user = db.scalars(select(User).where(User.email == self.email(role))).one()
            started = sessions.start(
                db, self.runtime.settings, user, remember_me=False, device=Device("browser", None)
            )
            page_sessions.give(answer, self.runtime.settings, started.login)
        name, _, rest = answer.headers["Set-Cookie"].partition("=")
        return name, rest.partition(";")[0]

    def email(self, role: str) -> str:
        """The address of the person of a role: guest, user, admin or super_admin; all have the same password."""
        return f"{role}@example.org"


@contextmanager
def showroom(folder: Path, database_url: str, redis_url: str) -> Iterator[Showroom]:
    """Build it, serve it, end it."""
    with PlexDouble() as plex, FakePlexTv() as plextv, TmdbDouble() as tmdb:
        fill_library(plex)
        fill_titles(tmdb)
        stack = Stack(
            folder,
            database_url,
            redis_url,
            PLEX_URL=plex.url,
            PLEX_TOKEN=plex.token,
            PLEX_TV_URL=plextv.url,
            TMDB_URL=tmdb.url,
            TMDB_TOKEN=tmdb.token,
            TMDB_IMAGE_URL=tmdb.image_url,
        )
        settings = Settings(
            app_env="development",
            data_dir=folder,
            download_dir=folder / "downloads",
            work_dir=folder / "work",
            database_url=database_url,
            redis_url=redis_url,
            secret_key="s" * 48,
            plex_url=plex.url,
            plex_token=plex.token,
        )
        runtime = Runtime(settings, make_redis(settings), lambda job: None)
        runtime.redis.set(beat_pulse.KEY, "1")
        settings.check_folders()
        try:
            synced(runtime)
            with runtime.unit_of_work() as db:
                _fill(db)
                _fill_admin(db)
            with running(stack):
                stack.start_web()
                yield Showroom(stack, runtime, plex, plextv)
        finally:
            runtime.database.close()
            runtime.redis.close()


def _fill(db: Session) -> None:
    kept = passwords.make_hash(PASSWORD)
    names = {"super_admin": "Ines Aalto", "admin": "Jonas Lund", "user": "Ruth Moreau", "guest": "Otto Ito"}
    people = {
        role: make_user(db, name=name, role=role, email=f"{role}@example.org", password_hash=kept)
        for role, name in names.items()
    }
    fill_watching(db, people)
    for role in ("super_admin", "user"):
        _fill_downloads(db, people[role])
    _fill_notifications(db, people)
    fill_requests(db, people)
    fill_channels(db, people)


def _fill_downloads(db: Session, user: User) -> None:
    now = func.clock_timestamp
    video = {"host": "youtube", "channel": "Workshop Nine", "duration": 42 * MINUTE}
    moving = {"started_at": now(), "lease_until": now() + timedelta(hours=2), "total_bytes": 1_100_000_000}
    make_download(
        db, user, **video, **moving, title="Night soldering: a clock from eleven relays", status="downloading",
        progress=62.0, downloaded_bytes=682_000_000, speed=8_400_000.0, eta=50.0, quality="1080p",
    )  # fmt: skip
    make_download(
        db, user, **video, **moving, title="Rebuilding a 1968 film projector, part 3", status="processing",
        progress=100.0, downloaded_bytes=1_100_000_000, downloading_at=now(), processing_at=now(),
    )  # fmt: skip
    make_download(db, user, **video, title="Cab ride: Lindholm to Arvik in the first snow")
    failed = {
        "kind": "private",
        "message": "This video is private.",
        "advice": "Ask who made it.",
        "retryable": False,
    }
    make_download(
        db,
        user,
        **video,
        title="Tin whistle makers of the coast",
        status="failed",
        ended_at=now(),
        error=failed,
    )
    make_download(db, user, **video, title="Harbour organ, live", status="cancelled", ended_at=now())
    file = {
        "path": "Workshop Nine/Slow bread.mp4",
        "size": 612_000_000,
        "container": "mp4",
        "height": 1080,
        "duration": 2520.0,
    }
    for number in range(1, 30):
        make_download(
            db, user, **video, title=f"Slow bread, part {number}", status="completed", progress=100.0,
            started_at=now() - timedelta(hours=number, minutes=4), ended_at=now() - timedelta(hours=number),
            file=file | {"path": f"Workshop Nine/Slow bread {number}.mp4"},
        )  # fmt: skip


def _fill_notifications(db: Session, people: Mapping[str, User]) -> None:
    """Some that were read, then two that were not."""
    for role in ("super_admin", "user"):
        mine = people[role].id
        ended = db.scalars(select(Download).where(Download.user_id == mine, Download.status == "completed"))
        one = ended.first()
        assert one is not None
        about = ("download", one.id)
        notifications.notify(
            db, mine, type="security.sign_in", title="New sign-in", message="Firefox on Linux, from 192.0.2.7.",
            subject=("session", "ses-1"),
        )  # fmt: skip
        notifications.notify(
            db, mine, type="download.not_in_plex", title="Harbour organ, live is not in Plex",
            message="Its name tells Plex neither film nor episode. Rename the file.", subject=about,
        )  # fmt: skip
        notifications.mark_read(db, mine, None)
        for title in ("Half a Sun can be watched now", "Slow bread, part 1 can be watched now"):
            notifications.notify(
                db,
                mine,
                type="download.available",
                title=title,
                message="It is in Plex, in “Films”.",
                subject=about,
            )


def _fill_admin(db: Session) -> None:
    now = func.clock_timestamp
    others = ",".join(queue for queue in QUEUES if queue != "downloads")
    for name, served in (("downloads@attic", "downloads"), ("worker@attic", others)):
        db.add(Heartbeat(name=name, queues=served, owner={}, seen_at=now() + HOUR))
    checked = {"ok": False, "message": "Nothing listens there.", "at": "2026-11-12T18:31:00Z"}
    refused = {"url": "http://192.0.2.4:5055", "token": "unread", "options": {"checked": checked}}
    db.add(Integration(name="overseerr", updated_at=now(), **refused))
    for event, status in (
        ("library.new", "processed"),
        ("media.scrobble", "processed"),
        ("MEDIA_AVAILABLE", "failed"),
    ):
        source = "overseerr" if event.isupper() else "plex"
        payload = {
            "event": event,
            "Account": {"title": "Ruth"},
            "token": "[redacted]",
            "Metadata": {"title": "Half a Sun"},
        }
        received = inbox.receive(db, source=source, payload=payload, address="192.0.2.7")
        row = db.get_one(Webhook, received.id)
        row.status, row.attempt, row.ended_at = status, 1, now()
        if status == "failed":
            row.error = {
                "kind": "unreachable",
                "message": "Plex did not answer.",
                "advice": "Handle it again.",
                "retryable": True,
            }
    actor = db.scalars(select(User).where(User.role == "super_admin")).one()
    for email, role in (("mira@example.org", "user"), ("theo@example.org", "guest")):
        db.add(
            Invitation(
                id=new_id("inv"),
                email=email,
                role=role,
                invited_by=actor.id,
                token_hash=email,
                expires_at=now() + timedelta(days=7),
            )
        )
    audit.record(
        db,
        "user.role_changed",
        Actor(actor.id),
        Subject("user", "user-0", "Ruth Moreau"),
        before="guest",
        after="user",
    )
    audit.record(
        db,
        "auth.sign_in_failed",
        Actor(address="192.0.2.9"),
        Subject("email", None, "nobody@example.org"),
        outcome="failure",
    )
