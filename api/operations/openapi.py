"""The OpenAPI document and its page, whose assets come out of a package: no CDN is asked."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

import flask_swagger_ui  # type: ignore[import-untyped]
import orjson
from flask import Flask, Response, current_app, send_from_directory
from werkzeug.routing import BaseConverter

from api.extensions import DocumentedApi
from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import ANY_QUERY, FILE, PUBLIC
from api.security import csrf, rate_limits
from api.security.authentication import ACCESS_COOKIE, KEY_HEADER
from api.wire import correlation
from api.wire.errors import CODES

_DIST = Path(flask_swagger_ui.__file__).parent / "dist"
_START_NAME = "start.js"
_ASSETS = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", _START_NAME)
_DOCUMENT = "medianest-openapi"
_TITLES = {
    401: "Unauthorized, or the access token has expired (`TOKEN_EXPIRED`)",
    403: "Forbidden, or the CSRF proof is missing (`CSRF_INVALID`), or that of the person (`CONFIRMATION_REQUIRED`: "
    "POST /api/v1/auth/confirm, then ask again)",
    503: "Service Unavailable",
}

_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>MediaNest API</title>
    <link rel="icon" href="docs/favicon-32x32.png">
    <link rel="stylesheet" href="docs/swagger-ui.css">
  </head>
  <body>
    <div id="api"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
"""

_START = """"use strict";
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
});
"""

blueprint = Blueprint("documentation", "", "This document, and a page to browse it.", limit=None)


class IdConverter(BaseConverter):
    """An id in a path: anything else is not found, and never reaches the database."""

    regex = "[A-Za-z0-9_-]{1,80}"


class AssetConverter(BaseConverter):
    """The name of a file of the documentation page."""

    regex = "|".join(re.escape(name) for name in _ASSETS)


def describe(app: Flask, api: DocumentedApi) -> None:
    """Tell the document what all operations share; to be called before the blueprints are registered."""
    app.url_map.converters.update(id=IdConverter, asset=AssetConverter)
    app.url_map.merge_slashes = False  # its redirect would be an answer that nobody expects
    api.register_converter(IdConverter, lambda _: {"type": "string", "pattern": f"^{IdConverter.regex}$"})
    api.register_converter(AssetConverter, lambda _: {"type": "string", "enum": list(_ASSETS)})
    components, spec = api.spec.components, api.spec
    text = {"type": "string"}
    id_schema = {**text, "pattern": "^[A-Za-z0-9._-]{1,128}$"}
    components.header("CorrelationId", {"description": "Names this request in logs.", "schema": id_schema})
    for name, text_of_header in rate_limits.HEADERS.items():
        components.header(name, {"description": text_of_header, "schema": {"type": "integer"}})
    components.parameter(
        "CorrelationId",
        "header",
        {
            "name": correlation.HEADER,
            "schema": text,
            "description": "Names the request; echoed when well formed.",
        },
    )
    components.parameter(
        "CsrfToken",
        "header",
        {
            "name": csrf.HEADER,
            "schema": text,
            "description": "Needed where the request authenticates by cookie.",
        },
    )
    components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    components.security_scheme("cookie", {"type": "apiKey", "in": "cookie", "name": ACCESS_COOKIE})
    components.security_scheme("apiKey", {"type": "apiKey", "in": "header", "name": KEY_HEADER})
    for status in CODES:
        components.response(f"Error{status}", _error(status))
    spec.options["servers"] = [{"url": "/"}]


def _error(status: int) -> dict[str, Any]:
    headers: dict[str, Any] = {correlation.HEADER: {"$ref": "#/components/headers/CorrelationId"}}
    for name in rate_limits.HEADERS:
        headers[name] = {"$ref": f"#/components/headers/{name}"}
    if status in {429, 503}:
        headers["Retry-After"] = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    return {
        "description": f"{_TITLES.get(status, HTTPStatus(status).phrase)}: `{CODES[status]}`",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}},
        "headers": headers,
    }


def publish(app: Flask, api: DocumentedApi) -> None:
    """Have the document made when it is asked for first; to be called when all blueprints are registered."""
    app.extensions[_DOCUMENT] = cache(lambda: orjson.dumps(api.document(), option=orjson.OPT_NON_STR_KEYS))


@blueprint.operation("GET", "/openapi.json", PUBLIC, FILE, ANY_QUERY, own_units=True)
def openapi_document(call: Call) -> Response:
    """This document."""
    return Response(current_app.extensions[_DOCUMENT](), mimetype="application/json")


@blueprint.operation("GET", "/docs", PUBLIC, FILE, ANY_QUERY, own_units=True)
def documentation_page(call: Call) -> Response:
    """The page to browse this document."""
    return Response(_PAGE, mimetype="text/html")


@blueprint.operation("GET", "/docs/<asset:name>", PUBLIC, FILE, ANY_QUERY, own_units=True)
def documentation_asset(call: Call, name: str) -> Response:
    """A file of that page."""
    if name == _START_NAME:
        return Response(_START, mimetype="text/javascript")
    return send_from_directory(_DIST, name, max_age=3600)
