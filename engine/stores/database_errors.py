"""Classifies database errors and shortens them to one line for the log."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from config.redaction import redacted

_LONGEST = 200
# SQLSTATE classes: data exception, integrity constraint violation, program limit exceeded.
_REFUSED = ("22", "23", "54")


def reason(error: SQLAlchemyError) -> str:
    """The driver's message in one redacted line, such as a refused connection; without query and parameters."""
    text = str(getattr(error, "orig", None) or error).strip()
    return str(redacted((text.splitlines() or [type(error).__name__])[0]))[:_LONGEST]


def is_refused(error: DBAPIError) -> bool:
    """Whether the database refused the data itself, so that another attempt would fail too."""
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_REFUSED)
