"""`/admin/settings`: what can be set, in groups; what the environment fixes is shown as fixed."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from flask import Response
from sqlalchemy.orm import Session

from api.pages.admin.settings import entries as setting_entries
from api.pages.admin.settings.words import WORDS
from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.formats import listed
from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from api.wire.fields import Choice, Schema
from config.settings_accounts import AccountSettings
from config.settings_downloads import DownloadSettings
from config.settings_limits import LimitSettings
from config.settings_media import MediaSettings
from config.settings_notices import NoticeSettings
from config.settings_plex import PlexSettings
from config.settings_server import ServerSettings
from engine.permissions import Permission
from engine.settings import admin as settings_admin
from engine.settings.admin import SettingState

pages = PageBlueprint("admin.settings")

_GROUPS = {  # by name: title, and the class that has the settings
    "server": (marked("Server"), ServerSettings),
    "accounts": (marked("Accounts and mail"), AccountSettings),
    "downloads": (marked("Downloads"), DownloadSettings),
    "limits": (marked("Limits"), LimitSettings),
    "plex": ("Plex", PlexSettings),
    "titles": (marked("Films and series"), MediaSettings),
    "notices": (marked("Notifications"), NoticeSettings),
}


class GroupQuery(Schema):
    """Which settings."""

    group = Choice(tuple(_GROUPS), load_default="server")


@pages.page("/admin/settings", Permission.SETTINGS_MANAGE, query=GroupQuery)
def settings_page(visit: Visit, query: dict[str, Any]) -> Response:
    """The settings of a group."""
    return _page(visit, query["group"])


def _shown_again(visit: Visit) -> Response:
    return _page(visit, visit.entered(GroupQuery)["group"])


def _page(visit: Visit, group: str) -> Response:
    states = _states(visit, visit.db, group)
    return visit.show(
        "admin/settings.html",
        here="admin/settings",
        group=group,
        groups=[(f"?group={name}", _(title), None) for name, (title, _class) in _GROUPS.items()],
        title=_(_GROUPS[group][0]),
        entries=[setting_entries.entry(state) for state in states.values() if not state.read_only],
        fixed=[state for state in states.values() if state.read_only],
        fixed_text=setting_entries.fixed_text,
        label_of=_label,
        removed=setting_entries.REMOVED,
        entered=visit.form,
    )


@pages.form("/admin/settings", Permission.SETTINGS_MANAGE, again=_shown_again, own_units=True)
def save_settings(visit: Visit) -> Response:
    """Change what was entered differently, all of it or nothing; in force in all processes within 5 seconds."""
    group, live = visit.entered(GroupQuery)["group"], visit.runtime.live
    with visit.runtime.unit_of_work() as db:
        states = {name: state for name, state in _states(visit, db, group).items() if not state.read_only}
        texts = setting_entries.changed_by(states, visit.form)
        settings_admin.change(db, live.environment, texts, visit.actor)
    live.expire()
    labels = (_label(states[settings_admin.public_name(name)]) for name in texts)
    changed = listed(_("“{title}”").format(title=label) for label in labels)
    told = _("Saved: {names}.").format(names=changed) if texts else _("Nothing was changed.")
    return visit.go(f"admin/settings?group={group}", told)


def _states(visit: Visit, db: Session, group: str) -> dict[str, SettingState]:
    """The settings of a group by their names."""
    names = {settings_admin.public_name(spec.name) for spec in fields(_GROUPS[group][1])}
    found = settings_admin.listing(db, visit.runtime.live.environment)
    return {state.name: state for state in found if state.name in names}


def _label(state: SettingState) -> str:
    """What a setting is called; one that only the environment sets may have the words of the documentation."""
    words = WORDS.get(state.name)
    text = _(words.label if words else state.description)
    return text[:1].upper() + text[1:]
