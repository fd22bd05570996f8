"""What the OpenAPI document says of every operation: who may use it, its headers, its errors, the envelope."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from inspect import cleandoc
from typing import Any

import marshmallow as ma

from api.security import rate_limits
from api.wire.correlation import HEADER as CORRELATION_HEADER
from engine.permissions import Permission


@cache
def enveloped(schema: type[ma.Schema]) -> type[ma.Schema]:
    """The schema of a successful answer; one class for each, so that the document names it once."""
    success = ma.fields.Boolean(required=True, metadata={"enum": [True]})
    data = ma.fields.Nested(schema, required=True)
    return type(
        schema.__name__.removesuffix("Schema") + "Answer", (ma.Schema,), {"success": success, "data": data}
    )


def header(text: str) -> dict[str, Any]:
    """A header of an answer."""
    return {"description": text, "schema": {"type": "string"}}


CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
CORRELATION = {CORRELATION_HEADER: {"$ref": "#/components/headers/CorrelationId"}}
LIMITED = {name: {"$ref": f"#/components/headers/{name}"} for name in rate_limits.HEADERS}


def usual_errors(
    method: str, rule: str, permission: Permission | None, body: object, looks_at_query: bool
) -> Iterable[int]:
    """The statuses that follow from what an operation takes and asks for."""
    yield from (500, 503)
    if body or looks_at_query:
        yield 400
    if permission is not None:
        yield from (401, 403)
    if "<" in rule:
        yield 404
    if method in CHANGING:
        yield 413
    if body:
        yield 415


_SESSION_PROOFS: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_PROOFS = {True: _SESSION_PROOFS, False: [*_SESSION_PROOFS, {"apiKey": []}]}


def document_access(
    doc: dict[str, Any], doc_info: dict[str, Any], *, spec: Any, **kwargs: Any
) -> dict[str, Any]:
    """What every operation has: parameters by header, errors, who may use it."""
    access = doc_info["access"]
    permission: Permission | None = access["permission"]
    parameters = [*doc.get("parameters", ()), "CorrelationId"]
    if permission is not None and access["method"] in CHANGING:
        parameters.append("CsrfToken")
    answers = {status: answer for status, answer in doc["responses"].items() if status in access["answers"]}
    when: str | None = access["confirmed"]
    errors = {status: f"Error{status}" for status in sorted(access["errors"]) if status not in answers}
    return {
        **doc,
        "operationId": access["id"],
        "parameters": parameters,
        "responses": {**answers, **errors},
        "security": [] if permission is None else _PROOFS[access["session_only"]],
        **({} if permission is None else {"x-permission": permission.value}),
        **({} if when is None else {"x-confirmation": when}),
    }


def with_confirmation(docstring: str | None, when: str) -> str:
    """The docstring of an operation, with the sentence that it takes a person, and when."""
    proof = "Takes a person who has confirmed lately (POST /api/v1/auth/confirm), else 403 `CONFIRMATION_REQUIRED`"
    return f"{cleandoc(docstring or '')}\n\n{proof}: {when}."
