"""How approved requests are fulfilled: by Overseerr, by downloads, by hand; and what happens when that fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from door import Person, data_of
from sqlalchemy import select, text
from village import Village

from engine.clients import overseerr
from engine.downloads.notices import tell_owner
from engine.jobs.runner import run_next
from engine.media_requests.fulfilment import work as fulfilment_work
from models.download import Download
from models.notification import Notification
from tests.fakes.overseerr_server import APPROVED, DECLINED, FAILED, FAULTS, PENDING

FILM = {"tmdbId": "949", "mediaType": "movie"}
SERIES = {"tmdbId": "70523", "mediaType": "tv"}


@pytest.fixture
def ann(seerr_village: Village) -> Person:
    return seerr_village.door.person()


@pytest.fixture
def admin(seerr_village: Village) -> Person:
    return seerr_village.door.person("admin")


def approved(person: Person, admin: Person, what: dict[str, Any], **how: Any) -> str:
    row = data_of(person.post("/media/request", json=what))
    assert admin.post(f"/media/requests/{row['id']}/approve", json=how).status_code == 200
    return str(row["id"])


def seen(person: Person, request_id: str) -> dict[str, Any]:
    found: dict[str, Any] = data_of(person.get(f"/media/requests/{request_id}"))
    return found


def at_once(village: Village) -> None:
    """Let what waits for its next attempt have it now."""
    with village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE fulfilments SET next_run_at = clock_timestamp() WHERE ended_at IS NULL"))


def test_overseerr_is_asked_as_who_asked(seerr_village: Village, ann: Person, admin: Person) -> None:
    there = seerr_village.overseerr
    user = there.user(plex_id=4711, name="ann")
    with seerr_village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE users SET plex_id = '4711' WHERE id = :id"), {"id": ann.id})
    there.approves_itself = False

    request_id = approved(ann, admin, SERIES | {"seasons": [1, 2], "quality": "2160p"})
    seerr_village.work()

    (made,) = there.requests.values()
    assert (made["requestedBy"], made["status"], made["is4k"]) == (user, APPROVED, True)
    assert [one["seasonNumber"] for one in made["seasons"]] == [1, 2]
    found = seen(ann, request_id)
    assert found["status"] == "processing"
    assert found["fulfilment"] == {
        "by": "overseerr", "reference": str(made["id"]), "status": "approved", "error": None,
    }  # fmt: skip


def test_what_died_behind_its_making_is_not_made_twice(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    there.dies_after = "POST /request"
    request_id = approved(ann, admin, FILM)
    assert run_next(seerr_village.runtime, fulfilment_work.FULFIL, fulfilment_work.work)
    assert seen(ann, request_id)["status"] == "approved"
    at_once(seerr_village)
    seerr_village.work()

    assert len(there.requests) == 1
    assert seen(ann, request_id)["status"] == "processing"


def test_one_that_somebody_made_there_is_taken_up(seerr_village: Village, ann: Person, admin: Person) -> None:
    made = seerr_village.overseerr.made("movie", 949)
    request_id = approved(ann, admin, FILM)
    seerr_village.work()

    assert len(seerr_village.overseerr.requests) == 1
    assert seen(ann, request_id)["fulfilment"]["reference"] == str(made["id"])
    assert made["status"] == APPROVED


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is asked is given up soon, or each silence would last for 20 seconds."""
    monkeypatch.setattr(overseerr, "_LIMITS", replace(overseerr._LIMITS, silence=0.3, total=0.5))


@pytest.mark.usefixtures("short_patience")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_target_that_fails_ends_with_a_cause_and_a_retry(
    seerr_village: Village, ann: Person, admin: Person, fault: str
) -> None:
    seerr_village.overseerr.fault = fault
    request_id = approved(ann, admin, FILM)
    for _ in range(9):
        seerr_village.work()
        at_once(seerr_village)

    found = seen(ann, request_id)
    error = found["fulfilment"]["error"]
    assert (found["status"], error["retryable"]) == ("failed", True)
    assert error["message"] in found["waitingFor"]
    assert seerr_village.overseerr.key not in str(found)
    seerr_village.work()
    assert seerr_village.notices(ann.id)[-1] == ("request.failed", "“Heat” could not be fetched")

    seerr_village.overseerr.fault = None
    assert data_of(admin.post(f"/media/requests/{request_id}/retry", json={}))["status"] == "approved"
    seerr_village.work()
    assert seen(ann, request_id)["status"] == "processing"


def test_nothing_left_there_is_no_failure(seerr_village: Village, ann: Person, admin: Person) -> None:
    seerr_village.overseerr.nothing_left = True
    request_id = approved(ann, admin, FILM)
    seerr_village.work()
    assert seen(ann, request_id)["status"] == "processing"


def test_an_admin_chooses_where_the_id_at_tvdb_is_missing(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    there.known["tv", 70523] = {"title": "Dark", "tvdb": None}
    seerr_village.tmdb.titles[-1].tvdb_id = None
    request_id = approved(ann, admin, SERIES)
    seerr_village.work()

    error = seen(ann, request_id)["fulfilment"]["error"]
    assert error["kind"] == "tvdb_missing"
    assert [choice["by"] for choice in error["choices"]] == ["overseerr", "hand"]
    assert admin.post(f"/media/requests/{request_id}/retry", json={"tvdbId": "334824"}).status_code == 200
    seerr_village.work()
    (made,) = there.requests.values()
    assert made["media"]["tvdbId"] == 334824


def test_by_hand_where_an_admin_says_so(seerr_village: Village, ann: Person, admin: Person) -> None:
    request_id = approved(ann, admin, FILM, by="hand")
    seerr_village.work()
    assert not seerr_village.overseerr.requests
    assert seen(ann, request_id)["fulfilment"]["by"] == "hand"
    other = data_of(ann.post("/media/request", json=SERIES))["id"]
    answer = admin.post(f"/media/requests/{other}/approve", json={"by": "download"})
    assert answer.status_code == 400


def test_what_was_made_there_appears_here_and_is_decided_here(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    with seerr_village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE users SET plex_id = '4711' WHERE id = :id"), {"id": ann.id})
    there.known["movie", 949] = {"title": "Heat", "tvdb": None}
    waits = there.made("movie", 949, by=there.user(plex_id=4711, name="ann there"))
    runs = there.made("tv", 70523, by=there.user(plex_id=None, name="carl"), status=APPROVED, seasons=(1,))
    denied = there.made("movie", 348)
    for _ in range(2):
        seerr_village.compare()

    rows = {row["tmdbId"]: row for row in data_of(admin.get("/admin/requests"))["items"]}
    assert {tmdb_id: row["status"] for tmdb_id, row in rows.items()} == {
        "949": "pending", "70523": "processing", "348": "pending",
    }  # fmt: skip
    assert rows["949"]["requestedBy"]["id"] == ann.id
    assert rows["70523"]["requestedBy"] == {"id": None, "name": "carl"}
    admin.post(f"/media/requests/{rows['949']['id']}/approve", json={})
    admin.post(f"/media/requests/{rows['348']['id']}/deny", json={})
    seerr_village.work()
    assert (waits["status"], runs["status"], denied["status"]) == (APPROVED, APPROVED, DECLINED)
    assert len(there.requests) == 3


def test_what_is_decided_or_deleted_there_does_not_hang_here(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    first, second = approved(ann, admin, FILM), approved(ann, admin, SERIES)
    imported = there.made("movie", 348, status=PENDING)
    seerr_village.work()
    seerr_village.compare()
    there.of(949)[0]["status"] = DECLINED
    del there.requests[there.of(70523)[0]["id"]]
    imported["status"] = APPROVED
    seerr_village.compare()

    assert seen(ann, first)["fulfilment"]["error"]["kind"] == "declined_upstream"
    assert seen(ann, second)["fulfilment"]["error"]["kind"] == "deleted_upstream"
    rows = {row["tmdbId"]: row["status"] for row in data_of(admin.get("/admin/requests"))["items"]}
    assert rows == {"949": "failed", "70523": "failed", "348": "processing"}
    admin.post(f"/media/requests/{second}/retry", json={})
    seerr_village.work()
    assert len(there.of(70523)) == 1


@pytest.mark.usefixtures("short_patience")
@pytest.mark.parametrize("fault", FAULTS)
def test_an_overseerr_that_is_away_changes_nothing(
    seerr_village: Village, ann: Person, admin: Person, fault: str
) -> None:
    request_id = approved(ann, admin, FILM)
    seerr_village.work()
    seerr_village.overseerr.fault = fault
    assert seerr_village.compare() == 0
    assert seen(ann, request_id)["status"] == "processing"


def test_a_request_that_is_removed_is_removed_there(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    request_id = approved(ann, admin, FILM)
    seerr_village.work()
    assert admin.delete(f"/media/requests/{request_id}").status_code == 200
    seerr_village.work()
    assert not seerr_village.overseerr.requests


def test_a_video_is_downloaded_as_one_of_who_asked(village: Village) -> None:
    ann, admin = village.door.person(), village.door.person("admin")
    url = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    row = data_of(ann.post("/media/request", json={"url": url, "quality": "720p", "comment": "for the kids"}))
    assert (row["mediaType"], row["url"], row["status"]) == ("video", url, "pending")
    there = row["availability"]
    assert (there["requested"], there["status"], there["requestId"]) == (True, "requested", row["id"])
    assert data_of(ann.get("/youtube/downloads"))["items"] == []
    again = village.door.person().post("/media/request", json={"url": "https://youtu.be/dQw4w9WgXcQ"})
    assert (again.status_code, data_of(again)["id"]) == (200, row["id"])

    admin.post(f"/media/requests/{row['id']}/approve", json={})
    village.work()

    (download,) = data_of(ann.get("/youtube/downloads"))["items"]
    found = seen(ann, row["id"])
    assert (found["status"], found["downloadId"], download["quality"]) == (
        "processing",
        download["id"],
        "720p",
    )
    assert found["waitingFor"] == "Its download waits for its turn."
    with village.runtime.unit_of_work() as db:
        end = 'UPDATE downloads SET status = \'failed\', ended_at = now(), error = \'{"kind": "gone", "message": "It is private."}\''
        db.execute(text(end))
    village.sync()
    found = seen(ann, row["id"])
    assert (found["status"], found["fulfilment"]["error"]["message"]) == ("failed", "It is private.")
    admin.post(f"/media/requests/{row['id']}/retry", json={})
    village.work()
    with village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE downloads SET status = 'completed', ended_at = now() WHERE ended_at IS NULL"))
    village.sync()
    assert seen(ann, row["id"])["status"] == "available"
    assert village.notices(ann.id)[-1][0] == "request.available"


def test_the_download_of_a_request_is_told_of_once(village: Village) -> None:
    """The request sends the notification; a download without a request sends its own."""
    ann, admin = village.door.person(), village.door.person("admin")
    approved(ann, admin, {"url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"})
    village.work()
    own = data_of(ann.post("/youtube/download", json={"url": "https://www.youtube.com/watch?v=aaaaaaaaaaa"}))
    with village.runtime.unit_of_work() as db:
        for download in db.scalars(select(Download)):
            download.status = "completed"
            tell_owner(db, download)
    with village.runtime.reading() as db:
        told = db.scalars(select(Notification).where(Notification.type == "download.completed")).all()

    assert [row.subject_id for row in told] == [own["id"]]


def test_4k_is_asked_for_only_where_a_server_for_it_is_set_up(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    seerr_village.overseerr.has_4k = False
    approved(ann, admin, FILM | {"quality": "2160p"})
    seerr_village.work()
    (made,) = seerr_village.overseerr.requests.values()
    assert made["is4k"] is False


def test_what_failed_there_is_tried_again_there(seerr_village: Village, ann: Person, admin: Person) -> None:
    there = seerr_village.overseerr
    request_id = approved(ann, admin, FILM)
    seerr_village.work()
    (made,) = there.requests.values()
    made["status"] = FAILED
    seerr_village.compare()
    assert seen(ann, request_id)["fulfilment"]["error"]["kind"] == "failed_upstream"

    admin.post(f"/media/requests/{request_id}/retry", json={})
    seerr_village.work()
    assert [one["status"] for one in there.requests.values()] == [APPROVED]
    assert seen(ann, request_id)["status"] == "processing"

    made["status"] = FAILED
    seerr_village.compare()
    made["status"] = APPROVED  # somebody tried again there
    seerr_village.compare()
    assert seen(ann, request_id)["status"] == "processing"


def test_seasons_that_others_asked_for_there_are_followed(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    others = there.made("tv", 70523, status=APPROVED, seasons=(1, 2, 3))
    first = approved(ann, admin, SERIES | {"seasons": [1]})
    second = approved(seerr_village.door.person(), admin, SERIES | {"seasons": [2]})
    seerr_village.work()
    assert len(there.requests) == 1
    assert {seen(admin, one)["fulfilment"]["reference"] for one in (first, second)} == {str(others["id"])}

    assert admin.delete(f"/media/requests/{first}").status_code == 200
    seerr_village.work()
    assert others["id"] in there.requests  # the second one needs it
    del there.requests[others["id"]]
    seerr_village.compare()
    assert seen(admin, second)["fulfilment"]["error"]["kind"] == "deleted_upstream"


def test_a_part_of_it_that_is_asked_for_there_is_followed(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    for season in (1, 2):
        there.made("tv", 70523, status=APPROVED, seasons=(season,))
    request_id = approved(ann, admin, SERIES | {"seasons": [1, 2]})
    seerr_village.work()
    found = seen(ann, request_id)
    assert (len(there.requests), found["status"]) == (2, "processing")
    assert found["fulfilment"]["reference"] in {str(number) for number in there.requests}


def test_nothing_made_and_nothing_looked_for_is_a_failure(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    there.makes_nothing = True
    request_id = approved(ann, admin, FILM)
    seerr_village.work()
    error = seen(ann, request_id)["fulfilment"]["error"]
    assert (error["kind"], [choice["by"] for choice in error["choices"]]) == ("nothing_left", ["hand"])


def test_why_it_is_not_handed_on_yet_is_said(seerr_village: Village, ann: Person, admin: Person) -> None:
    seerr_village.overseerr.fault = "503"
    request_id = approved(ann, admin, FILM)
    seerr_village.work()
    assert seen(ann, request_id)["waitingFor"].startswith("Overseerr is not well (status 503)")


def test_an_unknown_status_decides_nothing(seerr_village: Village, admin: Person) -> None:
    made = seerr_village.overseerr.made("movie", 949)
    seerr_village.compare()
    made["status"] = 42
    seerr_village.compare()
    (row,) = data_of(admin.get("/admin/requests"))["items"]
    assert row["status"] == "pending"


def test_a_number_that_another_title_has_is_not_believed(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    request_id = approved(ann, admin, FILM)
    seerr_village.work()
    (number,) = there.requests
    there.requests[number] = there.made("movie", 348) | {"id": number, "status": DECLINED}
    seerr_village.compare()
    assert seen(ann, request_id)["fulfilment"]["error"]["kind"] == "deleted_upstream"


def test_a_title_that_nobody_knows_keeps_back_no_other(seerr_village: Village, admin: Person) -> None:
    there = seerr_village.overseerr
    there.made("movie", 348)
    there.unknown.add(4242)
    there.made("movie", 4242)
    seerr_village.compare()
    assert [row["tmdbId"] for row in data_of(admin.get("/admin/requests"))["items"]] == ["348"]


def test_one_of_ours_is_the_one_that_somebody_makes_there(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    row = data_of(ann.post("/media/request", json=FILM))
    made = seerr_village.overseerr.made("movie", 949)
    for _ in range(2):
        seerr_village.compare()
    assert seen(ann, row["id"])["fulfilment"]["reference"] == str(made["id"])
    made["status"] = APPROVED
    seerr_village.compare()
    assert seen(ann, row["id"])["status"] == "processing"
    assert seerr_village.notices(ann.id) == [("request.approved", "“Heat” was approved")]


def test_one_that_was_removed_here_is_not_taken_up_again(seerr_village: Village, admin: Person) -> None:
    there = seerr_village.overseerr
    there.made("movie", 949)
    seerr_village.compare()
    (row,) = data_of(admin.get("/admin/requests"))["items"]
    there.fault = "503"
    admin.delete(f"/media/requests/{row['id']}")
    seerr_village.work()
    there.fault = None
    seerr_village.compare()
    assert data_of(admin.get("/admin/requests"))["items"] == []
    at_once(seerr_village)
    seerr_village.work()
    assert there.requests == {}


def test_what_is_denied_here_does_not_wait_there(seerr_village: Village, admin: Person) -> None:
    made = seerr_village.overseerr.made("movie", 949)
    seerr_village.compare()
    (row,) = data_of(admin.get("/admin/requests"))["items"]
    seerr_village.overseerr.fault = "403"
    admin.post(f"/media/requests/{row['id']}/deny", json={})
    seerr_village.work()
    seerr_village.overseerr.fault = None
    seerr_village.compare()
    assert made["status"] == DECLINED


def test_one_that_is_removed_while_it_is_sent_is_taken_back(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    there = seerr_village.overseerr
    request_id = approved(ann, admin, FILM)
    there.at_create = lambda: admin.delete(f"/media/requests/{request_id}")
    seerr_village.work()
    assert ("POST", "/request") in there.asked
    assert there.requests == {}


def test_another_address_of_the_same_overseerr_changes_nothing(
    seerr_village: Village, ann: Person, admin: Person
) -> None:
    request_id = approved(ann, admin, FILM)
    seerr_village.work()
    with seerr_village.runtime.unit_of_work() as db:
        db.execute(text("UPDATE media_requests SET target = 'http://elsewhere:5055'"))
    seerr_village.compare()
    assert seen(ann, request_id)["status"] == "processing"
    assert admin.delete(f"/media/requests/{request_id}").status_code == 200
    seerr_village.work()
    assert seerr_village.overseerr.requests == {}


def test_a_download_that_is_gone_fails_with_the_cause(village: Village) -> None:
    ann, admin = village.door.person(), village.door.person("admin")
    url = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    request_id = approved(ann, admin, {"url": url})
    village.work()
    with village.runtime.unit_of_work() as db:
        db.execute(text("DELETE FROM downloads"))
    village.sync()
    assert seen(ann, request_id)["fulfilment"]["error"]["message"] == "Its download was removed."
    admin.post(f"/media/requests/{request_id}/retry", json={})
    village.work()
    assert len(data_of(ann.get("/youtube/downloads"))["items"]) == 1
