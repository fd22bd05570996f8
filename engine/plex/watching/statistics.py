"""Statistics of what was watched: in all, by person, by title and by day."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.stores import cache

MOST_USERS, MOST_TITLES = 100, 50
_WORTH_KEEPING, _KEPT_FACTOR, _LONGEST_KEPT = 0.1, 100.0, 300.0  # seconds, times, seconds
_LONGEST_SITTING = 4 * 3600  # seconds at most between a start and an end event that belong together

# A title is identified by its catalogue item, else by the server's key, else by its text: different titles share texts.
# A person is one of our users, else an account of a server; shown by the name in their last event.
# An interval goes from play, resume or scrobble to the next pause, stop or scrobble of the same person and title.
# Without an end (a lost event, a player that died) its length is unknown and counts as zero.
_QUERY = """
WITH steps AS (
    SELECT event, user_id, account_name, who, what, title, item_id, media_type, at,
           lead(at) OVER sitting AS next_at, lead(event) OVER sitting AS next_event
    FROM (
        SELECT *, coalesce(item_id, server_id || ' ' || rating_key, rating_key, title) AS what,
               coalesce(user_id, server_id || ' ' || account_id, account_id, account_name) AS who
        FROM plex_activities WHERE at >= :since AND event <> 'rate' {mine}
    ) told
    WINDOW sitting AS (PARTITION BY who, what ORDER BY at, id)
), stretches AS (
    SELECT user_id, account_name, who, what, title, item_id, media_type, at,
           (at AT TIME ZONE 'UTC')::date AS day,
           (event = 'play')::int AS play, (event = 'scrobble')::int AS view,
           CASE WHEN event IN ('play', 'resume', 'scrobble') AND next_event IN ('pause', 'stop', 'scrobble')
                THEN least(extract(epoch FROM next_at - at), :longest) ELSE 0 END AS seconds
    FROM steps
), sums AS (
    SELECT grouping(who, what, day) AS kind, who, what, day, max(user_id) AS user_id,
           substr(max(to_char(at, 'YYYYMMDDHH24MISSUS') || account_name), 21) AS account_name,
           max(title) AS title, max(item_id) AS item_id, max(media_type) AS media_type,
           sum(play) AS plays, sum(view) AS views, sum(seconds)::bigint AS seconds
    FROM stretches
    GROUP BY GROUPING SETS ((), (who), (what), (day))
), ranked AS (
    SELECT sums.*, row_number() OVER (
        PARTITION BY kind ORDER BY plays DESC, views DESC, seconds DESC, title, what, who
    ) AS place
    FROM sums
)
SELECT ranked.*, users.name AS user_name FROM ranked LEFT JOIN users ON users.id = ranked.user_id
WHERE kind IN (6, 7) OR (kind = 3 AND place <= :users) OR (kind = 5 AND place <= :titles)
ORDER BY kind, place
"""
_BY_USER, _BY_TITLE, _BY_DAY, _ALL = (
    3,
    5,
    6,
    7,
)  # the values of SQL `grouping()`: a bit for each column left out


@dataclass(frozen=True)
class Statistics:
    """Sums since a moment: `plays` started, `views` completed, `seconds` watched as far as known.

    Attributes:
        by_user: the most active; people who are not our users have no `user_id`.
        by_title: the most played.
        by_day: days in UTC without gaps, the oldest first.
    """

    since: datetime
    total: Mapping[str, Any]
    by_user: Sequence[Mapping[str, Any]]
    by_title: Sequence[Mapping[str, Any]]
    by_day: Sequence[Mapping[str, Any]]


def recent(db: Session, settings: Settings, *, days: int, user_id: str | None = None) -> Statistics:
    """`statistics`, cached for a time proportional to its cost: at most five minutes."""
    since, name = _since(days), f"plex-statistics:{user_id or 'all'}:{days}"
    kept = cache.of(settings).get(name)
    if (
        kept is not None
        and kept.value["since"] == since.isoformat()
        and kept.age < _lasting(kept.value["took"])
    ):
        return Statistics(**{**kept.value["found"], "since": since})
    began = time.monotonic()
    found = statistics(db, days=days, user_id=user_id)
    took = time.monotonic() - began
    if took >= _WORTH_KEEPING:
        sums = {**asdict(found), "since": None}
        cache.of(settings).put(name, {"since": since.isoformat(), "took": took, "found": sums})
    return found


def statistics(db: Session, *, days: int, user_id: str | None = None) -> Statistics:
    """Statistics of the last `days` days including today: of one user, or of all with None.

    Reads the activities of that time by an index: its cost grows with them, not with the table.
    """
    since = _since(days)
    query = text(_QUERY.format(mine="" if user_id is None else "AND user_id = :user_id"))
    values = {"since": since, "longest": _LONGEST_SITTING, "users": MOST_USERS, "titles": MOST_TITLES}
    if user_id is not None:
        values["user_id"] = user_id
    found: dict[int, list[Mapping[str, Any]]] = {_BY_USER: [], _BY_TITLE: [], _BY_DAY: [], _ALL: []}
    for row in db.execute(query, values).mappings():
        found[row["kind"]].append(dict(row))
    known = {row["day"]: row for row in found[_BY_DAY]}
    calendar = [(since + timedelta(days=number)).date() for number in range(days)]
    return Statistics(
        since=since,
        total=_sums(found[_ALL][0]),
        by_user=[
            {"user_id": row["user_id"], "name": row["user_name"] or row["account_name"], **_sums(row)}
            for row in found[_BY_USER]
        ],
        by_title=[
            {"title": row["title"], "item_id": row["item_id"], "type": row["media_type"], **_sums(row)}
            for row in found[_BY_TITLE]
        ],
        by_day=[{"day": day.isoformat(), **_sums(known.get(day, {}))} for day in calendar],
    )


def _lasting(took: float) -> float:
    return min(_LONGEST_KEPT, took * _KEPT_FACTOR)


def _since(days: int) -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days - 1)


def _sums(row: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(row.get(name) or 0) for name in ("plays", "views", "seconds")}
