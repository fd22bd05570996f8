"""Asks TMDB anew about series that are asked for, so that episodes which were aired meanwhile are waited for."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import func, or_, select

from engine.errors import NotFound, ServiceUnavailable, UpstreamFailed
from engine.runtime import Runtime
from engine.titles import titles
from models.media_request import MediaRequest
from models.title import Title

log = structlog.get_logger(__name__)

AGE = timedelta(days=1)  # of details, from which they are asked for anew
BATCH = 50  # series in one call, so that a day's look-ups are spread over the day
_OPEN = ("pending", "approved", "processing", "failed")


def refresh(runtime: Runtime) -> int:
    """Look up the series of open requests whose details are missing or a day old, the oldest first; returns how many.

    It stops where TMDB is not set up or away, as the next call goes on.
    """
    looked = 0
    for tmdb_id in _due(runtime):
        try:
            found = titles.look_up(runtime, "tv", tmdb_id, fresh=AGE.total_seconds())
        except NotFound:
            continue
        except (ServiceUnavailable, UpstreamFailed):
            break
        if found.old:
            break
        looked += 1
    if looked:
        log.info("requests.refreshed", titles=looked)
    return looked


def _due(runtime: Runtime) -> list[str]:
    with runtime.reading() as db:
        query = (
            select(MediaRequest.tmdb_id)
            .outerjoin(Title, (Title.type == "tv") & (Title.tmdb_id == MediaRequest.tmdb_id))
            .where(
                MediaRequest.media_type == "tv",
                MediaRequest.status.in_(_OPEN),
                or_(
                    Title.detailed_at.is_(None),
                    Title.detailed_at < func.clock_timestamp() - AGE,
                ),
            )
            .group_by(MediaRequest.tmdb_id)
            .order_by(func.min(Title.detailed_at).asc().nulls_last(), MediaRequest.tmdb_id)
            .limit(BATCH)
        )
        return [str(tmdb_id) for tmdb_id in db.scalars(query)]
