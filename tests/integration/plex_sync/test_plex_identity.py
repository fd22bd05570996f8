"""Items that come back, move or merge stay the same items; what only looks alike stays apart."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from syncing import Syncing, syncing

from engine.runtime import Runtime
from tests.fakes.plex_server import populate

STYLES = ["plex", "imdb", "themoviedb", "hama", "local", "none"]


@pytest.fixture
def plex(runtime: Runtime) -> Iterator[Syncing]:
    """Two film libraries and one of shows."""
    with syncing(runtime) as made:
        populate(made.library, films=30, shows=1, episodes_per_show=6)
        made.library.add_section("movie", "Other films")
        made.library.add_film(3, "Lonely", 2001)
        yield made


# Each style one way, and one style each way; each style each way in `make faults`.
AGAIN = [
    pytest.param(
        style,
        between,
        full,
        marks=() if style == "plex" or (between, full) == (True, False) else pytest.mark.long,
    )
    for style in STYLES
    for between in (True, False)
    for full in (True, False)
]


@pytest.mark.parametrize(("style", "between", "full"), AGAIN)
def test_film_that_is_added_again(plex: Syncing, style: str, between: bool, full: bool) -> None:
    film = plex.library.add_film(1, "Heat", 1995, imdb="tt0113277", tmdb=949, style=style)
    plex.sync()
    before = plex.id_of(film)
    plex.library.remove(film)
    if between:
        plex.sync(full=full)
        assert before not in plex.ids().values()
    back = plex.library.add_again(film)
    run = plex.sync(full=full)
    assert plex.id_of(back) == before
    assert plex.changes(run) == [("restored" if between else "moved", "Heat")]
    assert (run.counts["created"], run.counts["deleted"]) == (0, 0)
    plex.in_step()


def test_by_guid_where_the_file_is_another(plex: Syncing) -> None:
    film = plex.library.add_film(1, "Heat", 1995, imdb="tt0113277")
    plex.sync()
    before = plex.id_of(film)
    plex.library.remove(film)
    plex.sync()
    film.versions[0].files = ["/media/elsewhere/heat.mkv"]
    assert plex.id_of_after(plex.library.add_again(film)) == before
    plex.in_step()


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(("source", "target"), [(1, 3), (3, 1)])
def test_moved_to_another_library(plex: Syncing, full: bool, source: int, target: int) -> None:
    film = plex.library.add_film(source, "Heat", 1995)
    plex.sync()
    before = plex.id_of(film)
    moved = plex.library.move(film, target)
    run = plex.sync(full=full)
    assert plex.id_of(moved) == before
    assert plex.changes(run) == [("moved", "Heat")]
    assert (run.counts["created"], run.counts["deleted"]) == (0, 0)
    plex.in_step()


def test_moved_files_are_an_update(plex: Syncing) -> None:
    film = plex.library.titled("Lonely")
    plex.sync()
    before = plex.id_of(film)
    plex.library.move_files(film, "/media/archive")
    assert plex.changes(plex.sync()) == [("updated", "Lonely")]
    assert plex.id_of(film) == before
    plex.in_step()


def test_merged_films_leave_the_one_that_stays(plex: Syncing) -> None:
    one, two = (
        plex.library.add_film(1, "Heat", 1995),
        plex.library.add_film(1, "Heat", 1995, file="/b/heat.mkv"),
    )
    plex.sync()
    before = plex.id_of(one)
    plex.library.merge(two, one)
    run = plex.sync()
    assert set(plex.changes(run)) == {("updated", "Heat"), ("removed", "Heat")}
    assert plex.id_of(one) == before
    plex.in_step()


def test_whole_show_that_is_added_again(plex: Syncing) -> None:
    show = plex.library.section(2).of("show")[0]
    plex.sync()
    before = set(plex.ids().values())
    plex.library.remove(show)
    plex.library.add_again(show)
    run = plex.sync()
    assert set(plex.ids().values()) == before
    assert (run.counts["created"], run.counts["deleted"]) == (0, 0)
    plex.in_step()


def test_named_by_plex_in_any_order(plex: Syncing) -> None:
    film = plex.library.add_film(1, "Heat", 1995)
    plex.sync()
    before = plex.id_of(film)
    plex.library.remove(film)
    back = plex.library.add_again(film)
    run = plex.sync(rating_keys=[back.rating_key])
    assert plex.changes(run) == [("moved", "Heat")]
    plex.sync(rating_keys=[film.rating_key])
    assert plex.id_of(back) == before
    plex.in_step()


def test_editions_and_versions_of_one_film_stay_apart(plex: Syncing) -> None:
    guid = "plex://movie/5d776825880197001ec90b37"
    cuts = [
        plex.library.add_film(
            1, "Blade Runner", 1982, guid=guid, editionTitle=name, file=f"/media/{name}.mkv"
        )
        for name in ("Theatrical", "Final Cut")
    ]
    copy = plex.library.add_film(3, "Blade Runner", 1982, guid=guid, file="/media/copy.mkv")
    plex.sync()
    ids = plex.ids()
    assert len({ids[item.rating_key] for item in (*cuts, copy)}) == 3
    plex.library.remove(cuts[0])
    plex.sync()
    workprint = plex.library.add_film(
        1, "Blade Runner", 1982, guid=guid, editionTitle="Workprint", file="/w.mkv"
    )
    plex.sync()
    now = plex.ids()
    assert now[workprint.rating_key] not in ids.values()
    assert now[cuts[1].rating_key] == ids[cuts[1].rating_key]
    back = plex.library.add_again(cuts[0])
    plex.sync()
    assert plex.id_of(back) == ids[cuts[0].rating_key]
    plex.in_step()


def test_library_made_anew_keeps_all(plex: Syncing) -> None:
    plex.sync()
    before = plex.ids()
    films = plex.library.section(1).of("movie")
    for film in films:
        plex.library.remove(film)
    for film in films:
        plex.library.add_again(film)
    run = plex.sync()
    assert set(plex.ids().values()) == set(before.values())
    assert (run.counts["created"], run.counts["deleted"]) == (0, 0)
    plex.in_step()
