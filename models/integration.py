"""Integrations: the systems we talk to, as an admin configured them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Integration(Base):
    """The configuration of one; what the environment sets wins.

    Attributes:
        name: plex, overseerr or tmdb.
        token: a Fernet token.
        options: what only this integration has, such as how paths map.
    """

    __tablename__ = "integrations"

    name: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str | None]
    token: Mapped[str | None]
    options: Mapped[dict[str, Any] | None]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str | None]
