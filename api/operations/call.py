"""One request, as a view sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from flask import request
from sqlalchemy.orm import Session

from api.extensions import Parts
from api.security import rate_limits
from api.security.authentication import actor
from api.security.rate_limits import Spent
from config.settings import Settings
from engine.audit import Actor
from engine.errors import Unauthorized
from engine.identity.sessions import Identity
from engine.runtime import Runtime


@dataclass
class Attempted:
    """Something that was tried; `counts` where it may have been a guess although it succeeded."""

    counts: bool = False


class Call:
    """One request, as a view sees it.

    Args:
        parts: of the application.
        db: the request's unit of work; None where the view opens its own.
        identity: who sends it; None where the operation is public.
    """

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
        """The settings as they are now."""
        return self.parts.runtime.settings

    @property
    def db(self) -> Session:
        """The request's unit of work, committed when the view has returned."""
        assert self._db is not None, "a view with own_units opens its own"
        return self._db

    @property
    def actor(self) -> Actor:
        """Who sends it, for the audit log; of a public operation only the address."""
        return actor(request, self._identity)

    @property
    def identity(self) -> Identity:
        """Who sends it."""
        assert self._identity is not None, "a public operation knows nobody"
        return self._identity

    def now_proven(self) -> None:
        """The user has just confirmed: the rest of this request counts as confirmed."""
        self._identity = replace(self.identity, proven=True)

    def spend(self, limit: Spent, *, email: str | None = None) -> None:
        """Count what only the view can tell, such as a submission; see `engine.rate_limits.limits`.

        Raises:
            RateLimitExceeded: there were too many; whatever the view wrote is rolled back.
        """
        rate_limits.spend(self._identity, limit, email)

    @contextmanager
    def attempt(self, limit: Spent, *, email: str | None = None) -> Iterator[Attempted]:
        """Count the block only where it raises `Unauthorized`, or sets `counts`.

        It is counted before it runs, and given back afterwards, so that simultaneous guesses are all counted.

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
