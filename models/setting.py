"""Settings that an admin changed at run time, and facts that the installation keeps about itself."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class StoredSetting(Base):
    """A setting's value in the format of its environment variable; of a secret setting encrypted (Fernet)."""

    __tablename__ = "stored_settings"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    updated_at: Mapped[datetime]
    updated_by: Mapped[str | None]


class Fact(Base):
    """A value that must stay the same over restarts, such as our client identifier at plex.tv."""

    __tablename__ = "facts"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]
    updated_at: Mapped[datetime]
