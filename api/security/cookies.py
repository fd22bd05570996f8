"""Sets a cookie as all of ours are set: out of reach of scripts and of other sites' forms."""

from __future__ import annotations

from flask import Response

from config.settings import Settings


def keep(
    response: Response, settings: Settings, name: str, value: str, max_age: int, path: str = "/"
) -> None:
    """Set a cookie; with 0 seconds it is deleted.

    Args:
        response: that sets it.
        settings: in production it is sent by https only.
        name: of the cookie.
        value: of the cookie.
        max_age: seconds.
        path: below which it is sent.
    """
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=path,
        httponly=True,
        samesite="Lax",
        secure=settings.app_env == "production",
    )
