"""`/admin/integrations`: the systems we talk to: how they are, for everybody; how they are configured, for admins."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.pages.admin.service_words import STATES
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.shell import Kind
from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from api.wire.fields import Flag, Schema, Text
from engine.integrations import integrations
from engine.integrations.integrations import View
from engine.integrations.kind import Tested
from engine.integrations.validation import MOST_TOKEN, MOST_URL
from engine.permissions import Permission

pages = PageBlueprint("admin.integrations")

ABOUT = {  # by name: what it is for, and where its key is found
    "plex": (
        marked("Your Plex Media Server: what is in the library, what people watch, where finished files go."),
        marked("The X-Plex-Token of the server's owner."),
    ),
    "overseerr": (
        marked("Overseerr or Seerr: where people ask for films and series."),
        marked("Overseerr: Settings, General, API key."),
    ),
    "tmdb": (
        marked(
            "The Movie Database: titles, pictures and people. This product uses it, but is not endorsed by it."
        ),
        marked("TMDB: Settings, API, the read access token or the key."),
    ),
}
_SPARE_PAIRS = 2  # empty lines for more folders


class IntegrationForm(Schema):
    """Address and token; what is empty stays as it is."""

    url = Text(MOST_URL, strip=True)
    token = Text(MOST_TOKEN, strip=True)
    any_certificate = Flag(load_default=False)


@pages.page("/admin/integrations", Permission.INTEGRATIONS_VIEW)
def integrations_page(visit: Visit) -> Response:
    """All of them, with their states."""
    found = integrations.listing(visit.db, visit.settings)
    return visit.show(
        "admin/integrations.html",
        here="admin/integrations",
        found=found,
        titles=_titles(),
        about=ABOUT,
        states=STATES,
        connected_titles=[_titles()[view.name] for view in found if view.configured],
        ill=[_titles()[view.name] for view in found if view.state in {"offline", "degraded"}],
        may_configure=visit.visitor.may(Permission.INTEGRATIONS_CONFIGURE),
    )


@pages.page("/admin/integrations/<id:name>", Permission.INTEGRATIONS_CONFIGURE, own_units=True)
def integration_page(visit: Visit, name: str) -> Response:
    """One of them, and its form."""
    with visit.runtime.reading() as db:
        view = integrations.get(db, visit.settings, name)
    return visit.show(
        "admin/integration.html",
        here="admin/integrations",
        view=view,
        title=_titles()[view.name],
        about=ABOUT[view.name],
        state=STATES[view.state],
        pairs=_pairs(visit, view),
    )


@pages.form(
    "/admin/integrations/<id:name>",
    Permission.INTEGRATIONS_CONFIGURE,
    again=integration_page,
    own_units=True,
    limit="work",
)
def configure_integration(visit: Visit, name: str) -> Response:
    """Store what was entered; it is tested at once, and stored even where the test fails."""
    entered = visit.entered(IntegrationForm)
    changes: dict[str, Any] = {key: entered[key] for key in ("url", "token") if key in entered}
    changes["verifyTls"] = not entered["any_certificate"]
    if name == integrations.PLEX.name:
        pairs = zip(visit.form.getlist("ours"), visit.form.getlist("plex"), strict=False)
        changes["paths"] = [
            {"ours": ours.strip(), "plex": theirs.strip()} for ours, theirs in pairs if ours or theirs
        ]
    saved = integrations.configure(visit.runtime, name, changes, visit.actor)
    return visit.go(f"admin/integrations/{name}", *saved_words(saved.tested))


@pages.form(
    "/admin/integrations/<id:name>/test",
    Permission.INTEGRATIONS_CONFIGURE,
    own_units=True,
    limit="work",
)
def try_integration(visit: Visit, name: str) -> Response:
    """Ask the other end, as it is configured, whether all is well."""
    tested = integrations.test(visit.runtime, name, url=None, token=None)
    return visit.go(f"admin/integrations/{name}", *_test_words(tested))


@pages.form("/admin/integrations/<id:name>/remove", Permission.INTEGRATIONS_CONFIGURE)
def remove_integration(visit: Visit, name: str) -> Response:
    """Forget address and token; what it has brought stays."""
    integrations.forget(visit.db, visit.settings, name, visit.actor)
    told = _("{name} is disconnected. What it has brought stays.")
    return visit.go("admin/integrations", told.format(name=_titles()[name]))


def saved_words(tested: Tested) -> tuple[str, Kind]:
    """What became of a configuration that was stored, as text and kind of a message."""
    words, kind = _test_words(tested)
    return (_("It is saved. {result}") if tested.ok else _("It is saved, but: {result}")).format(
        result=words
    ), kind


def _test_words(tested: Tested) -> tuple[str, Kind]:
    if not tested.ok:
        return " ".join(_(text) for text in (tested.message, tested.advice) if text), "failed"
    milliseconds = round(tested.seconds * 1000)
    if tested.server is None:
        return _("It answers, in {number} ms.").format(number=milliseconds), "done"
    told = _("“{server}” answers, in {number} ms.")
    return told.format(server=tested.server["name"], number=milliseconds), "done"


def _titles() -> dict[str, str]:
    return {name: kind.title for name, kind in integrations.KINDS.items()}


def _pairs(visit: Visit, view: View) -> list[tuple[str, str]]:
    """The pairs of folders: as entered, else as stored; with room for more."""
    if "paths" not in integrations.KINDS[view.name].options:
        return []
    entered = list(zip(visit.form.getlist("ours"), visit.form.getlist("plex"), strict=False))
    stored = [(pair["ours"], pair["plex"]) for pair in view.options["paths"] or ()]
    return [*(entered or stored), *([("", "")] * _SPARE_PAIRS)]
