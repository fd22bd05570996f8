"""Webhooks: each received message is a job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base
from models.job import JobRow, job_indexes


class Webhook(JobRow, Base):
    """A message; `status` is one of received, processing, processed, ignored, failed.

    Attributes:
        source: plex, overseerr, or the name of a sender that signs.
        event: the event's name in the message; "" if it has none.
        digest: SHA-256 of the parsed payload: within 10 minutes, equal messages of a source are one row.
        payload: as parsed.
        received_at: when it was first received; `copies`: how often.
    """

    __tablename__ = "webhooks"
    __table_args__ = (
        *job_indexes("webhooks"),
        Index("ix_webhooks_digest", "source", "digest", "created_at"),
        Index("ix_webhooks_list", "source", text("id DESC")),
    )

    source: Mapped[str]
    event: Mapped[str]
    digest: Mapped[str]
    payload: Mapped[Any] = mapped_column(JSONB)
    copies: Mapped[int] = mapped_column(server_default=text("1"))
    address: Mapped[str | None]
    outcome: Mapped[str | None]
    received_at: Mapped[datetime]
