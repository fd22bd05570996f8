"""Reads a listing page by page, and marks pages after which items may be missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]
Ask = Callable[[int, int], tuple[Sequence[Item], int | None, int | None]]

PAGE = 500
AT_ONCE = 1_000_000  # items: more than any library has, so that all of it is one page
_LONGEST_KEY = 200
_MOST = 2_000_000  # items of a listing that never ends


class Endless(Exception):
    """A listing that never ends."""


@dataclass(frozen=True)
class ListingPage:
    """A page of a listing.

    Attributes:
        items: as Plex sent them; an entry that is no object is empty. start: the number of the first.
        total: of the whole listing, where the server says so.
        joined: it continues the page before; if not, the listing has changed meanwhile and items may be missing.
    """

    items: Sequence[Item]
    start: int
    total: int | None
    joined: bool = True


def pages(ask: Ask, size: int) -> Iterator[ListingPage]:
    """A listing, page by page; a server that ignores paging gives one large page.

    Each page is asked for with the last item of the one before: where that is missing, items were removed meanwhile,
    the rest has moved up, and as many were passed over. Such a page is not `joined`. Where the server does not say how
    many items there are, the listing has ended when nothing comes behind its last item.

    Args:
        ask: for the items from a number on, and how many of them; returns them, the total where it is told, and the
            number of the first where it is told.
        size: items of a page.

    Raises:
        Endless: there are always more, and never a total.
    """
    start, anchor, last = 0, 0, None  # how far we are; the last item with a key, and its number
    overlapping, seen = True, set[str]()
    while start < _MOST:
        begin = anchor if overlapping and last is not None else start
        asked = size + start - begin
        items, total, offset = ask(begin, asked)
        if begin and offset not in {None, begin}:
            yield ListingPage((), start, total, joined=False)  # it gives another part than was asked for
            return
        keys = [key_of(item) for item in items]
        joined = begin == start or last in keys
        new = items[keys.index(last) + start - begin :] if begin < start and joined else items
        if begin < start and not new and (total is None or start < total):
            overlapping = False  # it is the end, or its pages are so short that the last item is all of one
            continue
        named = [key for key in keys[len(keys) - len(new) :] if key is not None]
        if start and total is None and named and seen.issuperset(named):
            # The beginning once more: all there is, or as much as was asked for of a longer listing.
            yield ListingPage((), start, total, joined=len(items) != asked)
            return
        yield ListingPage(new, start, total, joined)
        if not new or len(items) > asked or (total is not None and begin + len(items) >= total):
            return
        for number, key in enumerate(keys, begin):
            if key is not None:
                seen.add(key)
                anchor, last = number, key
        start = begin + len(items)
    raise Endless


def key_of(item: Item) -> str | None:
    """The rating key of an item; None where it is missing or malformed."""
    key = item.get("ratingKey")
    if not isinstance(key, str | int) or isinstance(key, bool) or not key:
        return None
    text = str(key)
    return text if len(text) <= _LONGEST_KEY else None
