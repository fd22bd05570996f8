"""`/users/me/notifications`: where one is told of what, and when; and the link that ends it."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from marshmallow import validate

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import PUBLIC, Access, Answers, Takes
from api.wire.envelope import success
from api.wire.errors import InvalidRequest
from api.wire.fields import Choice, Flag, Schema, Text, nullable, required
from engine.notifications import choosing, kinds, links, preferences
from engine.notifications.channel_tests import try_channel
from engine.notifications.choosing import ChannelWish
from engine.notifications.preferences import CHANNEL_KINDS, DIGESTS, Preferences
from engine.permissions import Permission

blueprint = Blueprint("notification_channels", "/users/me/notifications", "Where one is told of what.")
unsubscribing = Blueprint("unsubscribing", "/notifications", "The links that end messages.")

_KINDS = (*CHANNEL_KINDS, "webpush")


class ChannelSchema(Schema):
    """A place where one is told of things."""

    id = ma.fields.String(required=True)
    kind = ma.fields.String(required=True, validate=validate.OneOf(CHANNEL_KINDS))
    name = ma.fields.String(required=True)
    url = nullable(ma.fields.String, about="Its scheme and host; the rest is not read back.")
    enabled = ma.fields.Boolean(required=True)
    error = nullable(ma.fields.String, about="Why the last message did not arrive.")


class ChannelBody(Schema):
    """A channel; one with an id is one that exists."""

    id = Text(80)
    kind = Choice(_KINDS, required=True)
    name = Text(100, strip=True, required=True)
    url = Text(
        2000,
        allow_none=True,
        metadata={"description": "Of kind apprise: an address of Apprise. Left out, it stays as it is."},
    )
    enabled = Flag(load_default=True)
    error = ma.fields.Raw(allow_none=True, metadata={"description": "Is ignored."})


class QuietHours(Schema):
    """When messages wait."""

    from_ = Text(8, required=True, data_key="from", metadata={"description": "Such as 22:30."})
    to = Text(8, required=True)
    time_zone = Text(60, required=True, metadata={"description": "Such as Europe/Berlin."})


class NotificationPreferencesBody(Schema):
    """What changes; what is left out stays."""

    channels = ma.fields.List(ma.fields.Nested(ChannelBody), validate=validate.Length(max=50))
    events = ma.fields.Dict(
        keys=ma.fields.String(validate=validate.OneOf(list(kinds.KINDS))),
        values=ma.fields.List(Text(80), validate=validate.Length(max=50)),
    )
    quiet_hours = ma.fields.Nested(QuietHours, allow_none=True)
    digest = Choice(DIGESTS)


class NotificationPreferencesSchema(Schema):
    """Where one is told of what, and when."""

    channels = ma.fields.List(ma.fields.Nested(ChannelSchema), required=True)
    events = required(
        ma.fields.Dict,
        keys=ma.fields.String(),
        values=ma.fields.List(ma.fields.String()),
        about="By type of notification: socket, and ids of channels.",
    )
    quiet_hours = nullable(ma.fields.Nested, QuietHours)
    digest = ma.fields.String(required=True, validate=validate.OneOf(DIGESTS))


class ChannelTestBody(Schema):
    """Which channel."""

    channel_id = Text(80, required=True)


class DeliveredSchema(Schema):
    """Whether it arrived."""

    delivered = ma.fields.Boolean(required=True)
    error = nullable(ma.fields.String)


class UnsubscribedSchema(Schema):
    """That it was switched off."""

    unsubscribed = ma.fields.Boolean(required=True)


@blueprint.operation("GET", "", Access(Permission.MEDIA_READ), Answers({200: NotificationPreferencesSchema}))
def get_notification_preferences(call: Call) -> Response:
    """Channels, events, quiet hours and digest."""
    return success(_row(call, preferences.of(call.db, call.identity.user_id)))


@blueprint.operation(
    "PUT",
    "",
    Access(Permission.PROFILE_EDIT),
    Answers({200: NotificationPreferencesSchema}, errors=(404,)),
    Takes(body=NotificationPreferencesBody),
)
def put_notification_preferences(call: Call, body: dict[str, Any]) -> Response:
    """Replace what is given; channels that are not in the list are removed."""
    channels = body.get("channels")
    if any(channel["kind"] == "webpush" for channel in channels or ()):
        raise InvalidRequest({"channels": ["Web Push is not offered here: use email or apprise."]})
    quiet = body.get("quiet_hours", "same")
    if isinstance(quiet, dict):
        quiet = {"from": quiet["from_"], "to": quiet["to"], "time_zone": quiet["time_zone"]}
    found = choosing.put(
        call.db,
        call.settings,
        call.identity.user_id,
        call.actor,
        channels=None if channels is None else [_wish(channel) for channel in channels],
        events=body.get("events"),
        quiet_hours=quiet,
        digest=body.get("digest"),
    )
    return success(_row(call, found))


@blueprint.operation(
    "POST",
    "/test",
    Access(Permission.PROFILE_EDIT),
    Answers({200: DeliveredSchema}, errors=(404,)),
    Takes(body=ChannelTestBody),
    limit="work",
    own_units=True,
)
def test_notification_channel(call: Call, body: dict[str, Any]) -> Response:
    """Send a message to a channel now, and say whether it arrived."""
    tried = try_channel(call.runtime, call.identity.user_id, body["channel_id"])
    return success({"delivered": tried.delivered, "error": tried.error})


@unsubscribing.operation(
    "POST",
    "/unsubscribe/<token>",
    PUBLIC,
    Answers({200: UnsubscribedSchema}, errors=(404,)),
    Takes(any_query=True),
)
def unsubscribe(call: Call, token: str) -> Response:
    """End the messages of a channel, as mail programs do it with one click (RFC 8058)."""
    channel_id = links.unsubscribed_channel(call.settings, token)
    choosing.switch_off(call.db, channel_id, call.actor.address)
    return success({"unsubscribed": True})


def _wish(channel: dict[str, Any]) -> ChannelWish:
    return ChannelWish(
        channel.get("id"), channel["kind"], channel["name"], channel.get("url"), channel["enabled"]
    )


def _row(call: Call, found: Preferences) -> dict[str, Any]:
    offered = kinds.offered(call.identity.permissions)
    quiet = None
    if found.quiet_from is not None and found.quiet_to is not None:
        quiet = {
            "from": f"{found.quiet_from:%H:%M}",
            "to": f"{found.quiet_to:%H:%M}",
            "timeZone": found.time_zone,
        }
    return {
        "channels": [ChannelSchema.row(channel, url=channel.shown) for channel in found.channels],
        "events": {name: list(found.events.get(name, (kinds.SOCKET,))) for name in offered},
        "quietHours": quiet,
        "digest": found.digest,
    }
