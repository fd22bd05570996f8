"""`/admin/webhooks/senders`: the addresses and secrets that other systems need to send us webhooks."""

from __future__ import annotations

from flask import Response
from marshmallow import validate

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.wire.fields import Schema, Text
from engine.permissions import Permission
from engine.webhooks import secrets

pages = PageBlueprint("admin.senders")

_PATH = "admin/webhooks/senders"


class SenderForm(Schema):
    """A new sender of webhooks."""

    name = Text(
        40,
        required=True,
        validate=[
            validate.Regexp(r"\A[a-z0-9][a-z0-9-]*\Z", error="Use small letters, digits and hyphens only.")
        ],
    )


@pages.page("/admin/webhooks/senders", Permission.WEBHOOKS_MANAGE, own_units=True)
def senders_page(visit: Visit) -> Response:
    """Who may send, each with what is to be copied to them; own units, since the first look makes the secrets."""
    with visit.runtime.unit_of_work() as db:
        return visit.show(
            "admin/senders.html",
            here="admin",
            plex=secrets.plex_url(db, visit.settings),
            overseerr=f"{visit.settings.api_base}{secrets.PATH}/{secrets.OVERSEERR}",
            authorization=secrets.overseerr_authorization(db, visit.settings),
            senders=secrets.senders(db, visit.settings),
        )


@pages.form("/admin/webhooks/senders", Permission.WEBHOOKS_MANAGE, again=senders_page)
def add_sender(visit: Visit) -> Response:
    """Add a sender who signs."""
    sender = secrets.create(visit.db, visit.settings, visit.entered(SenderForm)["name"], visit.actor)
    told = _("{name} may send now: copy its address and secret there.")
    return visit.go(_PATH, told.format(name=sender.name))


@pages.form("/admin/webhooks/senders/<id:name>/rotate", Permission.WEBHOOKS_MANAGE, back=_PATH)
def rotate_sender(visit: Visit, name: str) -> Response:
    """Make another secret."""
    sender = secrets.rotate(visit.db, visit.settings, name, visit.actor)
    told = _("{name} has a new secret. The one before opens nothing from now on.")
    return visit.go(_PATH, told.format(name=sender.name))


@pages.form("/admin/webhooks/senders/<id:name>/delete", Permission.WEBHOOKS_MANAGE, back=_PATH)
def delete_sender(visit: Visit, name: str) -> Response:
    """Remove a sender; what came from it stays."""
    sender = secrets.delete(visit.db, visit.settings, name, visit.actor)
    return visit.go(_PATH, _("{name} may not send any more.").format(name=sender.name))
