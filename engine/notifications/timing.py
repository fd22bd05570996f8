"""When a message may be sent: after quiet hours, or with the daily digest, on the clock of its recipient."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

Span = tuple[time, time]


@dataclass(frozen=True)
class Schedule:
    """A person's times.

    Attributes:
        zone: of their clock.
        quiet: begin and end of quiet hours, local; over midnight where the end is before the begin.
        digest_hour: local hour of the daily digest; None: there is none.
    """

    zone: ZoneInfo
    quiet: Span | None = None
    digest_hour: int | None = None

    def due(self, now: datetime) -> datetime:
        """The first moment from `now` at which a message may be sent."""
        at = now if self.digest_hour is None else self._next(now, time(self.digest_hour))
        if self.quiet is not None and self._is_quiet(at, self.quiet):
            return self._next(at, self.quiet[1])
        return at

    def _is_quiet(self, at: datetime, quiet: Span) -> bool:
        local = at.astimezone(self.zone).time()
        begin, end = quiet
        return begin <= local < end if begin < end else local >= begin or local < end

    def _next(self, after: datetime, wall: time) -> datetime:
        """When the wall clock next shows `wall`; a time that a change of clocks leaves out is the moment after it."""
        today = after.astimezone(self.zone).date()
        for days in range(3):
            at = datetime.combine(today + timedelta(days=days), wall, self.zone).astimezone(UTC)
            if at > after:
                return at
        raise AssertionError("a day is at most 25 hours long")
