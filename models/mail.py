"""Mails, each a job: sent once, or not at all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped

from models.base import Base
from models.job import JobRow, job_indexes


class Mail(JobRow, Base):
    """A mail that is to be written and sent.

    Attributes:
        template: what kind of mail it is.
        recipient: the address it goes to.
        details: a Fernet token of what the template needs, as JSON; gone once the mail has been sent.
        handed_over_at: right before the server was given the text. Whatever happens after this, it is not sent
            again: nobody can tell whether it arrived.
    """

    __tablename__ = "mails"
    __table_args__ = job_indexes("mails")

    template: Mapped[str]
    recipient: Mapped[str]
    details: Mapped[str | None]
    handed_over_at: Mapped[datetime | None]
