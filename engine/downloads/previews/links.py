"""Links pasted by a user: what each holds, whether they have it already, or why it is refused."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads.previews import previews
from engine.downloads.previews.places import place_for
from engine.downloads.previews.previews import TooManyPreviews
from engine.downloads.sources import urls as source_urls
from engine.downloads.sources.urls import SourceUrl
from engine.errors import ServiceUnavailable, ValidationFailed
from engine.runtime import Runtime
from models.download import Download, Preview

NOT_A_VIDEO = frozenset({"unsupported", "playlist"})  # kinds of failure that are the URL's own
_NO_PLACE = "expired"  # the kind of failure of a preview that no worker took in time
_PAUSE = 0.2  # seconds between two looks at the rows

_now = func.clock_timestamp


@dataclass(frozen=True)
class Link:
    """A link, and what is known of it.

    Attributes:
        url: as it was given.
        refusal: why it can't be downloaded, in words; None: it can.
        failure: `{"kind", "message", "advice"}` where it could not be looked at.
        preview: of what it holds; None: not known yet.
        owned: the user's last download of it that was completed or is active.
    """

    url: str
    refusal: str | None = None
    failure: Mapping[str, Any] | None = None
    preview: Preview | None = None
    owned: Download | None = None

    @property
    def name(self) -> str:
        """A short name for it in forms."""
        return name_of(self.url)

    @property
    def is_looked_at(self) -> bool:
        """Whether there is nothing more to be found out."""
        return any(each is not None for each in (self.refusal, self.failure, self.preview))


def name_of(url: str) -> str:
    """A short name for a link in forms."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def links_in(text: str) -> list[str]:
    """The links of a text, separated by white space; equal ones once."""
    return list(dict.fromkeys(text.split()))


def known(db: Session, settings: Settings, urls: Sequence[str], *, user_id: str) -> list[Link]:
    """What is known of links, in their order.

    Args:
        db: for reading.
        settings: say which sites are allowed.
        urls: as they were given.
        user_id: whose.
    """
    accepted = {url: _accepted(url, settings) for url in urls}
    keys = [each.key for each in accepted.values() if isinstance(each, SourceUrl)]
    looked, owned = _previews(db, settings, keys), _owned(db, user_id, keys)
    return [
        _link(url, looked.get(each.key), owned.get(each.key))
        if isinstance(each, SourceUrl)
        else Link(url, refusal=each)
        for url, each in accepted.items()
    ]


def look(runtime: Runtime, urls: Sequence[str], *, user_id: str, patience: float) -> None:
    """Have workers look at links: as many at once as a user may, further ones as those are done.

    Args:
        runtime: of the installation.
        urls: as they were given.
        user_id: who wants to know.
        patience: seconds to wait for it at most. Without a free place for a request that waits it returns at once.
    """
    deadline = time.monotonic() + patience
    try:
        with place_for(user_id, runtime.settings.preview_user_limit):
            while _request(runtime, urls, user_id) and time.monotonic() + _PAUSE < deadline:
                time.sleep(_PAUSE)
    except (TooManyPreviews, ServiceUnavailable):
        return


def _request(runtime: Runtime, urls: Sequence[str], user_id: str) -> bool:
    """Ask for previews of what is not looked at, as far as the user may; whether there is something left."""
    with runtime.unit_of_work() as db:
        left = [
            link.url for link in known(db, runtime.settings, urls, user_id=user_id) if not link.is_looked_at
        ]
        for url in left:
            try:
                previews.request(db, runtime.settings, user_id=user_id, url=url)
            except TooManyPreviews:
                break
    return bool(left)


def _accepted(url: str, settings: Settings) -> SourceUrl | str:
    try:
        return source_urls.accept(url, settings)
    except ValidationFailed as error:
        details = error.details if isinstance(error.details, dict) else {}
        return str(next(iter(details.get("url", ())), error.message))


def _previews(db: Session, settings: Settings, keys: Sequence[str]) -> dict[str, Preview]:
    fresh = _now() - timedelta(seconds=settings.preview_cache_seconds)
    query = select(Preview).where(Preview.url_key.in_(keys), Preview.ended_at > fresh)
    return {row.url_key: row for row in db.scalars(query.order_by(Preview.id))}


def _owned(db: Session, user_id: str, keys: Sequence[str]) -> dict[str, Download]:
    query = select(Download).where(
        Download.user_id == user_id,
        Download.url_key.in_(keys),
        Download.status.not_in(["failed", "cancelled"]),
    )
    return {row.url_key: row for row in db.scalars(query.order_by(Download.id))}


def _link(url: str, preview: Preview | None, owned: Download | None) -> Link:
    if preview is None:
        return Link(url, owned=owned)
    if preview.status == "completed":
        return Link(url, preview=preview, owned=owned)
    failure = preview.error or {"kind": _NO_PLACE}
    if failure["kind"] == _NO_PLACE:
        return Link(url, owned=owned)
    if failure["kind"] in NOT_A_VIDEO:
        return Link(url, refusal=failure["message"])
    return Link(url, failure=failure, owned=owned)
