"""The digest of a random token: what the database keeps of it, so that whoever reads a row can't use it."""

from __future__ import annotations

import hashlib


def digest(token: str) -> str:
    """SHA-256 as 64 hex digits; enough for texts of 128 random bits and more, which nobody guesses."""
    return hashlib.sha256(token.encode()).hexdigest()
