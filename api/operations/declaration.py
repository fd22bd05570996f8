"""What an operation declares: who may use it, what it takes, what it answers, and how it is counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from api.security.rate_limits import Counted
from api.wire.fields import Schema
from api.wire.requests import MAX_BODY
from engine.permissions import Permission


@dataclass(frozen=True)
class Access:
    """Who may use an operation.

    A change that authenticates by cookie needs the CSRF token too, wherever there is a permission.

    Attributes:
        permission: that it needs; None lets everyone in, and authenticates nobody.
        session_only: not with an API key.
        confirmed: when the engine asks for a person who has confirmed lately; a sentence for the document.
    """

    permission: Permission | None
    session_only: bool = False
    confirmed: str | None = None


@dataclass(frozen=True)
class Takes:
    """What an operation reads of a request.

    Attributes:
        body: the schema of the JSON body.
        query: the schema of the query parameters; without one there must be none.
        any_query: query parameters are ignored.
        known_only: those that `query` does not know are ignored.
        largest_body: bytes.
        slash_allowed: its path may end with a slash, for senders that put one there.
    """

    body: type[Schema] | None = None
    query: type[Schema] | None = None
    any_query: bool = False
    known_only: bool = False
    largest_body: int = MAX_BODY
    slash_allowed: bool = False

    @property
    def no_query(self) -> bool:
        """Whether any query parameter is refused."""
        return self.query is None and not self.any_query


@dataclass(frozen=True)
class Answers:
    """What an operation may answer.

    Attributes:
        schemas: of `data` by status, the usual one first; None where the answer is not JSON, or has no body.
        errors: statuses beside those that follow from the rest of the declaration.
        headers: of the answers, with a description each.
    """

    schemas: Mapping[int, type[Schema] | None]
    errors: Collection[int] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


PUBLIC = Access(None)
NOTHING = Takes()
ANY_QUERY = Takes(any_query=True)
FILE = Answers({200: None})


@dataclass(frozen=True)
class Operation:
    """One operation as it was declared; `api.operations.pipeline` serves it, `documentation` documents it.

    Attributes:
        method: of HTTP.
        rule: of the path, below the blueprint's prefix.
        access: who may use it.
        answers: what it may answer.
        takes: what it reads of a request.
        limit: the rate limit that it counts for, beside that of the caller's tier; None: it is not counted.
        own_units: its view opens its own units of work, since it waits, or must keep what it wrote when it fails.
        page: it is a page or a form of one, authenticated by the cookie of pages.
    """

    method: str
    rule: str
    access: Access
    answers: Answers
    takes: Takes
    limit: Counted | None
    own_units: bool
    page: bool = False

    @property
    def knows_nobody(self) -> bool:
        """Whether it needs neither a caller nor the database, which may be away."""
        return self.own_units and self.access.permission is None
