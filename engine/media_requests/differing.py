"""Finds the requests whose status differs from the facts of the catalogue and of their downloads, by sets."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

# A title is the same by any of its ids. An OR between them would keep PostgreSQL from hashing.
_MATCHED = """
    SELECT request.id, item.rating_key FROM media_requests AS request
    JOIN media_items AS item ON item.{id} = request.{id}
    WHERE request.media_type = :media_type AND request.status <> 'denied'
      AND item.server_id = :server_id AND item.type = :type AND item.deleted_at IS NULL
"""
_THERE = " UNION ".join(_MATCHED.format(id=name) for name in ("tmdb_id", "imdb_id", "tvdb_id"))

_FILMS = text(
    f"""
    WITH there AS ({_THERE})
    SELECT id FROM media_requests AS request
    WHERE media_type = 'movie' AND (
        (status IN ('pending', 'approved', 'processing', 'failed') AND id IN (SELECT id FROM there))
        OR (:losing AND status = 'available' AND id NOT IN (SELECT id FROM there))
    )
    ORDER BY id
    """  # noqa: S608 - names of columns
)

# As `availability_pass._states` says, for all at once. Series that never were in the catalogue are left out.
_SERIES = text(
    f"""
    WITH there AS ({_THERE}),
    candidate AS (
        SELECT id FROM there
        UNION SELECT id FROM media_requests WHERE media_type = 'tv' AND status = 'available'
        UNION SELECT request_id FROM request_seasons WHERE status IN ('partial', 'available')
    ),
    episode AS (
        SELECT there.id, item.parent_index AS number, count(DISTINCT item.item_index) AS found
        FROM there
        JOIN request_seasons AS asked ON asked.request_id = there.id
        JOIN media_items AS item ON item.server_id = :server_id
          AND item.grandparent_key = there.rating_key AND item.parent_index = asked.number
        WHERE item.type = 'episode' AND item.deleted_at IS NULL
        GROUP BY there.id, item.parent_index
    ),
    aired AS (
        SELECT title.tmdb_id, (season ->> 'number')::int AS number, (season ->> 'aired')::int AS aired
        FROM titles AS title, jsonb_array_elements(title.details -> 'seasons') AS season
        WHERE title.type = 'tv' AND title.tmdb_id IN (
            SELECT tmdb_id FROM media_requests JOIN candidate USING (id)
        )
    ),
    season AS (
        SELECT asked.request_id AS id, request.status AS of_request, asked.status AS noted,
            CASE
                WHEN coalesce(found, 0) = 0
                    THEN CASE request.status WHEN 'pending' THEN 'pending' ELSE 'processing' END
                WHEN found >= coalesce(aired, 0) THEN 'available'
                WHEN asked.status = 'available' AND found >= coalesce(had, 0) THEN 'available'
                ELSE 'partial'
            END AS now
        FROM request_seasons AS asked
        JOIN candidate ON candidate.id = asked.request_id
        JOIN media_requests AS request ON request.id = asked.request_id AND request.status <> 'denied'
        LEFT JOIN episode ON episode.id = asked.request_id AND episode.number = asked.number
        LEFT JOIN aired ON aired.tmdb_id = asked.tmdb_id AND aired.number = asked.number
    )
    SELECT id FROM season GROUP BY id, of_request
    HAVING (bool_or(noted <> now) OR bool_and(now = 'available') <> (of_request = 'available'))
       AND (:losing OR NOT bool_or(noted = 'available' AND now <> 'available'))
    ORDER BY id
    """  # noqa: S608 - names of columns
)

_VIDEOS = text(
    """
    SELECT request.id FROM media_requests AS request
    LEFT JOIN downloads AS download ON download.id = request.download_id
    WHERE request.media_type = 'video' AND (
        (request.status = 'processing' AND (download.id IS NULL OR download.ended_at IS NOT NULL))
        OR (request.status = 'failed' AND download.status = 'completed')
    )
    ORDER BY request.id
    """
)


def films(db: Session, server_id: str, *, losing: bool) -> Sequence[str]:
    """Ids of requests of films that are in the catalogue without being available, or the reverse.

    Args:
        db: a session.
        server_id: of the server whose items are the catalogue.
        losing: whether what is not there may be taken back.
    """
    values = {"server_id": server_id, "media_type": "movie", "type": "movie", "losing": losing}
    return db.scalars(_FILMS, values).all()


def series(db: Session, server_id: str, *, losing: bool) -> Sequence[str]:
    """Ids of requests of series whose seasons are not as they are noted; see `films`."""
    values = {"server_id": server_id, "media_type": "tv", "type": "show", "losing": losing}
    return db.scalars(_SERIES, values).all()


def videos(db: Session) -> Sequence[str]:
    """Ids of requests of videos whose download has ended or was removed; some wait for Plex, and stay as they are."""
    return db.scalars(_VIDEOS).all()
