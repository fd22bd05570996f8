"""Slots of the timetable: however many beats fire, and however late, a due run is taken once."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.schedule_slot import ScheduleSlot


def take_slot(db: Session, name: str, every: timedelta) -> bool:
    """Take the present slot of a periodic job; False where somebody has.

    The slot is the database's time rounded down to a multiple of `every`, so a beat whose clock is off, a second
    beat and a message that comes late all mean the same run, and an outage is followed by one run, not by all
    that were missed.
    """
    width = every.total_seconds()
    seconds = func.extract("epoch", func.clock_timestamp())
    slot = func.to_timestamp(func.floor(seconds / width) * width)
    query = insert(ScheduleSlot).values(name=name, slot=slot).on_conflict_do_nothing()
    return db.execute(query.returning(ScheduleSlot.slot)).first() is not None


def is_overdue(db: Session, name: str, every: timedelta) -> bool:
    """Whether three runs in a row were not taken: beat is gone, or its clock is off."""
    since = func.clock_timestamp() - 3 * every
    return (
        db.scalar(select(ScheduleSlot.slot).where(ScheduleSlot.name == name, ScheduleSlot.slot > since))
        is None
    )


def forget_slots(db: Session, keep: timedelta) -> None:
    """Drop slots older than `keep`, which must be longer than any message may travel."""
    db.execute(delete(ScheduleSlot).where(ScheduleSlot.slot < func.clock_timestamp() - keep))
