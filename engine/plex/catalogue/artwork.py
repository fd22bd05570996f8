"""Posters and backgrounds: signed URLs, pictures fetched from Plex, and their cache on this host's disk.

A browser loads `<img>` without our headers, so the URL itself is the permission: an HMAC over subject, kind and
version. Widths are not signed; there are few of them. No token of Plex is in it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.clients.pictures import Picture, picture_of
from engine.clients.plex import artwork
from engine.errors import Forbidden, NotFound
from engine.plex.catalogue import current, live_queries
from engine.plex.catalogue.current import Catalogue
from engine.plex.catalogue.live_queries import PlexSilent
from engine.runtime import Runtime
from engine.secrets import keys
from engine.storage.picture_store import PictureStore
from models.media import MediaItem
from models.plex_library import PlexCollection, PlexSection

Kind = Literal["poster", "art"]

KINDS: tuple[Kind, ...] = ("poster", "art")
WIDTHS = (150, 300, 500, 780, 1280)
USUAL_WIDTH: dict[Kind, int] = {"poster": 300, "art": 1280}
COLLECTION, LIBRARY = "col-", "lib-"

_PURPOSE = "artwork"
_SIGNATURE_BYTES = 16
_HEIGHTS = {"poster": 1.5, "art": 0.5625}  # of the box into which it is scaled, by its width
_FETCHES = BoundedSemaphore(6)  # concurrent fetches of a process: a slow Plex must not take all threads
_PATIENCE = 4.0  # seconds that a request waits for a free slot


@dataclass(frozen=True)
class Shown:
    """A picture for a browser; `current`: its URL names the newest version, so it may be cached for long."""

    picture: Picture
    current: bool


def query(settings: Settings, subject: str, kind: Kind, source: str | None) -> dict[str, str] | None:
    """The query parameters of a signed URL; None where there is no picture that may be shown.

    Args:
        settings: with the key.
        subject: the id of an item, `col-` and the key of a collection, or `lib-` and that of a library.
        kind: which of its pictures.
        source: its path at Plex, which changes with the picture.
    """
    if not _usable(source):
        return None
    version = _version(source or "")
    signature = keys.sign(settings, _PURPOSE, _signed(subject, kind, version))[:_SIGNATURE_BYTES]
    return {
        "kind": kind,
        "width": str(USUAL_WIDTH[kind]),
        "v": version,
        "sig": base64.urlsafe_b64encode(signature).rstrip(b"=").decode(),
    }


def check(settings: Settings, subject: str, kind: str, version: str, signature: str) -> None:
    """Verify the signature of a URL.

    Raises:
        Forbidden: it is not.
    """
    try:
        raw = base64.urlsafe_b64decode(signature + "==")
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _SIGNATURE_BYTES or not keys.signer(
        settings, _PURPOSE, _signed(subject, kind, version), raw
    ):
        raise Forbidden("The signature does not fit this picture.")


def show(runtime: Runtime, subject: str, kind: Kind, width: int, version: str) -> Shown:
    """A picture, from the disk cache of this host or from Plex.

    Raises:
        NotFound: there is none.
        PlexSilent: it is not cached here, and Plex is down.
        UpstreamFailed: Plex sends no picture, too many bytes, or an error.
    """
    with runtime.reading() as db:
        found = current.need(db, runtime.settings)
        source = _source(db, found, subject, kind)
    if not _usable(source) or source is None:
        raise NotFound("There is no such picture.")
    newest = _version(source) == version
    store = PictureStore(runtime.settings.data_dir / "artwork")
    name = hashlib.sha256(f"{found.server_id}\n{source}\n{kind}\n{width}".encode()).hexdigest()
    body = store.get(name)
    kept = None if body is None else picture_of(body)
    if kept is not None:
        return Shown(kept, newest)
    picture = _fetched(runtime, source, kind, width)
    store.put(name, picture.body)
    return Shown(picture, newest)


def library_source(section: PlexSection) -> str:
    """The path at which Plex composes a picture of a library from its posters."""
    return f"/library/sections/{section.key}/composite/{section.changed_mark or 0}"


def _fetched(runtime: Runtime, source: str, kind: Kind, width: int) -> Picture:
    if not _FETCHES.acquire(timeout=_PATIENCE):
        raise PlexSilent
    try:
        height = round(width * _HEIGHTS[kind])
        return live_queries.ask_plex(runtime, lambda plex: artwork.fetch(plex, source, width, height))
    finally:
        _FETCHES.release()


def _source(db: Session, found: Catalogue, subject: str, kind: Kind) -> str | None:
    if subject.startswith(LIBRARY):
        section = db.get(PlexSection, (found.server_id, subject.removeprefix(LIBRARY)))
        return None if section is None or kind != "poster" else library_source(section)
    if subject.startswith(COLLECTION):
        row = db.get(PlexCollection, (found.server_id, subject.removeprefix(COLLECTION)))
        return None if row is None or kind != "poster" else row.thumb
    column = MediaItem.thumb if kind == "poster" else MediaItem.art
    where = (MediaItem.id == subject, MediaItem.server_id == found.server_id, MediaItem.deleted_at.is_(None))
    return db.scalar(select(column).where(*where))


def _usable(source: str | None) -> bool:
    """Whether it is a path of the server's library: the server must fetch nothing from elsewhere (SSRF)."""
    return source is not None and source.startswith("/library/") and ".." not in source


def _version(source: str) -> str:
    return hashlib.blake2b(source.encode(), digest_size=6).hexdigest()


def _signed(subject: str, kind: str, version: str) -> bytes:
    return f"{subject}\n{kind}\n{version}".encode()
