"""The names under which users' Plex tokens are stored."""

from __future__ import annotations

SECRET_PREFIX = "plex-user:"  # noqa: S105 - a name


def secret_name(user_id: str) -> str:
    """The name of the secret that holds a user's Plex token, encrypted; it is only ever sent to Plex."""
    return SECRET_PREFIX + user_id
