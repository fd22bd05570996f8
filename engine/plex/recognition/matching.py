"""Entity resolution between Plex and the catalogue: by what an item is, never by its rating key alone.

Plex reassigns rating keys when an item is removed and added again, moved or merged, and when its database is rebuilt.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

# Guids that identify an entry by its place in a server, not by its work.
_NAMELESS = re.compile(r"(local|none|(com\.plexapp|tv\.plex)\.agents\.(none|localmedia))://")


class Traits(NamedTuple):
    """The traits by which an item may be matched.

    Attributes:
        id: of the item in the catalogue; of one that Plex tells of, any.
        parent_key, grandparent_key: rating keys of its season and show.
        parent_index, item_index: number of the season and of the episode; a season has its own in `item_index`.
        title: as it is sorted by.
        deleted: Plex no longer has it, as far as the catalogue knows.
    """

    id: str
    rating_key: str
    section_key: str
    type: str
    guid: str | None = None
    edition: str | None = None
    imdb_id: str | None = None
    tmdb_id: str | None = None
    tvdb_id: str | None = None
    file: str | None = None
    parent_key: str | None = None
    grandparent_key: str | None = None
    parent_index: int | None = None
    item_index: int | None = None
    title: str = ""
    show_title: str | None = None
    year: int | None = None
    deleted: bool = False

    @property
    def ids(self) -> tuple[str | None, ...]:
        """Its external ids."""
        return self.imdb_id, self.tmdb_id, self.tvdb_id

    @property
    def show_key(self) -> str | None:
        """The rating key of the show of a season or episode."""
        return self.parent_key if self.type == "season" else self.grandparent_key


Trait = Callable[[Traits], Hashable]
Doubt = Callable[[Traits, Traits], bool]


def recognise(now: Iterable[Traits], before: Iterable[Traits]) -> dict[str, Traits]:
    """The known items by their current rating keys; new and removed items are not among them.

    Traits are applied to the whole set, the strongest first: guid, external ids, file, show with numbers, title with
    year. A trait pairs two items where its value is unique on both sides; items that share a value are told apart by a
    weaker trait as well. The rating key counts least: it never outweighs a trait that contradicts it.

    Args:
        now: items that Plex lists, each rating key once.
        before: the candidates of the catalogue: items whose key is gone, or is that of one in `now`, and deleted ones.
            Items that are unchanged under their key are in neither.
    """
    pairing = _Pairing(now, before)
    for traits in _STRONG:
        pairing.apply(*traits)
    pairing.by_episodes()
    pairing.by_title("show")
    pairing.know_shows()
    for traits in _PLACES:
        pairing.apply(*traits, kinds={"season", "episode"})
    pairing.by_title("movie")
    pairing.apply(_key, _show_key, unless=_contradict)
    return pairing.found


class _Pairing:
    """The unpaired items of both sides, and the pairs so far."""

    def __init__(self, now: Iterable[Traits], before: Iterable[Traits]) -> None:
        self.found: dict[str, Traits] = {}
        self._told = {item.rating_key: item for item in now}
        self._now = {key: _named(item) for key, item in self._told.items()}
        self._items = {item.id: item for item in before}
        self._before = {key: _named(item) for key, item in self._items.items()}

    def apply(self, *traits: Trait, kinds: set[str] | None = None, unless: Doubt | None = None) -> None:
        """Pair items whose values of all these traits are unique on both sides; live ones before deleted ones."""
        if not self._before or not self._now:
            return
        takers = _grouped(self._now.values(), traits, kinds)
        for value, candidates in _grouped(self._before.values(), traits, kinds).items():
            wanted = takers.get(value, ())
            offered = [item for item in candidates if not item.deleted] or candidates
            if len(wanted) == len(offered) == 1 and not (unless and unless(wanted[0], offered[0])):
                self._join(wanted[0], offered[0])

    def by_title(self, kind: str) -> None:
        """Pair works of one title and year; under different keys only where guids and ids don't contradict."""
        self.apply(_title, _known_year, _edition, _key, kinds={kind})
        for traits in _TITLES:
            self.apply(*traits, kinds={kind}, unless=_are_different)

    def by_episodes(self) -> None:
        """Pair seasons and shows whose episodes have been recognised."""
        for kind, above in (("season", _parent_key), ("show", _grandparent_key)):
            wanted, offered = (
                defaultdict[Hashable, set[Hashable]](set),
                defaultdict[Hashable, set[Hashable]](set),
            )
            for key, old in self.found.items():
                if old.type == "episode":
                    wanted[above(self._told[key])].add(above(old))
                    offered[above(old)].add(above(self._told[key]))
            of_kind = [item for item in self._before.values() if item.type == kind]
            # A live one, where a deleted one had the same key once.
            by_key = {item.rating_key: item for item in sorted(of_kind, key=lambda item: not item.deleted)}
            for key in [key for key, item in self._now.items() if item.type == kind]:
                told = wanted.get(key, set())
                old_key = next(iter(told)) if len(told) == 1 else None
                if old_key in by_key and len(offered[old_key]) == 1:
                    self._join(self._now[key], by_key[old_key])

    def know_shows(self) -> None:
        """Give the unpaired items the former keys of their shows, so that their numbers can be compared."""
        for key, item in self._now.items():
            show = item.show_key
            if show in self._told:
                old = self.found.get(show)
                known = None if old is None else old.rating_key
                season = item.type == "season"
                self._now[key] = (
                    item._replace(parent_key=known) if season else item._replace(grandparent_key=known)
                )

    def _join(self, now: Traits, before: Traits) -> None:
        self.found[now.rating_key] = self._items[before.id]
        del self._now[now.rating_key], self._before[before.id]


def _named(item: Traits) -> Traits:
    """An item with its guid less the language, and without a guid that identifies no work."""
    guid = item.guid
    if not guid or _NAMELESS.match(guid):
        return item if guid is None else item._replace(guid=None)
    return item._replace(guid=guid.partition("?")[0]) if "?" in guid else item


def _grouped(
    items: Iterable[Traits], traits: Sequence[Trait], kinds: set[str] | None
) -> dict[Hashable, list[Traits]]:
    """Items by their values of all these traits; items that lack one are left out."""
    found = defaultdict[Hashable, list[Traits]](list)
    strongest, *others = traits
    for item in items:
        value = strongest(item)
        if value is None or (kinds is not None and item.type not in kinds):
            continue
        values = (item.type, value, *[trait(item) for trait in others])
        if None not in values:
            found[values].append(item)
    return found


def _are_different(one: Traits, other: Traits) -> bool:
    """Whether the same kind of guid or external id has different values: two works."""
    known = [(a, b) for a, b in zip(one.ids, other.ids, strict=True) if a and b]
    if any(a == b for a, b in known):
        return False
    if known or not one.guid or not other.guid:
        return bool(known)
    return one.guid != other.guid and one.guid.partition("://")[0] == other.guid.partition("://")[0]


def _contradict(one: Traits, other: Traits) -> bool:
    """Whether some trait differs and none agrees."""
    pairs = [(one.guid, other.guid), *zip(one.ids, other.ids, strict=True), (one.file, other.file)]
    known = [(a, b) for a, b in pairs if a and b]
    if any(a == b for a, b in known):
        return False
    numbers = [(one.parent_index, other.parent_index), (one.item_index, other.item_index)]
    moved = any(a is not None and b is not None and a != b for a, b in numbers)
    return bool(known) or (one.type != "show" and moved)


_name = attrgetter("guid")  # which identifies a work by then
_file = attrgetter("file")
_key = attrgetter("rating_key")
_parent_key = attrgetter("parent_key")
_grandparent_key = attrgetter("grandparent_key")
_section = attrgetter("section_key")
_year = attrgetter("year")


def _edition(item: Traits) -> Hashable:
    return item.edition or ""


def _file_name(item: Traits) -> Hashable:
    return None if item.file is None else re.split(r"[/\\]", item.file)[-1]


def _place(item: Traits) -> Hashable:
    """Season and number of an episode, number of a season; nothing more of films."""
    if item.type == "season":
        return item.item_index
    return item.parent_index, item.item_index


def _numbers(item: Traits) -> Hashable:
    place = item.parent_index, item.item_index
    return item.item_index if item.type == "season" else None if None in place else place


def _title(item: Traits) -> Hashable:
    return item.title or None


def _show_key(item: Traits) -> Hashable:
    return item.show_key if item.type in {"season", "episode"} else ""


def _show(item: Traits) -> Hashable:
    return item.show_title or ""


def _live(item: Traits) -> Hashable:
    return None if item.deleted else True


def _known_year(item: Traits) -> Hashable:
    return item.year or 0


def _same_work(trait: Trait) -> tuple[tuple[Trait, ...], ...]:
    """Steps by a trait that names a work, of which there may be several editions and copies."""
    return (
        (trait, _file),
        (trait, _edition, _file_name),
        (trait, _edition, _key),
        (trait, _edition, _section),
        (trait, _edition),
    )


_STRONG: tuple[tuple[Trait, ...], ...] = (
    *_same_work(_name),
    *_same_work(attrgetter("imdb_id")),
    *_same_work(attrgetter("tmdb_id")),
    *_same_work(attrgetter("tvdb_id")),
    (_file, _place, _section),  # a file may hold two episodes, and lie in two libraries
    (_file, _place),
    (_file, _title),
    (_file, _key),
    (_file,),
)
_PLACES: tuple[tuple[Trait, ...], ...] = (
    (_live, _show_key, _numbers),
    (_show_key, _show, _numbers),  # a deleted item refers to its show by a key that may be reassigned by now
    (_live, _show_key, _title),
)
_TITLES: tuple[tuple[Trait, ...], ...] = (
    (_title, _known_year, _edition, _file_name),
    (_title, _year, _edition, _section),
    (_title, _year, _edition),
)
