"""The libraries of the connected server in which finished downloads are found."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.plex.server import connection, paths
from models.plex_library import PlexSection


def libraries(db: Session, settings: Settings) -> list[str] | None:
    """Their titles; None where no server is connected, or its libraries are not known yet."""
    configured = connection.configured(db, settings)
    server_id = connection.server_id(db, settings)
    if configured is None or server_id is None:
        return None
    known = select(PlexSection).where(PlexSection.server_id == server_id, PlexSection.gone_at.is_(None))
    rows = db.scalars(known.order_by(PlexSection.position)).all()
    if not rows:
        return None
    sections = [{"title": row.title, "Location": [{"path": path} for path in row.locations]} for row in rows]
    inside = str(settings.download_dir / "video.mp4")
    return [str(place.section["title"]) for place in paths.places(inside, sections, configured.paths)]
