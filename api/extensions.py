"""The Flask extensions and our own objects of an application, one set for each `create_app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any

from flask import Flask, current_app
from flask_jwt_extended import JWTManager
from flask_smorest import Api, Blueprint  # type: ignore[import-untyped]

from api.wire.envelope import OrjsonProvider
from api.wire.errors import ErrorEnvelope
from api.wire.requests import MAX_BODY
from config.settings import Settings
from engine.monitoring.health import HealthMonitor
from engine.runtime import Runtime
from engine.secrets import keys

_NAME = "medianest"
ISSUER = "medianest"
ALGORITHM = "HS256"


@dataclass(frozen=True)
class Parts:
    """What views need of the application.

    Attributes:
        runtime: database, Redis, and the messages that wake workers.
        health: checks the services.
        send_noop: sends the job that does nothing with a token; may raise when Redis is away.
    """

    runtime: Runtime
    health: HealthMonitor
    send_noop: Callable[[str], None]


class DocumentedApi(Api):  # type: ignore[misc]
    """flask-smorest without a default error: each operation names its own, so that a missing one shows.

    Operations are documented when the document is read first: that takes three times as long as everything else in
    `create_app`, and megabytes that most processes never need.
    """

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = ErrorEnvelope

    def __init__(self, app: Flask) -> None:
        super().__init__(app)
        self._undocumented: list[Blueprint] = []
        self._lock = Lock()

    def register_blueprint(self, blp: Blueprint, **options: Any) -> None:
        """Add the routes of a blueprint."""
        self._app.extensions["flask-smorest"]["blp_name_to_api"][blp.name] = self
        self._app.register_blueprint(blp, **options)
        self._undocumented.append(blp)

    def document(self) -> dict[str, Any]:
        """The OpenAPI document of all blueprints."""
        with self._lock:
            while self._undocumented:
                blp = self._undocumented.pop(0)
                blp.register_views_in_doc(self, self._app, self.spec, name=blp.name, parameters=None)
                self.spec.tag({"name": blp.name, "description": blp.description})
            found: dict[str, Any] = self.spec.to_dict()
            return found


def init_app(app: Flask, parts: Parts) -> DocumentedApi:
    """Set up JSON, tokens and the documented API; returns the latter for the blueprints."""
    settings = parts.runtime.settings
    app.extensions[_NAME] = parts
    app.json = OrjsonProvider(app)
    app.config.update(
        MEDIANEST_DEVELOPMENT=settings.development,
        MAX_CONTENT_LENGTH=MAX_BODY,
        PROVIDE_AUTOMATIC_OPTIONS=False,
        API_TITLE="MediaNest",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        **_token_config(settings),
    )
    # Asked for each token: a key may be rotated while we run. Tokens are read in api.security.authentication.
    JWTManager(app).encode_key_loader(lambda _: keys.key(parts.runtime.settings, keys.ACCESS_TOKENS))
    return DocumentedApi(app)


def parts() -> Parts:
    """The parts of the application that serves this request."""
    found: Parts = current_app.extensions[_NAME]
    return found


def _token_config(settings: Settings) -> dict[str, object]:
    return {
        "JWT_ALGORITHM": ALGORITHM,
        "JWT_ENCODE_ISSUER": ISSUER,
        "JWT_ENCODE_AUDIENCE": ISSUER,
        "JWT_ENCODE_NBF": False,
        "JWT_ACCESS_TOKEN_EXPIRES": timedelta(seconds=settings.access_token_seconds),
        "JWT_COOKIE_CSRF_PROTECT": False,  # api.security.csrf does it, with a token that outlives the access token
    }
