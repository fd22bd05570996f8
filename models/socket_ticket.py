"""Socket tickets: one-use proofs for clients that can send neither cookie nor header with a handshake."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class SocketTicket(Base):
    """A ticket of a session or of an API key, one of the two; only a hash of it is stored."""

    __tablename__ = "socket_tickets"

    ticket_hash: Mapped[str] = mapped_column(primary_key=True)
    login_id: Mapped[str | None] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]
