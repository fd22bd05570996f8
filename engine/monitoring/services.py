"""What is known of each service that MediaNest needs or talks to: state, version, last answer, last error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import redis
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads import budget
from engine.integrations import integrations
from engine.monitoring.health import Health, State
from engine.runtime import Runtime
from models.heartbeat import Heartbeat
from models.mail import Mail


@dataclass(frozen=True)
class Service:
    """One service.

    Attributes:
        name: database, redis, workers, beat, storage, mail, or that of an integration.
        about: product and version, or the name of the server; empty where nothing is known.
        seen_at: when it last answered or was last tested; None: not known.
        error: what went wrong last, as a sentence; empty: nothing.
    """

    name: str
    state: State
    about: str = ""
    seen_at: datetime | None = None
    error: str = ""


def listing(db: Session, runtime: Runtime, health: Health) -> list[Service]:
    """All services; nothing outside of database and Redis is asked.

    Args:
        db: for reading.
        runtime: its Redis is asked where `health` says that it answers.
        health: a result of `HealthMonitor.check`.
    """
    states, settings = health.services, runtime.settings
    return [
        Service("database", states["database"], f"PostgreSQL {db.scalar(text('SHOW server_version'))}"),
        Service("redis", states["redis"], _redis_version(runtime) if states["redis"] == "online" else ""),
        Service("workers", states["workers"], seen_at=db.scalar(select(func.max(Heartbeat.seen_at)))),
        Service("beat", states["beat"]),
        Service("storage", _storage(db, settings)),
        *(_integration(view, states) for view in integrations.listing(db, settings)),
        _mail(db, settings),
    ]


def _redis_version(runtime: Runtime) -> str:
    try:
        info = runtime.redis.info(section="server")
    except redis.RedisError:
        return ""
    return f"Redis {info.get('redis_version', '')}".rstrip()


def _storage(db: Session, settings: Settings) -> State:
    if not budget.disks(settings):
        return "disabled"
    return "degraded" if budget.disk_is_short(db, settings) else "online"


def _integration(view: integrations.View, states: Mapping[str, State]) -> Service:
    known = view.remembered
    return Service(
        view.name,
        states.get(view.name, view.state),
        " ".join(filter(None, (known.name, known.version))),
        known.seen_at or known.tested_at,
        known.last_error or "",
    )


def _mail(db: Session, settings: Settings) -> Service:
    """As the latest mail went: a mail server is only asked when there is something to send."""
    if not settings.smtp_url:
        return Service("mail", "disabled")
    latest = db.scalars(
        select(Mail).where(Mail.ended_at.is_not(None)).order_by(Mail.ended_at.desc()).limit(1)
    ).first()
    if latest is None or latest.status != "failed":
        return Service("mail", "online", seen_at=None if latest is None else latest.ended_at)
    return Service("mail", "degraded", "", latest.ended_at, str((latest.error or {}).get("message", "")))
