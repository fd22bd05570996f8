"""Figures, times and sizes for people, by the conventions of the visitor's language."""

from __future__ import annotations

import datetime as calendar
from collections.abc import Iterable
from datetime import UTC, datetime

from babel import dates, lists, numbers
from babel.units import format_unit
from markupsafe import Markup

from api.pages.look.words import gettext as _
from api.pages.look.words import locale, marked

_STEPS = (
    ("byte", 1),
    ("kilobyte", 1000),
    ("megabyte", 1000**2),
    ("gigabyte", 1000**3),
    ("terabyte", 1000**4),
)

_SPELLED = (
    marked("None"),
    marked("One"),
    marked("Two"),
    marked("Three"),
    marked("Four"),
    marked("Five"),
    marked("Six"),
    marked("Seven"),
    marked("Eight"),
    marked("Nine"),
    marked("Ten"),
    marked("Eleven"),
    marked("Twelve"),
)


def number(value: float) -> str:
    """A number with separators."""
    return numbers.format_decimal(value, locale=locale())


def spelled(count: int) -> str:
    """A number at the beginning of a sentence: in words up to twelve."""
    return _(_SPELLED[count]) if 0 <= count < len(_SPELLED) else number(count)


def percent(value: float) -> str:
    """A share of 100 as text, without decimals."""
    return numbers.format_percent(value / 100, format="#,##0 %" if _spaced() else "#,##0%", locale=locale())


def size(count: int | float | None) -> str:
    """A number of bytes in units of thousand, such as "1.1 GB"; empty where it is unknown."""
    if count is None:
        return ""
    unit, step = next((pair for pair in reversed(_STEPS) if abs(count) >= pair[1]), _STEPS[0])
    amount = count / step
    rounded = round(amount, 1) if amount < 100 and step > 1 else round(amount)
    return format_unit(rounded, f"digital-{unit}", length="short", locale=locale())


def speed(bytes_per_second: float | None) -> str:
    """A rate of transfer; empty where it is unknown."""
    return f"{size(bytes_per_second)}/s" if bytes_per_second else ""


def duration(seconds: float | None) -> str:
    """A length in its two largest units, such as "2 h 11 min"; empty where it is unknown."""
    if seconds is None:
        return ""
    whole = max(round(seconds), 0)
    if whole < 60:
        return format_unit(whole, "duration-second", length="short", locale=locale())
    hours, minutes = divmod(round(whole / 60), 60)
    texts = [(hours // 24, "day"), (hours % 24, "hour"), (minutes, "minute")]
    shown = [(value, unit) for value, unit in texts if value][:2]
    return " ".join(
        format_unit(value, f"duration-{unit}", length="short", locale=locale()) for value, unit in shown
    )


def day(when: datetime | None) -> Markup:
    """A date, such as "12 November 2026"; marked up, so that a script can show it in the visitor's time zone."""
    return _marked(when, "day", lambda at: dates.format_date(at, "long", locale=locale()))


def date(when: calendar.date | None) -> str:
    """A date of the calendar, without a time zone; empty where it is unknown."""
    return "" if when is None else dates.format_date(when, "long", locale=locale())


def moment(when: datetime | None) -> Markup:
    """A date with its time in UTC, which a script replaces by the visitor's time zone."""
    return _marked(when, "moment", lambda at: f"{dates.format_datetime(at, 'medium', locale=locale())} UTC")


def ago(when: datetime | None) -> Markup:
    """How long ago or in how long, such as "3 minutes ago"; the moment itself is its title."""
    return _marked(when, "ago", _distance)


def listed(words: Iterable[str]) -> str:
    """Words as an enumeration: "a, b and c"."""
    return str(lists.format_list(list(words), locale=locale()))


def _distance(when: datetime) -> str:
    delta = when - datetime.now(UTC)
    if abs(delta.total_seconds()) < 45:
        return _("just now")
    return dates.format_timedelta(delta, add_direction=True, locale=locale())


def _marked(when: datetime | None, kind: str, words: object) -> Markup:
    if when is None:
        return Markup("")
    assert callable(words)
    return Markup('<time datetime="{}" data-time="{}">{}</time>').format(
        when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), kind, words(when.astimezone(UTC))
    )


def _spaced() -> bool:
    return locale().language == "de"
