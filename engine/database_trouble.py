"""What PostgreSQL, or the way to it, has to say when it does not serve us: one line for the log."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from config.redaction import redacted

_LONGEST = 200


def reason(error: SQLAlchemyError) -> str:
    """The cause in the driver's words, such as a refused connection or an unknown role: no query, no secret."""
    text = str(getattr(error, "orig", None) or error).strip()
    return str(redacted((text.splitlines() or [type(error).__name__])[0]))[:_LONGEST]
