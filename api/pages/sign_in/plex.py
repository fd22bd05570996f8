"""`/sign-in/plex`: signing in with the account that one has at Plex."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.sign_in import plex_codes
from api.pages.sign_in.password import wanted
from api.pages.sign_in.plex_codes import PlexCodeQuery
from api.security.authentication import device
from api.security.session_cookies import begin
from api.wire.fields import Flag, Schema
from engine.accounts import plex_sign_in
from engine.clients.plex.errors import PlexUnreachable
from engine.errors import NotFound

pages = PageBlueprint("plex_sign_in")

_LONGEST = 500  # characters of the page to come next: it stands in the address that plex.tv sends back to


class PlexCheckForm(Schema):
    """Whether to stay signed in for longer."""

    remember_me = Flag(load_default=False)


@pages.page("/sign-in/plex", None, query=PlexCodeQuery)
def plex_sign_in_page(visit: Visit, query: dict[str, Any] | None = None) -> Response:
    """The code to be typed at plex.tv, which the page waits for; without one, the way to get one."""
    return _page(visit, refused=query is None)


@pages.form("/sign-in/plex", None, again=plex_sign_in_page, limit="tier", own_units=True)
def begin_plex_sign_in(visit: Visit) -> Response:
    """Get a code from plex.tv."""
    return plex_codes.begin(visit, "sign-in/plex", following=wanted(_LONGEST))


@pages.form("/sign-in/plex/check", None, again=plex_sign_in_page, limit="poll", own_units=True)
def check_plex_sign_in(visit: Visit) -> Response:
    """Sign in, if the code was entered at plex.tv."""
    code = plex_codes.waiting(visit)
    if code is None:
        raise NotFound(_("The code is no longer good: get a new one."))
    try:
        started = plex_sign_in.verify(
            visit.runtime,
            code.pin_id,
            nonce=visit.browser,
            remember_me=visit.entered(PlexCheckForm)["remember_me"],
            device=device(request),
        )
    except PlexUnreachable as away:  # the code stays good
        return _page(visit, trouble=_(away.message))
    if started is None:
        return _page(visit, trouble=_("Plex has not seen the code yet."))
    return begin(visit.go(wanted()), visit.settings, started)


def _page(visit: Visit, *, trouble: str = "", refused: bool = False) -> Response:
    return visit.show(
        "sign-in/plex.html",
        code=None if refused else plex_codes.waiting(visit),
        wanted=wanted(),
        trouble=trouble,
    )
