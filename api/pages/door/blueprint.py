"""The blueprint of pages: one declaration a page, or a form of one; served by the pipeline of all operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial, wraps
from typing import Any

import flask
from flask import Response, g, request
from werkzeug.datastructures import MultiDict

from api.extensions import parts
from api.operations import pipeline
from api.operations.declaration import ANY_QUERY, FILE, NOTHING, PUBLIC, Access, Operation, Takes
from api.operations.pipeline import View
from api.pages.door import confirmation
from api.pages.door.errors import wants_page
from api.pages.door.visit import Visit
from api.pages.look.shell import Kind
from api.pages.look.words import marked
from api.security import browsers, page_sessions
from api.security.authentication import device
from api.security.csrf import check_csrf
from api.security.own_hosts import refuse_foreign_page
from api.security.rate_limits import Counted
from api.wire.fields import Schema
from engine.errors import CsrfInvalid, MediaNestError
from engine.identity import sessions
from engine.permissions import Permission

_FAILED: Kind = "failed"
OLD_FORM = marked("The page was open for too long. Please send the form again.")


@dataclass(frozen=True)
class Refusal:
    """Why a form was not accepted, for the page that shows it again.

    Attributes:
        message: a sentence.
        problems: by field the first thing that is wrong with it.
        entered: what was entered.
    """

    message: str
    problems: dict[str, str]
    entered: MultiDict[str, str]


class PageBlueprint(flask.Blueprint):
    """Pages of one noun, and their forms; a page asks for a permission, `None` lets everybody in."""

    def __init__(self, name: str) -> None:
        super().__init__(f"pages.{name}".replace(".", "_"), __name__)

    def page(
        self,
        rule: str,
        permission: Permission | None,
        *,
        query: type[Schema] | None = None,
        limit: Counted | None = "page",
        own_units: bool = False,
    ) -> Callable[[View], View]:
        """Declare a page. Its view is called with a `Visit`, then the query where it is declared, and the path.

        Args:
            rule: of its path.
            permission: that it needs; None: none.
            query: the schema of its query parameters; others are ignored.
            limit: the rate limit that it counts for.
            own_units: its view opens its own units of work.
        """
        takes = ANY_QUERY if query is None else Takes(query=query, known_only=True)
        return self._declare("GET", rule, permission, takes, limit, own_units=own_units, again=None)

    def form(
        self,
        rule: str,
        permission: Permission | None,
        *,
        again: Callable[..., Response] | None = None,
        back: str = "",
        limit: Counted | None = "page",
        own_units: bool = False,
        largest_body: int = NOTHING.largest_body,
    ) -> Callable[[View], View]:
        """Declare what a form does. Where it is refused, nothing that was entered is lost.

        Args:
            rule: of its path.
            permission: that it needs; None: none.
            again: the view of the page that shows the form with what was entered and what is wrong with it. Without
                one the page that the form stands on shows the message.
            back: that page, where the form does not say it.
            limit: the rate limit that it counts for.
            own_units: its view opens its own units of work.
            largest_body: bytes.
        """
        takes = Takes(largest_body=largest_body)
        return self._declare(
            "POST", rule, permission, takes, limit, own_units=own_units, again=again, back=back
        )

    def _declare(
        self,
        method: str,
        rule: str,
        permission: Permission | None,
        takes: Takes,
        limit: Counted | None,
        *,
        own_units: bool,
        again: Callable[..., Response] | None,
        back: str = "",
    ) -> Callable[[View], View]:
        access = PUBLIC if permission is None else Access(permission, session_only=True)
        operation = Operation(method, rule, access, FILE, takes, limit, own_units, page=True)
        checked = method == "POST"

        def declare(view: View) -> View:
            @wraps(view)
            def served(**path: Any) -> Response:
                try:
                    return _posted(operation, view, path) if checked else _served(operation, view, path)
                except MediaNestError as error:
                    lost = isinstance(error, CsrfInvalid) and permission is None and again is not None
                    if not checked or not (lost or _can_be_told(error)):
                        raise
                    return _told(operation, error, again, back, path)

            served.page_operation = operation  # type: ignore[attr-defined]
            self.add_url_rule(rule, view.__name__, served, methods=[method])
            return view

        return declare


def _posted(operation: Operation, view: View, path: dict[str, Any]) -> Response:
    """A form, after the proof of a person that it brings along, if it does."""
    pipeline.receive_body(operation)
    if operation.access.permission is not None and confirmation.is_brought():
        # In a pass of its own: plex.tv may be asked, and no transaction is open meanwhile.
        asked = pipeline.serve(replace(operation, own_units=True), _proved(confirmation.prove), path, Visit)
        if asked.status_code != confirmation.CONFIRMED:
            return asked
        operation = replace(operation, limit=None)
    return _served(operation, _proved(view), path)


def _served(operation: Operation, view: View, path: dict[str, Any]) -> Response:
    answer = pipeline.serve(operation, view, path, Visit)
    return _prolonged(answer)


def _proved(view: View) -> View:
    """A form's view behind the proof that our own page sent it."""

    @wraps(view)
    def proved(visit: Visit, *args: Any, **path: Any) -> Response:
        refuse_foreign_page(request, visit.settings)
        if visit.is_public:
            nonce = browsers.nonce_of(request, visit.settings)
            if nonce is None:
                raise CsrfInvalid(
                    "This form came without its cookie: allow cookies, and open the page again."
                )
            check_csrf(request, visit.settings, browsers.subject(nonce))
        g.proved = True
        return view(visit, *args, **path)

    return proved


def _can_be_told(error: MediaNestError) -> bool:
    """Whether a page of ours can say it beside the form: what the view refuses, not who may not use the form at all."""
    return bool(g.get("proved")) and wants_page() and (error.status < 500 or error.status in {502, 503})


def _told(
    operation: Operation,
    error: MediaNestError,
    again: Callable[..., Response] | None,
    back: str,
    path: dict[str, Any],
) -> Response:
    shown = replace(operation, limit=None, own_units=False)  # it was counted; a page reads
    if confirmation.is_needed(error):
        return pipeline.serve(shown, partial(confirmation.ask, error), path, Visit)
    if again is None:

        def show(visit: Visit, **_: Any) -> Response:
            return visit.go(visit.back(back), error.message, _FAILED)

        return pipeline.serve(shown, show, path, Visit)
    message = OLD_FORM if isinstance(error, CsrfInvalid) else error.message
    g.refusal = Refusal(message, _problems(error), request.form)
    answer = pipeline.serve(shown, again, path, Visit)
    if answer.status_code == 200:  # not where the page leads elsewhere
        answer.status_code = error.status
    return answer


def _problems(error: MediaNestError) -> dict[str, str]:
    details = error.details if isinstance(error.details, dict) else {}
    return {str(name): str(texts[0]) for name, texts in details.items() if isinstance(texts, list) and texts}


def _prolonged(answer: Response) -> Response:
    """Note now and then that the session is in use, and set its cookie anew."""
    current = parts()
    named = page_sessions.named_by(request, current.runtime.settings)
    given = any(page_sessions.PAGE_COOKIE in text for text in answer.headers.getlist("Set-Cookie"))
    if named is None or not named.is_stale or given:
        return answer
    with current.runtime.unit_of_work() as db:
        login = sessions.prolong(db, current.runtime.settings, named.login_id, device(request))
        if login is not None:
            page_sessions.give(answer, current.runtime.settings, login)
    return answer
