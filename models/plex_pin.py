"""PINs of plex.tv: sign-ins with Plex that are not finished yet."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class PlexPin(Timestamps, Base):
    """A PIN of plex.tv, bound to the browser that requested it.

    Attributes:
        id: plex.tv's id of it.
        nonce_hash: SHA-256 of the nonce in that browser's cookie.
        asked_at: when plex.tv was last polled for whether the PIN has been claimed.
        used_at: when somebody signed in with it, which is possible once.
    """

    __tablename__ = "plex_pins"

    id: Mapped[str] = mapped_column(primary_key=True)
    nonce_hash: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    asked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
