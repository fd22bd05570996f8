"""Socket tickets: one-time credentials for clients that can't send a cookie or header in the WebSocket handshake."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class SocketTicket(Base):
    """A ticket of either a session or an API key; only its hash is stored."""

    __tablename__ = "socket_tickets"

    ticket_hash: Mapped[str] = mapped_column(primary_key=True)
    login_id: Mapped[str | None] = mapped_column(ForeignKey("logins.id", ondelete="CASCADE"))
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]
