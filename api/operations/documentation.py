"""What the OpenAPI document says of an operation; all of it follows from its declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from http import HTTPStatus
from inspect import cleandoc
from typing import Any

import marshmallow as ma

from api.operations.declaration import Answers, Operation
from api.security import rate_limits
from api.wire.correlation import HEADER as CORRELATION_HEADER

_JSON = "application/json"
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_CORRELATION = {CORRELATION_HEADER: {"$ref": "#/components/headers/CorrelationId"}}
_LIMITED = {name: {"$ref": f"#/components/headers/{name}"} for name in rate_limits.HEADERS}
_SESSION_PROOFS: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_PROOFS = {True: _SESSION_PROOFS, False: [*_SESSION_PROOFS, {"apiKey": []}]}
_CONFIRMATION = (
    "Takes a person who has confirmed lately (POST /api/v1/auth/confirm), else 403 `CONFIRMATION_REQUIRED`"
)


def document(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """An operation of the document; called by flask-smorest, which adds docstring and tags.

    Args:
        doc: what others have said of it: nothing.
        doc_info: what the blueprint has noted at the view.
    """
    operation: Operation = doc_info["operation"]
    access, takes = operation.access, operation.takes
    query = [] if takes.query is None else [{"in": "query", "schema": takes.query}]
    proof = ["CsrfToken"] if access.permission is not None and operation.method in _CHANGING else []
    return {
        **doc,
        "responses": _responses(operation),
        **({"requestBody": _body(takes.body)} if takes.body else {}),
        "operationId": doc_info["id"],
        "parameters": [*query, "CorrelationId", *proof],
        "security": [] if access.permission is None else _PROOFS[access.session_only],
        **({} if access.permission is None else {"x-permission": access.permission.value}),
        **({} if access.confirmed is None else {"x-confirmation": access.confirmed}),
    }


def docstring_of(operation: Operation, view: Callable[..., Any]) -> str:
    """The docstring of a view, with the sentence that it takes a person, and when."""
    when, text = operation.access.confirmed, cleandoc(view.__doc__ or "")
    return text if when is None else f"{text}\n\n{_CONFIRMATION}: {when}."


@cache
def enveloped(schema: type[ma.Schema]) -> type[ma.Schema]:
    """The schema of a successful answer; one class for each, so that the document names it once."""
    if not getattr(schema, "enveloped", True):
        return schema
    success = ma.fields.Boolean(required=True, metadata={"enum": [True]})
    data = ma.fields.Nested(schema, required=True)
    return type(
        schema.__name__.removesuffix("Schema") + "Answer", (ma.Schema,), {"success": success, "data": data}
    )


def _body(schema: type[ma.Schema]) -> dict[str, Any]:
    required = any(field.required for field in schema().fields.values())
    return {"required": required, "content": {_JSON: {"schema": schema}}}


def _responses(operation: Operation) -> dict[int, Any]:
    answers = operation.answers
    shared = _CORRELATION if operation.limit is None else _CORRELATION | _LIMITED
    headers = shared | {name: _header(text) for name, text in answers.headers.items()}
    errors = sorted({*_usual_errors(operation), *answers.errors}.difference(answers.schemas))
    return {
        **{status: _answer(status, answers, headers) for status in reversed(list(answers.schemas))},
        **{status: f"Error{status}" for status in errors},
    }


def _answer(status: int, answers: Answers, headers: dict[str, Any]) -> dict[str, Any]:
    schema = answers.schemas[status]
    content = {} if schema is None else {"content": {_JSON: {"schema": enveloped(schema)}}}
    return {"description": HTTPStatus(status).phrase, "headers": headers, **content}


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


def _usual_errors(operation: Operation) -> Iterator[int]:
    """The statuses that follow from what an operation takes and asks for."""
    takes = operation.takes
    yield from (500, 503)
    if takes.body or not takes.any_query:
        yield 400
    if operation.access.permission is not None:
        yield from (401, 403)
    if "<" in operation.rule:
        yield 404
    if operation.method in _CHANGING:
        yield 413
    if takes.body:
        yield 415
    if operation.limit is not None:
        yield 429
