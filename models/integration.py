"""Integrations: other systems' addresses and credentials, as configured by an admin."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Integration(Base):
    """The configuration of one; environment variables take precedence.

    Attributes:
        name: plex, overseerr or tmdb.
        token: its credential, encrypted (Fernet).
        options: settings of this integration only, such as path mappings.
    """

    __tablename__ = "integrations"

    name: Mapped[str] = mapped_column(primary_key=True)
    url: Mapped[str | None]
    token: Mapped[str | None]
    options: Mapped[dict[str, Any] | None]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str | None]
