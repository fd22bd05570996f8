"""`/notifications/preferences`: what one is told where, and when."""

from __future__ import annotations

from typing import Any
from zoneinfo import available_timezones

import marshmallow as ma
from flask import Response

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look.words import gettext as _
from api.pages.notifications.words import CHANNELS, EVENTS, EXAMPLES
from api.wire.fields import Choice, Flag, Schema, Text
from engine.accounts import users
from engine.notifications import choosing, kinds, preferences
from engine.notifications.channel_tests import try_channel
from engine.notifications.choosing import ChannelWish
from engine.notifications.preferences import DIGESTS
from engine.permissions import Permission

pages = PageBlueprint("notification_preferences")

_PATH = "notifications/preferences"
_ZONES = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


class PreferencesForm(Schema):
    """What is ticked (a type of notification, a space, and where it goes), quiet hours, digest."""

    to = ma.fields.List(Text(200), load_default=list)
    quiet_from = Text(8)
    quiet_to = Text(8)
    time_zone = Text(60, strip=True, load_default="UTC")
    digest = Choice(DIGESTS, required=True)


class ChannelForm(Schema):
    """A new channel through Apprise."""

    name = Text(100, strip=True, required=True)
    url = Text(2000, strip=True, required=True)


class SwitchForm(Schema):
    """Whether a channel is to be on; off where it does not say."""

    on = Flag(load_default=False)


@pages.page("/notifications/preferences", Permission.PROFILE_EDIT)
def preferences_page(visit: Visit, **_path: Any) -> Response:
    """Channels, and by type where it goes; quiet hours and digest."""
    chosen = preferences.of(visit.db, visit.identity.user_id)
    offered = kinds.offered(visit.identity.permissions)
    user = users.get(visit.db, visit.identity.user_id)
    return visit.show(
        "notification-preferences.html",
        here="notifications",
        chosen=chosen,
        address=user.mailbox,
        mailed=any(channel.kind == "email" for channel in chosen.channels),
        events=[(name, _(EVENTS[name]), chosen.places_of(name)) for name in offered],
        kinds={name: _(words) for name, words in CHANNELS.items()},
        examples=EXAMPLES,
        zones=_ZONES,
    )


@pages.form("/notifications/preferences", Permission.PROFILE_EDIT, again=preferences_page)
def store_preferences(visit: Visit) -> Response:
    """Store what is ticked."""
    form = visit.entered(PreferencesForm)
    offered = kinds.offered(visit.identity.permissions)
    before = preferences.of(visit.db, visit.identity.user_id)
    ticked = {
        name: [one.partition(" ")[2] for one in form["to"] if one.startswith(f"{name} ")] for name in offered
    }
    quiet = None
    if "quiet_from" in form or "quiet_to" in form:
        quiet = {
            "from": form.get("quiet_from", ""),
            "to": form.get("quiet_to", ""),
            "time_zone": form["time_zone"],
        }
    choosing.put(
        visit.db,
        visit.settings,
        visit.identity.user_id,
        visit.actor,
        events={**before.events, **ticked},
        quiet_hours=quiet,
        digest=form["digest"],
        time_zone=form["time_zone"],
    )
    return visit.go(_PATH, _("It is stored."))


@pages.form("/notifications/channels", Permission.PROFILE_EDIT, again=preferences_page)
def add_channel(visit: Visit) -> Response:
    """Add a channel through Apprise."""
    form = visit.entered(ChannelForm)
    wish = ChannelWish(None, "apprise", form["name"], form["url"], enabled=True)
    choosing.add(visit.db, visit.settings, visit.identity.user_id, visit.actor, wish)
    return visit.go(_PATH, _("“%(name)s” is told of requests from now on. Try it.") % {"name": form["name"]})


@pages.form("/notifications/channels/email", Permission.PROFILE_EDIT, back=_PATH)
def add_email_channel(visit: Visit) -> Response:
    """Have oneself told of requests by e-mail, with one click."""
    wish = ChannelWish(None, "email", _("E-mail"), None, enabled=True)
    choosing.add(visit.db, visit.settings, visit.identity.user_id, visit.actor, wish)
    return visit.go(_PATH, _("You are told of requests by e-mail from now on."))


@pages.form(
    "/notifications/channels/<id:channel_id>/test",
    Permission.PROFILE_EDIT,
    back=_PATH,
    limit="work",
    own_units=True,
)
def try_own_channel(visit: Visit, channel_id: str) -> Response:
    """Send a message now, and say whether it arrived."""
    tried = try_channel(visit.runtime, visit.identity.user_id, channel_id)
    if tried.delivered:
        return visit.go(_PATH, _("The message was taken. Look whether it is there."))
    return visit.go(_PATH, "" if tried.error is None else _(tried.error), "failed")


@pages.form("/notifications/channels/<id:channel_id>/switch", Permission.PROFILE_EDIT, back=_PATH)
def switch_channel(visit: Visit, channel_id: str) -> Response:
    """Switch a channel on or off."""
    on = visit.entered(SwitchForm)["on"]
    channel = choosing.switch(visit.db, visit.identity.user_id, channel_id, on=on)
    told = _("“%(name)s” is on.") if on else _("“%(name)s” is off.")
    return visit.go(_PATH, told % {"name": channel.name})


@pages.form("/notifications/channels/<id:channel_id>/remove", Permission.PROFILE_EDIT, back=_PATH)
def remove_channel(visit: Visit, channel_id: str) -> Response:
    """Remove a channel."""
    choosing.remove(visit.db, visit.settings, visit.identity.user_id, visit.actor, channel_id)
    return visit.go(_PATH, _("It is removed."))
