"""The envelope of every answer, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

from api.wire.correlation import correlation_id

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class OrjsonProvider(JSONProvider):
    """Flask's JSON by orjson: times as ISO 8601 in UTC with `Z`."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Encode."""
        return orjson.dumps(obj, option=_OPTIONS).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Decode."""
        return orjson.loads(s)


def bare(data: Any) -> Response:
    """Answer with JSON outside the envelope."""
    return Response(orjson.dumps(data, option=_OPTIONS), mimetype="application/json")


def success(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with data; times in it are `datetime` objects with a zone."""
    return _answer({"success": True, "data": data}, status, headers)


def failure(
    code: str,
    message: str,
    status: int,
    details: Any = None,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """Answer with an error of the API's table; `more` stands beside it."""
    error = {"code": code, "message": message, "details": details}
    body = {"success": False, **more, "error": error, "correlationId": correlation_id()}
    return _answer(body, status, headers)


def _answer(body: Mapping[str, Any], status: int, headers: Mapping[str, str] | None) -> Response:
    return Response(orjson.dumps(body, option=_OPTIONS), status, headers, mimetype="application/json")
