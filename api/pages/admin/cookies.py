"""`/admin/cookies`: the cookie file that downloads may show to sites; written, never shown."""

from __future__ import annotations

from flask import Response, request
from werkzeug.datastructures import ImmutableMultiDict

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import ngettext
from api.wire.fields import Lines, Schema
from engine.downloads.sources import cookies
from engine.errors import NotFound, ServiceUnavailable, ValidationFailed
from engine.permissions import Permission

pages = PageBlueprint("admin.cookies")

_LONGEST = 500_000  # characters


class CookiesForm(Schema):
    """A cookie file that was pasted; a chosen file comes beside the fields."""

    cookies = Lines(_LONGEST)


@pages.page("/admin/cookies", Permission.INTEGRATIONS_CONFIGURE)
def cookies_page(visit: Visit) -> Response:
    """Whether cookies are stored, and for which sites."""
    stored, unreadable = None, False
    try:
        stored = cookies.describe(visit.db, visit.settings)
    except NotFound:
        pass
    except ServiceUnavailable:
        unreadable = True
    return visit.show("admin/cookies.html", here="admin", stored=stored, unreadable=unreadable)


@pages.form("/admin/cookies", Permission.INTEGRATIONS_CONFIGURE, again=cookies_page)
def store_cookies(visit: Visit) -> Response:
    """Store a file in place of what was there."""
    stored = cookies.store(visit.db, visit.settings, _given(visit), visit.actor)
    told = ngettext("One cookie is stored.", "%(num)d cookies are stored.", stored.count)
    return visit.go("admin/cookies", told % {"num": stored.count})


@pages.form("/admin/cookies/delete", Permission.INTEGRATIONS_CONFIGURE, back="admin/cookies")
def delete_cookies(visit: Visit) -> Response:
    """Delete them."""
    cookies.forget(visit.db, visit.settings, visit.actor)
    return visit.go("admin/cookies", _("The cookies are deleted."))


def _given(visit: Visit) -> str:
    """The text of the chosen file, else what was pasted."""
    chosen = request.files.get("file")
    content = chosen.read(_LONGEST + 1) if chosen is not None and chosen.filename else b""
    if len(content) > _LONGEST:
        raise ValidationFailed("The cookies are not accepted.", file="Is larger than a cookie file can be.")
    if content:  # as if it had been pasted, so that it is still there when a proof is asked for
        request.form = ImmutableMultiDict(
            [*request.form.items(), ("cookies", content.decode("utf-8", "replace"))]
        )
    text = visit.entered(CookiesForm).get("cookies", "")
    if not text:
        raise ValidationFailed("The cookies are missing.", cookies="Choose a file, or paste its content.")
    return str(text)
