"""How long another system asks to be left alone."""

from __future__ import annotations


def seconds_to_wait(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds (RFC 9110, 10.2.3), at most a day; None where there is none, or a date."""
    digits = (retry_after or "").strip()
    return float(min(int(digits[:9]), 86_400)) if digits.isascii() and digits.isdecimal() else None
