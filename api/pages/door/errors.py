"""Errors as pages: what happened, what to do, the correlation id; 401 is a redirect to signing in."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Response, redirect, request

from api.pages.door.visit import BACK, local_path
from api.pages.look import words
from api.pages.look.rendering import here, link, page
from api.pages.look.words import gettext as _
from api.pages.look.words import marked

_DATA = ("/api/", "/ws", "/flower/", "/static/")
_TITLES = {
    400: marked("That can't be asked for like this"),
    403: marked("This is not yours to open"),
    404: marked("There is nothing here"),
    405: marked("That can't be asked for like this"),
    409: marked("That has changed meanwhile"),
    413: marked("That is too large"),
    500: marked("Something went wrong on our side"),
    429: marked("That was too fast"),
    502: marked("Somebody else's server did not answer"),
    503: marked("A part of MediaNest is away at the moment"),
}
_NOT_SET_UP = (
    marked("Something is not set up"),
    marked("Whoever looks after this MediaNest can set it up."),
)
_FORM_IS_OLD = marked("The form was open for too long")
_ADVICE = {
    "CSRF_INVALID": marked(
        "The form was open for too long, or in another session. Go back, reload the page, and send it again."
    ),
    403: marked("Ask whoever looks after this MediaNest, or sign in with another account."),
    404: marked("The address may be mistyped, or what was here is gone."),
    429: marked("Wait a moment, then try again."),
    502: marked("Try again in a moment."),
    503: marked("Try again in a few seconds. Nothing of yours is lost."),
    500: marked(
        "This is our fault. Try again; if it stays so, tell whoever looks after this MediaNest the number below."
    ),
}


def shown(answer: Response) -> Response:
    """An error as the client asked for it.

    Args:
        answer: in the envelope.
    """
    if answer.status_code < 400 or not wants_page():
        return answer
    if answer.status_code == 401:
        return redirect(f"{link('sign-in')}?{urlencode({'next': _wanted()})}", 303)  # type: ignore[return-value]
    words.speak(words.chosen([tag for tag, _quality in request.accept_languages]))
    body = answer.get_json()
    status, error = answer.status_code, body["error"]
    title = _FORM_IS_OLD if error["code"] == "CSRF_INVALID" else _TITLES.get(status, _TITLES[500])
    advice = _ADVICE.get(error["code"]) or _ADVICE.get(status, "")
    if status == 503 and isinstance(error.get("details"), dict) and "setting" in error["details"]:
        title, advice = _NOT_SET_UP
    shown = page(
        "error.html",
        status,
        title=_(title),
        message=_(error["message"]),
        advice=_(advice),
        correlation_id=body["correlationId"],
    )
    for name in ("Retry-After", "Allow"):
        if name in answer.headers:
            shown.headers[name] = answer.headers[name]
    return shown


def wants_page() -> bool:
    """Whether a request asks for a page, and not for data."""
    return not request.path.startswith(_DATA) and "text/html" in request.headers.get("Accept", "")


def _wanted() -> str:
    """The page to be shown after signing in: the one asked for, or the one that the form stands on."""
    if request.method in {"GET", "HEAD"}:
        return here()
    return local_path(request.form.get(BACK, ""), "")
