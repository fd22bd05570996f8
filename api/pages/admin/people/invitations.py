"""`/admin/invitations`: links that make one account each."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.admin.people import roles as people
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from api.wire.fields import Choice, Email, PageQuery, Schema
from engine.accounts import invitations
from engine.permissions import Permission

pages = PageBlueprint("admin.invitations")

_STATES = {  # by status: the kind of status, and its word
    "open": ("undecided", marked("Open")),
    "accepted": ("done", marked("Accepted")),
    "expired": ("cancelled", marked("Expired")),
    "revoked": ("cancelled", marked("Taken back")),
}


class InvitationsFilter(PageQuery):
    """Which invitations."""

    status = Choice(invitations.STATUSES)


class InvitationForm(Schema):
    """Whom to invite, and as what."""

    email = Email(required=True)
    role = Choice(invitations.ROLES_TO_GIVE, required=True)


@pages.page("/admin/invitations", Permission.USERS_MANAGE, query=InvitationsFilter)
def invitations_page(visit: Visit, query: dict[str, Any]) -> Response:
    """All invitations, the newest first."""
    return _page(visit, **query)


def _shown_again(visit: Visit) -> Response:
    return _page(visit)


def _page(visit: Visit, url: str = "", page: int = 1, limit: int = 20, status: str | None = None) -> Response:
    return visit.show(
        "admin/invitations.html",
        here="admin/users",
        found=invitations.listing(visit.db, page=page, limit=limit, status=status),
        open=invitations.listing(visit.db, page=1, limit=1, status="open").total,
        chosen=status or "",
        states=_STATES,
        role_names=people.ROLE_NAMES,
        roles=people.roles_below(visit.identity, invitations.ROLES_TO_GIVE),
        can_mail=bool(visit.settings.smtp_url),
        url=url,
    )


@pages.form("/admin/invitations", Permission.USERS_MANAGE, again=_shown_again, limit="work")
def invite_somebody(visit: Visit) -> Response:
    """Create an invitation; the answer has its link, which is not stored and can't be shown again."""
    entered = visit.entered(InvitationForm)
    visit.spend("invitation", email=entered["email"])
    _row, url = invitations.create(visit.db, visit.settings, by=visit.identity, actor=visit.actor, **entered)
    return _page(visit, url=url)


@pages.form("/admin/invitations/<id:invitation_id>/revoke", Permission.USERS_MANAGE, back="admin/invitations")
def take_back_invitation(visit: Visit, invitation_id: str) -> Response:
    """Take an open invitation back."""
    listed = invitations.revoke(visit.db, invitation_id, visit.actor)
    told = _("The invitation of {email} is taken back: its link makes no account any more.")
    return visit.go(visit.back("admin/invitations"), told.format(email=listed.row.email))
