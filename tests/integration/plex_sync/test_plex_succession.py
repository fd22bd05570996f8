"""What belongs to a film stays with it when one of its entries goes: added anew before, merged, or a copy."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from syncing import Syncing

from models.media import MediaItem, WatchState
from tests.fakes.plex_server import Item
from tests.integration.plex_sync.test_plex_who_is_who import plex, see, seen, viewer

__all__ = ["plex", "viewer"]


def add_beside(plex: Syncing, item: Item, section: int | None = None) -> Item:
    """The same once more, while the old entry is still there."""
    return plex.library.add_again(item, section)


@pytest.mark.parametrize("style", ["plex", "local"])
@pytest.mark.parametrize("way", ["full", "incremental", "named"])
def test_a_film_that_is_added_anew_before_the_old_entry_goes(
    plex: Syncing, viewer: str, style: str, way: str
) -> None:
    film = plex.library.add_film(1, "Heat", 1995, style=style)
    plex.sync()
    before = see(plex, viewer, film)
    new = add_beside(plex, film)
    plex.sync()
    see_later = plex.id_of(new)
    assert see_later != before
    plex.library.remove(film)
    keys = {"rating_keys": [film.rating_key]} if way == "named" else {}
    run = plex.sync(full=way == "full", **keys)
    assert plex.id_of(new) == before
    assert sorted(plex.changes(run)) == [("moved", "Heat"), ("removed", "Heat")]
    assert seen(plex) == {"Heat"}
    plex.in_step()


def test_what_was_seen_of_the_new_entry_counts_too(plex: Syncing, viewer: str) -> None:
    film = plex.library.add_film(1, "Heat", 1995)
    plex.sync()
    new = add_beside(plex, film)
    plex.sync()
    see(plex, viewer, new)
    plex.library.remove(film)
    plex.sync()
    assert seen(plex) == {"Heat"}


def test_a_show_that_is_added_anew_before_the_old_entry_goes(plex: Syncing, viewer: str) -> None:
    show = plex.library.section(2).of("show")[0]
    plex.sync()
    before = {item.guid: plex.id_of(item) for item in (show, *show.children, *show.leaves())}
    see(plex, viewer, next(iter(show.leaves())))
    new = add_beside(plex, show)
    plex.sync()
    plex.library.remove(show)
    plex.sync()  # so many that a full pass is to find the same
    plex.sync(full=True)
    assert {item.guid: plex.id_of(item) for item in (new, *new.children, *new.leaves())} == before
    assert len(seen(plex)) == 1
    plex.in_step()


@pytest.mark.parametrize("style", ["plex", "local"])
def test_a_film_that_is_merged_into_another(plex: Syncing, viewer: str, style: str) -> None:
    one = plex.library.add_film(1, "Heat", 1995, style=style)
    two = plex.library.add_film(1, "Heat", 1995, style=style, file="/b/heat.mkv")
    plex.sync()
    before = plex.id_of(one)
    see(plex, viewer, two)
    plex.library.merge(two, one)
    plex.sync()
    assert plex.id_of(one) == before
    assert seen(plex) == {"Heat"}
    plex.in_step()


def test_a_copy_that_goes_leaves_its_mark_to_the_other(plex: Syncing, viewer: str) -> None:
    guid = "plex://movie/copied"
    copies = [
        plex.library.add_film(section, "Heat", 1995, guid=guid, file=f"/{section}/heat.mkv")
        for section in (1, 3)
    ]
    plex.sync()
    gone, kept = see(plex, viewer, copies[0]), plex.id_of(copies[1])
    plex.library.remove(copies[0])
    plex.sync()
    assert plex.id_of(copies[1]) == kept
    with plex.runtime.reading() as db:
        assert db.get_one(MediaItem, gone).deleted_at is not None
        assert kept in set(db.scalars(select(WatchState.item_id)))
    back = plex.library.add_again(copies[0])
    plex.sync()
    assert plex.id_of(back) == gone


def test_two_episodes_in_one_file_are_two(plex: Syncing, viewer: str) -> None:
    show = plex.library.add_show(2, "Double", 2001, style="local")
    one = plex.library.add_episode(show, 1, 1, file="/d/s01e01-e02.mkv", style="local")
    plex.sync()
    see(plex, viewer, one)
    two = plex.library.add_episode(show, 1, 2, file="/d/s01e01-e02.mkv", style="local")
    plex.sync()
    before = plex.id_of(two)
    plex.library.remove(one)
    plex.sync()
    assert plex.id_of(two) == before
    assert seen(plex) == set()
