"""`/account/theme` and `/account/language`: how pages look to oneself."""

from __future__ import annotations

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import LANGUAGES
from api.wire.fields import Choice, Schema
from engine.accounts import profile
from engine.permissions import Permission

pages = PageBlueprint("look")


class ThemeForm(Schema):
    """Light, dark, or as the system has it."""

    theme = Choice(["system", "light", "dark"], required=True)


class LanguageForm(Schema):
    """One of our languages, or absent: that of the browser."""

    language = Choice(list(LANGUAGES), load_default="")


@pages.form("/account/theme", Permission.PROFILE_READ)
def choose_theme(visit: Visit) -> Response:
    """Choose the theme."""
    profile.choose(visit.db, visit.identity, theme=visit.entered(ThemeForm)["theme"])
    return visit.go(visit.back(""))


@pages.form("/account/language", Permission.PROFILE_READ)
def choose_language(visit: Visit) -> Response:
    """Choose the language of pages."""
    profile.choose(visit.db, visit.identity, language=visit.entered(LanguageForm)["language"])
    return visit.go("account")
