"""Many downloads asked for at once: each is judged on its own, and one that is refused keeps back no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads import downloads, requested
from engine.errors import MediaNestError
from engine.job_names import Job
from engine.jobs.bell import enqueue
from engine.stores import locks
from engine.stores.locks import Named
from models.download import Download

MOST = 200
_BELLS = 20  # rung at most: each that ends rings for the next, and the reconciler for more workers than that

_Key = tuple[str, str, str]  # what one wish of a user is known by: video, quality, format


@dataclass(frozen=True)
class Outcome:
    """What became of one wish: a row, which is `new` or was there already, or an error."""

    row: Download | None = None
    new: bool = False
    error: MediaNestError | None = None


def create_each(
    db: Session,
    settings: Settings,
    wishes: Sequence[Mapping[str, Any] | MediaNestError],
    *,
    user_id: str,
    count: Callable[[], None],
) -> list[Outcome]:
    """Ask for each of the videos, as `downloads.create` does; a few statements for all of them.

    Args:
        db: a unit of work.
        settings: as they are now.
        wishes: the keyword arguments of `downloads.create`, or why a wish can't be read.
        user_id: whose wishes they are.
        count: called once where there is a new one; where it raises, all new ones are refused with that.

    Returns:
        An outcome for each wish, in their order. Of equal ones only the first is new.

    Raises:
        Unauthorized: the user was disabled or deleted this moment.
    """
    values = [_values(settings, wish, user_id) for wish in wishes]
    first: dict[_Key, dict[str, Any]] = {}
    for each in values:
        if isinstance(each, dict):
            first.setdefault(_key(each), each)
    # Two such calls that name the same videos in another order would wait for each other's rows.
    locks.hold(db, locks.named(Named.DOWNLOADS_OF_USER, user_id))
    downloads.hold_user(db, user_id)
    outcomes = _added_or_active(db, user_id, first)
    _count(db, outcomes, count)
    return [
        Outcome(error=each)
        if isinstance(each, MediaNestError)
        else _later(outcomes[_key(each)], is_first=first[_key(each)] is each)
        for each in values
    ]


def _values(
    settings: Settings, wish: Mapping[str, Any] | MediaNestError, user_id: str
) -> dict[str, Any] | MediaNestError:
    if isinstance(wish, MediaNestError):
        return wish
    try:
        return requested.row(settings, user_id=user_id, **wish)
    except MediaNestError as error:
        return error


def _key(values: Mapping[str, Any]) -> _Key:
    return values["url_key"], values["quality"], values["format"]


def _later(outcome: Outcome, *, is_first: bool) -> Outcome:
    """The outcome of one of several equal wishes."""
    return outcome if is_first or not outcome.new else Outcome(outcome.row)


def _added_or_active(db: Session, user_id: str, wanted: Mapping[_Key, dict[str, Any]]) -> dict[_Key, Outcome]:
    """New rows, or the active ones of the same wishes; tries again where one ends between the two statements."""
    adding = insert(Download).on_conflict_do_nothing().returning(Download)
    found: dict[_Key, Outcome] = {}
    while left := [key for key in wanted if key not in found]:
        found |= _by_key(db.scalars(adding, [wanted[key] for key in left]), new=True)
        active = select(Download).where(
            Download.user_id == user_id,
            Download.ended_at.is_(None),
            tuple_(Download.url_key, Download.quality, Download.format).in_(
                [key for key in left if key not in found]
            ),
        )
        found |= _by_key(db.scalars(active), new=False)
    return found


def _by_key(rows: Iterable[Download], *, new: bool) -> dict[_Key, Outcome]:
    return {(row.url_key, row.quality, row.format): Outcome(row, new) for row in rows}


def _count(db: Session, outcomes: dict[_Key, Outcome], count: Callable[[], None]) -> None:
    """Count the new rows as one submission, and ring for them; take them back where that is refused."""
    new = {key: outcome.row.id for key, outcome in outcomes.items() if outcome.new and outcome.row}
    try:
        if new:
            count()
    except MediaNestError as refusal:
        outcomes.update(dict.fromkeys(new, Outcome(error=refusal)))
        db.execute(delete(Download).where(Download.id.in_(new.values())))
        return
    for _ in range(min(len(new), _BELLS)):
        enqueue(db, Job.DOWNLOAD)
