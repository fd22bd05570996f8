"""The blueprint of all our routes: it takes an operation's declaration, and serves and documents it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import EllipsisType
from typing import Any

import flask_smorest  # type: ignore[import-untyped]
from flask import Response

from api.operations import pipeline
from api.operations.declaration import NOTHING, Access, Answers, Operation, Takes
from api.operations.documentation import docstring_of, document
from api.operations.pipeline import View
from api.security.rate_limits import Counted
from api.wire.unversioned_paths import PREFIX


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A group of operations below one prefix.

    Args:
        name: of the group in the document.
        prefix: below `/api/v1`; `root` puts it below `/` instead.
        description: of the group in the document.
        limit: the rate limit of its operations, beside that of the caller's tier; None: they are not counted.
    """

    def __init__(
        self, name: str, prefix: str, description: str, *, root: bool = False, limit: Counted | None = "tier"
    ) -> None:
        super().__init__(
            name, __name__, url_prefix=prefix if root else PREFIX + prefix, description=description
        )
        self._limit = limit
        self._prepare_doc_cbks = [document]  # instead of what flask-smorest's own decorators declare

    def operation(
        self,
        method: str,
        rule: str,
        access: Access,
        answers: Answers,
        takes: Takes = NOTHING,
        *,
        limit: Counted | EllipsisType | None = ...,
        own_units: bool = False,
    ) -> Callable[[View], View]:
        """Declare one operation; the arguments are explained at `Operation`.

        Its view is called with a `Call`, then body, query and path as far as declared. Without `limit` that of the
        blueprint holds.
        """
        counted = self._limit if isinstance(limit, EllipsisType) else limit
        operation = Operation(method, rule, access, answers, takes, counted, own_units)

        def declare(view: View) -> View:
            @wraps(view)
            def served(**path: Any) -> Response:
                return pipeline.serve(operation, view, path)

            served.__doc__ = docstring_of(operation, view)
            served._apidoc = {**getattr(view, "_apidoc", {}), "operation": operation, "id": view.__name__}  # type: ignore[attr-defined]
            self.route(
                rule, methods=[method], endpoint=view.__name__, strict_slashes=not takes.slash_allowed
            )(served)
            return view

        return declare
