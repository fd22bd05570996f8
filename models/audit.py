"""The audit log: who did what to whom, from where."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, Timestamps


class AuditEntry(Timestamps, Base):
    """An action or an attempt; names are copied, as accounts may be renamed or deleted later.

    Attributes:
        action: such as `user.role_changed`.
        outcome: `success`, `failure` (such as a wrong password) or `denied` (not allowed).
        actor_id, actor_name: the user who acted; None if unknown.
        subject_kind, subject_id, subject_name: the object of the action.
        details: further facts; never a secret.
    """

    __tablename__ = "audit_entries"
    __table_args__ = (
        Index("ix_audit_entries_actor", "actor_id", text("id DESC")),
        Index("ix_audit_entries_subject", "subject_id", text("id DESC")),
        Index("ix_audit_entries_action", "action", text("id DESC")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    action: Mapped[str]
    outcome: Mapped[str]
    actor_id: Mapped[str | None]
    actor_name: Mapped[str | None]
    subject_kind: Mapped[str | None]
    subject_id: Mapped[str | None]
    subject_name: Mapped[str | None]
    address: Mapped[str | None]
    correlation_id: Mapped[str | None]
    details: Mapped[dict[str, Any] | None]
