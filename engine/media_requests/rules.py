"""Rules and quotas of requests: the first rule that fits decides; a quota counts requests of some days."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from engine import audit, events
from engine.audit import Actor, Subject
from engine.errors import QuotaExceeded, ValidationFailed
from models.media_request import MediaRequest, RequestRules
from models.user import User

Verdict = Literal["approve", "block", "ask"]
VERDICTS: tuple[Verdict, ...] = ("approve", "block", "ask")

_ONE = 1  # the id of the only row
_now = func.clock_timestamp


@dataclass(frozen=True)
class Wished:
    """What rules look at: of a video only type, role and user are known."""

    media_type: str
    role: str
    user_id: str
    year: int | None = None
    genres: Sequence[str] = ()
    language: str | None = None
    content_rating: str | None = None


@dataclass(frozen=True)
class RuleDecision:
    """What a rule decides, and the reason that it gives."""

    verdict: Verdict
    reason: str | None


@dataclass(frozen=True)
class Quota:
    """How much of a quota is used; `resets_at`: when the next place comes free."""

    limit: int
    days: int
    used: int
    resets_at: datetime | None

    @property
    def left(self) -> int:
        """How much may be asked for now."""
        return max(0, self.limit - self.used)


def get(db: Session) -> RequestRules:
    """The rules and quotas; empty where nobody made any."""
    return db.get(RequestRules, _ONE) or RequestRules(id=_ONE, rules=[], quotas={})


def put(
    db: Session,
    actor: Actor,
    *,
    rules: Sequence[Mapping[str, Any]] | None = None,
    quotas: Mapping[str, Any] | None = None,
) -> RequestRules:
    """Replace the rules, the quotas of roles, or both; what is None stays.

    Raises:
        ValidationFailed: a rule could never hold.
    """
    for rule in rules or ():
        match = rule.get("match") or {}
        if (match.get("minYear") or 0) > (match.get("maxYear") or 9999):
            raise ValidationFailed("This rule would never hold.", rules="minYear must not be after maxYear.")
    before = get(db)
    kept = list(before.rules if rules is None else rules)
    values = {
        "rules": kept,
        "quotas": dict(before.quotas if quotas is None else quotas),
        "updated_at": _now(),
        "updated_by": actor.user_id,
    }
    query = insert(RequestRules).values(id=_ONE, **values)
    db.execute(query.on_conflict_do_update(index_elements=["id"], set_=values))
    db.expire_all()
    audit.record(db, "request_rules.changed", actor, Subject("request_rules", None), rules=len(kept))
    return get(db)


def decide(rules: Sequence[Mapping[str, Any]], wished: Wished) -> RuleDecision | None:
    """The decision of the first rule that fits; None where none does."""
    for rule in rules:
        if _fits(rule.get("match") or {}, wished):
            return RuleDecision(rule["then"], rule.get("reason"))
    return None


def _fits(match: Mapping[str, Any], wished: Wished) -> bool:
    """Whether all conditions of a rule hold; one about what is not known does not."""
    genres = {genre.casefold() for genre in wished.genres}
    year = wished.year
    conditions: Mapping[str, Callable[[Any], bool]] = {
        "mediaType": lambda value: value == wished.media_type,
        "genres": lambda value: any(genre.casefold() in genres for genre in value),
        "languages": lambda value: wished.language in value,
        "contentRatings": lambda value: wished.content_rating in value,
        "role": lambda value: value == wished.role,
        "userId": lambda value: value == wished.user_id,
        "minYear": lambda value: year is not None and year >= value,
        "maxYear": lambda value: year is not None and year <= value,
    }
    return all(conditions[name](value) for name, value in match.items() if value not in (None, []))


def quota_of(db: Session, user: User) -> Quota | None:
    """The quota of a user: their own, else that of their role; None where there is none."""
    found = user.requests_per_days or get(db).quotas.get(user.role)
    if not found:
        return None
    limit, days = found["count"], found["days"]
    since = _now() - timedelta(days=days)
    mine = (
        MediaRequest.user_id == user.id,
        MediaRequest.source != "overseerr",
        MediaRequest.created_at > since,
    )
    used = db.scalar(select(func.count()).where(*mine)) or 0
    at = select(MediaRequest.created_at).where(*mine).order_by(MediaRequest.created_at.desc())
    # A place comes free when the one that keeps the quota full is too old.
    oldest = db.scalar(at.offset(limit - 1).limit(1)) if 0 < limit <= used else None
    return Quota(limit, days, used, None if oldest is None else oldest + timedelta(days=days))


def take_place(db: Session, user: User) -> None:
    """Check that a user may ask for one more; under their lock.

    Raises:
        QuotaExceeded: not now.
    """
    quota = quota_of(db, user)
    if quota is None or quota.used < quota.limit:
        return
    resets = None if quota.resets_at is None else events.timestamp(quota.resets_at)
    unit = "a day" if quota.days == 1 else f"{quota.days} days"
    said = (
        f"You may ask for {quota.limit} in {unit}, and did."
        if quota.limit
        else "You may not ask for anything."
    )
    raise QuotaExceeded(
        said,
        {"limit": quota.limit, "used": quota.used, "resetsAt": resets},
    )
