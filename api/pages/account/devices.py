"""`/account/devices`: where one is signed in, and how that ends."""

from __future__ import annotations

from flask import Response

from api.pages.account.profile import account_page
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.look.words import ngettext
from engine import audit
from engine.audit import Subject
from engine.identity import sessions
from engine.permissions import Permission

pages = PageBlueprint("devices")


@pages.form("/account/devices/<id:session_id>/end", Permission.PROFILE_READ, again=account_page)
def end_device(visit: Visit, session_id: str) -> Response:
    """Sign one device out."""
    ended = sessions.revoke(visit.db, session_id, user_id=visit.identity.user_id)
    audit.record(visit.db, "session.revoked", visit.actor, Subject("session", ended.id, ended.user_agent))
    return visit.go("account", _("That device is signed out."))


@pages.form("/account/devices/end-others", Permission.PROFILE_READ)
def end_other_devices(visit: Visit) -> Response:
    """Sign out everywhere but here."""
    mine = visit.identity
    ended = sessions.revoke_others(visit.db, user_id=mine.user_id, keep=mine.session_id)
    audit.record(visit.db, "session.revoked", visit.actor, Subject("user", mine.user_id), ended=ended)
    text = ngettext("One other device is signed out.", "%(num)d other devices are signed out.", ended)
    return visit.go("account", text % {"num": ended})
