"""What a person changes of their channels and preferences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Any, Literal
from zoneinfo import available_timezones

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.audit import Actor, Subject
from engine.clients import apprise_targets
from engine.errors import NotFound, ValidationFailed
from engine.notifications import preferences
from engine.notifications.kinds import KINDS, SOCKET, SUGGESTED
from engine.notifications.preferences import ChannelKind, Preferences
from engine.secrets import secret_box
from engine.stores import locks
from engine.stores.locks import Hashed
from models.base import new_id
from models.delivery import Delivery, NotificationChannel, NotificationPreferences

MOST_CHANNELS = 10

_now = func.clock_timestamp


@dataclass(frozen=True)
class ChannelWish:
    """A channel as a user wants it; `id` of one that exists, whose address stays where `url` is None."""

    id: str | None
    kind: ChannelKind
    name: str
    url: str | None
    enabled: bool


def put(
    db: Session,
    settings: Settings,
    user_id: str,
    actor: Actor,
    *,
    channels: Sequence[ChannelWish] | None = None,
    events: Mapping[str, Sequence[str]] | None = None,
    quiet_hours: Mapping[str, Any] | Literal["same"] | None = "same",
    digest: str | None = None,
    time_zone: str | None = None,
) -> Preferences:
    """Replace what is given of a user's preferences; what is left out stays.

    Raises:
        NotFound: a channel with that id is not theirs.
        ValidationFailed: a value is not accepted; says what is.
    """
    locks.hold(db, locks.hashed(Hashed.CHANNELS_OF_USER, user_id))
    if channels is not None:
        _put_channels(db, settings, user_id, channels)
        audit.record(
            db, "notification_channels.changed", actor, Subject("user", user_id), channels=len(channels)
        )
    before = preferences.of(db, user_id)
    known = {SOCKET, *(channel.id for channel in before.channels)}
    chosen = dict(before.events if events is None else events)
    if events is not None:
        _check_events(events, known)
    kept = {name: [one for one in dict.fromkeys(where) if one in known] for name, where in chosen.items()}
    values: dict[str, Any] = {"events": kept, "updated_at": _now()}
    if digest is not None:
        values["digest"] = digest
    if quiet_hours != "same":
        values |= _quiet(quiet_hours)
    if time_zone is not None:
        values["time_zone"] = _zone(time_zone)
    query = insert(NotificationPreferences).values(user_id=user_id, **values)
    db.execute(query.on_conflict_do_update(index_elements=["user_id"], set_=values))
    db.flush()
    db.expire_all()
    return preferences.of(db, user_id)


def add(
    db: Session, settings: Settings, user_id: str, actor: Actor, wish: ChannelWish
) -> NotificationChannel:
    """Add a channel, which is told of requests at once; all else is chosen for it.

    Raises:
        ValidationFailed: it is not accepted; says why.
    """
    before = preferences.of(db, user_id)
    known = {channel.id for channel in before.channels}
    after = put(db, settings, user_id, actor, channels=[*map(_as_it_is, before.channels), wish])
    (added,) = [channel for channel in after.channels if channel.id not in known]
    events = {name: [*after.events.get(name, (SOCKET,)), added.id] for name in SUGGESTED}
    put(db, settings, user_id, actor, events={**after.events, **events})
    return added


def remove(db: Session, settings: Settings, user_id: str, actor: Actor, channel_id: str) -> None:
    """Remove a channel, with what waits for it.

    Raises:
        NotFound: it is not theirs.
    """
    gone = preferences.channel_of(db, user_id, channel_id)
    others = [channel for channel in preferences.of(db, user_id).channels if channel.id != gone.id]
    put(db, settings, user_id, actor, channels=[_as_it_is(channel) for channel in others])


def switch(db: Session, user_id: str, channel_id: str, *, on: bool) -> NotificationChannel:
    """Switch a channel on or off.

    Raises:
        NotFound: it is not theirs.
    """
    channel = preferences.channel_of(db, user_id, channel_id)
    channel.enabled = on
    if not on:
        _cancel_waiting(db, [channel.id])
    db.flush()
    return channel


def _as_it_is(channel: NotificationChannel) -> ChannelWish:
    kind: ChannelKind = "email" if channel.kind == "email" else "apprise"
    return ChannelWish(channel.id, kind, channel.name, None, channel.enabled)


def switch_off(db: Session, channel_id: str, address: str | None) -> None:
    """Switch a channel off, as somebody asked who holds its signed link; twice is once.

    Args:
        db: the unit of work.
        channel_id: of the channel.
        address: of who asked, for the audit log.
    """
    found = db.get(NotificationChannel, channel_id, with_for_update=True)
    if found is not None and found.enabled:
        found.enabled = False
        _cancel_waiting(db, [found.id])
        actor = Actor(found.user_id, via="unsubscribe link", address=address)
        audit.record(db, "notification_channel.unsubscribed", actor, Subject("channel", found.id, found.name))


def _put_channels(db: Session, settings: Settings, user_id: str, wishes: Sequence[ChannelWish]) -> None:
    mine = select(NotificationChannel).where(NotificationChannel.user_id == user_id).with_for_update()
    there = {channel.id: channel for channel in db.scalars(mine)}
    if len(wishes) > MOST_CHANNELS:
        raise ValidationFailed("Too many channels.", channels=f"Must be {MOST_CHANNELS} at most.")
    if sum(wish.kind == "email" for wish in wishes) > 1:
        raise ValidationFailed(
            "There is one address to mail to.", channels="Must have one of kind email at most."
        )
    for wish in wishes:
        if wish.id is not None and wish.id not in there:
            raise NotFound("You have no such channel.")
        channel = there.pop(wish.id, None) if wish.id is not None else None
        if channel is not None and channel.kind != wish.kind:
            raise ValidationFailed(
                "A channel keeps its kind.", channels=f"{wish.id} is of kind {channel.kind}."
            )
        if channel is None:
            channel = NotificationChannel(id=new_id("chn"), user_id=user_id, kind=wish.kind)
            if wish.kind == "apprise" and not wish.url:
                raise ValidationFailed("The address is missing.", channels="Of kind apprise it needs a url.")
            db.add(channel)
        if wish.kind == "email" and wish.url:
            raise ValidationFailed(
                "Mails go to the address of the account.", channels="Of kind email it has no url."
            )
        if wish.url:
            try:
                channel.shown = apprise_targets.shown(wish.url)
            except ValueError as error:
                raise ValidationFailed("This address is not accepted.", url=str(error)) from None
            channel.url, channel.error = secret_box.sealed(settings, wish.url), None
        channel.name, channel.enabled = wish.name, wish.enabled
    off = [wish.id for wish in wishes if wish.id is not None and not wish.enabled]
    _cancel_waiting(db, [*there, *off])
    for gone in there.values():
        db.delete(gone)
    db.flush()


def _cancel_waiting(db: Session, channel_ids: Sequence[str]) -> None:
    """End what waits for channels that are told nothing any more."""
    waiting = (
        Delivery.channel_id.in_(channel_ids),
        Delivery.ended_at.is_(None),
        Delivery.lease_until.is_(None),
    )
    db.execute(
        update(Delivery).where(*waiting).values(status="cancelled", ended_at=_now()),
        execution_options={"synchronize_session": False},
    )


def _check_events(events: Mapping[str, Sequence[str]], known: set[str]) -> None:
    for name, where in events.items():
        if name not in KINDS:
            raise ValidationFailed("There is no such event.", events=f"Must be some of: {', '.join(KINDS)}.")
        if unknown := sorted(set(where) - known):
            accepted = ", ".join(sorted(known))
            raise ValidationFailed(
                "There is no such channel.", events=f"{unknown[0]} is none of: {accepted}."
            )


def _quiet(hours: Mapping[str, Any] | None) -> dict[str, Any]:
    if hours is None:
        return {"quiet_from": None, "quiet_to": None}
    found: dict[str, Any] = {"time_zone": _zone(hours["time_zone"])}
    for name in ("from", "to"):
        try:
            found[f"quiet_{name}"] = f"{time.fromisoformat(hours[name]):%H:%M}"
        except ValueError:
            raise ValidationFailed("Unknown time.", quietHours="Must be times such as 22:30.") from None
    if found["quiet_from"] == found["quiet_to"]:
        raise ValidationFailed("Quiet hours end before they begin.", quietHours="from and to must differ.")
    return found


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValidationFailed("Unknown time zone.", timeZone="Must be one such as Europe/Berlin.")
    return name
