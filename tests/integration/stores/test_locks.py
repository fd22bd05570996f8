"""Advisory locks: their numbers are those of the versions that run meanwhile, and no two purposes share one."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text

from engine.runtime import Runtime
from engine.stores import locks
from engine.stores.locks import Hashed, Key, Lock, Named

# What versions before asked for, and what the next one must ask for.
FORMER: list[tuple[Key, str]] = [
    (Lock.SUPER_ADMINS, "7240412"),
    (Lock.SYNC_RUNS, "7240413"),
    (Lock.PUSH_LISTENER, "7240414"),
    (Lock.ARRIVAL_SCANS, "7240416"),
    (Lock.AVAILABILITY, "7240417"),
    (locks.named(Named.JOB_KIND, "downloads.download"), "hashtext('downloads.download')"),
    (locks.named(Named.PREVIEWS_OF_USER, "user-1"), "hashtext('previews of user-1')"),
    (locks.named(Named.INVITATION_TO, "a@b.example"), "hashtext('invitation:a@b.example')"),
    (locks.named(Named.PLEX_ACCOUNT, "7"), "hashtext('plex account 7')"),
    (locks.named(Named.DOWNLOADS_OF_USER, "user-1"), "hashtext('downloads of user-1')"),
    (locks.named(Named.MAKING_ROOM), "hashtext('downloads that make room')"),
    (locks.hashed(Hashed.WEBHOOK, "plex:abc"), "hashtextextended('plex:abc', 0)"),
    (locks.hashed(Hashed.PLEX_ACTIVITY, "plex:abc"), "hashtextextended('plex:abc', 1)"),
    (locks.hashed(Hashed.REQUESTED_TITLE, "movie:949"), "hashtextextended('movie:949', 2)"),
    (locks.hashed(Hashed.REQUESTS_OF_USER, "user-1"), "hashtextextended('user-1', 3)"),
    (locks.hashed(Hashed.NOTIFICATION_GROUP, "user-1:a:b"), "hashtextextended('user-1:a:b', 4)"),
    (locks.hashed(Hashed.CHANNELS_OF_USER, "user-1"), "hashtextextended('user-1', 5)"),
]


@pytest.mark.parametrize(("key", "former"), FORMER, ids=[former for _, former in FORMER])
def test_a_lock_excludes_the_version_before(runtime: Runtime, key: Key, former: str) -> None:
    with runtime.unit_of_work() as db, runtime.database.engine.connect() as other:
        locks.hold(db, key)
        assert not taken(other, former)
        db.commit()
        assert taken(other, former)
        assert not locks.try_hold(db, key)
        other.commit()
        assert locks.try_hold(db, key)


def taken(other: Connection, former: str) -> bool:
    return bool(other.scalar(text(f"SELECT pg_try_advisory_xact_lock({former})")))


def test_every_purpose_is_here() -> None:
    asked = "\n".join(former for _, former in FORMER)
    assert len(FORMER) == len(Lock) + len(Named) + len(Hashed)
    assert all(str(int(lock)) in asked for lock in Lock)
