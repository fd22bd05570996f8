"""The Movie Database: whether it is there, and takes our token or key."""

from __future__ import annotations

import re

from engine.clients import connection_test
from engine.clients.connection_test import ConnectionTestFailed

STANDARD_URL = "https://api.themoviedb.org/3"
_KEY = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)


def examine(url: str, token: str, *, verify: bool = True) -> None:
    """Ask for its configuration; the token may be of either kind: a read access token, or a key of 32 digits.

    Raises:
        ConnectionTestFailed: it is not what it should be.
    """
    key = _KEY.fullmatch(token) is not None
    answer = connection_test.get(
        url.rstrip("/") + "/configuration",
        headers={"Accept": "application/json", **({} if key else {"Authorization": f"Bearer {token}"})},
        params={"api_key": token} if key else None,
        verify=verify,
        proxied=True,
    )
    if answer.status == 401:
        raise ConnectionTestFailed(
            "unauthorized",
            "TMDB does not accept the token.",
            "Copy the API read access token anew from your settings at themoviedb.org, API.",
        )
    if answer.status >= 500 or answer.status == 429:
        raise ConnectionTestFailed(
            "not_ready", f"TMDB does not answer now (status {answer.status}).", "Try again in a few minutes."
        )
    if "images" not in (answer.fields or {}):
        raise ConnectionTestFailed(
            "not_recognised", "What answers there is not TMDB.", f"Its address is {STANDARD_URL}, with /3."
        )
