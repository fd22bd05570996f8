"""`/plex`: what clients read of the server and its libraries; the catalogue comes out of real syncs with a double."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from catalogues import connected, synced
from door import Door, Person, data_of, opened, opened_once, refused
from sqlalchemy import func, insert, select

from config.settings import Settings
from engine.plex.catalogue.items import SORTS
from models.media import MediaItem, WatchState
from models.plex_library import PlexSection
from models.sync_run import SyncChange, SyncRun
from tests.fakes.plex_server import PlexDouble

GENRES = ("Drama", "Science Fiction")


def fill(double: PlexDouble) -> None:
    """Films, of which some have the same title, year and time; two shows; a hidden library; music; photos."""
    library = double.library
    films = library.add_section("movie", "Films", "/srv/media/films")
    shows = library.add_section("show", "TV Shows", "/srv/media/tv")
    hidden = library.add_section("movie", "Attic", "/srv/media/attic", hidden=1)
    library.add_artist(library.add_section("artist", "Music"), "Air")
    library.add_photo(library.add_section("photo", "Photos"), "Beach")
    now = int(time.time())
    for number in range(45):
        library.add_film(
            films,
            f"Film {number % 9}",
            1990 + number % 7,
            added_at=now - 1000 + number // 5,
            rating=None if number % 4 else 5.0 + number % 3,
            duration=6_000_000 + number % 3,
            originallyAvailableAt=f"199{number % 7}-05-01",
            Genre=[GENRES[number % 2]],
            tmdb=1000 + number,
            summary=f"Story {number}",
            contentRating="PG",
        )
    for title in ("Batman", "Batman Begins", "The Lego Batman Movie"):
        library.add_film(films, title, 2005, imdb=f"tt{len(title):07}", added_at=now - 5000)
    for title in ("Batman", "Chernobyl"):
        show = library.add_show(shows, title, 2019)
        for number in range(1, 6):
            library.add_episode(show, 1, number, f"{title} Part {number}")
    library.add_film(hidden, "Batman in the Attic", 1999)
    library.add_collection(films, "Dark Knights", [library.titled("Batman Begins"), library.titled("Batman")])


@pytest.fixture
def plex() -> Iterator[PlexDouble]:
    with PlexDouble() as double:
        fill(double)
        yield double


@pytest.fixture(scope="module")
def shared(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A door for tests that change nothing but what their own people have watched; without Redis."""
    folder = tmp_path_factory.mktemp("shared")
    with PlexDouble() as double, opened_once(postgres, folder) as once:
        fill(double)
        with connected(once.runtime.settings, double) as made:
            synced(made.runtime)
            yield made


@pytest.fixture
def reader(shared: Door) -> Person:
    return shared.person("guest")


def walk(person: Person, path: str, limit: int = 7) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    found, page = [], 1
    while True:
        separator = "&" if "?" in path else "?"
        data = data_of(person.get(f"{path}{separator}page={page}&limit={limit}"))
        paging = data["pagination"]
        assert (paging["page"], paging["itemsPerPage"], paging["hasPrev"]) == (page, limit, page > 1)
        found += data["items"]
        if not paging["hasNext"]:
            assert len(found) == paging["totalItems"]
            return found
        page += 1


def titles(items: list[dict[str, Any]]) -> list[str]:
    return [item["title"] for item in items]


def saw(door: Door, person: Person, title: str, kind: str = "movie", **values: Any) -> None:
    """Somebody has watched something."""
    with door.runtime.unit_of_work() as db:
        item_id = db.scalars(
            select(MediaItem.id).where(MediaItem.title == title, MediaItem.type == kind)
        ).first()
        row = {"view_count": 1, "view_offset": None, "last_viewed_at": func.now(), **values}
        db.execute(
            insert(WatchState).values(
                user_id=person.id, item_id=item_id, updated_at=func.clock_timestamp(), **row
            )
        )


# -- the seed's examples -----------------------------------------------------------------------------------------------


def test_the_server(guest: Person, plex: PlexDouble) -> None:
    plex.library.add_account("ben")

    answer = guest.get("/plex/server")

    assert answer.headers["Cache-Control"] == "private, max-age=3600"
    data = data_of(answer)
    assert {name: data[name] for name in ("name", "version", "platform", "machineIdentifier")} == {
        "name": "Double",
        "version": plex.version,
        "platform": "Linux",
        "machineIdentifier": plex.machine_id,
    }
    assert (data["libraries"], data["users"], data["usersFrom"]) == (5, 2, "plex")
    assert data["syncedAt"].endswith("Z")
    assert data["plexPass"] is True


def test_the_number_of_people_is_asked_once_an_hour(guest: Person, plex: PlexDouble) -> None:
    for _ in range(3):
        guest.get("/plex/server")

    assert sum(seen.path == "/accounts" for seen in plex.requests) == 1


def test_the_libraries_with_their_counts(guest: Person) -> None:
    answer = guest.get("/plex/libraries")

    assert answer.headers["Cache-Control"] == "private, max-age=3600"
    rows = data_of(answer)["libraries"]
    assert [(row["key"], row["title"], row["type"], row["count"]) for row in rows] == [
        ("1", "Films", "movie", 48),
        ("2", "TV Shows", "show", 2),
        ("3", "Attic", "movie", 1),
        ("4", "Music", "artist", 1),
        ("5", "Photos", "photo", 1),
    ]
    assert (rows[1]["seasons"], rows[1]["episodes"], rows[2]["hidden"]) == (2, 10, True)


def test_items_of_a_library_as_in_the_seed(guest: Person) -> None:
    answer = guest.get("/plex/libraries/1/items?page=1&limit=50&sort=addedAt:desc")

    data = data_of(answer)
    assert data["pagination"] == {
        "page": 1,
        "totalPages": 1,
        "totalItems": 48,
        "itemsPerPage": 50,
        "hasNext": False,
        "hasPrev": False,
    }
    times = [item["addedAt"] for item in data["items"]]
    assert times == sorted(times, reverse=True)
    assert all(time_.endswith("Z") for time_ in times)
    first = data["items"][0]
    assert first["id"].startswith("med-")
    assert (first["library"], first["type"], first["contentRating"]) == ("1", "movie", "PG")
    assert set(first["ids"]) == {"imdb", "tmdb", "tvdb"}
    assert (first["watched"], first["viewCount"], first["viewOffset"], first["lastViewedAt"]) == (
        False,
        0,
        None,
        None,
    )


# -- order and filters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_is_total_and_the_same_on_all_pages(shared: Door, reader: Person, sort: str) -> None:
    saw(shared, reader, "Film 3")
    saw(shared, reader, "Batman")

    items = walk(reader, f"/plex/libraries/1/items?sort={sort}")

    assert len(items) == len({item["id"] for item in items}) == 48
    name, _, direction = sort.partition(":")
    key = "title" if name == "title" else name
    values = [item[key] for item in items if item[key] is not None]
    falling = direction == "desc" or (not direction and name != "title")
    expected = sorted(values, key=lambda value: value.lower() if name == "title" else value, reverse=falling)
    assert values == expected
    if name != "addedAt":
        assert all(item[key] is None for item in items[len(values) :]), "what is unknown comes last"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("genre=drama", 23),
        ("genre=Science Fiction", 22),
        ("genre=Western", 0),
        ("year=1990", 7),
        ("resolution=1080p", 48),
        ("resolution=4k", 0),
        ("search=bat", 3),
        ("search=beg bat", 1),
        ("year=2005&search=lego", 1),
        ("type=episode", 0),
        ("unwatched=true", 47),
        ("unwatched=false", 1),
    ],
)
def test_filters(shared: Door, reader: Person, query: str, expected: int) -> None:
    saw(shared, reader, "Batman Begins")

    assert len(walk(reader, f"/plex/libraries/1/items?{query}")) == expected


def test_shows_seasons_and_episodes(guest: Person) -> None:
    shows = walk(guest, "/plex/libraries/2/items?sort=title")
    seasons = walk(guest, "/plex/libraries/2/items?type=season")
    episodes = walk(guest, "/plex/libraries/2/items?type=episode")

    assert titles(shows) == ["Batman", "Chernobyl"]
    assert {season["showId"] for season in seasons} == {show["id"] for show in shows}
    assert {episode["seasonId"] for episode in episodes} == {season["id"] for season in seasons}
    assert {(one["showTitle"], one["parentIndex"]) for one in episodes} == {("Batman", 1), ("Chernobyl", 1)}


@pytest.mark.parametrize(
    "query",
    [
        "sort=size",
        "sort=title:up",
        "type=track",
        "limit=0",
        "limit=101",
        "page=0",
        "year=x",
        "unwatched=1",
        "no=1",
    ],
)
def test_a_query_that_is_not_valid(reader: Person, query: str) -> None:
    error = refused(reader.get(f"/plex/libraries/1/items?{query}"), 400, "VALIDATION_ERROR")

    assert query.partition("=")[0] in error["details"]


def test_a_page_behind_the_last(guest: Person) -> None:
    data = data_of(guest.get("/plex/libraries/1/items?page=999"))

    assert (data["items"], data["pagination"]["totalItems"]) == ([], 48)


def test_music_has_no_items_here(guest: Person) -> None:
    assert walk(guest, "/plex/libraries/4/items") == []


@pytest.mark.parametrize(
    "path", ["/plex/libraries/77/items", "/plex/libraries/77/collections", "/plex/collections/col-77"]
)
def test_what_does_not_exist(reader: Person, path: str) -> None:
    refused(reader.get(path), 404, "NOT_FOUND")


# -- search, recently added, hidden libraries --------------------------------------------------------------------------


def test_search_shows_films_and_shows_before_episodes(guest: Person) -> None:
    answer = guest.get("/plex/search?query=batman&limit=20")

    assert answer.headers["Cache-Control"] == "private, max-age=300"
    data = data_of(answer)
    found = [(item["type"], item["title"]) for item in data["items"]]
    assert set(found[:2]) == {("movie", "Batman"), ("show", "Batman")}
    assert found[2:4] == [("movie", "Batman Begins"), ("movie", "The Lego Batman Movie")]
    assert {kind for kind, _ in found[4:]} == {"episode"}
    assert data["pagination"]["totalItems"] == len(found) == 9
    assert [item["id"] for item in walk(guest, "/plex/search?query=batman", 2)] == [
        item["id"] for item in data["items"]
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("LEG bat", ["The Lego Batman Movie"]),
        ("ego", ["The Lego Batman Movie"]),  # within a word, since no word begins so
        ("zzz", []),
        ("%", []),
        ("' | ! & ( :* \\", []),
        ("batman & begins", ["Batman Begins"]),
        ("attic", []),
    ],
)
def test_search_takes_any_words(reader: Person, query: str, expected: list[str]) -> None:
    answer = reader.get("/plex/search", query_string={"query": query})

    assert titles(data_of(answer)["items"]) == expected


@pytest.mark.parametrize("query", ["", "   ", "x" * 201])
def test_search_for_nothing(reader: Person, query: str) -> None:
    refused(reader.get("/plex/search", query_string={"query": query}), 400, "VALIDATION_ERROR")


def test_recently_added_has_one_episode_of_a_season(
    guest: Person, synced_door: Door, plex: PlexDouble
) -> None:
    batman = plex.library.titled("Batman", "show")
    plex.library.add_episode(batman, 1, 6, "The newest", added_at=int(time.time()) + 60)
    synced(synced_door.runtime)

    answer = guest.get("/plex/recently-added?limit=4")

    assert answer.headers["Cache-Control"] == "private, max-age=300"
    items = data_of(answer)["items"]
    assert [(item["type"], item["title"]) for item in items[:2]] == [
        ("episode", "The newest"),
        ("episode", "Chernobyl Part 5"),
    ]
    assert len(items) == 4
    assert "Batman in the Attic" not in titles(items)


@pytest.mark.parametrize("read", [5000, 3])
def test_recently_added_page_by_page(guest: Person, monkeypatch: pytest.MonkeyPatch, read: int) -> None:
    whole = titles(walk(guest, "/plex/recently-added", 100))
    monkeypatch.setattr("engine.plex.catalogue.items._MOST_READ", read)

    assert titles(walk(guest, "/plex/recently-added", 3)) == whole
    assert len(whole) > 40
    assert data_of(guest.get("/plex/recently-added?page=99"))["items"] == []


def test_libraries_page_by_page(guest: Person) -> None:
    every = data_of(guest.get("/plex/libraries"))
    pages = [data_of(guest.get(f"/plex/libraries?limit=2&page={page}")) for page in (1, 2, 3)]

    assert [row["key"] for page in pages for row in page["libraries"]] == [
        row["key"] for row in every["libraries"]
    ]
    assert [page["pagination"]["hasNext"] for page in pages] == [True, True, False]
    assert every["pagination"] == {
        "page": 1, "totalPages": 1, "totalItems": 5, "itemsPerPage": 20, "hasNext": False, "hasPrev": False,
    }  # fmt: skip


def test_a_hidden_library_is_shown_to_who_asks_for_it(guest: Person) -> None:
    assert titles(walk(guest, "/plex/libraries/3/items")) == ["Batman in the Attic"]


# -- what changes ------------------------------------------------------------------------------------------------------


def test_a_removed_item_vanishes_everywhere(guest: Person, synced_door: Door, plex: PlexDouble) -> None:
    plex.library.remove(plex.library.titled("Batman Begins"))
    synced(synced_door.runtime)

    assert "Batman Begins" not in titles(walk(guest, "/plex/libraries/1/items", 50))
    assert "Batman Begins" not in titles(walk(guest, "/plex/search?query=begins", 50))
    assert "Batman Begins" not in titles(data_of(guest.get("/plex/recently-added?limit=100"))["items"])
    assert data_of(guest.get("/plex/libraries"))["libraries"][0]["count"] == 47
    assert titles(data_of(guest.get(collection(guest)))["items"]) == ["Batman"]


def test_a_library_that_is_gone(guest: Person, synced_door: Door, plex: PlexDouble) -> None:
    plex.library.remove_section(3)
    synced(synced_door.runtime)

    assert [row["key"] for row in data_of(guest.get("/plex/libraries"))["libraries"]] == ["1", "2", "4", "5"]
    refused(guest.get("/plex/libraries/3/items"), 404, "NOT_FOUND")


CACHED = [
    "/plex/libraries",
    "/plex/libraries/1/items?limit=3",
    "/plex/search?query=batman",
    "/plex/recently-added",
    "/plex/libraries/1/collections",
    "/plex/server",
]


@pytest.mark.parametrize("path", CACHED)
def test_the_same_again_is_a_304_until_the_next_sync(
    guest: Person, synced_door: Door, plex: PlexDouble, path: str
) -> None:
    first = guest.get(path)
    seen = {"If-None-Match": first.headers["ETag"]}

    again = guest.get(path, headers=seen)

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert "Authorization" in first.headers["Vary"]
    plex.library.add_film(1, "Batman Returns", 1992)
    plex.library.add_collection(1, "Another", [])
    synced(synced_door.runtime, full=True)
    fresh = guest.get(path, headers=seen)
    assert fresh.status_code == 200
    assert fresh.headers["ETag"] != first.headers["ETag"]


def test_an_etag_is_for_one_person_and_one_question(guest: Person, synced_door: Door) -> None:
    path = "/plex/libraries/1/items"
    tag = {"If-None-Match": guest.get(path).headers["ETag"]}

    assert synced_door.person("guest").get(path, headers=tag).status_code == 200
    assert guest.get(path + "?limit=2", headers=tag).status_code == 200
    assert guest.get(path, headers={"If-None-Match": f"W/{tag['If-None-Match']}"}).status_code == 304
    assert guest.get(path, headers={"If-None-Match": "*"}).status_code == 304
    refused(guest.get("/plex/libraries/77/items", headers={"If-None-Match": "*"}), 404, "NOT_FOUND")


def test_a_change_within_a_sync_is_seen_before_its_end(guest: Person, synced_door: Door) -> None:
    """A library is written when it has been looked at, not when all of them have."""
    path = "/plex/libraries/1/items?search=batman"
    tag = {"If-None-Match": guest.get(path).headers["ETag"]}
    with synced_door.runtime.unit_of_work() as db:
        row = db.scalars(select(MediaItem).where(MediaItem.title == "Batman Begins")).one()
        row.deleted_at = func.now()
        run = db.scalars(select(SyncRun.id)).first()
        db.add(SyncChange(sync_id=run, item_id=row.id, kind="removed", type="movie", title=row.title))

    fresh = guest.get(path, headers=tag)

    assert fresh.status_code == 200
    assert data_of(fresh)["pagination"]["totalItems"] == 2


# -- watch states ------------------------------------------------------------------------------------------------------


def test_two_people_have_watch_states_of_their_own(synced_door: Door, guest: Person) -> None:
    ben = synced_door.person("user")
    path = "/plex/libraries/1/items?search=begins"
    tag = {"If-None-Match": guest.get(path).headers["ETag"]}
    saw(synced_door, guest, "Batman Begins", view_count=2)
    saw(synced_door, ben, "Batman Begins", view_count=0, view_offset=90_000)

    again = guest.get(path, headers=tag)
    assert again.status_code == 200, "what somebody watched is seen at once"
    (guests,), (bens,) = (data_of(one.get(path))["items"] for one in (guest, ben))

    assert (guests["watched"], guests["viewCount"], guests["viewOffset"]) == (True, 2, None)
    assert (bens["watched"], bens["viewCount"], bens["viewOffset"]) == (False, 0, 90_000)
    assert guests["lastViewedAt"].endswith("Z")
    assert titles(walk(guest, "/plex/libraries/1/items?unwatched=false")) == ["Batman Begins"]
    assert walk(ben, "/plex/libraries/1/items?unwatched=false") == []
    assert titles(walk(ben, "/plex/libraries/1/items?sort=lastViewedAt"))[0] == "Batman Begins"


def test_a_show_is_watched_when_all_its_episodes_are(synced_door: Door, guest: Person) -> None:
    for number in range(1, 5):
        saw(synced_door, guest, f"Chernobyl Part {number}", "episode")

    def chernobyl(kind: str) -> dict[str, Any]:
        found = walk(guest, f"/plex/libraries/2/items?type={kind}")
        return next(one for one in found if "Chernobyl" in {one["title"], one["showTitle"]})

    assert [(one["watched"], one["viewCount"]) for one in map(chernobyl, ("show", "season"))] == [
        (False, 4)
    ] * 2
    assert len(walk(guest, "/plex/libraries/2/items?unwatched=true")) == 2
    saw(synced_door, guest, "Chernobyl Part 5", "episode")
    assert [(one["watched"], one["viewCount"]) for one in map(chernobyl, ("show", "season"))] == [
        (True, 5)
    ] * 2
    assert titles(walk(guest, "/plex/libraries/2/items?unwatched=true")) == ["Batman"]
    assert titles(walk(guest, "/plex/libraries/2/items?sort=lastViewedAt"))[0] == "Chernobyl"


# -- collections -------------------------------------------------------------------------------------------------------


def collection(person: Person) -> str:
    """The path of the only collection."""
    (row,) = data_of(person.get("/plex/libraries/1/collections"))["items"]
    assert (row["title"], row["library"], row["smart"]) == ("Dark Knights", "1", False)
    return f"/plex/collections/{row['id']}"


def test_a_collection_has_its_items_in_its_order(guest: Person, plex: PlexDouble) -> None:
    path = collection(guest)
    assert path.startswith("/plex/collections/col-")

    answer = guest.get(path)

    assert answer.headers["Cache-Control"] == "private, max-age=300"
    data = data_of(answer)
    assert (data["title"], data["childCount"]) == ("Dark Knights", 2)
    assert (data["title"], titles(data["items"])) == ("Dark Knights", ["Batman Begins", "Batman"])
    assert [titles(data_of(guest.get(f"{path}?limit=1&page={page}"))["items"]) for page in (1, 2, 3)] == [
        ["Batman Begins"],
        ["Batman"],
        [],
    ]
    assert sum(seen.path.endswith("/children") for seen in plex.requests) == 1
    assert guest.get(path, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_a_large_collection_is_asked_for_in_parts(guest: Person, synced_door: Door, plex: PlexDouble) -> None:
    films = plex.library.section(1).of("movie")
    more = [plex.library.add_film(1, f"More {number}", 1980) for number in range(180)]
    plex.library.add_collection(1, "All of them", [*films, *more])
    synced(synced_door.runtime, full=True)
    rows = data_of(guest.get("/plex/libraries/1/collections"))["items"]
    path = f"/plex/collections/{rows[0]['id']}"

    assert len({item["id"] for item in walk(guest, path, 100)}) == 228
    plex.faults.add("ignore_paging")
    assert synced_door.runtime.redis.flushall()
    assert len({item["id"] for item in walk(guest, path, 100)}) == 228


def test_a_collection_that_plex_removed_meanwhile(guest: Person, plex: PlexDouble) -> None:
    path = collection(guest)
    plex.library.remove(plex.library.titled("Dark Knights"))

    refused(guest.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize("fault", ["html_200", "invalid_json"])
def test_a_collection_of_a_server_that_talks_nonsense(guest: Person, plex: PlexDouble, fault: str) -> None:
    path = collection(guest)
    plex.faults.add(fault, path="/library/collections")

    error = refused(guest.get(path), 502, "UPSTREAM_ERROR")

    assert plex.token not in str(error)


# -- without Plex, without Redis ---------------------------------------------------------------------------------------


def test_lists_work_while_plex_is_down(guest: Person, plex: PlexDouble) -> None:
    path = collection(guest)
    plex.stop()

    assert len(walk(guest, "/plex/libraries/1/items", 100)) == 48
    assert len(data_of(guest.get("/plex/libraries"))["libraries"]) == 5
    assert walk(guest, "/plex/search?query=lego")
    server = data_of(guest.get("/plex/server"))
    assert (server["name"], server["users"], server["usersFrom"]) == ("Double", 0, "medianest")
    answer = guest.get(path)
    refused(answer, 503, "PLEX_UNREACHABLE")
    assert "Age" not in answer.headers


def test_a_kept_answer_serves_while_plex_is_down_and_then_tells_its_age(
    guest: Person, plex: PlexDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = collection(guest)
    before = data_of(guest.get(path))
    plex.stop()

    assert data_of(guest.get(path))["items"] == before["items"]
    monkeypatch.setattr("engine.plex.catalogue.live_queries.MEMBER_SECONDS", -1.0)
    answer = guest.get(path)
    error = refused(answer, 503, "PLEX_UNREACHABLE")
    assert int(answer.headers["Age"]) < 60
    assert answer.headers["Cache-Control"] == "no-store"
    assert "a minute old" in error["message"]
    plex.start()


def test_a_server_that_keeps_failing_is_left_alone(guest: Person, plex: PlexDouble) -> None:
    path = collection(guest)
    plex.faults.add("status", path="/library/collections", code=503)
    for _ in range(5):
        refused(guest.get(path), 503, "PLEX_UNREACHABLE")

    assert sum(seen.path.endswith("/children") for seen in plex.requests) <= 4


@pytest.mark.parametrize("how", ["away", "off"])
def test_without_redis_nothing_is_kept_and_all_works(
    settings: Settings, plex: PlexDouble, how: str, short_tmp: Any
) -> None:
    changes = {"redis_url": f"unix://{short_tmp}/nobody.sock"} if how == "away" else {"redis_enabled": False}
    with connected(settings, plex, **changes) as door:
        synced(door.runtime)
        ann = door.person("guest")
        path = collection(ann)

        for _ in range(2):
            assert titles(data_of(ann.get(path))["items"]) == ["Batman Begins", "Batman"]
        assert data_of(ann.get("/plex/server"))["users"] == 1
        assert sum(seen.path.endswith("/children") for seen in plex.requests) == 2
        if how == "off":
            assert not door.runtime.redis.keys("medianest:cache:*")


@pytest.mark.parametrize("path", ["/server", "/libraries", "/libraries/1/items", "/search?query=x"])
def test_nothing_is_configured(settings: Settings, path: str) -> None:
    with opened(settings) as door:
        error = refused(door.person("guest").get("/plex" + path), 404, "NOT_FOUND")

    assert error["message"] == "No Plex server is configured."


def test_switched_off(settings: Settings, plex: PlexDouble, synced_door: Door) -> None:
    with connected(settings, plex, plex_enabled=False) as other:
        boss = other.person("admin")
        paths = ["server", "libraries", "search?query=x", "activity", "statistics", "syncs", "syncs/sync-1"]
        for path in paths:
            assert "switched off" in refused(boss.get(f"/plex/{path}"), 404, "NOT_FOUND")["message"]
        assert "switched off" in refused(boss.post("/plex/syncs", json={}), 404, "NOT_FOUND")["message"]


def test_configured_and_not_met_yet(settings: Settings, plex: PlexDouble) -> None:
    with connected(settings, plex) as door:
        ann = door.person("guest")

        refused(ann.get("/plex/server"), 503, "PLEX_UNREACHABLE")
        libraries = data_of(ann.get("/plex/libraries"))
        assert (libraries["libraries"], libraries["syncedAt"]) == ([], None)
        assert libraries["pagination"]["totalItems"] == 0
        assert data_of(ann.get("/plex/recently-added"))["items"] == []
        assert data_of(ann.get("/plex/search?query=x"))["pagination"]["totalItems"] == 0


def test_another_server_brings_its_own_libraries(
    settings: Settings, plex: PlexDouble, synced_door: Door
) -> None:
    with PlexDouble() as second:
        second.library.add_section("movie", "Other films")
        with connected(settings, second) as other:
            synced(other.runtime)
            rows = data_of(other.person("guest").get("/plex/libraries"))["libraries"]

    assert [(row["title"], row["count"]) for row in rows] == [("Other films", 0)]
    with synced_door.runtime.reading() as db:
        assert db.scalar(select(func.count()).select_from(PlexSection)) == 6


# -- what must not be seen ---------------------------------------------------------------------------------------------


def test_no_token_and_no_path_in_any_answer(guest: Person, plex: PlexDouble) -> None:
    paths = [*CACHED, collection(guest), "/media", "/media?type=episode"]
    item = data_of(guest.get("/plex/libraries/1/items"))["items"][0]
    for path in [*paths, f"/media/items/{item['id']}"]:
        text = guest.get(path).text

        assert plex.token not in text
        assert "/srv/media" not in text
        assert plex.url not in text
