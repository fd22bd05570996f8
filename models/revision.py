"""The newest schema this program knows, told without loading Alembic (11 MB that every web process would carry)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

VERSIONS = Path(__file__).parent / "migrations" / "versions"


@cache
def newest() -> str:
    """The newest revision: files of migrations begin with its four digits."""
    return max(known())


@cache
def known() -> frozenset[str]:
    """All revisions."""
    return frozenset(path.name[:4] for path in VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))
