"""What PostgreSQL, or the way to it, has to say when it does not serve us: one line for the log."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from config.redaction import redacted

_LONGEST = 200
_REFUSED = ("22", "23", "54")  # classes of SQLSTATE: data, constraints, limits of the program


def reason(error: SQLAlchemyError) -> str:
    """The cause in the driver's words, such as a refused connection or an unknown role: no query, no secret."""
    text = str(getattr(error, "orig", None) or error).strip()
    return str(redacted((text.splitlines() or [type(error).__name__])[0]))[:_LONGEST]


def is_refused(error: DBAPIError) -> bool:
    """Whether it is about what was to be written, which no other attempt would change, and not about the database."""
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_REFUSED)
