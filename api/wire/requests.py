"""Reads a request: its body within a limit, JSON body and query against their schemas."""

from __future__ import annotations

from contextlib import suppress
from functools import cache, partial
from typing import Any, BinaryIO

import marshmallow as ma
import orjson
from flask import Response, after_this_request, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, UnsupportedMediaType

from api.wire.errors import InvalidRequest
from api.wire.fields import FormDict, QueryDict

MAX_BODY = 1024 * 1024
_DRAINED = (
    16 * 1024 * 1024
)  # bytes of a body that is too large; while a client sends, it may not see our answer
_CHUNK = 64 * 1024
_DEEP = 100  # brackets; with fewer nothing is nested too deeply


def load_body(schema: type[ma.Schema]) -> dict[str, Any]:
    """The JSON body, checked; an absent one is an empty object.

    Raises:
        InvalidRequest: it is not JSON, or does not fit the schema.
        UnsupportedMediaType: its Content-Type is not JSON.
    """
    raw = request.get_data()
    if request.mimetype and not _is_json(request.mimetype):
        raise UnsupportedMediaType
    if not raw:
        return checked(schema, {})
    if not request.mimetype:
        raise UnsupportedMediaType
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest({"body": [f"Is not valid JSON: {error.msg} (line {error.lineno})."]}) from None
    if raw.count(b"[") + raw.count(b"{") > _DEEP:
        _refuse_too_deep(found)
    return checked(schema, found)


def load_query(schema: type[ma.Schema], *, known_only: bool = False) -> dict[str, Any]:
    """The parameters of the query, checked; each may be given once.

    Args:
        schema: of the parameters.
        known_only: others are ignored, instead of refused, and so are empty ones.

    Raises:
        InvalidRequest: they do not fit.
    """
    for name, values in request.args.lists():
        if len(values) > 1:
            raise InvalidRequest({name: ["Must be given once."]})
    given = QueryDict(request.args.items())
    if known_only:
        names = {field.data_key or name for name, field in _made(schema).fields.items()}
        given = QueryDict({name: value for name, value in given.items() if name in names and value})
    return checked(schema, given)


def load_form(schema: type[ma.Schema]) -> dict[str, Any]:
    """The fields of a form that the schema knows, checked; an empty one counts as missing.

    A field that the schema takes as a list may be there several times.

    Raises:
        InvalidRequest: they do not fit.
    """
    known = {field.data_key or name: field for name, field in _made(schema).fields.items()}
    found = FormDict()
    for name, field in known.items():
        values = [value for value in request.form.getlist(name) if value]
        if isinstance(field, ma.fields.List):
            found[name] = values
        elif values:
            found[name] = values[-1]
    return checked(schema, found)


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
        after_this_request(_drain_later)
        raise


def refuse_parameters() -> None:
    """Refuse any query parameter, for operations that have none.

    Raises:
        InvalidRequest: there is one.
    """
    if request.query_string and request.args:
        raise InvalidRequest({name: ["Unknown field."] for name in request.args})


@cache
def _made(schema: type[ma.Schema]) -> ma.Schema:
    """An instance for all requests: making one copies all its fields."""
    return schema()


def checked(schema: type[ma.Schema], found: Any) -> dict[str, Any]:
    """What was found in JSON or a query, as the schema loads it.

    Raises:
        InvalidRequest: it does not fit.
    """
    try:
        loaded: dict[str, Any] = _made(schema).load(found)
    except ma.ValidationError as error:
        messages = error.messages_dict
        if "_schema" in messages:
            raise InvalidRequest({"body": ["Must be a JSON object."]}) from None
        fields = _made(schema).fields  # what is said of all together calls them by their names in the code
        raise InvalidRequest(
            {
                fields[name].data_key or name if name in fields and name not in found else name: said
                for name, said in messages.items()
            }
        ) from None
    return loaded


def _refuse_too_deep(found: Any) -> None:
    try:
        orjson.dumps(found)  # refuses at 254 levels, of what it has read itself at nothing else
    except TypeError:
        raise InvalidRequest({"body": ["Is nested too deeply."]}) from None


def _drain_later(response: Response) -> Response:
    """Read the rest of the body once the answer has been sent, so that a client that sends nothing gets it too."""
    response.call_on_close(partial(_drain, request.environ["wsgi.input"]))
    return response


def _drain(source: BinaryIO) -> None:
    left = _DRAINED
    with suppress(BadRequest):  # it broke off: the answer has been sent
        while left > 0 and (chunk := source.read(_CHUNK)):
            left -= len(chunk)


def _is_json(mimetype: str) -> bool:
    return mimetype == "application/json" or mimetype.endswith("+json")
