"""How a request to an operation is served: the steps around every view, in their order.

1. `receive_body`: read the body, before anything waits for the client with a transaction open.
2. `unit_of`: open the unit of work, committed when the view has returned.
3. `admit`: identify the caller, count the request, check permission and CSRF token.
4. `arguments`: check body and query against their schemas.
5. The view. Whatever refuses on the way is noted for the audit log by `refusals_noted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from sqlalchemy.orm import Session
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from api.extensions import parts
from api.operations.call import Call
from api.operations.declaration import Operation, Takes
from api.security import rate_limits
from api.security.authentication import Credential, actor, allow, authenticate, credential
from api.wire.requests import load_body, load_query, read_body, refuse_parameters
from engine import audit
from engine.errors import Forbidden, MediaNestError, Unauthorized
from engine.identity.sessions import Identity
from engine.permissions import Permission
from engine.runtime import Runtime
from models.session import at_one_moment

View = Callable[..., Response]
_READING = frozenset({"GET", "HEAD"})


@dataclass
class Caller:
    """Who sends a request; None until that is known, and where the operation is public."""

    identity: Identity | None = None


def serve(
    operation: Operation, view: View, path: Mapping[str, Any], kind: Callable[..., Call] = Call
) -> Response:
    """Serve one request.

    Args:
        operation: as it was declared.
        view: called with a `Call`, then body, query and path as far as declared.
        path: the parameters in the path.
        kind: of the `Call`.
    """
    receive_body(operation)
    current = parts()
    with refusals_noted(current.runtime, operation.access.permission) as caller:
        with unit_of(operation, current.runtime) as db:
            admit(operation, db, caller)
            if not operation.own_units:
                # A page is made of many statements, which have to fit each other.
                whole = (
                    at_one_moment(db)
                    if db is not None and operation.page and reads(operation)
                    else nullcontext()
                )
                with whole:
                    return view(kind(current, db, caller.identity), *arguments(operation.takes), **path)
        return view(kind(current, None, caller.identity), *arguments(operation.takes), **path)


def receive_body(operation: Operation) -> None:
    """Read the body. A request whose body is refused is counted for its address.

    Raises:
        RequestEntityTooLarge: it is too long.
        BadRequest: it is malformed.
    """
    try:
        read_body(operation.takes.largest_body)
    except RequestEntityTooLarge:
        if operation.limit is not None:
            rate_limits.charge(None, operation.limit)
        raise
    except BadRequest:
        rate_limits.charge(None, operation.limit or "tier")
        raise


def unit_of(operation: Operation, runtime: Runtime) -> AbstractContextManager[Session | None]:
    """The unit of work in which the caller is identified, and the view runs unless it opens its own."""
    if operation.knows_nobody:
        return nullcontext()
    return runtime.reading() if reads(operation) else runtime.unit_of_work()


def reads(operation: Operation) -> bool:
    """Whether its unit of work is for reading only."""
    return request.method in _READING and not operation.own_units


def admit(operation: Operation, db: Session | None, caller: Caller) -> None:
    """Count the request, for the user where they are known, else for the address; then check that they may.

    Raises:
        RateLimitExceeded: too many came before.
        Unauthorized: a permission is needed, and nobody is signed in.
        Forbidden: the user lacks the permission, or the CSRF token is missing.
    """
    permission, page = operation.access.permission, operation.page
    known: tuple[Identity, Credential] | None = None
    refusal: Unauthorized | None = None
    if db is not None and (
        permission is not None or (operation.limit is not None and credential(request, page=page))
    ):
        try:
            known = authenticate(db, request, page=page)
        except Unauthorized as error:
            refusal = error
    if operation.limit is not None:
        rate_limits.charge(known[0] if known else None, operation.limit)
    if permission is None:
        return
    if known is None:
        raise refusal or Unauthorized("Sign in first.")
    caller.identity, proof = known
    allow(request, caller.identity, proof, permission, session_only=operation.access.session_only)


def arguments(takes: Takes) -> list[dict[str, Any]]:
    """The body, then the query, as far as they are declared, checked against their schemas.

    Raises:
        InvalidRequest: one does not fit.
    """
    if takes.no_query:
        refuse_parameters()
    found = [] if takes.body is None else [load_body(takes.body)]
    return found if takes.query is None else [*found, load_query(takes.query, known_only=takes.known_only)]


@contextmanager
def refusals_noted(runtime: Runtime, permission: Permission | None) -> Iterator[Caller]:
    """Note what is refused in the audit log, in a unit of work of its own: the request's is rolled back by then.

    Noted are each `Forbidden` of a known caller, and whatever the engine wants noted (`engine.audit.refusal`).
    """
    caller = Caller()
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
