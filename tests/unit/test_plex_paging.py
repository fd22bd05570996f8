"""Listings of servers with a mind of their own: what may not be all is never called so, and nothing goes on for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.clients.plex import paging as plex_paging
from engine.clients.plex.paging import AT_ONCE, Endless, Item, pages


@dataclass
class Server:
    """A list of `count` items that is answered as it likes."""

    count: int
    total: bool = True
    most: int = 10**9  # items of an answer
    ignores_start: bool = False
    ignores_size: bool = False
    odd: Callable[[int], Any] | None = None  # what stands at a number instead of its item
    meanwhile: Callable[[Server], None] = lambda _: None
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.items: list[Item] = [{"ratingKey": str(number)} for number in range(self.count)]
        for number in range(self.count):
            if self.odd is not None and (odd := self.odd(number)) is not None:
                self.items[number] = odd

    def ask(self, start: int, size: int) -> tuple[Sequence[Item], int | None, int | None]:
        self.asked.append((start, size))
        if len(self.asked) > 1:
            self.meanwhile(self)
        first = 0 if self.ignores_start else start
        last = len(self.items) if self.ignores_size else first + min(size, self.most)
        return self.items[first:last], len(self.items) if self.total else None, None


def read(server: Server, size: int = 10) -> tuple[int, bool]:
    """How many items came, and whether that may be called all."""
    seen, joined, totals, number = set[str](), True, set[int](), 0
    for page in pages(server.ask, size):
        joined = joined and page.joined
        fresh = [item for item in page.items if str(item.get("ratingKey")) not in seen]
        number += len(fresh)
        seen.update(str(item["ratingKey"]) for item in fresh if "ratingKey" in item)
        if page.total is not None:
            totals.add(page.total)
    return number, joined and totals <= {number}


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 35])
@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("most", [1, 3, 10, 1000])
def test_all_that_is_answered_piece_by_piece_is_all(count: int, total: bool, most: int) -> None:
    assert read(Server(count, total=total, most=most)) == (count, True)


@pytest.mark.parametrize("count", [0, 1, 9, 11, 35])
@pytest.mark.parametrize("total", [True, False])
def test_a_server_that_ignores_paging_gives_all_at_once(count: int, total: bool) -> None:
    server = Server(count, total=total, ignores_start=True, ignores_size=True)
    assert read(server) == (count, True)
    assert len(server.asked) <= 3


@pytest.mark.parametrize("total", [True, False])
def test_a_server_that_gives_the_beginning_again_and_again_is_seen_through(total: bool) -> None:
    server = Server(35, total=total, ignores_start=True)
    number, whole = read(server)
    assert (number < 35, whole) == (True, False)
    assert len(server.asked) <= 8
    assert read(Server(35, total=total, ignores_start=True), AT_ONCE) == (35, True)


@pytest.mark.parametrize("total", [True, False])
@pytest.mark.parametrize("odd", [{}, {"ratingKey": None}, {"ratingKey": ["x"]}], ids=str)
def test_items_without_a_key_take_nothing_with_them(total: bool, odd: Any) -> None:
    """Also at the edges of pages."""
    for numbers in ({9}, {10}, {8, 9, 10, 11}, set(range(5, 25)), {34}):
        server = Server(
            35, total=total, odd=lambda number, odd=odd, numbers=numbers: odd if number in numbers else None
        )
        keyed = [page.items for page in pages(server.ask, 10)]
        found = [item for items in keyed for item in items]
        assert found == server.items, numbers


def test_what_is_removed_and_added_between_two_pages_is_seen() -> None:
    def swap(server: Server) -> None:
        if len(server.asked) == 2:
            server.items = [*server.items[2:], {"ratingKey": "a"}, {"ratingKey": "b"}]

    assert read(Server(35, meanwhile=swap))[1] is False
    assert read(Server(35, total=False, meanwhile=swap))[1] is False


def test_a_total_that_changes_is_no_total() -> None:
    def grow(server: Server) -> None:
        server.items.insert(0, {"ratingKey": f"new {len(server.asked)}"})

    assert read(Server(35, meanwhile=grow))[1] is False


@pytest.mark.parametrize(("claimed", "at_once"), [(90, False), (90, True), (20, True)])
def test_a_total_that_is_wrong_makes_nothing_whole(claimed: int, at_once: bool) -> None:
    server = Server(35, ignores_size=at_once)
    ask = server.ask
    server.ask = lambda start, size: (ask(start, size)[0], claimed, None)  # type: ignore[method-assign]
    assert read(server)[1] is False


def test_another_part_than_was_asked_for_is_not_taken() -> None:
    server = Server(35)
    *_, last = pages(lambda start, size: (*server.ask(0, size)[:2], 0), 10)
    assert (list(last.items), last.joined) == ([], False)


def test_a_list_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plex_paging, "_MOST", 1000)

    def ask(start: int, size: int) -> tuple[Sequence[Item], None, None]:
        return [{"ratingKey": f"{start}-{number}"} for number in range(size)], None, None

    with pytest.raises(Endless):
        list(pages(ask, 10))
