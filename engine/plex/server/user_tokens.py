"""Where the Plex tokens of users are kept."""

from __future__ import annotations

SECRET_PREFIX = "plex-user:"  # noqa: S105 - a name


def secret_name(user_id: str) -> str:
    """Under which the token of a user is kept, encrypted; it leaves the server only towards Plex."""
    return SECRET_PREFIX + user_id
