"""What people watched before we listened, or while we did not: asked of Plex in their own name, after they looked.

No list waits for it: whoever looks is put on a list in Redis, once in five minutes, and a worker asks plex.tv for the
token with which our server knows him, and our server what he has watched since we asked last. Webhooks tell the rest at
once. Once a day all that he ever watched is asked for, which is how we learn what he has marked as not watched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import case, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine.clients.plex import tv_access
from engine.clients.plex.library import PlexError, PlexGarbled, PlexGone, PlexUnauthorized, PlexUnreachable
from engine.clients.plex.queries import PlexQuestions
from engine.clients.plex.tv import TokenRefused
from engine.errors import MediaNestError
from engine.job_names import Job
from engine.plex.answers.parsing import TYPE_NUMBERS, int_of, time_of
from engine.plex.server import connection, user_tokens
from engine.runtime import Runtime
from engine.secrets import secret_box
from engine.stores import cache
from models.media import MediaItem, WatchLook, WatchState
from models.plex_library import PlexSection
from models.secret import Secret

log = structlog.get_logger(__name__)

EVERY_SECONDS = 300
AGAIN_SECONDS = 30  # where nobody could be asked
WHOLE_EVERY = timedelta(days=1)
_WANTED, _ASKED = "watched:wanted", "watched:asked:"
_AT_ONCE = 20  # people a run
_OVERLAP = timedelta(days=1)
_PAGE, _MOST = 500, 20_000
_LEAVES = {"movie": "movie", "show": "episode"}


def wish(runtime: Runtime, user_id: str) -> None:
    """Have somebody's watch states refreshed soon, unless that was done in the last minutes."""
    kept = cache.of(runtime.settings)
    if kept.set_if_absent(_ASKED + user_id, EVERY_SECONDS) and kept.add(_WANTED, user_id):
        runtime.ring(Job.WATCHED)


def refresh_wanted(runtime: Runtime) -> None:
    """Refresh for those who looked; what fails for one is left for the next time he looks."""
    kept = cache.of(runtime.settings)
    for user_id in kept.take(_WANTED, _AT_ONCE):
        try:
            changed = refresh(runtime, user_id)
        except (PlexError, MediaNestError, TokenRefused) as error:
            log.info("watched.not_refreshed", user=user_id, error=type(error).__name__)
            changed = None
        except Exception:  # whatever is odd about what somebody watched, the others are waiting too
            log.exception("watched.bug", user=user_id)
            changed = None
        else:
            log.debug("watched.refreshed", user=user_id, changed=changed)
        if changed is None:
            kept.expire(_ASKED + user_id, AGAIN_SECONDS)


def refresh(runtime: Runtime, user_id: str) -> int | None:
    """Ask Plex what a user watched; returns how many of his states changed, None where nobody could be asked.

    Raises:
        PlexError: our server does not answer.
        MediaNestError: plex.tv does not.
        TokenRefused: plex.tv does not take his token any more.
    """
    settings = runtime.settings
    with runtime.reading() as db:
        found = connection.configured(db, settings)
        server_id = connection.server_id(db, settings)
        if found is None or server_id is None or db.get(Secret, user_tokens.secret_name(user_id)) is None:
            return None
        token = secret_box.take(db, settings, user_tokens.secret_name(user_id)) or ""
        libraries = db.execute(
            select(PlexSection.key, PlexSection.type).where(
                PlexSection.server_id == server_id, PlexSection.gone_at.is_(None)
            )
        ).all()
        look = db.get(WatchLook, (user_id, server_id))
        began: datetime = db.execute(select(func.clock_timestamp())).scalar_one()
    access = tv_access.server_token(settings.plex_tv_url, found.client_id, token, server_id)
    if access is None:
        return None
    whole = look is None or began - look.whole_at >= WHOLE_EVERY
    after = 0 if look is None or whole else int((look.looked_at - _OVERLAP).timestamp())
    changed, answered, refused, failed = 0, False, None, list[PlexError]()
    with PlexQuestions(found.url, access, found.client_id, verify=found.verify) as plex:
        for key, kind in libraries:
            if kind in _LEAVES:
                library = _Library(runtime, user_id, server_id, key, kind)
                try:
                    changed += library.refresh(plex, after, began, whole=whole)
                    answered = True
                except (PlexGone, PlexUnauthorized) as error:  # not every library is shared with everybody
                    refused = error
                except (PlexGarbled, PlexUnreachable) as error:  # of one, it may be that library's own
                    failed.append(error)
                    if len(failed) > 1:
                        break
    if failed:
        raise failed[0]  # what the others said is written; all of them are asked again from where we were
    if refused is not None and not answered:
        raise refused
    with runtime.unit_of_work() as db:
        times = {"looked_at": began, **({"whole_at": began} if whole else {})}
        row = insert(WatchLook).values(user_id=user_id, server_id=server_id, looked_at=began, whole_at=began)
        db.execute(row.on_conflict_do_update(index_elements=["user_id", "server_id"], set_=times))
    return changed


@dataclass(frozen=True)
class _Library:
    """What somebody watched in one library."""

    runtime: Runtime
    user_id: str
    server_id: str
    key: str
    kind: str

    def refresh(self, plex: PlexQuestions, after: int, began: datetime, *, whole: bool) -> int:
        """Write what was watched after a time; `whole`: what is not told of has been unwatched.

        Args:
            plex: in the name of the user.
            after: Unix seconds of Plex.
            began: when we began to ask; what we hear of later, Plex may not know of in its answer.
            whole: `after` leaves nothing out.
        """
        changed, seen = 0, set[str]()
        listing = _Listing(plex, self.key, TYPE_NUMBERS[_LEAVES[self.kind]], after)
        for entries in listing:
            watched = {str(entry["ratingKey"]): entry for entry in entries if _is_watched(entry)}
            seen |= watched.keys()
            with self.runtime.unit_of_work() as db:
                changed += _write(db, self.user_id, self.server_id, watched, began)
        if whole and listing.is_whole:
            with self.runtime.unit_of_work() as db:
                changed += self._forget(db, seen, began)
        return changed

    def _forget(self, db: Session, seen: Collection[str], began: datetime) -> int:
        """What Plex does not tell of any more he has marked as not watched; unless we have heard of it meanwhile."""
        mine = select(MediaItem.id).where(
            MediaItem.server_id == self.server_id,
            MediaItem.section_key == self.key,
            MediaItem.type == _LEAVES[self.kind],
            MediaItem.deleted_at.is_(None),
            MediaItem.rating_key.not_in(seen),
        )
        touched = or_(WatchState.view_count > 0, WatchState.view_offset.is_not(None))
        query = update(WatchState).where(
            WatchState.user_id == self.user_id,
            WatchState.item_id.in_(mine),
            WatchState.updated_at < began,
            touched,
        )
        nothing = {"view_count": 0, "view_offset": None, "last_viewed_at": None}
        forgotten = query.values(**nothing, updated_at=func.clock_timestamp()).returning(WatchState.item_id)
        return len(db.execute(forgotten).all())


class _Listing:
    """What was watched in a library after a time, in parts; `is_whole` once all of it has come for certain.

    What is watched meanwhile goes to the end, and all behind it moves up: so each part is asked for with the last entry
    of the one before. Where the server does not say how many there are, an empty part is the end: what is only as long
    as was asked for may be the beginning of a longer listing.
    """

    def __init__(self, plex: PlexQuestions, key: str, number: int, after: int) -> None:
        self._plex, self._path = plex, f"/library/sections/{key}/all"
        self._asked = {"type": number, "lastViewedAt>>": after, "sort": "lastViewedAt:asc"}
        self.is_whole = False

    def __iter__(self) -> Iterator[list[Mapping[str, Any]]]:
        keys, joined, overlap = list[str](), True, 1
        while len(keys) < _MOST:
            begin = max(0, len(keys) - overlap)
            size = _PAGE + len(keys) - begin
            entries, total = self._part(begin, size)
            told = [str(entry.get("ratingKey")) for entry in entries]
            if overlap and keys and total is None and told == keys[-1:]:
                overlap = 0  # it is the end, or its parts are so short that the last entry is all of one
                continue
            if overlap or told:
                joined = joined and (not keys or told[:1] == keys[-1:])
            known = set(keys)
            new = [entry for key, entry in zip(told, entries, strict=True) if key not in known]
            if new:
                yield new
            keys += [str(entry.get("ratingKey")) for entry in new]
            if not new or (total is not None and len(keys) >= total):
                # The same once more, and more than was asked for, from a server that can't page: that was all.
                again = told == keys and len(entries) > size
                self.is_whole = bool(keys or total == 0) and (joined or again) and total in {None, len(keys)}
                return

    def _part(self, begin: int, size: int) -> tuple[list[Mapping[str, Any]], int | None]:
        part = {"X-Plex-Container-Start": begin, "X-Plex-Container-Size": size}
        return self._plex.page(self._path, self._asked | part)


def _is_watched(entry: Mapping[str, Any]) -> bool:
    """A server that does not know the question tells of all it has."""
    counts = ("viewCount", "viewOffset", "lastViewedAt")
    return bool(entry.get("ratingKey")) and any((int_of(entry.get(name)) or 0) > 0 for name in counts)


def _write(
    db: Session, user_id: str, server_id: str, by_key: Mapping[str, Mapping[str, Any]], began: datetime
) -> int:
    """Take over what Plex says, except where we have heard of something since `began`.

    Nothing here compares our clock with Plex's: what we heard of before we asked, Plex has counted.
    """
    items = db.execute(
        select(MediaItem.rating_key, MediaItem.id).where(
            MediaItem.server_id == server_id,
            MediaItem.rating_key.in_(by_key),
            MediaItem.deleted_at.is_(None),
        )
    )
    values = [
        {
            "user_id": user_id,
            "item_id": item_id,
            "view_count": max(0, int_of(by_key[key].get("viewCount")) or 0),
            "view_offset": max(0, int_of(by_key[key].get("viewOffset")) or 0) or None,
            "last_viewed_at": time_of(by_key[key].get("lastViewedAt")),
            "updated_at": func.clock_timestamp(),
        }
        for key, item_id in items
    ]
    if not values:
        return 0
    query = insert(WatchState).values(values)
    new, told_since = query.excluded, WatchState.updated_at >= began
    changes: dict[str, Any] = {
        "view_count": case(
            (told_since, func.greatest(WatchState.view_count, new.view_count)), else_=new.view_count
        ),
        "view_offset": case((told_since, WatchState.view_offset), else_=new.view_offset),
        "last_viewed_at": case(
            (told_since, func.coalesce(WatchState.last_viewed_at, new.last_viewed_at)),
            else_=new.last_viewed_at,
        ),
    }
    differs = or_(*(getattr(WatchState, name).is_distinct_from(value) for name, value in changes.items()))
    query = query.on_conflict_do_update(
        index_elements=["user_id", "item_id"], set_={**changes, "updated_at": new.updated_at}, where=differs
    )
    return len(db.execute(query.returning(WatchState.item_id)).all())
