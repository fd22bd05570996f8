"""Schedule slots: which runs of periodic jobs have been taken."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class ScheduleSlot(Base):
    """One run of a periodic job; the primary key makes it run once, also with several beat processes."""

    __tablename__ = "schedule_slots"

    name: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
