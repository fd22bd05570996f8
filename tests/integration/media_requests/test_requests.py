"""Asking and deciding: one request for each thing, whoever asks, however many at once."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from door import Person, data_of, refused
from sqlalchemy import text
from village import Village

FILM = {"tmdbId": "949", "mediaType": "movie"}
SERIES = {"tmdbId": "70523", "mediaType": "tv"}


@pytest.fixture
def ann(village: Village) -> Person:
    return village.door.person()


@pytest.fixture
def admin(village: Village) -> Person:
    return village.door.person("admin")


def ask(person: Person, what: dict[str, Any], status: int = 201, **more: Any) -> dict[str, Any]:
    answer = person.post("/media/request", json=what | more)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.get_json()["data"]
    return found


def test_a_film_is_asked_for_approved_and_told(village: Village, ann: Person, admin: Person) -> None:
    row = ask(ann, FILM, quality="1080p", comment="Please add this movie")

    assert (row["status"], row["title"], row["year"], row["quality"]) == ("pending", "Heat", 1995, "1080p")
    assert row["requestedBy"] == {"id": ann.id, "name": "Ann"}
    assert row["fulfilment"] == {"by": None, "reference": None, "status": None, "error": None}
    assert row["availability"]["status"] == "requested"
    assert data_of(ann.get("/media/movie/949"))["availability"]["requestId"] == row["id"]
    village.work()
    assert village.notices(admin.id) == [("request.new", "Somebody asks for something")]

    approved = data_of(admin.post(f"/media/requests/{row['id']}/approve", json={}))
    assert (approved["status"], approved["decidedBy"]["id"]) == ("approved", admin.id)
    village.work()

    details = data_of(ann.get(f"/media/requests/{row['id']}"))
    assert (details["status"], details["fulfilment"]["by"]) == ("processing", "hand")
    assert [entry["step"] for entry in details["timeline"]] == ["asked", "approved", "processing", "told"]
    assert all(entry["correlationId"] for entry in details["timeline"][:3])
    assert details["waitingFor"] == "Somebody who looks after the server adds it by hand."
    assert village.notices(ann.id) == [("request.approved", "“Heat” was approved")]
    assert len(village.notices(admin.id)) == 1, "nobody is told of their own action"


def test_fifty_who_ask_at_once_make_one_request_and_49_followers(village: Village) -> None:
    people = [village.door.person() for _ in range(50)]

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda person: person.post("/media/request", json=FILM), people))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 49}
    assert len({answer.get_json()["data"]["id"] for answer in answers}) == 1
    row = data_of(people[0].get("/media/requests"))["items"][0]
    assert row["followers"] == 49
    assert sum(data_of(person.get("/media/requests"))["items"][0]["following"] for person in people) == 49


def test_one_place_left_is_taken_once(village: Village, ann: Person, admin: Person) -> None:
    quotas = {"requestsPerDays": {"user": {"count": 1, "days": 7}}}
    assert admin.request("PUT", "/admin/request-rules", json=quotas).status_code == 200
    for number in range(20):
        village.tmdb.film(f"Film {number}", id=1000 + number)

    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(
                lambda number: ann.post(
                    "/media/request", json={"tmdbId": str(1000 + number), "mediaType": "movie"}
                ),
                range(20),
            )
        )

    assert Counter(answer.status_code for answer in answers) == {201: 1, 429: 19}
    error = refused(next(answer for answer in answers if answer.status_code == 429), 429, "QUOTA_EXCEEDED")
    assert (error["details"]["limit"], error["details"]["used"]) == (1, 1)
    assert error["details"]["resetsAt"].endswith("Z")
    bob = village.door.person()
    ask(bob, {"tmdbId": "1000", "mediaType": "movie"}, 201 if answers[0].status_code == 429 else 200)


def test_ten_admins_at_once_hand_on_once_and_tell_once(village: Village, ann: Person) -> None:
    row = ask(ann, FILM)
    admins = [village.door.person("admin") for _ in range(10)]

    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda one: one.post(f"/media/requests/{row['id']}/approve", json={}), admins)
        )

    assert {answer.status_code for answer in answers} == {200}
    village.work()
    with village.runtime.reading() as db:
        assert db.scalar(text("SELECT count(*) FROM fulfilments")) == 1
        assert db.scalar(text("SELECT count(*) FROM audit_entries WHERE action = 'request.approved'")) == 1
    assert [kind for kind, _ in village.notices(ann.id)] == ["request.approved"]


def test_a_request_is_denied_with_a_reason_and_asked_again(
    village: Village, ann: Person, admin: Person
) -> None:
    row = ask(ann, FILM)
    path = f"/media/requests/{row['id']}"

    denied = data_of(admin.post(f"{path}/deny", json={"reason": "Too long."}))
    assert (denied["status"], denied["denyReason"]) == ("denied", "Too long.")
    assert admin.post(f"{path}/deny", json={"reason": "Again."}).status_code == 200
    refused(admin.post(f"{path}/approve", json={}), 409, "CONFLICT")
    village.work()
    assert village.notices(ann.id) == [("request.denied", "“Heat” was denied")]

    assert ask(ann, FILM, 200)["status"] == "denied", "nothing new was said"
    again = ask(ann, FILM, 200, comment="It is not that long.")
    assert (again["id"], again["status"], again["denyReason"]) == (row["id"], "pending", None)
    assert data_of(admin.post(f"{path}/approve", json={}))["status"] == "approved"
    refused(admin.post(f"{path}/deny", json={}), 409, "CONFLICT")
    assert data_of(admin.post(f"{path}/approve", json={}))["status"] == "approved"


def test_a_season_belongs_to_one_request(village: Village, ann: Person, admin: Person) -> None:
    first = ask(ann, SERIES, seasons=[1])
    assert first["seasons"] == [{"number": 1, "status": "pending"}]
    bob = village.door.person()

    more = ask(bob, SERIES, 200, seasons="all")
    assert (more["id"], [one["number"] for one in more["seasons"]]) == (first["id"], [1, 2]), (
        "unaired and specials stay"
    )
    admin.post(f"/media/requests/{first['id']}/approve", json={})
    assert ask(bob, SERIES, 200, seasons=[2])["id"] == first["id"]
    special = ask(bob, SERIES, seasons=[0, 1])
    assert (special["id"] != first["id"], [one["number"] for one in special["seasons"]]) == (True, [0])
    latest = ask(village.door.person(), SERIES, 200, seasons="latest")
    assert latest["id"] == first["id"]
    error = refused(ann.post("/media/request", json=SERIES | {"seasons": [9]}), 400, "VALIDATION_ERROR")
    assert error["details"]["seasons"] == ["Must be some of: 0, 1, 2, 3."]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tmdbId": "949"},
        {"tmdbId": 949, "mediaType": "movie"},
        {"tmdbId": "949", "mediaType": "person"},
        {"tmdbId": "949", "mediaType": "video"},
        FILM | {"seasons": [1]},
        FILM | {"url": "http://127.0.0.1/a.mp4"},
        FILM | {"quality": "audio"},
        FILM | {"format": "mp4"},
        FILM | {"comment": "x" * 1001},
        SERIES | {"seasons": []},
        SERIES | {"seasons": "some"},
        SERIES | {"seasons": [-1]},
        SERIES | {"seasons": [True]},
        {"url": "ftp://127.0.0.1/a"},
        {"url": "http://127.0.0.1/a.mp4", "downloadPath": "../x"},
        {"url": "http://127.0.0.1/a.mp4", "seasons": [1]},
    ],
)
def test_what_is_not_accepted_is_said(ann: Person, body: dict[str, Any]) -> None:
    refused(ann.post("/media/request", json=body), 400, "VALIDATION_ERROR")


def test_unknown_titles_are_not_found(ann: Person) -> None:
    refused(ann.post("/media/request", json={"tmdbId": "1", "mediaType": "movie"}), 404, "NOT_FOUND")


def test_others_see_nothing_until_they_follow(village: Village, ann: Person, admin: Person) -> None:
    row, bob = ask(ann, FILM), village.door.person()
    path = f"/media/requests/{row['id']}"
    for answer in (bob.get(path), bob.delete(path), bob.request("PATCH", path, json={"comment": "x"})):
        refused(answer, 404, "NOT_FOUND")
    refused(bob.post(f"{path}/comments", json={"text": "hello"}), 404, "NOT_FOUND")
    refused(bob.post(f"{path}/approve", json={}), 403, "FORBIDDEN")
    assert data_of(bob.get("/media/requests"))["items"] == []

    followed = data_of(bob.post(f"{path}/follow"))
    assert (followed["following"], followed["followers"]) == (True, 1)
    assert data_of(bob.post(f"{path}/follow"))["followers"] == 1
    assert data_of(bob.get(path))["title"] == "Heat"
    refused(bob.delete(path), 403, "FORBIDDEN")
    assert data_of(bob.post(f"{path}/comments", json={"text": "Me too!"}))["by"]["id"] == bob.id
    assert [one["text"] for one in data_of(ann.get(path))["comments"]] == ["Me too!"]
    admin.post(f"{path}/approve", json={})
    village.work()
    assert village.notices(bob.id) == [("request.approved", "“Heat” was approved")]
    refused(ann.delete(f"{path}/follow"), 409, "CONFLICT")
    assert not data_of(bob.delete(f"{path}/follow"))["following"]
    refused(bob.get(path), 404, "NOT_FOUND")
    refused(bob.delete(f"{path}/follow"), 404, "NOT_FOUND")


def test_ones_own_is_changed_and_taken_back_while_it_is_pending(
    village: Village, ann: Person, admin: Person
) -> None:
    row = ask(ann, SERIES, seasons=[1])
    path = f"/media/requests/{row['id']}"
    changed = data_of(
        ann.request("PATCH", path, json={"comment": "Both", "seasons": "all", "quality": "720p"})
    )
    assert (changed["comment"], changed["quality"]) == ("Both", "720p")
    assert [one["number"] for one in changed["seasons"]] == [1, 2]
    for bad in ({}, {"quality": "audio"}, {"seasons": [77]}, {"status": "approved"}):
        refused(ann.request("PATCH", path, json=bad), 400, "VALIDATION_ERROR")

    assert data_of(ann.delete(path))["id"] == row["id"]
    refused(ann.get(path), 404, "NOT_FOUND")
    decided = ask(ann, FILM)
    path = f"/media/requests/{decided['id']}"
    admin.post(f"{path}/approve", json={})
    refused(ann.delete(path), 409, "CONFLICT")
    refused(ann.request("PATCH", path, json={"comment": "x"}), 409, "CONFLICT")
    assert data_of(admin.delete(path))["id"] == decided["id"]


def test_the_first_rule_that_fits_decides(village: Village, ann: Person, admin: Person) -> None:
    rules = [
        {"match": {"genres": ["horror"]}, "then": "block", "reason": "Not in this house."},
        {"match": {"mediaType": "movie", "maxYear": 2000}, "then": "approve", "reason": None},
        {"match": {"role": "admin"}, "then": "ask", "reason": None},
    ]
    put = admin.request("PUT", "/admin/request-rules", json={"rules": rules})
    assert data_of(put)["rules"] == rules
    assert data_of(admin.get("/admin/request-rules"))["requestsPerDays"]["user"] is None

    error = refused(
        ann.post("/media/request", json={"tmdbId": "348", "mediaType": "movie"}), 403, "FORBIDDEN"
    )
    assert error["message"] == "Not in this house."
    assert ask(ann, FILM)["status"] == "approved"
    assert ask(admin, SERIES)["status"] == "pending", "an admin asks like others where a rule says so"
    for bad in (
        {"rules": [{"match": {"colour": "red"}, "then": "block"}]},
        {"rules": [{"match": {}, "then": "perhaps"}]},
        {"requestsPerDays": {"user": {"count": -1, "days": 1}}},
    ):
        refused(admin.request("PUT", "/admin/request-rules", json=bad), 400, "VALIDATION_ERROR")
    refused(ann.get("/admin/request-rules"), 403, "FORBIDDEN")


def test_who_may_approve_need_not_ask_themself(village: Village, admin: Person) -> None:
    row = ask(admin, FILM)
    assert (row["status"], row["decidedBy"]["id"]) == ("approved", admin.id)


def test_many_are_decided_together_and_told_as_one(village: Village, ann: Person, admin: Person) -> None:
    ids = []
    for number in range(5):
        village.tmdb.film(f"Film {number}", id=2000 + number)
        ids.append(ask(ann, {"tmdbId": str(2000 + number), "mediaType": "movie"})["id"])
    admin.post(f"/media/requests/{ids[0]}/deny", json={})

    items = data_of(admin.post("/admin/requests/approve", json={"ids": [*ids, "req-none"]}))["items"]

    assert [item["result"] for item in items] == ["refused", *["approved"] * 4, "refused"]
    assert [items[0]["error"]["code"], items[-1]["error"]["code"]] == ["CONFLICT", "NOT_FOUND"]
    denied = data_of(admin.post("/admin/requests/deny", json={"ids": ids, "reason": "No."}))["items"]
    assert [item["result"] for item in denied] == ["unchanged", *["refused"] * 4]


def test_lists_are_filtered_sorted_and_paged(village: Village, ann: Person, admin: Person) -> None:
    heat, dark = ask(ann, FILM), ask(ann, SERIES)
    other = ask(village.door.person(), {"tmdbId": "348", "mediaType": "movie"})

    def ids(person: Person, query: str, path: str = "/media/requests") -> list[str]:
        return [row["id"] for row in data_of(person.get(f"{path}?{query}"))["items"]]

    assert ids(ann, "") == [dark["id"], heat["id"]]
    assert ids(ann, "mediaType=movie") == [heat["id"]]
    assert ids(ann, "status=approved") == []
    assert ids(ann, "query=HEA") == [heat["id"]]
    assert ids(ann, "sort=title") == [dark["id"], heat["id"]]
    assert ids(ann, "sort=oldest&limit=1&page=2") == [dark["id"]]
    assert ids(admin, "") == []
    assert set(ids(admin, "", "/admin/requests")) == {heat["id"], dark["id"], other["id"]}
    assert set(ids(admin, f"requestedBy={ann.id}", "/admin/requests")) == {heat["id"], dark["id"]}
    refused(ann.get("/admin/requests"), 403, "FORBIDDEN")
    for bad in ("status=lost", "mediaType=show", "sort=colour", "colour=red"):
        refused(ann.get(f"/media/requests?{bad}"), 400, "VALIDATION_ERROR")


def test_ones_own_quota_beats_that_of_the_role(village: Village, ann: Person, admin: Person) -> None:
    admin.request("PUT", "/admin/request-rules", json={"requestsPerDays": {"user": {"count": 1, "days": 7}}})
    mine = {"requestsPerDays": {"count": 2, "days": 30}}
    assert (
        data_of(admin.request("PATCH", f"/admin/users/{ann.id}", json=mine))["requestsPerDays"]
        == mine["requestsPerDays"]
    )
    ask(ann, FILM)
    ask(ann, SERIES)
    error = refused(
        ann.post("/media/request", json={"tmdbId": "348", "mediaType": "movie"}), 429, "QUOTA_EXCEEDED"
    )
    assert error["details"]["limit"] == 2
    admin.request("PATCH", f"/admin/users/{ann.id}", json={"requestsPerDays": None})
    assert data_of(admin.get(f"/admin/users/{ann.id}"))["requestsPerDays"] is None


def test_who_is_deleted_leaves_what_others_wait_for(village: Village, ann: Person, admin: Person) -> None:
    alone, shared, bob = ask(ann, FILM), ask(ann, SERIES), village.door.person()
    ask(bob, SERIES, 200)
    assert admin.delete(f"/admin/users/{ann.id}").status_code == 200
    refused(admin.get(f"/media/requests/{alone['id']}"), 404, "NOT_FOUND")
    left = data_of(bob.get(f"/media/requests/{shared['id']}"))
    assert (left["requestedBy"], left["followers"]) == (None, 1)


def test_who_decides_is_told_of_what_is_asked_again(village: Village, ann: Person, admin: Person) -> None:
    row = ask(ann, FILM)
    admin.post(f"/media/requests/{row['id']}/deny", json={})
    village.work()

    ask(ann, FILM, 200, comment="Please.")
    village.work()

    assert [type_ for type_, _ in village.notices(admin.id)] == ["request.new", "request.new"]


def test_who_asks_for_seasons_of_several_requests_follows_each(
    village: Village, ann: Person, admin: Person
) -> None:
    denied = ask(ann, SERIES, seasons=[1])
    admin.post(f"/media/requests/{denied['id']}/deny", json={})
    approved = ask(ann, SERIES, seasons=[2])
    admin.post(f"/media/requests/{approved['id']}/approve", json={})
    bob, cleo = village.door.person(), village.door.person()

    new = ask(cleo, SERIES, 201, seasons=[2, 3])
    ask(bob, SERIES, 200, seasons=[1, 2], comment="Please.")

    seen = {row["id"]: row["status"] for row in data_of(bob.get("/media/requests"))["items"]}
    assert seen == {denied["id"]: "pending", approved["id"]: "approved"}
    assert {row["id"] for row in data_of(cleo.get("/media/requests"))["items"]} == {new["id"], approved["id"]}


def test_a_change_tells_nothing_of_anothers_request(village: Village, ann: Person) -> None:
    row = ask(ann, SERIES, seasons=[1])

    answer = village.door.person().request("PATCH", f"/media/requests/{row['id']}", json={"seasons": [99]})

    refused(answer, 404, "NOT_FOUND")


@pytest.mark.parametrize("query", ["%", "_", "\\"])
def test_words_of_a_title_are_no_patterns(ann: Person, query: str) -> None:
    ask(ann, FILM)

    assert data_of(ann.get("/media/requests", query_string={"query": query}))["items"] == []


def test_every_history_says_who_was_told_of_what_was_decided_together(village: Village) -> None:
    ann, ben, admin = village.door.person(), village.door.person(), village.door.person("admin")
    ids = [ask(ann, what)["id"] for what in (FILM, SERIES)]
    ben.post(f"/media/requests/{ids[1]}/follow")

    admin.post("/admin/requests/deny", json={"ids": ids, "reason": "No."})
    village.work()

    for request_id, words in zip(ids, ("told.", "2 people told."), strict=True):
        timeline = data_of(ann.get(f"/media/requests/{request_id}"))["timeline"]
        (told,) = [entry["text"] for entry in timeline if entry["step"] == "told"]
        assert told.endswith(words)


def test_two_changed_to_one_season_at_once_get_it_once(village: Village, ann: Person) -> None:
    village.tmdb.series("Long", 2000, id=4711, seasons=dict.fromkeys(range(1, 5), 2))
    what = {"tmdbId": "4711", "mediaType": "tv"}
    paths = []
    for number in (1, 2):
        paths.append(f"/media/requests/{ask(ann, what, seasons=[number])['id']}")
        with village.runtime.unit_of_work() as db:
            db.execute(text("UPDATE media_requests SET status = 'approved'"))
    with village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE media_requests SET status = 'pending'"))

    with ThreadPoolExecutor(2) as pool:
        for season in (3, 4, 3, 4):
            change = partial(ann.request, "PATCH", json={"seasons": [season]})
            statuses = [answer.status_code for answer in pool.map(change, paths)]
            assert sorted(statuses) == [200, 400]
            lucky = statuses.index(200)
            assert ann.request("PATCH", paths[lucky], json={"seasons": [1 + lucky]}).status_code == 200


def test_who_may_approve_approves_by_asking(village: Village, ann: Person, admin: Person) -> None:
    row = ask(ann, FILM)

    again = ask(admin, FILM, 200)

    assert (again["id"], again["status"]) == (row["id"], "approved")


def test_what_somebody_who_is_deleted_asked_for_is_gone_and_told(village: Village, ann: Person) -> None:
    chief = village.door.person("super_admin")
    lonely, shared = ask(ann, FILM)["id"], ask(ann, SERIES)["id"]
    village.door.person().post(f"/media/requests/{shared}/follow")

    assert chief.delete(f"/admin/users/{ann.id}").status_code == 200

    rows = {row["id"]: row for row in data_of(chief.get("/admin/requests"))["items"]}
    assert lonely not in rows
    assert rows[shared]["requestedBy"] is None


def test_what_is_not_accepted_names_the_fields_as_they_were_sent(ann: Person) -> None:
    error = refused(ann.post("/media/request", json={"mediaType": "movie"}), 400, "VALIDATION_ERROR")
    assert error["details"] == {"tmdbId": ["Is needed, or the url of a video."]}
    for odd in (1.5, [], "x"):
        error = refused(ann.post("/media/request", json=odd), 400, "VALIDATION_ERROR")
        assert error["details"] == {"body": ["Must be a JSON object."]}


def test_seasons_of_others_are_no_way_around_a_quota(village: Village, ann: Person, admin: Person) -> None:
    first = ask(ann, SERIES, seasons=[1])
    quotas = {"requestsPerDays": {"user": {"count": 0, "days": 1}}}
    assert admin.request("PUT", "/admin/request-rules", json=quotas).status_code == 200
    bob = village.door.person()

    error = refused(bob.post("/media/request", json=SERIES | {"seasons": "all"}), 429, "QUOTA_EXCEEDED")
    assert error["message"] == "You may not ask for anything."
    kept = data_of(ann.get(f"/media/requests/{first['id']}"))["seasons"]
    assert [one["number"] for one in kept] == [1]
    assert ask(bob, SERIES, 200, seasons=[1])["id"] == first["id"], "following is free"


def test_a_season_that_is_not_out_is_known_to_be_asked_for(ann: Person) -> None:
    (season,) = [
        one for one in ask(ann, SERIES, seasons=[3])["availability"]["seasons"] if one["number"] == 3
    ]
    assert season == {"number": 3, "episodes": 0, "available": 0, "requested": True}


def test_a_denial_takes_the_reason_that_it_lacks(ann: Person, admin: Person) -> None:
    path = f"/media/requests/{ask(ann, FILM)['id']}/deny"
    assert data_of(admin.post(path, json={"reason": "  "}))["denyReason"] is None
    assert data_of(admin.post(path, json={"reason": "Too long."}))["denyReason"] == "Too long."
    assert data_of(admin.post(path, json={"reason": "Too old."}))["denyReason"] == "Too long."


def test_overseerr_is_no_way_where_it_is_not_set_up(ann: Person, admin: Person) -> None:
    path = f"/media/requests/{ask(ann, FILM)['id']}/approve"
    error = refused(admin.post(path, json={"by": "overseerr"}), 400, "VALIDATION_ERROR")
    assert "not set up" in error["details"]["by"][0]


def test_leaving_answers_with_the_request_as_it_is(village: Village, ann: Person) -> None:
    request_id = ask(ann, FILM)["id"]
    bob = village.door.person()
    assert ask(bob, FILM, 200)["followers"] == 1
    left = data_of(bob.delete(f"/media/requests/{request_id}/follow"))
    assert (left["following"], left["followers"]) == (False, 0)


def test_a_comment_of_nothing_is_none(ann: Person) -> None:
    request_id = ask(ann, FILM)["id"]
    refused(
        ann.post(f"/media/requests/{request_id}/comments", json={"text": "  \n "}), 400, "VALIDATION_ERROR"
    )


def test_a_rule_that_could_never_hold_is_refused(admin: Person) -> None:
    rule = {"match": {"minYear": 2001, "maxYear": 2000}, "then": "block"}
    answer = admin.request("PUT", "/admin/request-rules", json={"rules": [rule]})
    error = refused(answer, 400, "VALIDATION_ERROR")
    assert error["details"] == {"rules": ["minYear must not be after maxYear."]}
