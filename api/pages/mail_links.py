"""`/reset-password` and `/invitation`: the pages that the links in our mails lead to."""

from __future__ import annotations

from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import ANY_QUERY, FILE, PUBLIC
from api.pages.look.rendering import page

# Not limited: all that these pages may do is. Their addresses hold a secret: like every answer they are not kept by
# anybody, and no other site is told where a request came from (`api.security.headers`).
blueprint = Blueprint("pages", "", "Pages that links in mails lead to.", root=True, limit=None)


@blueprint.operation("GET", "/reset-password", PUBLIC, FILE, ANY_QUERY)
def reset_password_page(call: Call) -> Response:
    """The page on which a new password is chosen."""
    return page("reset-password.html")


@blueprint.operation("GET", "/invitation", PUBLIC, FILE, ANY_QUERY)
def invitation_page(call: Call) -> Response:
    """The page on which an invitation is accepted."""
    return page("invitation.html")
