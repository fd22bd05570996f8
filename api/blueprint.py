"""The blueprint of all our routes: access, validation, unit of work, envelope and documentation in one declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any

import flask_smorest  # type: ignore[import-untyped]
import marshmallow as ma
from flask import Response, request
from sqlalchemy.orm import Session

from api.correlation import HEADER as CORRELATION_HEADER
from api.extensions import Parts, parts
from api.fields import Schema
from api.paths import PREFIX
from api.requests import Parser, read_body, refuse_parameters
from api.security import actor, allow, authenticate
from config.settings import Settings
from engine import audit
from engine.accounts.permissions import Permission
from engine.accounts.sessions import Identity
from engine.audit import Actor
from engine.errors import Forbidden
from engine.runtime import Runtime

View = Callable[..., Response]
_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Call:
    """One request, as a view sees it."""

    def __init__(self, parts: Parts, db: Session | None, identity: Identity | None) -> None:
        self.parts = parts
        self._db = db
        self._identity = identity

    @property
    def runtime(self) -> Runtime:
        """For views with `own_units`, and for Redis."""
        return self.parts.runtime

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.parts.runtime.settings

    @property
    def db(self) -> Session:
        """The request's unit of work, committed when the view has returned."""
        assert self._db is not None, "a view with own_units opens its own"
        return self._db

    @property
    def actor(self) -> Actor:
        """Who asks, for the audit log; also where nobody needs to be known."""
        return actor(request, self._identity)

    @property
    def identity(self) -> Identity:
        """Who asks."""
        assert self._identity is not None, "a view without permission knows nobody"
        return self._identity


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A group of operations below one prefix.

    Args:
        name: of the group in the documentation.
        prefix: below `/api/v1`; `root` puts it below `/` instead.
        description: of the group in the documentation.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, prefix: str, description: str, *, root: bool = False) -> None:
        super().__init__(
            name, __name__, url_prefix=prefix if root else PREFIX + prefix, description=description
        )
        self._prepare_doc_cbks.append(_document_access)

    def operation(
        self,
        method: str,
        rule: str,
        *,
        permission: Permission | None,
        answers: Mapping[int, type[Schema] | None],
        body: type[Schema] | None = None,
        query: type[Schema] | None = None,
        any_query: bool = False,
        errors: Iterable[int] = (),
        headers: Mapping[str, str] | None = None,
        content_type: str | None = None,
        own_units: bool = False,
        session_only: bool = False,
    ) -> Callable[[View], View]:
        """Declare one operation. Its view is called with a `Call`, then body, query and path as far as declared.

        Args:
            method: of HTTP.
            rule: of the path, below the prefix.
            permission: what it asks for; None lets everyone in.
            answers: the schemas of `data` by status, the usual one first.
            body: the schema of the JSON body.
            query: the schema of the query parameters; without one there must be none.
            any_query: parameters are not looked at.
            errors: statuses it may answer beside those that follow from the other arguments.
            headers: of the answers, with a description each.
            content_type: of the answers, where it is not JSON.
            own_units: the view opens its own units of work, since it waits or must keep what it wrote on failure.
            session_only: not with an API key.
        """

        shown = {**_CORRELATION, **{name: _header(text) for name, text in (headers or {}).items()}}
        access = {
            "method": method,
            "permission": permission,
            "answers": list(answers),
            "session_only": session_only,
            "errors": {
                *errors,
                *_usual_errors(method, rule, permission, body, query is not None or not any_query),
            },
        }

        def declare(view: View) -> View:
            inner = self.arguments(query, location="query")(view) if query else view
            if body:
                inner = self.arguments(
                    body, required=any(field.required for field in body().fields.values())
                )(inner)
            served = _served(
                inner,
                permission,
                refuse_query=query is None and not any_query,
                own_units=own_units,
                session_only=session_only,
            )
            for status in reversed(list(answers)):
                served = self.alt_response(
                    status, schema=answers[status], headers=shown, content_type=content_type, success=True
                )(served)
            served._apidoc["access"] = {**access, "id": view.__name__}  # type: ignore[attr-defined]
            self.route(rule, methods=[method], endpoint=view.__name__)(served)
            return view

        return declare

    @staticmethod
    def _make_doc_response_schema(schema: ma.Schema | None) -> ma.Schema | None:
        if schema is None or not getattr(schema, "enveloped", True):
            return schema
        return _enveloped(type(schema))()


def _served(
    inner: View, permission: Permission | None, *, refuse_query: bool, own_units: bool, session_only: bool
) -> View:
    """What happens around every view: body read, caller admitted, unit of work opened and committed."""

    @wraps(inner)
    def serve(**path: Any) -> Response:
        read_body()
        current = parts()
        looking = request.method in {"GET", "HEAD"} and not own_units
        with current.runtime.reading() if looking else current.runtime.unit_of_work() as db:
            identity = None
            if permission is not None:
                identity, found = authenticate(db, request)
                with _denials_noted(current.runtime, identity, permission):
                    allow(request, identity, found, permission, session_only=session_only)
            if refuse_query:
                refuse_parameters()
            if not own_units:
                return inner(Call(current, db, identity), **path)
        return inner(Call(current, None, identity), **path)

    return serve


@contextmanager
def _denials_noted(runtime: Runtime, identity: Identity, permission: Permission) -> Iterator[None]:
    """Write a refusal into the audit log, in a unit of its own: the request's is rolled back."""
    try:
        yield
    except Forbidden as refused:
        with runtime.unit_of_work() as db:
            audit.record(
                db,
                "access.denied",
                actor(request, identity),
                outcome="denied",
                code=refused.code,
                method=request.method,
                path=request.path[:300],
                permission=permission.value,
            )
        raise


@cache
def _enveloped(schema: type[ma.Schema]) -> type[ma.Schema]:
    """The schema of a successful answer; one class for each, so that the document names it once."""
    success = ma.fields.Boolean(required=True, metadata={"enum": [True]})
    data = ma.fields.Nested(schema, required=True)
    return type(
        schema.__name__.removesuffix("Schema") + "Answer", (ma.Schema,), {"success": success, "data": data}
    )


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


_CORRELATION = {CORRELATION_HEADER: {"$ref": "#/components/headers/CorrelationId"}}


def _usual_errors(
    method: str, rule: str, permission: Permission | None, body: object, looks_at_query: bool
) -> Iterable[int]:
    yield from (500, 503)
    if body or looks_at_query:
        yield 400
    if permission is not None:
        yield from (401, 403)
    if "<" in rule:
        yield 404
    if method in _CHANGING:
        yield 413
    if body:
        yield 415


_SESSION_PROOFS: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]
_PROOFS = {True: _SESSION_PROOFS, False: [*_SESSION_PROOFS, {"apiKey": []}]}


def _document_access(
    doc: dict[str, Any], doc_info: dict[str, Any], *, spec: Any, **kwargs: Any
) -> dict[str, Any]:
    """What every operation has: parameters by header, errors, who may use it."""
    access = doc_info["access"]
    permission: Permission | None = access["permission"]
    parameters = [*doc.get("parameters", ()), "CorrelationId"]
    if permission is not None and access["method"] in _CHANGING:
        parameters.append("CsrfToken")
    answers = {status: answer for status, answer in doc["responses"].items() if status in access["answers"]}
    errors = {status: f"Error{status}" for status in sorted(access["errors"]) if status not in answers}
    return {
        **doc,
        "operationId": access["id"],
        "parameters": parameters,
        "responses": {**answers, **errors},
        "security": [] if permission is None else _PROOFS[access["session_only"]],
        **({} if permission is None else {"x-permission": permission.value}),
    }
