"""`/welcome/keys`: TMDB, Overseerr and mail; all optional, each tested before it is stored."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.welcome import steps
from api.wire.fields import Schema, Text
from engine.errors import ValidationFailed
from engine.integrations import integrations
from engine.integrations.validation import MOST_TOKEN, MOST_URL
from engine.mails import mails
from engine.permissions import Permission
from engine.settings import admin as settings_admin

pages = PageBlueprint("welcome_keys")
_PATH = "welcome/keys"


class TmdbForm(Schema):
    """The token of TMDB."""

    tmdb_token = Text(MOST_TOKEN, strip=True, required=True)


class OverseerrForm(Schema):
    """Address and key of Overseerr."""

    overseerr_url = Text(MOST_URL, strip=True, required=True)
    overseerr_token = Text(MOST_TOKEN, strip=True, required=True)


class MailForm(Schema):
    """The mail server, and the sender of our mails."""

    smtp_url = Text(1000, strip=True, required=True)
    mail_from = Text(300, strip=True)


@pages.page("/welcome/keys", Permission.SETTINGS_MANAGE)
def keys_step_page(visit: Visit, **_path: Any) -> Response:
    """What else MediaNest can use."""
    states = settings_admin.listing(visit.db, visit.runtime.live.environment)
    mail = {state.name: state for state in states if state.name in {"smtpUrl", "mailFrom"}}
    return steps.shown(
        visit,
        _PATH,
        tmdb=integrations.get(visit.db, visit.settings, "tmdb"),
        overseerr=integrations.get(visit.db, visit.settings, "overseerr"),
        mail=mail["smtpUrl"],
        sender=mail["mailFrom"],
    )


@pages.form("/welcome/keys/tmdb", Permission.SETTINGS_MANAGE, again=keys_step_page, own_units=True)
def connect_tmdb(visit: Visit) -> Response:
    """Test and store the token of TMDB."""
    return _stored(visit, "tmdb", None, visit.entered(TmdbForm)["tmdb_token"])


@pages.form("/welcome/keys/overseerr", Permission.SETTINGS_MANAGE, again=keys_step_page, own_units=True)
def connect_overseerr(visit: Visit) -> Response:
    """Test and store address and key of Overseerr."""
    entered = visit.entered(OverseerrForm)
    return _stored(visit, "overseerr", entered["overseerr_url"], entered["overseerr_token"])


@pages.form("/welcome/keys/mail", Permission.SETTINGS_MANAGE, again=keys_step_page, own_units=True)
def connect_mail(visit: Visit) -> Response:
    """Try the mail server, and store it."""
    entered = visit.entered(MailForm)
    mails.try_server(entered["smtp_url"])
    live = visit.runtime.live
    with visit.runtime.unit_of_work() as db:
        settings_admin.change(db, live.environment, entered, visit.actor)
    live.expire()
    return visit.go(_PATH, _("The mail server took us. Invitations are mailed from now on."))


def _stored(visit: Visit, name: str, url: str | None, token: str) -> Response:
    title = integrations.kind_of(name).title
    try:
        tested = integrations.test(visit.runtime, name, url=url, token=token)
    except ValidationFailed as refused:
        raise _named(refused, name) from None
    if not tested.ok:
        words = " ".join(_(text) for text in (tested.message, tested.advice) if text)
        field = "Url" if url is not None and tested.reason != "unauthorized" else "Token"
        raise ValidationFailed(_("That did not work, and nothing is stored."), **{f"{name}{field}": words})
    changes = {"token": token, **({} if url is None else {"url": url})}
    integrations.configure(visit.runtime, name, changes, visit.actor)
    return visit.go(_PATH, _("%(name)s is connected.") % {"name": title})


def _named(refused: ValidationFailed, name: str) -> ValidationFailed:
    """The same, by the names of this page's fields."""
    details: dict[str, Any] = refused.details if isinstance(refused.details, dict) else {}
    problems = {f"{name}{field.capitalize()}": texts[0] for field, texts in details.items()}
    return ValidationFailed(refused.message, **problems)
