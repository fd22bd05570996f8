"""Schedule slots: which run of the timetable has been taken."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class ScheduleSlot(Base):
    """One due run of a periodic job; the primary key lets it be taken once, however many beats there are."""

    __tablename__ = "schedule_slots"

    name: Mapped[str] = mapped_column(primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)
