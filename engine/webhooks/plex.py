"""Handles webhooks of Plex: playback activity, new titles, and notices for admins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy.orm import Session

from config.settings import Settings
from engine.notifications.recipients import notify_holders
from engine.permissions import Permission
from engine.plex.server.connection import configured
from engine.plex.sync import runs as sync
from engine.plex.watching import activity
from engine.plex.watching.activity import PlaybackEvent
from engine.webhooks.meaning import Handler, WebhookOutcome
from models.webhook import Webhook

_CATALOGUE = {"movie", "show", "season", "episode"}
# What activity is recorded for: music too, although the catalogue has none.
_TITLES = {*_CATALOGUE, "artist", "album", "track"}
_LONGEST = 500  # characters of a title or name


def handle(db: Session, settings: Settings, row: Webhook) -> WebhookOutcome:
    """Handle a message of Plex. Every field may be missing; unknown events are ignored."""
    if not settings.plex_enabled:
        return WebhookOutcome("Plex is switched off.", ignored=True)
    handler = _EVENTS.get(row.event)
    if handler is None:
        return WebhookOutcome("This event means nothing to us.", ignored=True)
    return handler(db, settings, row)


_NOT_A_TITLE = WebhookOutcome(
    "What is shown around a title, such as a trailer, is none itself.", ignored=True
)


def _activity(db: Session, settings: Settings, row: Webhook) -> WebhookOutcome:
    """Record play, pause, resume, stop, scrobble or rate; fetch the title if the catalogue lacks it."""
    seen, item = _seen(row), _part(row.payload, "Metadata")
    if not _is_title(item):
        return _NOT_A_TITLE
    if seen.rating_key is None and _text(item.get("title")) is None:
        return WebhookOutcome("It names no title.", ignored=True)
    recorded = activity.record(db, seen)
    wanted = (
        recorded.item_id is None and seen.rating_key is not None and seen.media_type in {"movie", "episode"}
    )
    if wanted and recorded.new and configured(db, settings) is not None:
        sync.start(db, full=False, trigger="webhook", rating_keys=[str(seen.rating_key)])
        return WebhookOutcome("Noted; the title is not in the catalogue yet, and is fetched.")
    return WebhookOutcome("Noted." if recorded.new else "Noted before.")


def _new(db: Session, settings: Settings, row: Webhook) -> WebhookOutcome:
    """Start a sync of the title that was added; the message's own metadata is not used."""
    item = _part(row.payload, "Metadata")
    key, kind = _key(item.get("ratingKey")), _text(item.get("type"))
    if key is None or (kind is not None and kind not in _CATALOGUE):
        return WebhookOutcome("It names nothing that the catalogue holds.", ignored=True)
    if configured(db, settings) is None:
        return WebhookOutcome("No Plex server is configured.", ignored=True)
    run, _ = sync.start(db, full=False, trigger="webhook", rating_keys=[key])
    return WebhookOutcome(f"Fetched by {run.id}.")


def _on_deck(db: Session, settings: Settings, row: Webhook) -> WebhookOutcome:
    return WebhookOutcome("What is on deck is asked of Plex when somebody looks.", ignored=True)


def _notice(title: str, message: Callable[[Mapping[str, Any]], str]) -> Handler:
    """A handler that notifies all users who may manage webhooks, once per message."""

    def handle(db: Session, settings: Settings, row: Webhook) -> WebhookOutcome:
        told = notify_holders(
            db,
            Permission.WEBHOOKS_MANAGE,
            type=f"plex.{row.event}",
            title=title,
            message=message(row.payload),
            subject=("webhook", row.id),
            dedupe_key=f"webhook:{row.id}",
        )
        return WebhookOutcome(f"Told {told}.")

    return handle


def _with_server_name(template: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda payload: template.format(_text(_part(payload, "Server").get("title")) or "Plex")


def _playback_started(db: Session, settings: Settings, row: Webhook) -> WebhookOutcome:
    """Notify of a playback that has begun, except of trailers and prerolls."""
    if not _is_title(_part(row.payload, "Metadata")):
        return _NOT_A_TITLE
    return _notice("Playback has begun", _playback)(db, settings, row)


def _device(payload: Mapping[str, Any]) -> str:
    device = _text(_part(payload, "Player").get("title")) or "A device"
    who = _text(_part(payload, "Account").get("title")) or "somebody"
    return f"{device} was used by {who} for the first time."


def _playback(payload: Mapping[str, Any]) -> str:
    who = _text(_part(payload, "Account").get("title")) or "Somebody"
    return f"{who} began to watch {title_of(_part(payload, 'Metadata'))}."


_EVENTS: Mapping[str, Handler] = {
    **{f"media.{event}": _activity for event in activity.EVENTS},
    "library.new": _new,
    "library.on.deck": _on_deck,
    "admin.database.backup": _notice(
        "Plex has backed up its database", _with_server_name("{} has backed up its database.")
    ),
    "admin.database.corrupted": _notice(
        "The database of Plex is damaged",
        _with_server_name("{} says that its database is damaged. Restore it from a backup."),
    ),
    "device.new": _notice("A new device at Plex", _device),
    "playback.started": _playback_started,
}


def _seen(row: Webhook) -> PlaybackEvent:
    payload = row.payload
    item, account = _part(payload, "Metadata"), _part(payload, "Account")
    player, server = _part(payload, "Player"), _part(payload, "Server")
    local, rating = player.get("local"), _number(payload.get("rating"))
    return PlaybackEvent(
        event=row.event.removeprefix("media."),
        server_id=_text(server.get("uuid")),
        account_id=_text(account.get("id")),
        account_name=_text(account.get("title")),
        rating_key=_key(item.get("ratingKey")),
        media_type=_text(item.get("type")),
        title=title_of(item),
        player=_text(player.get("title")),
        local=local if isinstance(local, bool) else None,
        rating=None if rating is None or not 0 <= rating <= 10 else rating,
        view_offset=_milliseconds(item.get("viewOffset")),
        duration=_milliseconds(item.get("duration")),
        at=row.created_at,
        webhook_id=row.id,
    )


def _is_title(item: Mapping[str, Any]) -> bool:
    """Whether it is a title: no trailer, extra, preroll or photo. Without a type it counts as one."""
    kind, guid = _text(item.get("type")), _text(item.get("guid")) or ""
    around = guid.startswith("prerolls://") or item.get("extraType") is not None
    return not around and (kind is None or kind in _TITLES) and _text(item.get("subtype")) != "trailer"


def title_of(item: Mapping[str, Any]) -> str:
    """A display title, such as `Heat (1995)` or `The 100 - S01E02 - Earth Skills`."""
    own, above = _text(item.get("title")) or "something", _text(item.get("grandparentTitle"))
    year = _number(item.get("year"))
    if item.get("type") == "movie":
        return f"{own} ({year:.0f})" if year else own
    if item.get("type") != "episode":
        return f"{above} - {own}" if above else own
    season, number = _number(item.get("parentIndex")), _number(item.get("index"))
    place = None if season is None or number is None else f"S{season:02.0f}E{number:02.0f}"
    return " - ".join(part for part in (above, place, own) if part)


def _part(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = payload.get(name)
    return found if isinstance(found, Mapping) else {}


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip()[:_LONGEST] or None


def _key(value: object) -> str | None:
    """A rating key: digits, as text or number."""
    text = _text(value)
    return text if text is not None and text.isascii() and text.isdecimal() and len(text) <= 18 else None


def _number(value: object) -> float | None:
    if isinstance(value, str) and value.replace(".", "", 1).isdecimal() and value.isascii():
        value = float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _milliseconds(value: object) -> int | None:
    number = _number(value)
    return int(number) if number is not None and 0 <= number < 10**12 else None
