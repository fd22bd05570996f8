"""`/account`: oneself."""

from __future__ import annotations

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.wire.fields import Choice, Schema
from engine.accounts import profile
from engine.permissions import Permission

pages = PageBlueprint("account")


class ThemeForm(Schema):
    """Light, dark, or as the system has it."""

    theme = Choice(["system", "light", "dark"], required=True)


@pages.form("/account/theme", Permission.PROFILE_READ)
def choose_theme(visit: Visit) -> Response:
    """Choose the theme."""
    profile.choose(visit.db, visit.identity, theme=visit.entered(ThemeForm)["theme"])
    return visit.go(visit.back(""))
