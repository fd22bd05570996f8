"""Mails, each a job: sent at most once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped

from models.base import Base
from models.job import JobRow, job_indexes


class Mail(JobRow, Base):
    """A mail to be composed and sent.

    Attributes:
        template: the name of its text.
        recipient: the address it goes to.
        details: the template's values as JSON, encrypted (Fernet); null once the mail has been sent.
        handed_over_at: set right before DATA. After this it is never sent again, as it may have been accepted.
    """

    __tablename__ = "mails"
    __table_args__ = job_indexes("mails")

    template: Mapped[str]
    recipient: Mapped[str]
    details: Mapped[str | None]
    handed_over_at: Mapped[datetime | None]
