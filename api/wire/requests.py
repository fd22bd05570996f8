"""Reads what a request carries: its body within limits, JSON and query against their schemas."""

from __future__ import annotations

from typing import Any, NoReturn

import marshmallow as ma
import orjson
from flask import Request, request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from api.wire.errors import InvalidRequest
from api.wire.fields import QueryDict

MAX_BODY = 1024 * 1024
_DRAINED = 16 * 1024 * 1024  # of a body that is too large; a client that still sends would not see our answer
_CHUNK = 64 * 1024
_DEEP = 100  # brackets; with fewer nothing is nested too deeply


class Parser(FlaskParser):
    """webargs, but strict: only JSON, only known names, each once, and our own errors."""

    DEFAULT_VALIDATION_STATUS = 400
    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {}  # as the schemas say

    def load_json(self, req: Request, schema: ma.Schema) -> Any:
        """The decoded body; an absent one is an empty object."""
        raw = req.get_data()
        if req.mimetype and not _is_json(req.mimetype):
            raise UnsupportedMediaType
        if not raw:
            return {}
        if not req.mimetype:
            raise UnsupportedMediaType
        try:
            found = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(
                {"body": [f"Is not valid JSON: {error.msg} (line {error.lineno})."]}
            ) from None
        if raw.count(b"[") + raw.count(b"{") > _DEEP:
            _refuse_too_deep(found)
        return found

    def load_querystring(self, req: Request, schema: ma.Schema) -> Any:
        """The parameters, each once."""
        for name, values in req.args.lists():
            if len(values) > 1:
                raise InvalidRequest({name: ["Must be given once."]})
        return QueryDict(req.args.items())

    def handle_error(self, error: ma.ValidationError, req: Request, *args: Any, **kwargs: Any) -> NoReturn:
        """Turn marshmallow's messages into our error."""
        (messages,) = error.messages_dict.values()
        if "_schema" in messages:
            messages = {"body": ["Must be a JSON object."]}
        raise InvalidRequest(messages) from None


def read_body(largest: int = MAX_BODY) -> None:
    """Read the body before anything waits for it with a transaction open.

    Args:
        largest: bytes.

    Raises:
        RequestEntityTooLarge: it is longer, chunked or not.
    """
    request.max_content_length = request.max_form_memory_size = largest
    chunked = request.content_length is None and bool(request.environ.get("wsgi.input_terminated"))
    if not request.content_length and not chunked:
        return
    try:
        body = request.get_data()
        # werkzeug cuts a chunked body off at the limit and says nothing.
        if chunked and len(body) >= largest and request.environ["wsgi.input"].read(1):
            raise RequestEntityTooLarge
    except RequestEntityTooLarge:
        _drain()
        raise


def refuse_parameters() -> None:
    """Refuse any query parameter, for operations that have none.

    Raises:
        InvalidRequest: there is one.
    """
    if request.query_string and request.args:
        raise InvalidRequest({name: ["Unknown field."] for name in request.args})


def _refuse_too_deep(found: Any) -> None:
    try:
        orjson.dumps(found)  # refuses at 254 levels, of what it has read itself at nothing else
    except TypeError:
        raise InvalidRequest({"body": ["Is nested too deeply."]}) from None


def _drain() -> None:
    source, left = request.environ["wsgi.input"], _DRAINED
    while left > 0 and (chunk := source.read(_CHUNK)):
        left -= len(chunk)


def _is_json(mimetype: str) -> bool:
    return mimetype == "application/json" or mimetype.endswith("+json")
