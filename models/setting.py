"""Settings that an admin changed while everything ran, and what the installation remembers about itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class StoredSetting(Base):
    """The text of a setting, as the environment would have it; of a secret one it is a Fernet token."""

    __tablename__ = "stored_settings"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str | None]


class Fact(Base):
    """Something that is to stay the same over restarts, such as the name by which plex.tv knows us."""

    __tablename__ = "facts"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    updated_at: Mapped[datetime]
