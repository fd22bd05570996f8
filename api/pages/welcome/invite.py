"""`/welcome/invite`: invite the first people; without mails by a link to be passed on."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.welcome import steps
from api.wire.fields import Choice, Email, Schema
from engine.accounts import invitations
from engine.mails import mails
from engine.permissions import ROLES, USER, Permission

pages = PageBlueprint("welcome_invite")
_PATH = "welcome/invite"


class InviteForm(Schema):
    """Whom to invite, and as what."""

    email = Email(required=True)
    role = Choice(ROLES, load_default=USER)


@pages.page("/welcome/invite", Permission.USERS_MANAGE)
def invite_page(visit: Visit, **_path: Any) -> Response:
    """An invitation to be sent."""
    return _page(visit)


@pages.form("/welcome/invite", Permission.USERS_MANAGE, again=invite_page, limit="work")
def invite_first(visit: Visit) -> Response:
    """Create an invitation; its link is shown once, in this answer."""
    entered = visit.entered(InviteForm)
    visit.spend("invitation", email=entered["email"])
    row, url = invitations.create(visit.db, visit.settings, by=visit.identity, actor=visit.actor, **entered)
    return _page(visit, invited=row.email, url=url)


def _page(visit: Visit, *, invited: str = "", url: str = "") -> Response:
    open_ones = invitations.listing(visit.db, page=1, limit=20, status="open").items
    return steps.shown(
        visit, _PATH, open_ones=open_ones, invited=invited, url=url, mails=mails.can_be_sent(visit.settings)
    )
