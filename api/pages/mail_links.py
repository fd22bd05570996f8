"""`/reset-password` and `/invitation`: the pages that the links in our mails lead to."""

from __future__ import annotations

from pathlib import Path

from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import ANY_QUERY, FILE, PUBLIC

_FOLDER = Path(__file__).resolve().parent
_KEPT_SECONDS = 3600  # by browsers
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)

# Not limited: a page takes several requests, and all that it may do is.
blueprint = Blueprint("pages", "", "Pages that links in mails lead to.", root=True, limit=None)


@blueprint.operation("GET", "/reset-password", PUBLIC, FILE, ANY_QUERY)
def reset_password_page(call: Call) -> Response:
    """The page on which a new password is chosen."""
    return _page("reset-password.html")


@blueprint.operation("GET", "/invitation", PUBLIC, FILE, ANY_QUERY)
def invitation_page(call: Call) -> Response:
    """The page on which an invitation is accepted."""
    return _page("invitation.html")


@blueprint.operation("GET", "/pages/pages.css", PUBLIC, FILE, ANY_QUERY)
def pages_style(call: Call) -> Response:
    """How these pages look."""
    return _asset("pages.css", "text/css")


@blueprint.operation("GET", "/pages/pages.js", PUBLIC, FILE, ANY_QUERY)
def pages_script(call: Call) -> Response:
    """What these pages do."""
    return _asset("pages.js", "text/javascript")


def _page(name: str) -> Response:
    """A page whose address holds a secret: nobody keeps it or is told where one came from."""
    answer = Response((_FOLDER / "templates" / name).read_bytes(), mimetype="text/html")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Content-Security-Policy"] = _POLICY
    answer.headers["Referrer-Policy"] = "no-referrer"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def _asset(name: str, mimetype: str) -> Response:
    answer = Response((_FOLDER / "static" / name).read_bytes(), mimetype=mimetype)
    answer.headers["Cache-Control"] = f"public, max-age={_KEPT_SECONDS}"
    return answer
