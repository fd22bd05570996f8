"""Asking for a film, a series or a video: one request for each thing; who asks again follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from config.settings import Settings
from engine import audit
from engine.audit import SERVER, Actor, Subject
from engine.correlation import correlation_id
from engine.downloads import requested
from engine.errors import AlreadyThere, Forbidden, Unauthorized, ValidationFailed
from engine.formats import CAPS
from engine.media_requests import availability, following, rules, transitions
from engine.media_requests.availability import Availability, TitleIds
from engine.media_requests.rules import RuleDecision, Wished
from engine.permissions import Permission, permissions_of
from engine.runtime import Runtime
from engine.stores import locks
from engine.stores.locks import Hashed
from engine.titles import titles
from engine.titles.normal import Type
from engine.titles.titles import TitleFacts
from models.base import new_id
from models.media_request import MediaRequest, RequestSeason
from models.user import User

RequestSource = Literal["user", "watchlist", "overseerr"]

QUALITIES = tuple(CAPS)
MOST_SEASONS = 500

_now = func.clock_timestamp


@dataclass(frozen=True)
class Wish:
    """What somebody asks for: a film or series by its id at TMDB, or a video by its URL.

    Attributes:
        media_type: movie, tv or video.
        seasons: of a series: numbers, `all` that were aired, or the `latest` of them; specials only by their number 0.
        quality: of a film or series the best that is wanted; of a video as for a download.
    """

    media_type: str
    tmdb_id: str | None = None
    seasons: Sequence[int] | Literal["all", "latest"] = "all"
    quality: str | None = None
    comment: str | None = None
    url: str | None = None
    format: str | None = None
    download_path: str | None = None


@dataclass(frozen=True)
class AskedFor:
    """The request of a wish; `created`: there was none before."""

    request: MediaRequest
    created: bool


def ask(
    runtime: Runtime, wish: Wish, actor: Actor, *, user_id: str, source: RequestSource = "user"
) -> AskedFor:
    """Ask for something, by all rules and quotas.

    Args:
        runtime: for units of work; none should be open, as TMDB may be asked.
        wish: what is asked for.
        actor: who does it, for the audit log.
        user_id: who asks.
        source: where the wish comes from.

    Raises:
        ValidationFailed: a value is not accepted; says what is.
        NotFound: TMDB has no such title.
        AlreadyThere: all of it is in Plex.
        Forbidden: a rule blocks it.
        QuotaExceeded: not now.
        ServiceUnavailable, UpstreamFailed: TMDB is needed and does not answer.
        Unauthorized: the user was disabled or deleted this moment.
    """
    if wish.media_type == "video":
        return _ask_for_video(runtime, wish, actor, user_id, source)
    if wish.quality is not None and wish.quality not in QUALITIES:
        raise ValidationFailed("Unknown quality.", quality=f"Must be one of: {', '.join(QUALITIES)}.")
    facts = titles.look_up(runtime, cast(Type, wish.media_type), wish.tmdb_id or "")
    wanted = seasons_wanted(facts, wish.seasons) if facts.type == "tv" else []
    with runtime.unit_of_work() as db:
        locks.hold(db, locks.hashed(Hashed.REQUESTED_TITLE, f"{facts.type}:{facts.tmdb_id}"))
        return _OneWish(db, runtime.settings, wish, actor, _active(db, user_id), source).title(facts, wanted)


def seasons_wanted(facts: TitleFacts, seasons: Sequence[int] | Literal["all", "latest"]) -> list[int]:
    """The numbers of the seasons that are asked for, in order; of a series that was not aired yet all announced ones.

    Raises:
        ValidationFailed: there is no such season.
    """
    there = {season.number: season for season in facts.seasons}
    if not isinstance(seasons, str):
        unknown = sorted(set(seasons) - there.keys())
        if unknown or not seasons:
            known = ", ".join(map(str, sorted(there))) or "none yet"
            raise ValidationFailed("There is no such season.", seasons=f"Must be some of: {known}.")
        return sorted(set(seasons))
    regular = [season for season in facts.seasons if season.number > 0]
    aired = [season.number for season in regular if season.aired] or [season.number for season in regular]
    if not aired:
        raise ValidationFailed("TMDB knows no season of it yet.", seasons="There is none yet.")
    return sorted(aired) if seasons == "all" else [max(aired)]


def _ask_for_video(
    runtime: Runtime, wish: Wish, actor: Actor, user_id: str, source: RequestSource
) -> AskedFor:
    checked = requested.row(
        runtime.settings,
        user_id=user_id,
        url=wish.url or "",
        quality=wish.quality,
        format=wish.format,
        download_path=wish.download_path,
    )
    with runtime.unit_of_work() as db:
        locks.hold(db, locks.hashed(Hashed.REQUESTED_TITLE, f"video:{checked['url_key']}"))
        return _OneWish(db, runtime.settings, wish, actor, _active(db, user_id), source).video(checked)


def _active(db: Session, user_id: str) -> User:
    user = db.get(User, user_id)
    if user is None or user.disabled_at is not None or user.deleted_at is not None:
        raise Unauthorized("This account is not active any more.")
    return user


class _OneWish:
    """One wish of one user, under the lock of its title."""

    def __init__(
        self, db: Session, settings: Settings, wish: Wish, actor: Actor, user: User, source: RequestSource
    ) -> None:
        self._db, self._settings, self._wish = db, settings, wish
        self._actor, self._user, self._source = actor, user, source

    def title(self, facts: TitleFacts, wanted: Sequence[int]) -> AskedFor:
        """Ask for a film or series."""
        ids = TitleIds.of(facts)
        there = availability.of(self._db, self._settings, [ids])[ids.key]
        missing = _missing(there, facts, wanted)
        if not missing:
            raise AlreadyThere("It is in Plex already.", {"itemId": there.item_id})
        known = self._known(MediaRequest.media_type == facts.type, MediaRequest.tmdb_id == facts.tmdb_id)
        decision = self._decision(
            Wished(
                facts.type,
                self._user.role,
                self._user.id,
                facts.year,
                facts.genres,
                facts.language,
                facts.content_rating,
            )
        )
        columns = {
            "tmdb_id": facts.tmdb_id,
            "imdb_id": facts.imdb_id,
            "tvdb_id": facts.tvdb_id,
            "title": facts.title,
            "year": facts.year,
            "poster": facts.poster,
            "quality": self._wish.quality,
        }
        if facts.type == "movie":
            return self._one(known, decision, columns)
        return self._seasons(known, decision, columns, missing)

    def video(self, checked: dict[str, Any]) -> AskedFor:
        """Ask for a video."""
        known = self._known(MediaRequest.url_key == checked["url_key"])
        decision = self._decision(Wished("video", self._user.role, self._user.id))
        columns = {
            "url": checked["url"],
            "url_key": checked["url_key"],
            "title": checked["url"],
            "quality": checked["quality"],
            "format": checked["format"],
            "download_path": checked["folder"],
        }
        return self._one(known, decision, columns)

    def _known(self, *which: Any) -> list[MediaRequest]:
        query = select(MediaRequest).where(*which).order_by(MediaRequest.id).with_for_update()
        return list(self._db.scalars(query))

    def _decision(self, wished: Wished) -> RuleDecision:
        found = rules.decide(rules.get(self._db).rules, wished)
        if found is not None and found.verdict == "block":
            raise Forbidden(found.reason or "This can't be asked for here.")
        if found is None and Permission.REQUESTS_MANAGE in permissions_of(self._user.role):
            return RuleDecision("approve", None)
        return found or RuleDecision("ask", None)

    def _one(self, known: list[MediaRequest], decision: RuleDecision, columns: dict[str, Any]) -> AskedFor:
        """A film or video, of which there is one request for ever."""
        if not known:
            return self._created(decision, columns, ())
        return self._again(known[0], decision)

    def _seasons(
        self,
        known: list[MediaRequest],
        decision: RuleDecision,
        columns: dict[str, Any],
        missing: Sequence[int],
    ) -> AskedFor:
        """A series: a season belongs to one request."""
        owners = {
            number: request_id
            for request_id, number in self._db.execute(
                select(RequestSeason.request_id, RequestSeason.number).where(
                    RequestSeason.tmdb_id == columns["tmdb_id"]
                )
            )
        }
        by_id = {request.id: request for request in known}
        for request_id in dict.fromkeys(owners[number] for number in missing if number in owners):
            self._again(by_id[request_id], decision)
        free = [number for number in missing if number not in owners]
        if not free:
            return AskedFor(by_id[owners[missing[-1]]], created=False)
        pending = next((request for request in known if request.status == "pending"), None)
        if pending is None:
            return self._created(decision, columns, free)
        if pending.user_id != self._user.id:  # else a quota would be none for who waits until others ask
            locks.hold(self._db, locks.hashed(Hashed.REQUESTS_OF_USER, self._user.id))
            rules.take_place(self._db, self._user)
        self._add_seasons(pending, free)
        following.add(self._db, pending.id, self._user.id, own=False)
        return AskedFor(pending, created=False)

    def _again(self, request: MediaRequest, decision: RuleDecision) -> AskedFor:
        """Follow a request that exists; a new comment makes a denied one pending again."""
        following.add(self._db, request.id, self._user.id, own=False)
        if request.status == "pending":
            self._settle(request, decision)
        if request.status == "denied" and self._wish.comment not in (None, "", request.comment):
            text = f"Asked again by {self._user.name}."
            step = transitions.move(
                self._db,
                request,
                "pending",
                actor=self._actor,
                text=text,
                comment=self._wish.comment,
                deny_reason=None,
                decided_by=None,
                decided_at=None,
            )
            self._settle(request, decision)
            if request.status == "pending":
                transitions.announce(self._db, request, step, "request.new", self._actor)
        return AskedFor(request, created=False)

    def _add_seasons(self, request: MediaRequest, numbers: Sequence[int]) -> None:
        self._db.add_all(
            RequestSeason(request_id=request.id, number=number, tmdb_id=request.tmdb_id) for number in numbers
        )
        listed = ", ".join(map(str, numbers))
        text = f"{self._user.name} asked for more of it: season {listed}."
        transitions.note(self._db, request, "seasons", text, self._actor)
        transitions.publish(self._db, request, self._actor)

    def _created(self, decision: RuleDecision, columns: dict[str, Any], seasons: Sequence[int]) -> AskedFor:
        db, user = self._db, self._user
        locks.hold(db, locks.hashed(Hashed.REQUESTS_OF_USER, user.id))
        rules.take_place(db, user)
        request = MediaRequest(
            id=new_id("req"),
            media_type=self._wish.media_type,
            status="pending",
            comment=self._wish.comment,
            user_id=user.id,
            source=self._source,
            updated_at=_now(),
            correlation_id=correlation_id(),
            **columns,
        )
        db.add(request)
        db.flush()
        db.add_all(
            RequestSeason(request_id=request.id, number=number, tmdb_id=request.tmdb_id) for number in seasons
        )
        following.add(db, request.id, user.id, own=True)
        text = (
            f"On the Plex watchlist of {user.name}."
            if self._source == "watchlist"
            else f"Asked by {user.name}."
        )
        step = transitions.note(db, request, "asked", text, self._actor)
        audit.record(db, "request.created", self._actor, Subject("request", request.id, request.title))
        self._settle(request, decision)
        if request.status == "pending":
            transitions.announce(db, request, step, "request.new", self._actor)
            transitions.publish(db, request, self._actor)
        db.refresh(request)
        return AskedFor(request, created=True)

    def _settle(self, request: MediaRequest, decision: RuleDecision) -> None:
        """Approve at once what a rule approves, or who may approve asks for."""
        if decision.verdict != "approve":
            return
        by_rule = Permission.REQUESTS_MANAGE not in permissions_of(self._user.role)
        text = "Approved by a rule." if by_rule else f"Approved, as {self._user.name} may approve."
        transitions.move(
            self._db,
            request,
            "approved",
            actor=SERVER if by_rule else self._actor,
            text=text,
            decided_at=_now(),
            decided_by=None if by_rule else self._user.id,
        )


def replace_seasons(db: Session, request: MediaRequest, numbers: Sequence[int]) -> None:
    """Have a pending request ask for other seasons, none of which another one asks for.

    Raises:
        ValidationFailed: somebody else asked for one of them.
    """
    taken = set(
        db.scalars(
            select(RequestSeason.number).where(
                RequestSeason.tmdb_id == request.tmdb_id,
                RequestSeason.request_id != request.id,
                RequestSeason.number.in_(numbers),
            )
        )
    )
    if taken:
        listed = ", ".join(map(str, sorted(taken)))
        raise ValidationFailed(
            "Another request asks for that season.", seasons=f"Asked for elsewhere: {listed}."
        )
    db.execute(delete(RequestSeason).where(RequestSeason.request_id == request.id))
    db.add_all(RequestSeason(request_id=request.id, number=one, tmdb_id=request.tmdb_id) for one in numbers)


def _missing(there: Availability, facts: TitleFacts, wanted: Sequence[int]) -> list[int]:
    """What of it is not in Plex: of a film `[0]` or nothing, of a series numbers of seasons."""
    if facts.type == "movie":
        return [] if there.plex else [0]
    complete = {season.number for season in there.seasons if season.complete}
    return [number for number in wanted if number not in complete]
