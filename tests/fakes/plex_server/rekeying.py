"""Other rating keys for the same items, as after a database was restored or made anew."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fakes.plex_server.items import Item
from tests.fakes.plex_server.library import Library


def rekey(library: Library, keys: Mapping[int, int], *, touch: bool = True) -> None:
    """Give items other rating keys, all at once; without `touch` Plex does not say that anything has changed.

    Args:
        library: of the double.
        keys: the new ones by the old ones.
        touch: `updatedAt` moves.
    """
    with library.lock:
        named = {keys[old]: library.items.pop(old) for old in keys}
        assert not named.keys() & library.items.keys(), "a key for two"
        for key, item in named.items():
            item.id = key
            library.items[key] = item
            library._stale(item)
            if touch:
                item.updated_at = max(item.updated_at, library.clock())
        for section in library.sections.values():
            for kind, items in section.items.items():
                section.items[kind] = {item.id: item for item in items.values()}
            library._moved(section)
        library._ids = max(library._ids, *library.items)


def exchange(library: Library, one: Item, other: Item, **how: bool) -> None:
    """Two items exchange their rating keys."""
    rekey(library, {one.id: other.id, other.id: one.id}, **how)


def shift(library: Library, by: int = 1, **how: bool) -> None:
    """All items get the key of the one before or behind them, and those at the end a new one."""
    rekey(library, {key: key + by for key in library.items}, **how)
