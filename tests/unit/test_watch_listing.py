"""All that was watched has come only where the server's answers prove it, whatever it makes of the paging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from engine.clients.plex.queries import PlexQuestions
from engine.plex.watching.refresh import _Listing

Entries = list[dict[str, Any]]
Answer = Callable[[Entries, int, int], Entries]


class Server:
    """Has some entries, never says how many, and gives what `answer` makes of start and size."""

    def __init__(self, count: int, answer: Answer) -> None:
        self._entries: Entries = [{"ratingKey": str(number), "viewCount": 1} for number in range(count)]
        self._answer = answer

    def page(self, path: str, query: dict[str, Any]) -> tuple[Entries, None]:
        start, size = query["X-Plex-Container-Start"], query["X-Plex-Container-Size"]
        return self._answer(self._entries, start, size), None


CASES: dict[str, tuple[Answer, int, bool]] = {
    "pages": (lambda all_, start, size: all_[start : start + size], 644, True),
    "one": (lambda all_, start, size: all_[start : start + size], 1, True),
    "as many as a page": (lambda all_, start, size: all_[start : start + size], 500, True),
    "short pages": (lambda all_, start, size: all_[start : start + min(size, 100)], 644, True),
    "all at once": (lambda all_, start, size: all_, 644, True),
    "no start": (lambda all_, start, size: all_[:size], 644, False),
    "no start, and never more than 500": (lambda all_, start, size: all_[: min(size, 500)], 644, False),
    "never more than one": (lambda all_, start, size: all_[start : start + 1], 5, False),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_whole_where_all_has_come_for_certain(name: str) -> None:
    answer, count, whole = CASES[name]
    listing = _Listing(cast(PlexQuestions, Server(count, answer)), "1", 1, 0)
    got = sum(len(part) for part in listing)
    assert (listing.is_whole, got == count or not whole) == (whole, True)
