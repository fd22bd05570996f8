"""The Plex double speaks as a server does: plexapi works against it unchanged, recorded answers have the same shape."""

from __future__ import annotations

import gzip
import json
import re
import socket
import ssl
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import suppress
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from plexapi.exceptions import NotFound, Unauthorized
from plexapi.server import PlexServer
from websocket import WebSocket, WebSocketBadStatusException, WebSocketException, create_connection

from tests.fakes.plex_server import PlexDouble, Version, populate, send_webhook, webhook
from tests.fakes.plex_server.control import running


@pytest.fixture
def plex() -> Iterator[PlexDouble]:
    """A small server: five films, one show of two seasons, a collection, music and photos."""
    with PlexDouble() as double:
        library = double.library
        films = library.add_section("movie", "Films", "/media/films")
        tv = library.add_section("show", "TV Shows", "/media/tv")
        music = library.add_section("artist", "Music", "/media/music")
        photos = library.add_section("photo", "Photos", "/media/photos")
        for number, (title, year) in enumerate(
            (("Heat", 1995), ("Amélie & Co", 2001), ("Alien", 1979), ("Brazil", 1985), ("Charade", 1963))
        ):
            library.add_film(
                films,
                title,
                year,
                imdb=f"tt000000{number}",
                tmdb=number + 10,
                Genre=["Drama"],
                Role=["A Person"],
                summary="<b> & more",
                added_at=1000 + number,
                updated_at=2000 + number,
            )
        show = library.add_show(tv, "The Expanse", 2015, tvdb=280619, Genre=["Drama"])
        for season, number in ((1, 1), (1, 2), (2, 1)):
            library.add_episode(show, season, number, Director=["Somebody"], tvdb=1000 * season + number)
        artist = library.add_artist(music, "Nina Simone")
        library.add_track(
            library.add_album(artist, "Pastel Blues", 1965),
            1,
            "Sinnerman",
            versions=[Version(["/media/music/1.flac"], container="flac", audio_codec="flac")],
        )
        library.add_photo(photos, "Beach", versions=[Version(["/media/photos/beach.jpg"], container="jpg")])
        library.add_collection(films, "Old ones", [library.titled("Brazil"), library.titled("Charade")])
        double.notifications.sent.clear()
        yield double


@pytest.fixture
def ask(plex: PlexDouble) -> Iterator[Callable[..., requests.Response]]:
    """Asks as our client does: JSON, the token in a header."""
    session = requests.Session()

    def asking(
        path: str, *, token: str | None = None, as_json: bool = True, method: str = "GET", **headers: Any
    ) -> requests.Response:
        said = {
            "X-Plex-Token": token or plex.token,
            **{name.replace("_", "-"): str(value) for name, value in headers.items()},
        }
        if as_json:
            said["Accept"] = "application/json"
        return session.request(method, plex.url + path, headers=said, timeout=10)

    yield asking
    session.close()


@pytest.fixture
def api(plex: PlexDouble) -> PlexServer:
    return PlexServer(plex.url, plex.token)


def items(answer: requests.Response) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer.json()["MediaContainer"].get("Metadata", [])
    return found


def titles(answer: requests.Response) -> list[str]:
    return [item["title"] for item in items(answer)]


def until(true: Callable[[], Any], seconds: float = 10.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
    return found


# -- plexapi, unchanged ------------------------------------------------------------------------------------------------


def test_plexapi_connects_and_lists(plex: PlexDouble, api: PlexServer) -> None:
    assert (api.machineIdentifier, api.friendlyName, api.version) == (plex.machine_id, "Double", plex.version)
    assert api.identity().machineIdentifier == plex.machine_id
    sections = {section.title: section for section in api.library.sections()}
    assert [section.type for section in sections.values()] == ["movie", "show", "artist", "photo"]
    assert sections["Films"].locations == ["/media/films"]
    assert sections["Films"].totalSize == 5
    assert [film.title for film in sections["Films"].all()] == [
        "Alien",
        "Amélie & Co",
        "Brazil",
        "Charade",
        "Heat",
    ]
    assert [track.title for track in sections["Music"].searchTracks()] == ["Sinnerman"]
    assert sections["Photos"].totalSize == 1
    assert [(account.id, account.name) for account in api.systemAccounts()] == [(0, ""), (1, "owner")]


def test_plexapi_reads_whole_items(plex: PlexDouble, api: PlexServer) -> None:
    heat = api.fetchItem(plex.library.titled("Heat").id)
    assert (heat.title, heat.year, heat.summary, heat.guid) == (
        "Heat",
        1995,
        "<b> & more",
        plex.library.titled("Heat").guid,
    )
    assert [guid.id for guid in heat.guids] == ["imdb://tt0000000", "tmdb://10"]
    assert heat.media[0].parts[0].file == "/media/films/Heat (1995)/Heat (1995).mkv"
    assert [stream.codec for stream in heat.media[0].parts[0].streams] == ["h264", "aac"]
    show = api.library.section("TV Shows").get("The Expanse")
    assert [(season.index, season.leafCount) for season in show.seasons()] == [(1, 2), (2, 1)]
    assert [(episode.parentIndex, episode.index, episode.grandparentTitle) for episode in show.episodes()][
        2
    ] == (2, 1, "The Expanse")
    assert [
        one.title for one in api.fetchItems([plex.library.titled("Heat").id, plex.library.titled("Alien").id])
    ] == ["Heat", "Alien"]
    with pytest.raises(NotFound):
        api.fetchItem(999_999)


def test_plexapi_searches(api: PlexServer) -> None:
    films = api.library.section("Films")
    assert [film.title for film in films.search(title="ali")] == ["Alien"]
    assert [film.title for film in films.search(sort="addedAt:desc", maxresults=2)] == ["Charade", "Brazil"]
    assert [film.title for film in films.search(**{"year>>": 1990}, genre="Drama", sort="year")] == [
        "Heat",
        "Amélie & Co",
    ]
    assert films.search(genre="Comedy") == []
    assert {found.title for found in api.search("a") if found.type == "movie"} == {
        "Alien",
        "Amélie & Co",
        "Brazil",
    }
    assert [film.title for film in films.recentlyAdded(maxresults=1)] == ["Charade"]


def test_plexapi_sees_collections(plex: PlexDouble, api: PlexServer) -> None:
    plex.library.add_collection("Films", "Clever", [plex.library.titled("Heat")], smart=True)
    clever, old = sorted(api.library.section("Films").collections(), key=lambda found: found.title)
    assert [film.title for film in old.items()] == ["Brazil", "Charade"]
    assert (old.childCount, old.smart, clever.smart, clever.subtype) == (2, False, True, "movie")
    assert [tag.tag for tag in api.library.section("Films").get("Brazil").collections] == ["Old ones"]


def test_members_of_collections_come_and_go(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    group, heat = plex.library.titled("Old ones"), plex.library.titled("Heat")

    def named(title: str) -> list[str]:
        return [tag["tag"] for tag in items(ask(f"{ALL}?title=={title}"))[0].get("Collection", [])]

    plex.library.change(group, members=[heat, plex.library.titled("Brazil")])
    assert [named(title) for title in ("Heat", "Brazil", "Charade")] == [["Old ones"], ["Old ones"], []]
    plex.library.remove(heat)
    assert titles(ask(f"/library/collections/{group.id}/children")) == ["Brazil"]
    plex.library.remove(group)
    assert named("Brazil") == []


def test_plexapi_scans_a_folder_and_hears_of_it(plex: PlexDouble, api: PlexServer) -> None:
    plex.library.prepare("Films", "/media/films/Solaris (1972)", "film", title="Solaris", year=1972, tmdb=593)
    plex.library.prepare("Films", "/media/films/Stalker (1979)", "film", title="Stalker", year=1979)
    heard: list[dict[str, Any]] = []
    listener = api.startAlertListener(heard.append)
    try:
        plex.notifications.wait_listening()
        api.library.section("Films").update(path="/media/films/Solaris (1972)")
        until(lambda: any(alert["type"] == "status" for alert in heard))
    finally:
        listener.stop()
    assert [film.title for film in api.library.section("Films").search(title="S")] == ["Solaris"]
    assert [alert["type"] for alert in heard][:3] == ["activity", "progress", "activity"]
    assert [alert["ActivityNotification"][0]["event"] for alert in heard if alert["type"] == "activity"] == [
        "started",
        "updated",
        "ended",
    ]
    api.library.section("Films").update()  # the whole section
    until(lambda: "Stalker" in [film.title for film in api.library.section("Films").all()])


def test_plexapi_marks_and_watches(plex: PlexDouble, api: PlexServer) -> None:
    heat = api.library.section("Films").get("Heat")
    heat.markPlayed()
    assert heat.reload().viewCount == 1
    heat.updateTimeline(60_000, state="playing", duration=6_000_000)
    assert [(one.title, one.usernames) for one in api.sessions()] == [("Heat", ["owner"])]
    assert heat.reload().viewOffset == 60_000
    assert [(line.title, line.accountID) for line in api.history()] == [("Heat", 1)]
    heat.markUnplayed()
    assert heat.reload().viewCount == 0


def test_plexapi_is_refused_without_the_right_token(plex: PlexDouble) -> None:
    with pytest.raises(Unauthorized):
        PlexServer(plex.url, "wrong")


# -- the protocol ------------------------------------------------------------------------------------------------------


def test_tokens(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    bare = requests.get(plex.url + "/library/sections", headers={"Accept": "application/json"}, timeout=5)
    assert (bare.status_code, bare.headers["Content-Type"]) == (401, "text/html")
    assert "401 Unauthorized" in bare.text
    assert ask("/library/sections", token="wrong").status_code == 401
    assert (
        requests.get(f"{plex.url}/library/sections?X-Plex-Token={plex.token}", timeout=5).status_code == 200
    )
    identity = requests.get(plex.url + "/identity", headers={"Accept": "application/json"}, timeout=5).json()[
        "MediaContainer"
    ]
    assert identity == {
        "size": 0,
        "claimed": True,
        "machineIdentifier": plex.machine_id,
        "version": plex.version,
    }
    friend = plex.library.add_account("friend")
    assert ask("/library/sections", token=friend.token).status_code == 200
    assert ask("/accounts", token=friend.token).status_code == 403


def test_each_account_has_its_own_watch_state(
    plex: PlexDouble, ask: Callable[..., requests.Response]
) -> None:
    friend, heat, show = (
        plex.library.add_account("friend"),
        plex.library.titled("Heat"),
        plex.library.titled("The Expanse"),
    )
    assert (
        ask(
            f"/:/scrobble?identifier=com.plexapp.plugins.library&key={heat.id}", token=friend.token
        ).status_code
        == 200
    )
    plex.library.watch(heat, offset=5000)
    plex.library.scrobble(show.children[0].children[0], friend)

    def seen(path: str, token: str | None = None) -> dict[str, Any]:
        return items(ask(path, token=token))[0]

    mine, theirs = seen(f"/library/metadata/{heat.id}"), seen(f"/library/metadata/{heat.id}", friend.token)
    assert (mine.get("viewCount"), mine["viewOffset"]) == (None, 5000)
    assert (theirs["viewCount"], "viewOffset" in theirs) == (1, False)
    assert seen("/library/sections/2/all")["viewedLeafCount"] == 0
    assert seen("/library/sections/2/all", friend.token)["viewedLeafCount"] == 1
    assert titles(ask("/library/sections/1/all?unwatched=1&title=Heat", token=friend.token)) == []


def test_json_and_xml_say_the_same(ask: Callable[..., requests.Response]) -> None:
    paths = (
        "/library/sections",
        "/library/sections/1/all?includeGuids=1",
        "/library/sections/2/all",
        "/library/sections/2/all?type=4",
        "/library/metadata/1",
        "/library/sections/1/collections",
    )
    for path in paths:
        as_json, as_xml = ask(path), ask(path, as_json=False)
        assert as_xml.headers["Content-Type"].startswith("text/xml")
        assert _element(ElementTree.fromstring(as_xml.content)) == _lowered(
            "MediaContainer", as_json.json()["MediaContainer"]
        )
    assert {
        child.tag for child in ElementTree.fromstring(ask("/library/sections/2/all", as_json=False).content)
    } == {"Directory"}
    assert {
        child.tag for child in ElementTree.fromstring(ask("/library/sections/1/all", as_json=False).content)
    } == {"Video"}


def _element(element: ElementTree.Element) -> Any:
    return (element.tag, dict(element.attrib), sorted((_element(child) for child in element), key=repr))


def _lowered(tag: str, said: dict[str, Any]) -> Any:
    """What XML makes of JSON: text, and a tag by the type of item."""
    if tag == "Metadata":
        tag = {"movie": "Video", "episode": "Video", "track": "Track"}.get(said["type"], "Directory")
    plain = {
        name: str(int(value) if isinstance(value, bool) else value)
        for name, value in said.items()
        if not isinstance(value, list | dict)
    }
    children = [
        _lowered(name, one) for name, value in said.items() if isinstance(value, list) for one in value
    ]
    return (tag, plain, sorted(children, key=repr))


def test_types_in_json(ask: Callable[..., requests.Response]) -> None:
    film = items(ask("/library/sections/1/all"))[0]
    assert isinstance(film["ratingKey"], str)
    assert isinstance(film["year"], int)
    assert "Guid" not in film, "external ids are listed only when asked for"
    assert "Guid" in items(ask("/library/sections/1/all?includeGuids=1"))[0]
    empty = ask("/library/sections/1/all?title=nothing").json()["MediaContainer"]
    assert (empty["size"], "Metadata" in empty) == (0, False)
    section = ask("/library/sections").json()["MediaContainer"]["Directory"][0]
    assert (section["key"], section["refreshing"], section["hidden"]) == ("1", False, 0)
    children = ask(
        f"/library/metadata/{items(ask('/library/sections/2/all'))[0]['ratingKey']}/children"
    ).json()["MediaContainer"]
    assert (children["size"], children["Directory"][0]["title"], len(children["Metadata"])) == (
        3,
        "All episodes",
        2,
    )


def test_paging(ask: Callable[..., requests.Response]) -> None:
    whole = ask("/library/sections/1/all")
    assert "totalSize" not in whole.json()["MediaContainer"]
    assert "X-Plex-Container-Start" not in whole.headers
    page = ask("/library/sections/1/all?sort=addedAt", X_Plex_Container_Start=2, X_Plex_Container_Size=2)
    said = page.json()["MediaContainer"]
    assert (said["size"], said["offset"], said["totalSize"], titles(page)) == (2, 2, 5, ["Alien", "Brazil"])
    assert (page.headers["X-Plex-Container-Start"], page.headers["X-Plex-Container-Total-Size"]) == ("2", "5")
    assert titles(
        ask("/library/sections/1/all?sort=addedAt&X-Plex-Container-Start=4&X-Plex-Container-Size=9")
    ) == ["Charade"]
    count = ask("/library/sections/1/all", X_Plex_Container_Start=0, X_Plex_Container_Size=0).json()[
        "MediaContainer"
    ]
    assert (count["size"], count["totalSize"], "Metadata" in count) == (0, 5, False)
    head = ask("/library/sections/1/all", method="HEAD", X_Plex_Container_Start=0, X_Plex_Container_Size=1)
    assert (head.headers["X-Plex-Container-Total-Size"], head.content) == ("5", b"")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("updatedAt>>=2003", ["Charade"]),
        ("updatedAt%3E%3E=2003", ["Charade"]),
        ("updatedAt>=2003", ["Brazil", "Charade"]),
        ("addedAt%3E=1003", ["Brazil", "Charade"]),
        ("updatedAt<<=2001", ["Heat"]),
        ("movie.addedAt>>=1003", ["Charade"]),
        ("updatedAt>>=2001&year>=1980", ["Brazil"]),
        ("year=1979,1985", ["Alien", "Brazil"]),
        ("year!=1979&addedAt<<=1003", ["Amélie & Co", "Heat"]),
        ("title==heat", ["Heat"]),
        ("title=a&sort=titleSort:desc&limit=2", ["Heat", "Charade"]),
        ("guid=nothing", []),
        ("sort=updatedAt:desc", ["Charade", "Brazil", "Alien", "Amélie & Co", "Heat"]),
    ],
)
def test_filters_and_sorting(ask: Callable[..., requests.Response], query: str, expected: list[str]) -> None:
    assert titles(ask(f"/library/sections/1/all?type=1&{query}")) == expected


def test_every_type_is_listed(ask: Callable[..., requests.Response]) -> None:
    counts = {
        (section, kind): len(items(ask(f"/library/sections/{section}/all?type={kind}")))
        for section, kind in ((1, 1), (2, 2), (2, 3), (2, 4), (3, 8), (3, 9), (3, 10), (1, 18))
    }
    assert list(counts.values()) == [5, 1, 2, 3, 1, 1, 1, 1]
    assert ask("/library/sections/1/all?type=77").status_code == 400
    assert ask("/library/sections/9/all").status_code == 404
    assert titles(ask("/library/sections/2/recentlyAdded"))[0] in {"Episode 1", "Episode 2"}
    assert [
        hub["type"] for hub in ask("/hubs/search?query=heat").json()["MediaContainer"]["Hub"] if hub["size"]
    ] == ["movie"]
    assert (
        ask("/library/search?query=heat").json()["MediaContainer"]["SearchResult"][0]["Metadata"]["title"]
        == "Heat"
    )


def test_pictures(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    film = items(ask("/library/sections/1/all"))[0]
    thumb = ask(film["thumb"])
    assert (thumb.headers["Content-Type"], thumb.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    small = ask(f"/photo/:/transcode?width=20&height=30&format=png&url={film['thumb']}")
    assert small.content[:8] == b"\x89PNG\r\n\x1a\n"
    assert requests.get(plex.url + film["thumb"], timeout=5).status_code == 401
    assert ask("/library/metadata/999999/thumb/1").status_code == 404
    plex.picture_padding = 1_000_000
    assert len(ask(film["thumb"]).content) > 1_000_000


# -- the library -------------------------------------------------------------------------------------------------------


def test_changes_move_the_marks(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    def mark() -> int:
        return int(ask("/library/sections").json()["MediaContainer"]["Directory"][0]["contentChangedAt"])

    heat, before = plex.library.titled("Heat"), mark()
    plex.library.change(heat, summary="new", year=None)
    assert mark() > before
    said = items(ask(f"/library/metadata/{heat.id}"))[0]
    assert (said["summary"], "year" in said, said["updatedAt"] > 2000) == ("new", False, True)
    before = mark()
    plex.library.watch(heat, offset=1)
    assert mark() == before, "watching changes no content"
    plex.library.remove(heat)
    assert mark() > before
    assert ask(f"/library/metadata/{heat.id}").status_code == 404
    assert len(items(ask(f"/library/metadata/{heat.id},{plex.library.titled('Alien').id}"))) == 1


def test_what_comes_back_has_a_new_key_and_the_old_guid(plex: PlexDouble) -> None:
    show = plex.library.titled("The Expanse")
    plex.library.remove(show)
    back = plex.library.add_again(show)
    assert (back.guid, back.id == show.id, [len(season.children) for season in back.children]) == (
        show.guid,
        False,
        [2, 1],
    )
    only = back.children[1].children[0]
    plex.library.remove(only)
    assert [season.index for season in back.children] == [1], "an empty season goes too"
    assert plex.library.add_again(only).parent.index == 2  # type: ignore[union-attr]


def test_moving_and_merging(plex: PlexDouble) -> None:
    library = plex.library
    heat, alien = library.titled("Heat"), library.titled("Alien")
    more = library.add_section("movie", "More films", "/media/more")
    moved = library.move(heat, more)
    assert (moved.section, moved.guid, moved.id == heat.id) == (more, heat.guid, False)
    assert library.move_files(alien, "/media/films/elsewhere").versions[0].files == [
        "/media/films/elsewhere/Alien (1979).mkv"
    ]
    twin = library.add_film("Films", "Alien", 1979, editionTitle="Director's Cut")
    kept = library.merge(twin, alien)
    assert (kept.id, len(kept.versions), twin.id in library.items) == (alien.id, 2, False)


def test_shows_are_merged_with_all_below_them(plex: PlexDouble) -> None:
    library = plex.library
    kept, twin = library.titled("The Expanse"), library.add_show("TV Shows", "Expanse, The", 2015)
    for season, number in ((1, 2), (1, 3), (3, 1)):
        library.add_episode(twin, season, number)
    third = twin.children[1]
    library.merge(twin, kept)
    assert [[episode.index for episode in season.children] for season in kept.children] == [
        [1, 2, 3],
        [1],
        [1],
    ]
    assert len(kept.children[0].children[1].versions) == 2
    assert (kept.children[2], twin.id in library.items) == (third, False)


def test_guids_of_all_agents(plex: PlexDouble) -> None:
    library = plex.library
    made = {
        style: library.add_film("Films", style, style=style, imdb="tt0103639", tmdb=812)
        for style in ("imdb", "themoviedb", "local", "none")
    }
    assert made["imdb"].guid == "com.plexapp.agents.imdb://tt0103639?lang=en"
    assert made["themoviedb"].guid == "com.plexapp.agents.themoviedb://812?lang=en"
    assert made["local"].guid.startswith("local://")
    assert made["none"].guid.startswith("com.plexapp.agents.none://")
    assert not any(item.guids for item in made.values())
    for style, stem in (("thetvdb", "thetvdb://268592"), ("hama", "hama://anidb-268592")):
        episode = library.add_episode(library.add_show("TV Shows", style, style=style, tvdb=268592), 1, 3)
        assert episode.guid == f"com.plexapp.agents.{stem}/1/3?lang=en"
    assert re.fullmatch(r"plex://movie/[0-9a-f]{24}", library.titled("Heat").guid)


def test_populating_is_deterministic(ask: Callable[..., requests.Response]) -> None:
    with PlexDouble() as one, PlexDouble() as other:
        for double in (one, other):
            double.library.clock = lambda: 1_700_000_000
            populate(double.library, films=60, shows=3, episodes_per_show=12, seed=7)
        answers = [
            requests.get(
                double.url + "/library/sections/1/all?includeGuids=1",
                headers={"Accept": "application/json", "X-Plex-Token": double.token},
                timeout=10,
            )
            for double in (one, other)
        ]
        assert answers[0].content == answers[1].content
        assert 2_000 < len(answers[0].content) / 60 < 2_600
        assert [one.library.section("TV Shows").count(kind) for kind in ("show", "season", "episode")] == [
            3,
            6,
            36,
        ]


# -- what goes wrong ---------------------------------------------------------------------------------------------------

ALL = "/library/sections/1/all"


def paged(ask: Callable[..., requests.Response], size: int = 2) -> list[list[str]]:
    """Three pages by the numbers that were asked for, as a careless client walks."""
    return [
        titles(ask(f"{ALL}?sort=addedAt", X_Plex_Container_Start=start, X_Plex_Container_Size=size))
        for start in (0, size, 2 * size)
    ]


def test_faults_of_lists(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    plex.faults.add("ignore_paging", path=ALL)
    assert [len(page) for page in paged(ask)] == [5, 5, 5]
    plex.faults.clear()
    plex.faults.add("short_pages", path=ALL, size=1)
    assert [len(page) for page in paged(ask)] == [1, 1, 1]
    plex.faults.clear()
    plex.faults.add("repeat", path=ALL)
    assert paged(ask)[:2] == [["Heat", "Amélie & Co"], ["Amélie & Co", "Alien"]]
    plex.faults.clear()
    plex.faults.add("skip_one", path=ALL)
    assert paged(ask)[:2] == [["Heat", "Amélie & Co"], ["Brazil", "Charade"]]
    plex.faults.clear()
    plex.faults.add("no_total", path=ALL)
    page = ask(ALL, X_Plex_Container_Start=0, X_Plex_Container_Size=2)
    assert "totalSize" not in page.json()["MediaContainer"]
    assert "X-Plex-Container-Total-Size" not in page.headers
    plex.faults.clear()
    plex.faults.add("vanish", path=ALL, times=1, count=1)
    assert paged(ask) == [["Heat", "Amélie & Co"], ["Brazil", "Charade"], []]


def test_faults_may_mean_one_list_only(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    path = "/library/sections/2/all"
    plex.faults.add("status", path=path, query={"type": "4"}, code=500)
    assert [ask(f"{path}?type={kind}").status_code for kind in (2, 3, 4)] == [200, 200, 500]


def test_things_change_in_the_middle_of_a_listing(
    plex: PlexDouble, ask: Callable[..., requests.Response]
) -> None:
    fault = plex.faults.add(
        "call", path=ALL, skip=1, times=1, run=lambda seen: plex.library.remove(plex.library.titled("Heat"))
    )
    assert paged(ask) == [["Heat", "Amélie & Co"], ["Brazil", "Charade"], []]
    fault.wait_met()


@pytest.mark.parametrize("kind", ["half_body", "reset"])
def test_half_an_answer(plex: PlexDouble, ask: Callable[..., requests.Response], kind: str) -> None:
    plex.faults.add(kind, path=ALL, skip=1, times=1)
    assert len(items(ask(ALL))) == 5
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(ALL)
    assert len(items(ask(ALL))) == 5, "only once"


def test_wrong_content(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    plex.faults.add("status", path=ALL, times=1, code=503)
    starting = ask(ALL)
    assert (starting.status_code, starting.headers["Content-Type"]) == (503, "text/html")
    plex.faults.add("html_200", path=ALL, times=1)
    assert ask(ALL).text.startswith("<html>")
    plex.faults.add("wrong_type", path=ALL, times=1, type="text/plain")
    assert ask(ALL).headers["Content-Type"] == "text/plain"
    plex.faults.add("invalid_json", path=ALL, times=1)
    with pytest.raises(requests.JSONDecodeError):
        ask(ALL).json()
    plex.faults.add("gzip", path=ALL, times=1)
    packed = requests.get(plex.url + ALL, headers={"X-Plex-Token": plex.token}, stream=True, timeout=5)
    assert gzip.decompress(packed.raw.read()).startswith(b"<?xml")
    assert ask(ALL).status_code == 200


def test_slow_and_hanging(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    plex.faults.add("slow", path=ALL, times=1, seconds=0.3)
    started = time.monotonic()
    ask(ALL)
    assert time.monotonic() - started >= 0.3
    plex.faults.add("hang", path=ALL)
    with pytest.raises(requests.ReadTimeout):
        requests.get(plex.url + ALL, timeout=0.3)
    waiting = threading.Thread(target=lambda: ask(ALL))
    waiting.start()
    plex.faults.clear()
    waiting.join(10)
    assert not waiting.is_alive()


def test_it_dies_after_so_many_pages_and_comes_back_on_its_port(
    plex: PlexDouble, ask: Callable[..., requests.Response]
) -> None:
    plex.faults.add("die", path=ALL, skip=2, times=1)
    assert [
        len(
            ask(ALL, X_Plex_Container_Start=start, X_Plex_Container_Size=2).json()["MediaContainer"][
                "Metadata"
            ]
        )
        for start in (0, 2)
    ] == [2, 2]
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(ALL, X_Plex_Container_Start=4, X_Plex_Container_Size=2)

    def refused() -> bool:
        try:
            socket.create_connection((plex.host, plex.port), timeout=1).close()
        except OSError:
            return True
        return False

    until(refused)
    url = plex.url
    plex.start()
    assert plex.url == url
    plex.machine_id = "another"
    assert (
        requests.get(url + "/identity", headers={"Accept": "application/json"}, timeout=5).json()[
            "MediaContainer"
        ]["machineIdentifier"]
        == "another"
    )


def test_a_section_disappears(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    plex.library.remove_section("Films")
    assert [one["title"] for one in ask("/library/sections").json()["MediaContainer"]["Directory"]] == [
        "TV Shows",
        "Music",
        "Photos",
    ]
    assert ask(ALL).status_code == 404


def test_https(tmp_path: Path, plex: PlexDouble) -> None:
    certificate, key = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with PlexDouble(tls=context) as secure:
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(secure.url + "/identity", timeout=5)
        assert requests.get(secure.url + "/identity", verify=str(certificate), timeout=5).status_code == 200


def _self_signed(folder: Path) -> tuple[Path, Path]:
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "double")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
    )
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(
        now + datetime.timedelta(days=1)
    )
    made = made.add_extension(
        x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private


def test_the_ledger(plex: PlexDouble, ask: Callable[..., requests.Response]) -> None:
    ask(ALL, X_Plex_Container_Start=0, X_Plex_Container_Size=2)
    ask(ALL)
    ask("/library/sections")
    assert plex.counts() == {ALL: 2, "/library/sections": 1}
    first = plex.asked(ALL)[0]
    assert (first.method, first.status, first.account, first.headers["x-plex-container-size"]) == (
        "GET",
        200,
        "owner",
        "2",
    )
    assert first.sent > 500
    plex.forget()
    assert plex.requests == []


# -- the socket --------------------------------------------------------------------------------------------------------


def socket_url(plex: PlexDouble, token: str) -> str:
    return f"ws://{plex.host}:{plex.port}/:/websockets/notifications?X-Plex-Token={token}"


@pytest.fixture
def listening(plex: PlexDouble) -> Iterator[WebSocket]:
    client = create_connection(socket_url(plex, plex.token), timeout=10)
    plex.notifications.wait_listening()
    yield client
    with suppress(OSError, WebSocketException):
        client.close()


def heard(client: WebSocket, count: int) -> list[dict[str, Any]]:
    return [json.loads(client.recv())["NotificationContainer"] for _ in range(count)]


def entries(said: list[dict[str, Any]]) -> list[tuple[str, int, str | None]]:
    return [
        (entry["itemID"], entry["state"], entry.get("metadataState"))
        for container in said
        for entry in container["TimelineEntry"]
    ]


def test_the_socket_wants_a_token(plex: PlexDouble) -> None:
    with pytest.raises(WebSocketBadStatusException, match="401"):
        create_connection(socket_url(plex, "wrong"), timeout=5)


def test_what_is_pushed_when_items_come_change_and_go(plex: PlexDouble, listening: WebSocket) -> None:
    film = plex.library.add_film("Films", "Solaris", 1972)
    said = heard(listening, 6)
    assert {(container["type"], container["size"]) for container in said} == {("timeline", 1)}
    key = film.rating_key
    assert [state for _, state, _ in entries(said)] == [0, 1, 2, 3, 4, 5]
    assert (entries(said)[0], entries(said)[-1]) == ((key, 0, "created"), (key, 5, None))
    assert said[0]["TimelineEntry"][0] | {"updatedAt": 0} == {
        "identifier": "com.plexapp.plugins.library", "sectionID": "1", "itemID": key, "type": 1, "title": "Solaris",
        "state": 0, "metadataState": "created", "updatedAt": 0,
    }  # fmt: skip
    plex.library.change(film, summary="new")
    assert entries(heard(listening, 5))[-1] == (key, 5, None)
    plex.library.remove(film)
    assert entries(heard(listening, 1)) == [(key, 9, "deleted")]


def test_other_things_that_are_pushed(plex: PlexDouble, listening: WebSocket) -> None:
    heat = plex.library.titled("Heat")
    plex.play(heat, state="paused", offset=7000)
    plex.notifications.reachability(True)
    plex.notifications.background_queue()
    playing, reachability, queue = heard(listening, 3)
    state = playing["PlaySessionStateNotification"][0]
    assert (playing["type"], state["ratingKey"], state["state"], state["viewOffset"]) == (
        "playing",
        heat.rating_key,
        "paused",
        7000,
    )
    assert (reachability["type"], queue["type"]) == ("reachability", "backgroundProcessingQueue")
    plex.play(heat, state="stopped", offset=5_900_000)
    assert heard(listening, 1)[0]["PlaySessionStateNotification"][0]["state"] == "stopped"
    assert (heat.watched[1].count, heat.watched[1].offset, plex.sessions) == (1, 0, {})
    plex.notifications.raw("not json")
    assert listening.recv() == "not json"


@pytest.mark.parametrize("cut", ["drop", "restart"])
def test_sockets_can_be_cut_and_come_back(plex: PlexDouble, listening: WebSocket, cut: str) -> None:
    listening.ping()
    plex.notifications.drop() if cut == "drop" else plex.restart()
    with pytest.raises((WebSocketException, OSError)):
        while True:
            assert listening.recv()
    until(lambda: plex.notifications.count == 0)
    again = create_connection(socket_url(plex, plex.token), timeout=10)
    plex.notifications.wait_listening()
    plex.library.remove(plex.library.titled("Heat"))
    assert heard(again, 1)[0]["TimelineEntry"][0]["state"] == 9
    again.close()
    until(lambda: plex.notifications.count == 0)


# -- webhooks, another process -----------------------------------------------------------------------------------------


@pytest.fixture
def inbox() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A receiver: its URL, and Content-Type and body of what came."""
    came: list[tuple[str, bytes]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            came.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", came
        server.shutdown()


def test_webhooks_are_multipart(plex: PlexDouble, inbox: tuple[str, list[tuple[str, bytes]]]) -> None:
    url, came = inbox
    payload = webhook(plex, "media.rate", plex.library.titled("Heat"), rating=8.0)
    assert send_webhook(url, payload) == 202
    kind, body = came[0]
    parts = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body).get_payload()
    named = {part.get_param("name", header="content-disposition"): part for part in parts}  # type: ignore[union-attr]
    assert json.loads(named["payload"].get_payload(decode=True)) == payload  # type: ignore[union-attr, arg-type]
    assert named["thumb"].get_payload(decode=True)[:3] == b"\xff\xd8\xff"  # type: ignore[union-attr, index]
    assert (payload["rating"], payload["Server"]["uuid"], "Media" in payload["Metadata"]) == (
        8.0,
        plex.machine_id,
        False,
    )
    send_webhook(url, webhook(plex, "admin.database.backup"), as_json=True)
    assert came[1][0] == "application/json"
    assert set(json.loads(came[1][1])) == {"event", "user", "owner", "Account", "Server"}


def test_a_process_of_its_own(inbox: tuple[str, list[tuple[str, bytes]]]) -> None:
    with running(films=30, shows=1, episodes_per_show=4) as remote:
        api = PlexServer(remote.url, remote.token)
        assert api.library.section("Films").totalSize == 30
        made = remote.call("add", what="film", section="Films", title="Heat", year=1995, imdb="tt0113277")
        assert api.fetchItem(int(made["ratingKey"])).title == "Heat"
        remote.call("change", item=int(made["ratingKey"]), title="Heat!")
        remote.call("fault", kind="status", path="/library/metadata", times=1, code=500)
        assert (
            requests.get(
                f"{remote.url}/library/metadata/1?X-Plex-Token={remote.token}", timeout=5
            ).status_code
            == 500
        )
        remote.call("remove", item=int(made["ratingKey"]))
        assert remote.call("add_again", item=int(made["ratingKey"]))["guid"] == made["guid"]
        assert remote.call("counts")["/library/metadata/1"] == 1
        assert remote.call("webhook", url=inbox[0], event="library.new", item=1) == 202
        assert remote.call("describe")["sections"][0]["movie"] == 31
        with pytest.raises(LookupError, match="no item"):
            remote.call("remove", item=10**9)
        remote.call("stop")
        with pytest.raises(requests.ConnectionError):
            requests.get(remote.url + "/identity", timeout=5)
        remote.call("start")
        assert requests.get(remote.url + "/identity", timeout=5).status_code == 200


# -- recorded answers --------------------------------------------------------------------------------------------------


@pytest.fixture
def rich(plex: PlexDouble) -> PlexDouble:
    """Everything that an item may have, so that shapes can be compared."""
    shared: dict[str, Any] = {
        "studio": "A Studio", "contentRating": "PG", "summary": "…", "rating": 7.1, "audienceRating": 8.0, "audienceRatingImage": "themoviedb://image.rating",
        "originallyAvailableAt": "2014-03-19", "titleSort": "x", "Role": ["A"], "Director": ["B"], "Writer": ["C"], "Country": ["D"], "Genre": ["E"],
    }  # fmt: skip
    for item in list(plex.library.items.values()):
        if item.kind in {"movie", "show", "episode"}:
            plex.library.change(
                item,
                **{
                    **shared,
                    "ratingImage": "imdb://image.rating",
                    "tagline": "…",
                    "duration": 2_700_000,
                    "year": 2014,
                },
            )
        elif item.kind in {"artist", "season", "album"}:
            plex.library.change(item, summary="", Genre=["Jazz"] if item.kind == "artist" else None)
    plex.library.watch(plex.library.titled("Heat"), count=1, offset=70_000)
    return plex


Shape = dict[str, Any]
RECORDED = [
    ("section_movies_all.json", "/library/sections/1/all"),
    ("section_shows_all.json", "/library/sections/2/all"),
    ("section_music_all.json", "/library/sections/3/all"),
    ("show_children_seasons.json", "/library/metadata/{show}/children"),
    ("season_children_episodes.json", "/library/metadata/{season}/children"),
    ("artist_children_albums.json", "/library/metadata/{artist}/children"),
    ("collection_161.json", "/library/collections/{collection}"),
    ("metadata_movie_1036_new_agent.json", "/library/metadata/{movie}"),
]
# of one film or server, not of the kind: pictures some have not, marks of what its agent found
OF_ONE = {
    "banner",
    "theme",
    "primaryExtraKey",
    "loudnessAnalysisVersion",
    "ratingCount",
    "index",
    "parentTheme",
    "grandparentTheme",
    "nocache",
    "summary",
    "parentYear",
    "thumb",
    "titleSort",
    "viewMode",
}
OF_ONE |= {
    "optimizedForStreaming",
    "has64bitOffsets",
    "indexes",
    "contentRating",
    "Extras",
    "Chapter",
    "Marker",
    "Similar",
    "Review",
    "Rating",
    "Preferences",
    "Field",
    "Producer",
    "art",
    "librarySectionID",
    "parentStudio",
}
OF_ONE |= {
    "streamIdentifier",
    "chromaLocation",
    "chromaSubsampling",
    "codedHeight",
    "codedWidth",
    "hasScalingMatrix",
    "level",
    "profile",
    "refFrames",
    "scanType",
    "audioChannelLayout",
    "thumb",
    "role",
    "default",
    "selected",
}


@pytest.mark.parametrize(("recording", "path"), RECORDED, ids=[name for name, _ in RECORDED])
def test_answers_have_the_shape_of_recorded_ones(
    rich: PlexDouble,
    ask: Callable[..., requests.Response],
    fixtures: Callable[[str], Path],
    recording: str,
    path: str,
) -> None:
    """What every recorded item has, ours has; what both have is of the same JSON type."""
    recorded = json.loads(fixtures(f"plex/pms_json/{recording}").read_text())["MediaContainer"]
    keys = {
        kind: next(item.id for item in rich.library.items.values() if item.kind == kind)
        for kind in ("show", "season", "artist", "movie", "collection")
    }
    ours = ask(path.format(**keys)).json()["MediaContainer"]
    assert _missing(_shape([recorded]), _shape([ours])) == []


@pytest.mark.parametrize(
    "recording", ["sections_get_200", "library_movie_get_200", "library_show_get_200", "sections_get_401"]
)
def test_exchanges_are_like_recorded_ones(
    rich: PlexDouble, ask: Callable[..., requests.Response], fixtures: Callable[[str], Path], recording: str
) -> None:
    said = json.loads(fixtures(f"plex/exchanges_watchstate/{recording}.json").read_text())
    query = "&".join(f"{name}={value}" for name, value in said["request"].get("query", {}).items())
    answer = ask(f"{said['request']['uri']}?{query}", token="wrong" if "401" in recording else None)
    assert answer.status_code == said["response"]["http_code"]
    assert {name: answer.headers[name] for name in ("Content-Type", "X-Plex-Protocol")} == {
        name: said["response"]["headers"][name] for name in ("Content-Type", "X-Plex-Protocol")
    }
    assert set(said["response"]["headers"]) <= set(answer.headers)
    if answer.ok:
        assert (
            _missing(
                _shape([said["response"]["body"]]),
                _shape([answer.json()]),
                {"originalTitle", "chapterSource", "skipChildren", "childCount", "Collection"},
            )
            == []
        )
    else:
        assert answer.text == said["response"]["body"]


@pytest.mark.parametrize(
    "fixtures", ["recorded"], indirect=True
)  # the published contract is too large to travel
def test_nothing_is_invented(
    rich: PlexDouble, ask: Callable[..., requests.Response], fixtures: Callable[[str], Path]
) -> None:
    """Every name in our answers occurs in a recording or in the published contract."""
    known = fixtures("plex/openapi/plex-media-server.openapi.yaml").read_text()
    known += "".join(
        path.read_text()
        for folder in ("pms_json", "pms_xml", "spec_examples")
        for path in fixtures(f"plex/{folder}").iterdir()
    )
    words = set(re.findall(r"[A-Za-z][A-Za-z0-9]+", known))
    rich.play(rich.library.titled("Heat"))
    rich.library.scrobble(rich.library.titled("Heat"))
    paths = [path.format(show=6, season=7, artist=12, movie=1, collection=16) for _, path in RECORDED]
    paths += [
        "/",
        "/identity",
        "/library/sections",
        "/accounts",
        "/status/sessions",
        "/status/sessions/history/all",
        "/hubs/search?query=heat",
        "/library/search?query=heat",
        "/:/prefs",
        "/library/sections/1/all?includeMeta=1",
    ]
    for path in paths:
        assert _names(ask(path).json()) - words == set(), path


@pytest.mark.parametrize(
    ("recording", "event", "title"),
    [
        ("library_new_movie", "library.new", "Heat"),
        ("media_scrobble_episode_new_agent", "media.scrobble", "Episode 1"),
        ("media_play_track", "media.play", "Sinnerman"),
        ("admin_database_backup", "admin.database.backup", None),
    ],
)
def test_webhooks_are_like_recorded_ones(
    rich: PlexDouble, fixtures: Callable[[str], Path], recording: str, event: str, title: str | None
) -> None:
    recorded = json.loads(fixtures(f"plex_webhooks/{recording}.json").read_text().strip())
    ours = webhook(rich, event, rich.library.titled(title) if title else None)
    assert set(ours) == set(recorded)
    absent = {"originalTitle", "viewCount", "lastViewedAt", "tagKey", "parentGuid", "grandparentGuid"}
    assert _missing(_shape([recorded]), _shape([ours]), absent) == []


def _shape(values: list[dict[str, Any]]) -> Shape:
    """Of each name: how many of these dicts have it, of which JSON types, and the shape below it."""
    found: Shape = {}
    for value in values:
        for name, inside in value.items():
            known = found.setdefault(name, {"count": 0, "types": set(), "below": []})
            known["count"] += 1
            known["types"].add(
                "number"
                if isinstance(inside, int | float) and not isinstance(inside, bool)
                else type(inside).__name__
            )
            known["below"] += [
                one for one in (inside if isinstance(inside, list) else [inside]) if isinstance(one, dict)
            ]
    return {
        name: {**known, "always": known["count"] == len(values), "below": _shape(known["below"])}
        for name, known in found.items()
    }


def _missing(recorded: Shape, ours: Shape, absent: set[str] | None = None, path: str = "") -> list[str]:
    """What ours lack or say in another type."""
    wrong = []
    for name, known in recorded.items():
        if name not in ours:
            if known["always"] and name not in OF_ONE | (absent or set()):
                wrong.append(f"{path}{name} is missing")
            continue
        if not (known["types"] & ours[name]["types"]):
            wrong.append(f"{path}{name}: {known['types']} became {ours[name]['types']}")
        wrong += _missing(known["below"], ours[name]["below"], absent, f"{path}{name}.")
    return wrong


def _names(value: Any) -> set[str]:
    if isinstance(value, list):
        return {name for one in value for name in _names(one)}
    if isinstance(value, dict):
        return set(value) | {name for one in value.values() for name in _names(one)}
    return set()
