"""The blueprint of all our routes: access, validation, unit of work, envelope and documentation in one declaration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from types import EllipsisType
from typing import Any

import flask_smorest  # type: ignore[import-untyped]
import marshmallow as ma
from flask import Response, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from api.extensions import Parts, parts
from api.operations.documentation import (
    CORRELATION,
    LIMITED,
    document_access,
    enveloped,
    header,
    usual_errors,
    with_confirmation,
)
from api.security import rate_limits
from api.security.authentication import actor, allow, authenticate, credential
from api.security.rate_limits import Counted, Spent
from api.wire.fields import Schema
from api.wire.requests import MAX_BODY, Parser, read_body, refuse_parameters
from api.wire.unversioned_paths import PREFIX
from config.settings import Settings
from engine import audit
from engine.audit import Actor
from engine.errors import Forbidden, MediaNestError, Unauthorized
from engine.identity.sessions import Identity
from engine.permissions import Permission
from engine.runtime import Runtime

View = Callable[..., Response]


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

    def now_proven(self) -> None:
        """The person has just proved to be there: what follows is asked by them."""
        self._identity = replace(self.identity, proven=True)

    def spend(self, limit: Spent, *, email: str | None = None) -> None:
        """Count what only the view can tell, such as a submission; see `engine.rate_limits.limits`.

        Raises:
            RateLimitExceeded: there were too many; whatever the view wrote is rolled back.
        """
        rate_limits.spend(self._identity, limit, email)

    @contextmanager
    def attempt(self, limit: Spent, *, email: str | None = None) -> Iterator[Attempted]:
        """Count only a block that ends with `Unauthorized`: counted before it, so that guesses made at once all are.

        The block may say that it counts all the same.

        Raises:
            RateLimitExceeded: too many failed before.
        """
        self.spend(limit, email=email)
        attempted = Attempted()
        try:
            yield attempted
        except Unauthorized:
            raise
        except BaseException:
            rate_limits.give_back(self._identity, limit, email)
            raise
        if not attempted.counts:
            rate_limits.give_back(self._identity, limit, email)


@dataclass
class Attempted:
    """What was tried; `counts` where it may have been a guess although it went well."""

    counts: bool = False


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A group of operations below one prefix.

    Args:
        name: of the group in the documentation.
        prefix: below `/api/v1`; `root` puts it below `/` instead.
        description: of the group in the documentation.
        limit: the rate limit of its operations, beside that of the caller's tier; None: they are not limited.
    """

    ARGUMENTS_PARSER = Parser()

    def __init__(
        self, name: str, prefix: str, description: str, *, root: bool = False, limit: Counted | None = "tier"
    ) -> None:
        super().__init__(
            name, __name__, url_prefix=prefix if root else PREFIX + prefix, description=description
        )
        self._limit = limit
        self._prepare_doc_cbks.append(document_access)

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
        confirmed: str | None = None,
        limit: Counted | EllipsisType | None = ...,
        largest_body: int = MAX_BODY,
        slash_allowed: bool = False,
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
            confirmed: when the engine asks for a person who has lately proved to be there, for the document.
            limit: a rate limit other than that of the blueprint.
            largest_body: bytes that a request may have.
            slash_allowed: it answers with a slash behind its path too, for senders that put one there.
        """

        counted = self._limit if isinstance(limit, EllipsisType) else limit
        shared = CORRELATION if counted is None else CORRELATION | LIMITED
        shown = {**shared, **{name: header(text) for name, text in (headers or {}).items()}}
        access = {
            "method": method,
            "permission": permission,
            "answers": list(answers),
            "session_only": session_only,
            "confirmed": confirmed,
            "errors": {
                *errors,
                *(() if counted is None else (429,)),
                *usual_errors(method, rule, permission, body, query is not None or not any_query),
            },
        }

        def declare(view: View) -> View:
            if confirmed:
                view.__doc__ = with_confirmation(view.__doc__, confirmed)
            # Instances: of classes webargs would make one for each request.
            inner = self.arguments(query(), location="query")(view) if query else view
            if body:
                schema = body()
                required = any(field.required for field in schema.fields.values())
                inner = self.arguments(schema, required=required)(inner)
            served = _served(
                inner,
                permission,
                refuse_query=query is None and not any_query,
                own_units=own_units,
                session_only=session_only,
                limit=counted,
                largest_body=largest_body,
            )
            for status in reversed(list(answers)):
                served = self.alt_response(
                    status, schema=answers[status], headers=shown, content_type=content_type, success=True
                )(served)
            served._apidoc["access"] = {**access, "id": view.__name__}  # type: ignore[attr-defined]
            self.route(rule, methods=[method], endpoint=view.__name__, strict_slashes=not slash_allowed)(
                served
            )
            return view

        return declare

    @staticmethod
    def _make_doc_response_schema(schema: ma.Schema | None) -> ma.Schema | None:
        if schema is None or not getattr(schema, "enveloped", True):
            return schema
        return enveloped(type(schema))()


def _served(
    inner: View,
    permission: Permission | None,
    *,
    refuse_query: bool,
    own_units: bool,
    session_only: bool,
    limit: Counted | None,
    largest_body: int,
) -> View:
    """What happens around every view: body read, caller counted and admitted, unit of work opened and committed."""

    admit = _admission(permission, limit, session_only=session_only)
    needs_nobody = own_units and permission is None  # nor the database, which may be away

    @wraps(inner)
    def serve(**path: Any) -> Response:
        try:
            read_body(largest_body)
        except RequestEntityTooLarge:
            if limit is not None:
                rate_limits.charge(None, limit)
            raise
        except BadRequest:
            rate_limits.charge(None, limit or "tier")
            raise
        current = parts()
        looking = request.method in {"GET", "HEAD"} and not own_units
        with _refusals_noted(current.runtime, permission) as caller:
            if needs_nobody:
                admit(None, caller)
            else:
                with current.runtime.reading() if looking else current.runtime.unit_of_work() as db:
                    admit(db, caller)
                    if not own_units:
                        if refuse_query:
                            refuse_parameters()
                        return inner(Call(current, db, caller.identity), **path)
            if refuse_query:
                refuse_parameters()
            return inner(Call(current, None, caller.identity), **path)

    return serve


@dataclass
class _Caller:
    """Who asks; None until that is known, and where nobody needs to be."""

    identity: Identity | None = None


def _admission(
    permission: Permission | None, limit: Counted | None, *, session_only: bool
) -> Callable[[Session | None, _Caller], None]:
    """Counts the caller, for himself where he is known, else for his address; then admits or refuses him."""

    def admit(db: Session | None, caller: _Caller) -> None:
        identity, found, refused = None, None, None
        if db is not None and (permission is not None or (limit is not None and credential(request))):
            try:
                identity, found = authenticate(db, request)
            except Unauthorized as error:
                refused = error
        if limit is not None:
            rate_limits.charge(identity, limit)
        if permission is None:
            return
        if identity is None or found is None:
            raise refused or Unauthorized("Sign in first.")
        caller.identity = identity
        allow(request, identity, found, permission, session_only=session_only)

    return admit


@contextmanager
def _refusals_noted(runtime: Runtime, permission: Permission | None) -> Iterator[_Caller]:
    """Write what was refused into the audit log, in a unit of its own: the request's is rolled back by then.

    Every refusal of somebody who is known, and whatever else the engine wants noted (`engine.audit.refusal`).
    """
    caller = _Caller()
    try:
        yield caller
    except MediaNestError as refused:
        if refused.attempt is not None:
            with runtime.unit_of_work() as db:
                audit.note_refusal(db, refused, actor(request, caller.identity))
        elif isinstance(refused, Forbidden) and caller.identity is not None:
            with runtime.unit_of_work() as db:
                audit.record(
                    db,
                    "access.denied",
                    actor(request, caller.identity),
                    outcome="denied",
                    code=refused.code,
                    method=request.method,
                    path=request.path[:300],
                    permission=permission and permission.value,
                )
        raise
