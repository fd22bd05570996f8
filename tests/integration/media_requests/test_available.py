"""Available is a fact of the catalogue: set, told and taken back by what Plex has."""

from __future__ import annotations

from typing import Any

from catalogues import synced
from door import Person, data_of, refused
from sqlalchemy import text
from village import Village

from engine.media_requests import availability_pass, refreshing
from engine.plex.sync import runs as sync
from engine.titles import source
from models.base import new_id

FILM = {"tmdbId": "949", "mediaType": "movie"}
SERIES = {"tmdbId": "70523", "mediaType": "tv"}


def ask(person: Person, what: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = data_of(person.post("/media/request", json=what))
    return found


def status_of(person: Person, row: dict[str, Any]) -> str:
    return str(data_of(person.get(f"/media/requests/{row['id']}"))["status"])


def test_a_film_is_available_once_plex_has_it_and_told_once(village: Village) -> None:
    ann, bob, admin = village.door.person(), village.door.person(), village.door.person("admin")
    row = ask(ann, FILM)
    bob.post("/media/request", json=FILM)
    admin.post(f"/media/requests/{row['id']}/approve", json={})
    village.work()
    village.sync()
    assert status_of(ann, row) == "processing"

    item = village.plex.library.add_film("Films", "Something else entirely", 1995, tmdb=949)
    for _ in range(2):
        village.sync()

    found = data_of(ann.get(f"/media/requests/{row['id']}"))
    assert found["status"] == "available"
    there = found["availability"]
    assert (there["plex"], there["status"]) == (True, "available")
    assert data_of(ann.get(f"/media/items/{there['itemId']}"))["title"] == "Something else entirely"
    for person in (ann, bob):
        assert village.notices(person.id)[-1] == ("request.available", "“Heat” can be watched")
        assert len(village.notices(person.id)) == 2
    error = refused(village.door.person().post("/media/request", json=FILM), 409, "CONFLICT")
    assert error["details"] == {"itemId": there["itemId"]}

    village.plex.library.remove(item)
    village.sync(full=True)
    assert status_of(ann, row) == "processing"
    steps = [entry["text"] for entry in data_of(ann.get(f"/media/requests/{row['id']}"))["timeline"]]
    assert "Plex does not have it any more." in steps
    village.plex.library.add_film("Films", "Heat", 1995, tmdb=949)
    village.sync()
    assert status_of(ann, row) == "available"


def test_a_title_of_the_same_name_is_another(village: Village) -> None:
    ann = village.door.person()
    row = ask(ann, FILM)
    village.plex.library.add_film("Films", "Heat", 1995, tmdb=1234)
    village.sync()
    assert status_of(ann, row) == "pending"
    assert not data_of(ann.get("/media/movie/949"))["availability"]["plex"]


def test_other_ids_are_as_good(village: Village) -> None:
    ann = village.door.person()
    row = ask(ann, FILM)
    village.plex.library.add_film("Films", "Heat", 1995, imdb="tt0113277")
    village.sync()
    assert status_of(ann, row) == "available"


def test_what_appears_before_anybody_decided_is_told_and_never_handed_on(village: Village) -> None:
    ann = village.door.person()
    row = ask(ann, FILM)
    village.plex.library.add_film("Films", "Heat", 1995, tmdb=949)
    village.sync()

    assert status_of(ann, row) == "available"
    assert village.notices(ann.id) == [("request.available", "“Heat” can be watched")]
    with village.runtime.reading() as db:
        assert db.scalar(text("SELECT count(*) FROM fulfilments")) == 0


def test_a_denied_one_stays_denied(village: Village) -> None:
    ann, admin = village.door.person(), village.door.person("admin")
    row = ask(ann, FILM)
    admin.post(f"/media/requests/{row['id']}/deny", json={})
    village.plex.library.add_film("Films", "Heat", 1995, tmdb=949)
    village.sync()
    assert status_of(ann, row) == "denied"


def test_a_plex_that_is_away_takes_nothing_back(village: Village) -> None:
    ann = village.door.person()
    row = ask(ann, FILM)
    village.plex.library.add_film("Films", "Heat", 1995, tmdb=949)
    village.sync()
    village.plex.__exit__(None, None, None)

    availability_pass.check(village.runtime)

    assert status_of(ann, row) == "available"


def test_a_series_comes_season_by_season(village: Village) -> None:
    ann, library = village.door.person(), village.plex.library
    row = ask(ann, SERIES)
    show = library.add_show("Series", "Dark", tmdb=70523)
    library.add_episode(show, 1, 1, title="Secrets")
    village.sync()

    details = data_of(ann.get("/media/tv/70523"))["availability"]
    assert details["status"] == "partial"
    assert details["seasons"] == [
        {"number": 0, "episodes": 2, "available": 0, "requested": False},
        {"number": 1, "episodes": 2, "available": 1, "requested": True},
        {"number": 2, "episodes": 3, "available": 0, "requested": True},
    ]
    found = data_of(ann.get(f"/media/requests/{row['id']}"))
    assert [one["status"] for one in found["seasons"]] == ["partial", "pending"]

    library.add_episode(show, 1, 2, title="Lies")
    for number in (1, 2):
        library.add_episode(show, 2, number)
    village.sync()
    found = data_of(ann.get(f"/media/requests/{row['id']}"))
    assert ([one["status"] for one in found["seasons"]], found["status"]) == (
        ["available", "partial"],
        "pending",
    )
    last = library.add_episode(show, 2, 3)
    village.sync()
    assert status_of(ann, row) == "available"
    assert village.notices(ann.id) == [("request.available", "“Dark” can be watched")]
    assert data_of(ann.get("/media/tv/70523"))["availability"]["status"] == "available"
    error = refused(village.door.person().post("/media/request", json=SERIES), 409, "CONFLICT")
    assert error["details"]["itemId"]

    library.remove(last)
    village.sync(full=True)
    assert status_of(ann, row) == "processing"


def test_more_that_is_aired_reopens_nothing(village: Village) -> None:
    ann, library = village.door.person(), village.plex.library
    row = ask(ann, SERIES | {"seasons": [1]})
    show = library.add_show("Series", "Dark", tmdb=70523)
    for number in (1, 2):
        library.add_episode(show, 1, number)
    village.sync()
    assert status_of(ann, row) == "available"
    village.tmdb.titles[-1].seasons[1] = 9
    with village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE titles SET detailed_at = detailed_at - interval '2 days'"))
    data_of(ann.get("/media/tv/70523"))
    availability_pass.check(village.runtime)
    assert status_of(ann, row) == "available"


def test_only_what_is_missing_of_a_series_is_asked_for(village: Village) -> None:
    library = village.plex.library
    show = library.add_show("Series", "Dark", tmdb=70523)
    for number in (1, 2):
        library.add_episode(show, 1, number)
    village.sync()
    assert [one["number"] for one in ask(village.door.person(), SERIES)["seasons"]] == [2]


def test_a_thousand_requests_cost_a_few_statements(village: Village) -> None:
    ann = village.door.person()
    with village.runtime.unit_of_work() as db:
        for number in range(300):
            db.execute(
                text(
                    "INSERT INTO media_requests (id, media_type, status, tmdb_id, title, user_id, updated_at) "
                    "VALUES (:id, 'movie', 'processing', :tmdb, 'x', :user, now())"
                ),
                {"id": new_id("req"), "tmdb": str(5000 + number), "user": ann.id},
            )
    for number in range(30):
        village.plex.library.add_film("Films", f"Film {number}", tmdb=5000 + number)
    village.sync()
    with village.runtime.reading() as db:
        query = text("SELECT count(*) FROM media_requests WHERE status = 'available'")
        assert db.scalar(query) == 30


def test_nothing_is_taken_back_while_plex_is_read(village: Village) -> None:
    ann = village.door.person()
    row = ask(ann, FILM)
    item = village.plex.library.add_film("Films", "Heat", 1995, tmdb=949)
    village.sync()
    village.plex.library.remove(item)
    synced(village.runtime, full=True)
    with village.runtime.unit_of_work() as db:
        run, _ = sync.start(db, full=True, trigger="manual")

    availability_pass.check(village.runtime)
    assert status_of(ann, row) == "available"

    with village.runtime.unit_of_work() as db:
        sync.cancel(db, run.id)
    availability_pass.check(village.runtime)
    assert status_of(ann, row) == "processing"


def test_another_server_takes_nothing_back_before_it_was_read(village: Village) -> None:
    ann = village.door.person()
    row = ask(ann, FILM)
    village.plex.library.add_film("Films", "Heat", 1995, tmdb=949)
    village.sync()
    with village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE media_items SET deleted_at = now()"))
        db.execute(text("UPDATE plex_servers SET synced_at = NULL"))

    availability_pass.check(village.runtime)
    assert status_of(ann, row) == "available"
    synced(village.runtime)
    availability_pass.check(village.runtime)
    assert status_of(ann, row) == "available"


def test_a_series_in_two_libraries_counts_together(village: Village) -> None:
    ann, library = village.door.person(), village.plex.library
    library.add_section("show", "Old series")
    row = ask(ann, SERIES | {"seasons": [2]})
    one, two = (
        library.add_show("Series", "Dark", tmdb=70523),
        library.add_show("Old series", "Dark", tmdb=70523),
    )
    library.add_episode(one, 2, 1)
    library.add_episode(two, 2, 1)
    library.add_episode(two, 2, 2)
    village.sync()
    assert status_of(ann, row) == "pending"
    library.add_episode(one, 2, 3)
    village.sync()
    assert status_of(ann, row) == "available"


def test_seasons_are_as_far_as_their_request(village: Village) -> None:
    ann, admin = village.door.person(), village.door.person("admin")
    row = ask(ann, SERIES | {"seasons": [1, 2]})
    admin.post(f"/media/requests/{row['id']}/approve", json={})
    village.work()
    found = data_of(ann.get(f"/media/requests/{row['id']}"))
    assert [one["status"] for one in found["seasons"]] == ["processing", "processing"]


def test_episodes_that_were_aired_meanwhile_are_waited_for(village: Village) -> None:
    ann, library = village.door.person(), village.plex.library
    row = ask(ann, SERIES | {"seasons": [2]})
    show = library.add_show("Series", "Dark", tmdb=70523)
    village.tmdb.titles[-1].seasons[2] = 4
    assert refreshing.refresh(village.runtime) == 0
    with village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE titles SET detailed_at = detailed_at - interval '2 days'"))
    village.tmdb.fault = "503"
    assert refreshing.refresh(village.runtime) == 0
    village.tmdb.fault = None
    source._pauses.clear()
    assert refreshing.refresh(village.runtime) == 1

    for number in (1, 2, 3):
        library.add_episode(show, 2, number)
    village.sync()
    assert status_of(ann, row) == "pending"
    library.add_episode(show, 2, 4)
    village.sync()
    assert status_of(ann, row) == "available"
    with village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE titles SET detailed_at = detailed_at - interval '2 days'"))
    assert refreshing.refresh(village.runtime) == 0
