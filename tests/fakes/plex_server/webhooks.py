"""What Plex posts to a webhook: `multipart/form-data` with the field `payload` and, on some events, a JPEG part `thumb`."""

from __future__ import annotations

import http.client
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from tests.fakes.plex_server import pictures, shapes
from tests.fakes.plex_server.items import Account, Item

if TYPE_CHECKING:
    from tests.fakes.plex_server.server import PlexDouble

_WITH_PLAYER = ("media.", "playback.")
_WITH_THUMB = (
    "media.play",
    "media.rate",
    "media.scrobble",
    "library.new",
    "library.on.deck",
    "playback.started",
)


def webhook(
    plex: PlexDouble,
    event: str,
    item: Item | int | None = None,
    account: Account | int = 1,
    *,
    client: str = "client",
    rating: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """The payload of an event; `more` replaces or (None) removes top-level keys."""
    with plex.library.lock:
        who = plex.library.accounts[account] if isinstance(account, int) else account
        said: dict[str, Any] = {"event": event, "user": who.owner, "owner": True}
        if rating is not None:
            said["rating"] = rating  # beside Metadata, not in it
        said["Account"] = {"id": who.id, "thumb": shapes.person(who)["thumb"], "title": who.name}
        said["Server"] = {"title": plex.name, "uuid": plex.machine_id}
        if event.startswith(_WITH_PLAYER):
            said["Player"] = {
                "local": True,
                "publicAddress": "203.0.113.7",
                "title": "Chrome",
                "uuid": client,
            }
        if item is not None:
            said["Metadata"] = _metadata(plex.library.item(item), who)
    return {name: value for name, value in (said | more).items() if value is not None}


def _metadata(item: Item, who: Account) -> dict[str, Any]:
    whole = shapes.item(item, who, guids=True, detail=True)
    return {
        "librarySectionType": item.section.type,
        **{name: value for name, value in whole.items() if name != "Media"},
    }


def send_webhook(
    url: str,
    payload: dict[str, Any] | bytes,
    *,
    thumb: bool | bytes | None = None,
    as_json: bool = False,
    timeout: float = 10.0,
) -> int:
    """POST it as Plex does, and say which status came back.

    `thumb` None: a picture on the events on which Plex sends one; bytes: that picture. `as_json`: a plain JSON body, as other
    senders post. The payload may be bytes, for one that is broken.
    """
    raw = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    event = payload.get("event", "") if isinstance(payload, dict) else ""
    if as_json:
        return _post(url, raw, "application/json", timeout)
    picture = (
        thumb
        if isinstance(thumb, bytes)
        else pictures.jpeg()
        if thumb or (thumb is None and event in _WITH_THUMB)
        else None
    )
    line = f"------------------------{uuid.uuid4().hex[:16]}"
    body = _piece(line, 'name="payload"', "application/json", raw)
    if picture is not None:
        body += _piece(line, 'name="thumb"; filename="thumb.jpg"', "image/jpeg", picture)
    return _post(url, body + f"--{line}--\r\n".encode(), f"multipart/form-data; boundary={line}", timeout)


def _piece(line: str, said: str, kind: str, body: bytes) -> bytes:
    return (
        f"--{line}\r\nContent-Disposition: form-data; {said}\r\nContent-Type: {kind}\r\n\r\n".encode()
        + body
        + b"\r\n"
    )


def _post(url: str, body: bytes, kind: str, timeout: float) -> int:
    parts = urlsplit(url)
    made = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = made(parts.netloc, timeout=timeout)
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(
            "POST",
            path or "/",
            body,
            {"Content-Type": kind, "User-Agent": "PlexMediaServer/1.41.3.9314-a0bfb8370"},
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()
