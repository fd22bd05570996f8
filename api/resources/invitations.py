"""`/admin/invitations` and `/auth/invitations`: a link that makes one account."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, request

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Access, Answers, Takes
from api.resources.signed_in import SET_COOKIE, SignedInSchema, signed_in_answer
from api.security.authentication import device
from api.wire.envelope import success
from api.wire.fields import (
    Choice,
    Email,
    Name,
    PageQuery,
    Password,
    Schema,
    Text,
    nullable,
    page_data,
    page_of,
    required,
)
from engine.accounts import invitations
from engine.accounts.invitations import STATUSES, ListedInvitation
from engine.accounts.sign_in import sign_in
from engine.identity.passwords import MAX_LENGTH, MIN_LENGTH
from engine.permissions import ROLES, USER, Permission

blueprint = Blueprint("invitations", "/admin/invitations", "Inviting people who have no Plex account.")
accepting = Blueprint("accepting invitations", "/auth/invitations", "Accepting an invitation.")


class InvitationRequest(Schema):
    """Whom to invite, and as what."""

    email = Email(required=True)
    role = Choice(ROLES, load_default=USER, metadata={"description": "Up to admin."})


class InvitedSchema(Schema):
    """A fresh invitation; its link is shown only now."""

    id = ma.fields.String(required=True)
    email = ma.fields.String(required=True)
    role = ma.fields.String(required=True)
    url = required(ma.fields.String, about="Makes one account; pass it on in private.")
    expires_at = ma.fields.DateTime(required=True)
    created_at = ma.fields.DateTime(required=True)


class InviterSchema(Schema):
    """Who invited."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)


class InvitationSchema(Schema):
    """An invitation, without its link."""

    id = ma.fields.String(required=True)
    email = ma.fields.String(required=True)
    role = ma.fields.String(required=True)
    status = ma.fields.String(required=True, metadata={"enum": list(STATUSES)})
    invited_by = nullable(ma.fields.Nested, InviterSchema)
    expires_at = ma.fields.DateTime(required=True)
    accepted_at = nullable(ma.fields.DateTime)
    accepted_by = nullable(ma.fields.String, about="The id of the account that came of it.")
    revoked_at = nullable(ma.fields.DateTime)
    created_at = ma.fields.DateTime(required=True)


class InvitationsQuery(PageQuery):
    """Which invitations."""

    status = Choice(STATUSES)


class AcceptRequest(Schema):
    """What the link holds, and the account that it is to make."""

    token = Text(200, required=True)
    name = Name(required=True)
    password = Password(MAX_LENGTH, MIN_LENGTH, required=True)


@blueprint.operation(
    "POST",
    "",
    Access(Permission.USERS_MANAGE, confirmed="the role is admin"),
    Answers({201: InvitedSchema}, errors=(409,)),
    Takes(body=InvitationRequest),
    limit="work",
)
def invite(call: Call, body: dict[str, Any]) -> Response:
    """Invite somebody by mail; an open invitation of the same address is replaced."""
    call.spend("invitation", email=body["email"])
    row, url = invitations.create(call.db, call.settings, by=call.identity, actor=call.actor, **body)
    return success(InvitedSchema.row(row, url=url), 201)


@blueprint.operation(
    "GET",
    "",
    Access(Permission.USERS_MANAGE),
    Answers({200: page_of(InvitationSchema)}),
    Takes(query=InvitationsQuery),
)
def list_invitations(call: Call, query: dict[str, Any]) -> Response:
    """All invitations, newest first."""
    page = invitations.listing(call.db, **query)
    return success(page_data(page, [invitation_row(each) for each in page.items]))


@blueprint.operation(
    "DELETE",
    "/<id:invitation_id>",
    Access(Permission.USERS_MANAGE),
    Answers({200: InvitationSchema}, errors=(409,)),
)
def revoke_invitation(call: Call, invitation_id: str) -> Response:
    """Take an open invitation back: its link makes no account any more."""
    return success(invitation_row(invitations.revoke(call.db, invitation_id, call.actor)))


@accepting.operation(
    "POST",
    "/accept",
    PUBLIC,
    Answers({201: SignedInSchema}, errors=(404, 409), headers=SET_COOKIE),
    Takes(body=AcceptRequest),
)
def accept_invitation(call: Call, body: dict[str, Any]) -> Response:
    """Make the account of an invitation and sign in; 404 for a link that is unknown, used, revoked or expired."""
    user = invitations.accept(call.db, call.settings, **body, address=call.actor.address)
    started = sign_in(call.db, call.settings, user, method="invitation", device=device(request))
    return signed_in_answer(call, started, 201, fresh=True)


def invitation_row(listed: ListedInvitation) -> dict[str, Any]:
    """An invitation as admins see it."""
    row = listed.row
    inviter = row.invited_by and {"id": row.invited_by, "name": listed.inviter}
    return InvitationSchema.row(row, status=listed.status, invited_by=inviter)
