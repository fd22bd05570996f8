"""What people put on their Plex watchlist is asked for, once, by the rules and quotas of everybody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from door import Person, opened
from page_visits import PageVisits
from sqlalchemy import func, select, text, update
from village import Village

from config.settings import Settings
from engine.plex.server import user_tokens
from engine.secrets import secret_box
from engine.titles import source
from engine.watchlists import reading
from models.user import User
from models.watchlist import Watchlist, WatchlistEntry
from tests.fakes.overseerr_server import OverseerrDouble
from tests.fakes.plex_server import PlexDouble
from tests.fakes.tmdb_server import TmdbDouble
from tests.fakes.watchlists import PATH, FakeWatchlists

MINE = "/users/me/watchlist"


@dataclass
class Wishing:
    """A village whose people have watchlists."""

    village: Village
    lists: FakeWatchlists

    def linked(self, person: Person) -> str:
        """Somebody signs in with Plex; returns their token there."""
        token = f"token-of-{person.id}"
        self.lists.lists[token] = []
        with self.village.runtime.unit_of_work() as db:
            secret_box.put(db, self.village.runtime.settings, user_tokens.secret_name(person.id), token)
        return token

    def wishes(self, role: str = "user") -> tuple[Person, str]:
        """Somebody signs in with Plex and opts in; returns them and their token."""
        person = self.village.door.person(role)
        token = self.linked(person)
        assert person.request("PUT", MINE, json={"enabled": True}).status_code == 200
        return person, token

    def later(self) -> None:
        """It is time to look at all lists again, and at all that waits."""
        with self.village.runtime.unit_of_work() as db:
            db.execute(update(Watchlist).values(due_at=func.clock_timestamp()))
            db.execute(
                update(WatchlistEntry)
                .where(WatchlistEntry.outcome == "waiting")
                .values(due_at=func.clock_timestamp())
            )

    def read(self) -> None:
        """Look at all lists now."""
        self.later()
        reading.read_due(self.village.runtime)
        self.village.work()


@pytest.fixture
def wishing(
    settings: Settings, plex: PlexDouble, tmdb: TmdbDouble, overseerr: OverseerrDouble
) -> Iterator[Wishing]:
    source._pauses.clear()
    access = {"plex_url": plex.url, "plex_token": plex.token, "tmdb_url": tmdb.url, "tmdb_token": tmdb.token}
    with FakeWatchlists() as lists, opened(settings, **access, plex_discover_url=lists.url) as door:
        yield Wishing(Village(door, plex, tmdb, overseerr), lists)


def mine(person: Person) -> dict[str, Any]:
    data: dict[str, Any] = person.get(f"{MINE}?limit=100").get_json()["data"]
    return data


def outcomes(person: Person) -> dict[str, str]:
    return {entry["title"]: entry["outcome"] for entry in mine(person)["items"]}


def asked_for(person: Person) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = person.get("/media/requests").get_json()["data"]["items"]
    return rows


def test_what_is_put_on_it_is_asked_for_once(wishing: Wishing) -> None:
    ann, token = wishing.wishes()
    wishing.lists.put(token, "movie", "Heat", 1995, 949)
    wishing.lists.put(token, "show", "Dark", 2017, 70523)

    wishing.read()
    wishing.read()

    assert outcomes(ann) == {"Heat": "requested", "Dark": "requested"}
    rows = {row["title"]: row for row in asked_for(ann)}
    assert {title: row["status"] for title, row in rows.items()} == {"Heat": "pending", "Dark": "pending"}
    assert [season["number"] for season in rows["Dark"]["seasons"]] == [1, 2]
    detail = ann.get(f"/media/requests/{rows['Heat']['id']}").get_json()["data"]
    assert "watchlist" in detail["timeline"][0]["text"]
    assert {entry["requestId"] for entry in mine(ann)["items"]} == {row["id"] for row in rows.values()}


def test_an_unchanged_list_costs_one_short_answer(wishing: Wishing) -> None:
    ann, token = wishing.wishes()
    wishing.lists.put(token, "movie", "Heat", 1995, 949)
    wishing.read()
    before = len(wishing.lists.seen)

    wishing.read()

    (asked,) = wishing.lists.seen[before:]
    assert asked.headers["if-none-match"].startswith("W/")
    assert mine(ann)["readAt"] is not None
    wishing.lists.put(token, "movie", "Alien", 1979, 348)
    wishing.read()
    assert outcomes(ann) == {"Heat": "requested", "Alien": "requested"}


def test_taking_it_off_changes_nothing_and_a_withdrawn_request_is_not_asked_again(wishing: Wishing) -> None:
    ann, token = wishing.wishes()
    wishing.lists.put(token, "movie", "Heat", 1995, 949)
    wishing.read()
    entries = list(wishing.lists.lists[token])
    wishing.lists.lists[token].clear()
    wishing.read()
    assert [row["title"] for row in asked_for(ann)] == ["Heat"]

    assert ann.delete(f"/media/requests/{asked_for(ann)[0]['id']}").status_code == 200
    wishing.lists.lists[token] += entries
    wishing.read()
    for on in (False, True):
        assert ann.request("PUT", MINE, json={"enabled": on}).get_json()["data"]["enabled"] is on
    wishing.read()

    assert asked_for(ann) == []


def test_a_quota_makes_the_rest_wait_and_it_is_asked_for_later(wishing: Wishing) -> None:
    admin = wishing.village.door.person("admin")
    ann, token = wishing.wishes()
    quota = {"requestsPerDays": {"user": {"count": 1, "days": 7}}}
    assert admin.request("PUT", "/admin/request-rules", json=quota).status_code == 200
    for title, year, tmdb_id in (("Heat", 1995, 949), ("Alien", 1979, 348)):
        wishing.lists.put(token, "movie", title, year, tmdb_id)

    wishing.read()
    assert sorted(outcomes(ann).values()) == ["requested", "waiting"]
    waits = next(entry for entry in mine(ann)["items"] if entry["outcome"] == "waiting")
    assert "in 7 days" in waits["reason"]
    assert waits["tryAt"] is not None
    with wishing.village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE media_requests SET created_at = created_at - interval '8 days'"))
    wishing.read()

    assert outcomes(ann) == {"Heat": "requested", "Alien": "requested"}


def test_what_others_asked_for_is_followed_and_what_is_there_is_not_asked_for(wishing: Wishing) -> None:
    ben = wishing.village.door.person("user")
    assert ben.post("/media/request", json={"mediaType": "movie", "tmdbId": "949"}).status_code in {200, 201}
    wishing.village.plex.library.add_film("Films", "Alien", 1979, tmdb=348)
    wishing.village.sync()
    ann, token = wishing.wishes()
    wishing.lists.put(token, "movie", "Heat", 1995, 949)
    wishing.lists.put(token, "movie", "Alien", 1979, 348)

    wishing.read()

    assert outcomes(ann) == {"Heat": "followed", "Alien": "available"}


def test_what_nobody_knows_is_said_so(wishing: Wishing) -> None:
    ann, token = wishing.wishes()
    wishing.lists.put(token, "movie", "No ids", 2001)
    wishing.lists.gone.add(wishing.lists.put(token, "movie", "Gone", 2002, 1))
    wishing.lists.put(token, "movie", "Not at TMDB", 2003, 987654)
    wishing.lists.put(token, "person", "Al Pacino", 1940)

    wishing.read()

    assert outcomes(ann) == dict.fromkeys(("No ids", "Gone", "Not at TMDB"), "unknown")
    assert all(entry["reason"] for entry in mine(ann)["items"])


@pytest.mark.parametrize("totals", [True, False])
def test_a_list_of_hundreds_is_read_whole_and_worked_off(wishing: Wishing, *, totals: bool) -> None:
    ann, token = wishing.wishes()
    wishing.lists.totals = totals
    for number in range(230):
        film = wishing.village.tmdb.film(f"Film {number}", 2000, id=10_000 + number)
        assert film
        wishing.lists.put(token, "movie", f"Film {number}", 2000, 10_000 + number)

    for _ in range(10):
        reading.read_due(wishing.village.runtime)

    assert len(outcomes(ann)) == 100
    assert mine(ann)["pagination"]["totalItems"] == 230
    assert set(outcomes(ann).values()) == {"requested"}


def test_a_list_in_xml_is_read_too(wishing: Wishing) -> None:
    ann, token = wishing.wishes()
    wishing.lists.xml = True
    for number in range(120):  # more than a page
        wishing.village.tmdb.film(f"Film {number}", 2000, id=20_000 + number)
        wishing.lists.put(token, "movie", f"Film {number}", 2000, 20_000 + number)
    for _ in range(6):
        reading.read_due(wishing.village.runtime)

    assert mine(ann)["error"] is None
    assert mine(ann)["pagination"]["totalItems"] == 120
    assert set(outcomes(ann).values()) == {"requested"}


def test_a_service_that_asks_for_time_gets_it(wishing: Wishing) -> None:
    ann, token = wishing.wishes()
    wishing.lists.put(token, "movie", "Heat", 1995, 949)
    wishing.lists.retry_after = 3600
    reading.read_due(wishing.village.runtime)

    assert mine(ann)["error"]
    assert len(wishing.lists.asked(PATH)) == 1
    with wishing.village.runtime.reading() as db:
        left = db.scalar(select(Watchlist.due_at - func.clock_timestamp()))
    assert left is not None
    assert left > timedelta(minutes=59)


@pytest.mark.parametrize("how", ["503", "429", "html", "reset", "cut", "odd", "redirect", "flood", "empty"])
def test_a_service_that_fails_loses_nothing(wishing: Wishing, how: str) -> None:
    ann, token = wishing.wishes()
    wishing.lists.put(token, "movie", "Heat", 1995, 949)
    wishing.lists.fail(how)
    wishing.read()
    assert mine(ann)["error"]
    assert outcomes(ann) == {}

    wishing.lists.fail(how, "/library/metadata")
    wishing.read()
    assert mine(ann)["error"]
    assert outcomes(ann) == {"Heat": "waiting"}

    wishing.lists.fail(None)
    wishing.read()
    assert (mine(ann)["error"], outcomes(ann)) == (None, {"Heat": "requested"})


def test_tmdb_that_is_away_makes_it_wait(wishing: Wishing) -> None:
    ann, token = wishing.wishes()
    wishing.lists.put(token, "movie", "Heat", 1995, 949)
    wishing.village.tmdb.fault = "503"
    wishing.read()
    assert outcomes(ann) == {"Heat": "waiting"}

    wishing.village.tmdb.fault = None
    source._pauses.clear()
    wishing.read()
    assert outcomes(ann) == {"Heat": "requested"}


def test_a_sign_in_that_ended_is_said_and_others_go_on(wishing: Wishing) -> None:
    ann, hers = wishing.wishes()
    ben, his = wishing.wishes()
    wishing.lists.refused.add(hers)
    wishing.lists.put(his, "movie", "Heat", 1995, 949)

    wishing.read()

    assert "sign in with Plex again" in mine(ann)["error"]
    assert outcomes(ben) == {"Heat": "requested"}
    assert hers not in str(mine(ann))


def test_opting_in_needs_plex(wishing: Wishing) -> None:
    ann, guest = wishing.village.door.person("user"), wishing.village.door.person("guest")
    refused = ann.request("PUT", MINE, json={"enabled": True})
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (409, "CONFLICT")
    assert (mine(ann)["enabled"], mine(ann)["linked"]) == (False, False)
    assert guest.request("PUT", MINE, json={"enabled": True}).status_code == 403
    assert ann.request("PUT", MINE, json={}).status_code == 400


def test_who_is_disabled_or_opted_out_asks_for_nothing(wishing: Wishing) -> None:
    ann, hers = wishing.wishes()
    ben, his = wishing.wishes()
    for token in (hers, his):
        wishing.lists.put(token, "movie", "Heat", 1995, 949)
    ann.request("PUT", MINE, json={"enabled": False})
    with wishing.village.runtime.unit_of_work() as db:
        db.execute(update(User).where(User.id == ben.id).values(disabled_at=func.clock_timestamp()))

    wishing.read()

    assert wishing.lists.asked(PATH) == []


def test_the_page_switches_it_and_says_what_became_of_it(wishing: Wishing) -> None:
    ann = PageVisits(wishing.village.door, "user")
    proof = {"csrfToken": ann.person.signed_in["csrfToken"]}
    assert "Sign in with Plex first" in ann.see("requests/watchlist")
    token = wishing.linked(ann.person)
    wishing.lists.put(token, "movie", "Heat <b>", 1995, 949)

    assert "Your Plex watchlist is asked for" in ann.told("requests/watchlist", {**proof, "on": "true"})
    wishing.read()
    seen = ann.see("requests/watchlist")
    assert "Heat <b>" in seen
    assert "Asked for" in seen
    assert "Your Plex watchlist is not read" in ann.told("requests/watchlist", {**proof, "on": "false"})
