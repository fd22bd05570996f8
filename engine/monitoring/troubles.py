"""What has gone wrong lately and may need an admin: downloads, messages of other systems, syncs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.base import first_id
from models.download import Download
from models.sync_run import SyncRun
from models.webhook import Webhook

LATELY = timedelta(days=2)
_SEARCHED = timedelta(
    days=14
)  # by creation: an id tells its time, and there is no index of the time of the end


@dataclass(frozen=True)
class Troubles:
    """What has failed in the last two days.

    Attributes:
        downloads: how many failed; retryable: of them those worth another attempt as they are.
        webhooks: how many messages could not be worked on.
        sync_id: of the last sync, where that failed.
    """

    downloads: int
    retryable: int
    webhooks: int
    sync_id: str | None


def lately(db: Session) -> Troubles:
    """What has failed in the last two days: downloads asked for in the last two weeks, messages, the last sync."""
    since = func.clock_timestamp() - LATELY
    again = Download.error["retryable"].astext == "true"
    failed = select(func.count(), func.count().filter(again)).where(
        Download.id >= first_id("dl", _SEARCHED), Download.status == "failed", Download.ended_at > since
    )
    downloads, retryable = db.execute(failed).one()
    webhooks = select(func.count()).where(
        Webhook.id >= first_id("wh", _SEARCHED), Webhook.status == "failed", Webhook.ended_at > since
    )
    ended = select(SyncRun.id, SyncRun.status).where(SyncRun.ended_at.is_not(None))
    last = db.execute(ended.order_by(SyncRun.id.desc()).limit(1)).first()
    return Troubles(
        downloads,
        retryable,
        db.scalar(webhooks) or 0,
        last.id if last is not None and last.status == "failed" else None,
    )
