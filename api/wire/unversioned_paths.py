"""Paths without a version: every `/api/v1/X` also answers at `/api/X`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PREFIX = "/api/v1"


class UnversionedPaths:
    """WSGI middleware that rewrites `/api/X` to `/api/v1/X` before routing."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        path = environ.get("PATH_INFO", "")
        if path.startswith("/api/") and not path.startswith(PREFIX + "/"):
            environ["PATH_INFO"] = PREFIX + path.removeprefix("/api")
        return self._app(environ, start_response)
