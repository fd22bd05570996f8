"""`/account/keys`: API keys of one's own, by which programs act for one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
import orjson
from flask import Response
from marshmallow import validate

from api.pages.account.permissions import MEANINGS
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.wire.fields import Choice, Name, Schema, Text
from engine.accounts import profile
from engine.identity import api_keys
from engine.permissions import Permission
from engine.secrets import secret_box

pages = PageBlueprint("keys")

_PURPOSE = "a new API key"
_SHOWN = timedelta(minutes=2)  # in which the page with a new key may be loaded again
_DAYS = ("30", "90", "365")


class KeysQuery(Schema):
    """The key that was just made, encrypted."""

    made = Text(2000)


class KeyForm(Schema):
    """What a program is to be allowed, and for how long."""

    name = Name(required=True)
    permissions = ma.fields.List(Choice(list(Permission)), required=True, validate=validate.Length(1, 100))
    days = Choice(_DAYS)


@pages.page("/account/keys", Permission.PROFILE_EDIT, query=KeysQuery)
def keys_page(visit: Visit, query: dict[str, Any] | None = None, **_path: Any) -> Response:
    """One's own API keys; a new one is shown once."""
    return visit.show(
        "account/keys.html",
        here="account",
        keys=api_keys.listing(visit.db, visit.identity.user_id),
        made=_made(visit, (query or {}).get("made", "")),
        permissions=[(each, MEANINGS[each]) for each in Permission if each in visit.identity.permissions],
        ticked=visit.form.getlist("permissions"),
        now=datetime.now(UTC),
    )


@pages.form("/account/keys", Permission.PROFILE_EDIT, again=keys_page)
def make_key(visit: Visit) -> Response:
    """Make a key; its text goes to the next page encrypted, which is the only one that shows it."""
    entered = visit.entered(KeyForm)
    days = entered.get("days")
    row, text = profile.make_key(
        visit.db,
        visit.settings,
        visit.identity,
        name=entered["name"],
        permissions=[Permission(name) for name in entered["permissions"]],
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=int(days)),
        actor=visit.actor,
    )
    kept = orjson.dumps([visit.identity.session_id, row.name, text]).decode()
    return visit.go(f"account/keys?made={secret_box.lent(visit.settings, _PURPOSE, kept)}")


@pages.form("/account/keys/<id:key_id>/delete", Permission.PROFILE_EDIT, again=keys_page)
def delete_key(visit: Visit, key_id: str) -> Response:
    """End a key at once."""
    row = api_keys.revoke(visit.db, key_id, user_id=visit.identity.user_id, actor=visit.actor)
    return visit.go("account/keys", _("The key %(name)s is gone.") % {"name": row.name})


def _made(visit: Visit, lent: str) -> tuple[str, str] | None:
    """Name and text of the key that this session has just made."""
    kept = secret_box.returned(visit.settings, _PURPOSE, lent, _SHOWN)
    session, name, text = orjson.loads(kept) if kept else ("", "", "")
    return (name, text) if session == visit.identity.session_id else None
