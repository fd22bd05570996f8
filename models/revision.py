"""The schema revisions this release knows, read without importing Alembic (11 MB in every web process)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

VERSIONS = Path(__file__).parent / "migrations" / "versions"


@cache
def newest() -> str:
    """The newest revision: four digits, with which the migration's file name begins."""
    return max(known())


@cache
def known() -> frozenset[str]:
    """All revisions."""
    return frozenset(path.name[:4] for path in VERSIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))
