"""Heartbeats: which workers are alive."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class Heartbeat(Base):
    """A worker: the queues it consumes, separated by commas, and its process (see `engine.jobs.owner`)."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(primary_key=True)
    queues: Mapped[str]
    owner: Mapped[dict[str, Any]]
    seen_at: Mapped[datetime]
