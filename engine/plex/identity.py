"""Recognises items again: Plex gives an item another key when it is removed and added again, moved or merged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from engine.plex import staging

Trait = Callable[[staging.Known], str | None]

_NAMELESS = (
    "local://",
    "none://",
    "com.plexapp.agents.none://",
)  # guids that say nothing of what the item is


@dataclass
class Kept:
    """What was recognised: ids of the items, the keys they had, and which of them had been deleted."""

    ids: set[str] = field(default_factory=set)
    old_keys: set[str] = field(default_factory=set)
    restored: set[str] = field(default_factory=set)


def suspects(db: Session, server_id: str, present: Collection[str]) -> list[staging.Known]:
    """Live items that look like staged ones with a new key, and so may be gone; those with `present` keys are not."""
    found = staging.relatives(db, server_id)
    return [entry for entry in found if not entry.deleted and entry.rating_key not in present]


def keep(db: Session, server_id: str, gone: Collection[str]) -> Kept:
    """Give items whose key is gone the key under which they came back, so that they stay the same items.

    The same file is the same item; else the same guid and edition, where no two items share them.
    """
    kept = Kept()
    old = [entry for entry in staging.relatives(db, server_id) if entry.deleted or entry.rating_key in gone]
    if not old:
        return kept
    fresh = staging.fresh(db, server_id)
    pairs = _pair(fresh, old, lambda entry: entry.file, once=False)
    left = [entry for entry in fresh if entry.rating_key not in {key for _, key in pairs.values()}]
    rest = [entry for entry in old if entry.id not in pairs]
    pairs |= _pair(left, rest, _telling_guid, once=True)
    kept.ids = set(pairs)
    kept.old_keys = {before for before, _ in pairs.values()}
    kept.restored = staging.adopt(db, [(item, now) for item, (_, now) in pairs.items()])
    return kept


def _telling_guid(entry: staging.Known) -> str | None:
    if entry.guid is None or entry.guid.startswith(_NAMELESS):
        return None
    return f"{entry.guid}\n{entry.edition or ''}"  # the editions of a film share its guid


def _pair(
    fresh: Iterable[staging.Known], old: Iterable[staging.Known], trait: Trait, *, once: bool
) -> dict[str, tuple[str, str]]:
    """Pairs that share a trait, by id: the key before and the key now; with `once` only where it is unmistakable."""
    wanted, offered = _by(trait, fresh), _by(trait, old)
    pairs = {}
    for what, candidates in offered.items():
        takers = wanted.get(what, [])
        live = [entry for entry in candidates if not entry.deleted] or candidates[:1]
        if once and (len(takers) != 1 or len(live) != 1):
            continue
        for taker, found in zip(takers, live, strict=False):
            pairs[found.id] = (found.rating_key, taker.rating_key)
    return pairs


def _by(trait: Trait, entries: Iterable[staging.Known]) -> Mapping[tuple[str, str], list[staging.Known]]:
    found: defaultdict[tuple[str, str], list[staging.Known]] = defaultdict(list)
    for entry in entries:
        value = trait(entry)
        if value is not None:
            found[entry.type, value].append(entry)
    return found
