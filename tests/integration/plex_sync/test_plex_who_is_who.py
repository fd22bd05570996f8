"""An item stays what it is, whatever key Plex gives it; another one never takes its place with its key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from syncing import Syncing, syncing

from engine.runtime import Runtime
from models.base import new_id
from models.media import MediaItem, WatchState
from models.plex_activity import PlexActivity
from models.user import User
from tests.fakes.plex_server import Item, populate
from tests.fakes.plex_server.rekeying import exchange, rekey, shift

LONG = pytest.mark.long  # another way to find out what `make test` has found out in one way


@pytest.fixture
def plex(runtime: Runtime) -> Iterator[Syncing]:
    """Two film libraries and one of shows."""
    with syncing(runtime) as made:
        populate(made.library, films=12, shows=2, episodes_per_show=4)
        made.library.add_section("movie", "Other films")
        yield made


@pytest.fixture
def viewer(runtime: Runtime) -> str:
    with runtime.unit_of_work() as db:
        user = User(id=new_id("user"), name="Viewer", role="user")
        db.add(user)
        return user.id


def see(plex: Syncing, viewer: str, item: Item) -> str:
    """Somebody has seen it, as far as we know; its id."""
    item_id, now = plex.id_of(item), datetime.now(UTC)
    with plex.runtime.unit_of_work() as db:
        state = {"view_count": 1, "view_offset": None, "rating": None, "last_viewed_at": now}
        db.add(WatchState(user_id=viewer, item_id=item_id, updated_at=now, **state))
        act = {"event": "scrobble", "title": item.title, "rating_key": item.rating_key, "at": now}
        nothing = dict.fromkeys(("account_id", "account_name", "media_type", "player", "local", "rating"))
        more = {"server_id": None, "view_offset": None, "webhook_id": None}
        db.add(PlexActivity(id=new_id("act"), user_id=viewer, item_id=item_id, **act, **nothing, **more))
    return item_id


def seen(plex: Syncing) -> set[str]:
    """Titles of the live items that have been watched, which are those of which the history tells."""
    live = MediaItem.deleted_at.is_(None)
    with plex.runtime.reading() as db:
        watched = select(MediaItem.title).join(WatchState, WatchState.item_id == MediaItem.id)
        told = select(MediaItem.title).join(PlexActivity, PlexActivity.item_id == MediaItem.id)
        titles = set(db.scalars(watched.where(live, WatchState.view_count > 0)))
        assert titles == set(db.scalars(told.where(live)))
        return titles


@pytest.mark.parametrize("full", [True, False], ids=["full", "incremental"])
def test_another_film_under_the_key_of_a_seen_one(plex: Syncing, viewer: str, full: bool) -> None:
    film = plex.library.add_film(1, "Seen Film", 1999, guid="plex://movie/aaaa", file="/m/Seen Film.mkv")
    plex.sync()
    before = see(plex, viewer, film)
    fields = {"title": "Other Film", "guid": "plex://movie/0123", "year": 2011}
    plex.library.change(film, **fields, versions=[{"files": ["/m/Other Film.mkv"]}])
    run = plex.sync(full=full)
    assert sorted(plex.changes(run)) == [("added", "Other Film"), ("removed", "Seen Film")]
    assert (run.counts["created"], run.counts["deleted"], run.counts["updated"]) == (1, 1, 0)
    assert plex.id_of(film) != before
    assert seen(plex) == set()
    plex.in_step()


def test_another_film_under_a_key_that_was_named(plex: Syncing, viewer: str) -> None:
    film = plex.library.add_film(1, "Seen Film", 1999, guid="plex://movie/aaaa", file="/m/Seen Film.mkv")
    plex.sync()
    before = see(plex, viewer, film)
    plex.library.change(
        film, title="Other", guid="plex://movie/0123", year=2011, versions=[{"files": ["/m/o.mkv"]}]
    )
    run = plex.sync(rating_keys=[film.rating_key])
    assert sorted(plex.changes(run)) == [("added", "Other"), ("removed", "Seen Film")]
    assert plex.id_of(film) != before
    plex.in_step()
    back = plex.library.add_film(1, "Seen Film", 1999, guid="plex://movie/aaaa", file="/m/Seen Film.mkv")
    plex.sync()
    assert plex.id_of(back) == before
    assert seen(plex) == {"Seen Film"}


@pytest.mark.parametrize("way", ["full", "incremental", "named", "one named", "one touched"])
@pytest.mark.parametrize("style", ["plex", pytest.param("local", marks=LONG)])
def test_two_films_that_exchange_keys(plex: Syncing, viewer: str, way: str, style: str) -> None:
    one = plex.library.add_film(1, "One", 1999, style=style)
    two = plex.library.add_film(1, "Two", 2001, style=style)
    plex.sync()
    before = see(plex, viewer, one), plex.id_of(two)
    exchange(plex.library, one, two, touch=way != "one touched")
    if way == "one touched":
        plex.library.change(one)
    keys = {"named": [one.rating_key, two.rating_key], "one named": [two.rating_key]}.get(way)
    run = plex.sync(full=way == "full", **({"rating_keys": keys} if keys else {}))
    assert sorted(plex.changes(run)) == [("moved", "One"), ("moved", "Two")]
    assert (plex.id_of(one), plex.id_of(two)) == before
    assert seen(plex) == {"One"}
    plex.in_step()


@pytest.mark.parametrize(
    ("by", "full"),
    [
        (1, True),
        *((by, False) for by in (1, -1, 1000)),
        *(pytest.param(by, True, marks=LONG) for by in (-1, 1000)),
    ],
)
def test_library_that_is_shifted(plex: Syncing, viewer: str, full: bool, by: int) -> None:
    rekey(plex.library, {key: key + 1 for key in plex.library.items})
    plex.sync()
    film, episode = plex.library.section(1).of("movie")[3], plex.library.section(2).of("episode")[2]
    see(plex, viewer, film)
    see(plex, viewer, episode)
    before = {item.guid: plex.id_of(item) for item in plex.library.items.values()}
    shift(plex.library, by)
    run = plex.sync(full=full)
    assert {item.guid: plex.id_of(item) for item in plex.library.items.values()} == before
    assert (run.counts["created"], run.counts["deleted"]) == (0, 0)
    assert seen(plex) == {film.title, episode.title}
    plex.in_step()


def test_exchange_across_libraries(plex: Syncing) -> None:
    one, two = plex.library.add_film(1, "One", 1999), plex.library.add_film(3, "Two", 2001)
    plex.sync()
    before = plex.id_of(one), plex.id_of(two)
    exchange(plex.library, one, two)
    run = plex.sync()
    assert (plex.id_of(one), plex.id_of(two)) == before
    assert (run.counts["created"], run.counts["deleted"]) == (0, 0)
    plex.in_step()


@pytest.mark.parametrize(
    "change",
    [
        {"guid": "plex://movie/another", "guids": ["tmdb://7"]},
        {
            "guid": "com.plexapp.agents.imdb://tt0000009?lang=en",
            "guids": [],
            "title": "Le film",
            "year": 1998,
        },
        {"guid": "local://7", "guids": []},
        {"versions": [{"files": ["/m/better.mkv"], "resolution": "4k"}]},
        {"title": "Another title", "year": None, "editionTitle": "Director's Cut"},
        {"guid": "plex://movie/another", "guids": [], "versions": [{"files": ["/m/better.mkv"]}]},
    ],
    ids=["guid", "another agent", "no match", "file", "words", "guid and file"],
)
@pytest.mark.parametrize("full", [pytest.param(True, marks=LONG), False], ids=["full", "incremental"])
def test_one_trait_alone_makes_no_other_film(
    plex: Syncing, viewer: str, change: dict[str, object], full: bool
) -> None:
    film = plex.library.add_film(1, "The Film", 1999, tmdb=6)
    plex.sync()
    before = see(plex, viewer, film)
    plex.library.change(film, **change)
    run = plex.sync(full=full)
    assert plex.id_of(film) == before
    assert [kind for kind, _ in plex.changes(run)] == ["updated"]
    plex.in_step()


def test_a_guid_that_only_names_an_entry_is_no_identity(plex: Syncing) -> None:
    guids = ("local://{}", "com.plexapp.agents.none://{}?lang=xn", "tv.plex.agents.none://{}")
    films = [
        plex.library.add_film(
            1, f"Home {number}", None, guid=guid.format(1), guids=[], file=f"/h/{number}.mkv"
        )
        for number, guid in enumerate(guids)
    ]
    plex.sync()
    before = [plex.id_of(film) for film in films]
    for film in films:
        plex.library.remove(film)
    others = [
        plex.library.add_film(
            1, f"Party {number}", None, guid=guid.format(1), guids=[], file=f"/p/{number}.mkv"
        )
        for number, guid in enumerate(guids)
    ]
    plex.sync()
    assert not {plex.id_of(film) for film in others} & set(before)
    back = [plex.library.add_again(film) for film in films]
    plex.sync()
    assert [plex.id_of(film) for film in back] == before


def test_another_show_under_the_key_of_a_seen_one(plex: Syncing, viewer: str) -> None:
    show = plex.library.add_show(2, "The Seen", 1999)
    episodes = [plex.library.add_episode(show, 1, number) for number in (1, 2)]
    plex.sync()
    before = {plex.id_of(item) for item in (show, *episodes)}
    see(plex, viewer, episodes[0])
    plex.library.change(show, title="The Other", year=2011, guid="plex://show/0123")
    season = show.children[0]
    plex.library.change(season, guid="plex://season/0123")
    for number, episode in enumerate(episodes):
        file = {"files": [f"/other/{number}.mkv"]}
        plex.library.change(episode, guid=f"plex://episode/0123{number}", versions=[file])
    plex.sync()
    assert not {plex.id_of(item) for item in (show, *episodes)} & before
    assert seen(plex) == set()
    plex.in_step()


@pytest.mark.parametrize("full", [True, False], ids=["full", "incremental"])
def test_show_that_is_matched_anew_and_renamed(plex: Syncing, viewer: str, full: bool) -> None:
    show = plex.library.add_show(2, "The Office", 2001)
    episodes = [plex.library.add_episode(show, 1, number) for number in (1, 2)]
    plex.sync()
    before = [plex.id_of(item) for item in (show, *show.children, *episodes)]
    see(plex, viewer, episodes[0])
    plex.library.change(show, title="The Office (US)", year=2005, guid="plex://show/us")
    plex.library.change(show.children[0], guid="plex://season/us1")
    for number, episode in enumerate(episodes):
        plex.library.change(episode, guid=f"plex://episode/us1{number}", title=f"Other {number}")
    plex.sync(full=full)
    assert [plex.id_of(item) for item in (show, *show.children, *episodes)] == before
    assert seen(plex) == {"Other 0"}
    plex.in_step()


def test_two_episodes_in_one_file(plex: Syncing) -> None:
    show = plex.library.add_show(2, "Double", 2001, style="local")
    episodes = [
        plex.library.add_episode(show, 1, number, file="/d/s01e01-e02.mkv", style="local")
        for number in (1, 2)
    ]
    plex.sync()
    before = [plex.id_of(item) for item in episodes]
    plex.library.remove(show)
    plex.library.add_again(show)
    plex.sync()
    back = sorted(plex.library.titled("Double").leaves(), key=lambda item: item.index)
    assert [plex.id_of(item) for item in back] == before
    exchange(plex.library, *back)
    plex.sync()
    assert [plex.id_of(item) for item in back] == before
    plex.in_step()


def test_one_file_in_two_libraries(plex: Syncing) -> None:
    files = {"file": "/shared/heat.mkv", "style": "local"}
    films = [plex.library.add_film(section, "Heat", 1995, **files) for section in (1, 3)]
    plex.sync()
    before = [plex.id_of(film) for film in films]
    for film in films:
        plex.library.remove(film)
    back = [plex.library.add_again(film) for film in films]
    plex.sync()
    assert [plex.id_of(film) for film in back] == before
    plex.in_step()


def test_two_items_with_one_external_id(plex: Syncing) -> None:
    ids = {"guids": ["tmdb://5"]}
    films = [
        plex.library.add_film(1, f"Part {number}", 1995, guid=f"plex://movie/part{number}", **ids)
        for number in (1, 2)
    ]
    plex.sync()
    before = [plex.id_of(film) for film in films]
    exchange(plex.library, *films)
    for film in films:
        plex.library.change(film, guid=f"com.plexapp.agents.themoviedb://5?lang=en{film.title[-1]}")
    plex.sync()
    assert [plex.id_of(film) for film in films] == before
    with plex.runtime.reading() as db:
        assert db.scalar(select(func.count()).where(MediaItem.tmdb_id == "5")) == 2
