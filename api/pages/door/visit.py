"""A request for a page, as a view sees it: who comes, what they entered, and the ways to answer."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

from flask import Response, g, redirect, request
from werkzeug.datastructures import MultiDict

from api.operations.call import Call
from api.pages.door import flashes
from api.pages.door.visitors import Visitor, shell_of, visitor_of
from api.pages.look import words
from api.pages.look.rendering import link, page
from api.pages.look.shell import Flash, Kind
from api.security import browsers
from api.security.authentication import renew_access_cookie
from api.security.csrf import csrf_token
from api.wire.fields import Schema
from api.wire.requests import load_form

BACK = "back"  # the field of a form that names the page it stands on
_LONGEST = 2000  # characters of an address of ours
_PATH = re.compile(
    r"(?:[\w~-][\w.~%-]*(?:/[\w.~%-]+)*/?)?"
)  # relative, without scheme, host or empty segments


class Visit(Call):
    """A request for a page or by one of its forms. Of a public page `identity` and `visitor` are not known."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        words.speak(self.language)

    @property
    def is_public(self) -> bool:
        """Whether the page takes no permission, so that nobody is authenticated."""
        return self._identity is None

    @cached_property
    def visitor(self) -> Visitor:
        """Who is signed in, with what the frame of every page shows of them."""
        if self._db is not None:
            return visitor_of(self._db, self.identity)
        with self.runtime.reading() as db:
            return visitor_of(db, self.identity)

    @cached_property
    def proof(self) -> str:
        """The CSRF token for forms of the page: of the session, else of the browser."""
        if self._identity is not None and self._identity.login_id is not None:
            return csrf_token(self.settings, self._identity.login_id)
        return csrf_token(self.settings, browsers.subject(self.browser))

    @cached_property
    def browser(self) -> str:
        """The nonce of this browser; a fresh one where it has none, to be given with the answer."""
        return browsers.nonce_of(request, self.settings) or browsers.fresh_nonce()

    @property
    def form(self) -> MultiDict[str, str]:
        """What was entered into a form."""
        return request.form

    def entered(self, schema: type[Schema]) -> dict[str, Any]:
        """The fields of a form, checked; an empty field counts as missing.

        Raises:
            InvalidRequest: they do not fit.
        """
        return load_form(schema)

    def show(self, template: str, here: str = "", status: int = 200, **values: Any) -> Response:
        """Answer with a page.

        Args:
            template: its path below `templates/`.
            here: the path of the place in the navigation that it belongs to.
            status: of HTTP.
            values: that the template names.
        """
        g.proof = self.proof
        told = flashes.read(request, self.settings)
        refusal = g.get("refusal")
        if refusal is not None:
            told = [*told, Flash("failed", refusal.message)]
        frame = None if self._identity is None else shell_of(self.visitor, self.proof, here, told)
        answer = page(template, status, shell=frame, flashes=told, csrf_token=self.proof, **values)
        if self._identity is None:
            browsers.give_nonce(answer, self.settings, self.browser)
        elif self._identity.login_id is not None:
            renew_access_cookie(request, answer, self.settings, self._identity)
        flashes.forget(request, answer, self.settings)
        return answer

    def go(self, path: str, text: str = "", kind: Kind = "done") -> Response:
        """Answer a form: go to a page, which shows a message once.

        Args:
            path: below the root of the site, without a leading slash.
            text: a sentence; empty: none.
            kind: of the message.
        """
        answer = redirect(link(path), 303)
        assert isinstance(answer, Response)
        answer.set_data(b"")  # nobody sees werkzeug's page, which speaks English
        if text:
            flashes.give(answer, self.settings, [Flash(kind, text)])
        return answer

    def back(self, otherwise: str) -> str:
        """The path of the page that the form stands on, with its query; never one of another site."""
        return local_path(request.form.get(BACK, ""), otherwise)

    @property
    def language(self) -> str:
        """The language that they chose, else their browser's."""
        own = self.visitor.language if self._identity is not None else None
        return own or words.chosen([tag for tag, _ in request.accept_languages])


def local_path(text: str, otherwise: str) -> str:
    """A path below the root of the site that a client sent, without the leading slash; `otherwise` if it is none."""
    path = text.partition("?")[0].partition("#")[0]
    ours = len(text) <= _LONGEST and text.isprintable() and _PATH.fullmatch(path) and ".." not in path
    return text if ours and text else otherwise
