"""News of a show or season are news of what is in it, also without a notification socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from syncing import Syncing, syncing

from engine.runtime import Runtime
from models.sync_run import SyncRun
from tests.fakes.plex_server import populate


@pytest.fixture
def plex(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Syncing]:
    """Some shows, in step; pages of 4, so that what is in a show has borders."""
    monkeypatch.setattr("engine.clients.plex.library.PAGE", 4)
    with syncing(runtime) as made:
        populate(made.library, films=2, shows=8, episodes_per_show=10)
        made.sync()
        made.plex.forget()
        yield made


def new_show(plex: Syncing) -> Any:
    """Two seasons of five episodes."""
    show = plex.library.add_show(2, "The 100", 2014)
    for season in (1, 2):
        for number in range(1, 6):
            plex.library.add_episode(show, season, number, f"{season}x{number}")
    return show


def named(plex: Syncing, *items: Any) -> SyncRun:
    return plex.sync(rating_keys=[item.rating_key for item in items])


def test_a_new_show_comes_with_its_seasons_and_episodes(plex: Syncing) -> None:
    show = new_show(plex)
    run = named(plex, show)
    assert (run.status, run.counts["created"]) == ("completed", 1 + 2 + 10)
    plex.in_step()
    assert not plex.plex.asked("/library/sections"), "nothing else was looked at"


def test_a_new_season_comes_with_its_episodes_and_its_show(plex: Syncing) -> None:
    show = new_show(plex)
    second = show.children[1]
    named(plex, second)
    assert plex.ids().keys() >= {
        show.rating_key,
        second.rating_key,
        *(one.rating_key for one in second.children),
    }
    named(plex, show)
    plex.in_step()


def test_a_new_episode_comes_with_its_season_and_show(plex: Syncing) -> None:
    episode = new_show(plex).children[0].children[0]
    assert named(plex, episode).counts["created"] == 3


def test_more_episodes_of_a_known_season_are_found(plex: Syncing) -> None:
    season = plex.library.section(2).of("season")[0]
    for number in range(50, 57):
        plex.library.add_episode(season.parent, season.index, number, f"Late {number}")
    assert named(plex, season).counts["created"] == 7
    plex.in_step()


def test_of_a_show_that_the_catalogue_has_whole_nothing_more_is_asked(plex: Syncing) -> None:
    show = plex.library.section(2).of("show")[0]
    plex.library.change(show, summary="New.")
    assert named(plex, show).counts["updated"] == 1
    assert [seen.path for seen in plex.plex.asked("/library/metadata")] == [
        f"/library/metadata/{show.rating_key}"
    ]


@pytest.mark.parametrize("fault", [("status", {"code": 500}), ("html_200", {}), ("status", {"code": 404})])
def test_contents_that_fail_cost_no_other(plex: Syncing, fault: tuple[str, dict[str, Any]]) -> None:
    bad, good = new_show(plex), new_show(plex)
    film = plex.library.add_film(1, "Heat", 1995)
    for path in ("children", "allLeaves"):
        plex.plex.faults.add(fault[0], path=f"/library/metadata/{bad.rating_key}/{path}", **fault[1])
    run = named(plex, bad, good, film)
    assert (run.status, run.counts["created"]) == ("completed", 1 + 13 + 1)
    plex.plex.faults.clear()
    named(plex, bad)
    plex.in_step()


def test_a_show_that_is_gone_takes_its_contents_along(plex: Syncing) -> None:
    show = plex.library.section(2).of("show")[0]
    plex.library.remove(show)
    run = named(plex, show)
    assert run.counts["deleted"] == 1 + len(show.children) + 10
    plex.in_step()


def test_episodes_that_moved_out_of_a_show_that_is_gone_stay(plex: Syncing) -> None:
    """What the server still has is not removed with what it was in."""
    show = plex.library.section(2).of("show")[0]
    kept = show.children[0].children[0]
    before = plex.ids()
    plex.library.remove(show)
    plex.library.items[kept.id] = kept
    named(plex, show)
    assert plex.ids()[kept.rating_key] == before[kept.rating_key]
