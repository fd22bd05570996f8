"""Downloads over HTTP: ask, list, look, cancel, retry, and a preview of what a URL holds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from door import API, Door, Person, data_of, opened, refused
from factories import make_download
from sqlalchemy import func, select, update
from stack import eventually

from api.resources import auth, testing, youtube
from api.wire.fields import Schema
from engine.job_names import Job
from engine.monitoring.performance import Timings
from engine.runtime import Runtime
from models.base import new_id
from models.download import Download, Preview
from models.login import Login
from models.user import User

URL = "http://127.0.0.1/film.mp4"
FILE = {"path": "film.mp4", "size": 5, "container": "mp4", "height": 720, "duration": 4.0}
RESULT = {
    "metadata": {
        "source_id": "1", "extractor": "generic", "title": "A film", "webpage_url": URL, "channel": None,
        "duration": 4.0, "thumbnail": None, "live_status": None, "description": None, "upload_date": None,
    },
    "heights": [720],
    "qualities": ["best", "720p"],
}  # fmt: skip


def given(door: Door, person: Person, **values: Any) -> str:
    """A download of somebody; with a status that is over, it has ended."""
    over = values.get("status") in {"completed", "failed", "cancelled"}
    with door.runtime.unit_of_work() as db:
        user = db.get_one(User, person.id)
        return make_download(db, user, **{**({"ended_at": func.now()} if over else {}), **values}).id


class TestAsking:
    def test_answers_at_once_with_the_row_and_where_it_is(self, ann: Person) -> None:
        body = {"url": URL, "quality": "720p", "format": "mp4", "downloadPath": "films/new"}

        answer = ann.post("/youtube/download", json=body)

        row = data_of(answer)
        assert answer.status_code == 202
        assert {name: row[name] for name in body} == body
        assert row["id"].startswith("dl-")
        assert row["status"] == "queued"
        assert row["title"] is None
        assert answer.headers["Location"] == f"{API}/youtube/downloads/{row['id']}"
        found = data_of(
            ann.client.get(answer.headers["Location"], headers={"Authorization": f"Bearer {ann.token}"})
        )
        assert found.pop("waitingFor")["kind"] == "turn", "told by GET"
        row.pop("waitingFor")
        assert found == row

    def test_asking_again_gives_the_row_that_exists(self, ann: Person) -> None:
        first = data_of(ann.post("/youtube/download", json={"url": URL}))

        again = ann.post("/youtube/download", json={"url": URL, "quality": None})

        assert again.status_code == 200
        assert data_of(again) == first

    def test_a_path_may_be_absolute_inside_the_download_folder(self, door: Door, ann: Person) -> None:
        path = str(door.runtime.settings.download_dir / "youtube")

        row = data_of(ann.post("/youtube/download", json={"url": URL, "downloadPath": path}))

        assert row["downloadPath"] == "youtube"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("url", "http://example.com/a.mp4"),
            ("url", "file:///etc/passwd"),
            ("url", "nothing"),
            ("downloadPath", "/etc"),
            ("downloadPath", "a/../../b"),
        ],
    )
    def test_what_is_not_allowed_names_its_field(self, ann: Person, field: str, value: str) -> None:
        error = refused(
            ann.post("/youtube/download", json={"url": URL, field: value}), 400, "VALIDATION_ERROR"
        )

        assert list(error["details"]) == [field]

    def test_audio_does_not_go_into_a_video_format(self, ann: Person) -> None:
        body = {"url": URL, "quality": "audio", "format": "mp4"}

        assert (
            "format" in refused(ann.post("/youtube/download", json=body), 400, "VALIDATION_ERROR")["details"]
        )

    def test_a_guest_may_not(self, door: Door) -> None:
        refused(door.person("guest").post("/youtube/download", json={"url": URL}), 403, "FORBIDDEN")


class TestLooking:
    def test_pages_are_total_and_stable(self, door: Door, ann: Person) -> None:
        made = [given(door, ann) for _ in range(5)]

        pages = [data_of(ann.get(f"/youtube/downloads?page={page}&limit=2")) for page in (1, 2, 3, 4)]

        assert [[row["id"] for row in page["items"]] for page in pages] == [
            [made[4], made[3]], [made[2], made[1]], [made[0]], [],
        ]  # fmt: skip
        assert pages[1]["pagination"] == {
            "page": 2, "totalPages": 3, "totalItems": 5, "itemsPerPage": 2, "hasNext": True, "hasPrev": True,
        }  # fmt: skip
        assert [page["pagination"]["hasNext"] for page in pages] == [True, True, False, False]

    def test_the_default_page_has_twenty(self, ann: Person) -> None:
        assert data_of(ann.get("/youtube/downloads"))["pagination"]["itemsPerPage"] == 20

    def test_a_status_selects(self, door: Door, ann: Person) -> None:
        given(door, ann)
        done = given(door, ann, status="completed", file=FILE, progress=100)

        page = data_of(ann.get("/youtube/downloads?status=completed"))

        assert [row["id"] for row in page["items"]] == [done]
        assert page["items"][0]["file"] == FILE
        assert page["items"][0]["completedAt"] == page["items"][0]["endedAt"]
        assert page["pagination"]["totalItems"] == 1

    def test_an_active_one_shows_how_it_goes(self, door: Door, ann: Person) -> None:
        running = given(
            door, ann, status="downloading", progress=45.04, speed=1_200_000.0, eta=330.0, downloaded_bytes=45,
            total_bytes=100, attempt=1, lease_until=func.now(), started_at=func.now(), downloading_at=func.now(),
        )  # fmt: skip

        row = data_of(ann.get(f"/youtube/downloads/{running}"))

        assert (row["progress"], row["speed"], row["eta"]) == (45.0, "1.2 MB/s", "5m 30s")
        assert (row["speedBytesPerSecond"], row["etaSeconds"]) == (1_200_000.0, 330.0)
        assert row["nextAttemptAt"] is None

    def test_one_that_waits_after_a_failure_says_until_when(self, door: Door, ann: Person) -> None:
        error = {"kind": "network", "message": "m", "advice": "a", "retryable": True}
        waiting = given(door, ann, attempt=2, error=error)

        row = data_of(ann.get(f"/youtube/downloads/{waiting}"))

        assert row["error"] == error
        assert row["nextAttemptAt"].endswith("Z")

    def test_others_are_not_there_except_for_who_manages_requests(self, door: Door, ann: Person) -> None:
        hers, bob, boss = given(door, ann), door.person(), door.person("admin")

        for answer in (
            bob.get(f"/youtube/downloads/{hers}"),
            bob.delete(f"/youtube/downloads/{hers}"),
            bob.post(f"/youtube/downloads/{hers}/retry"),
        ):
            refused(answer, 404, "NOT_FOUND")
        assert data_of(bob.get("/youtube/downloads"))["items"] == []
        refused(bob.get("/admin/downloads"), 403, "FORBIDDEN")
        assert data_of(boss.get(f"/youtube/downloads/{hers}"))["userId"] == ann.id
        assert hers in [row["id"] for row in data_of(boss.get("/admin/downloads?limit=100"))["items"]]
        assert data_of(boss.get("/youtube/downloads"))["items"] == []


class TestEnding:
    def test_deleting_an_active_one_cancels_it(self, door: Door, ann: Person) -> None:
        waiting = given(door, ann)

        row = data_of(ann.delete(f"/youtube/downloads/{waiting}"))

        assert (row["status"], row["cancelRequested"]) == ("cancelled", True)
        assert data_of(ann.get(f"/youtube/downloads/{waiting}"))["status"] == "cancelled"

    def test_one_that_ended_meanwhile_is_not_removed_by_who_only_cancels(
        self, door: Door, ann: Person
    ) -> None:
        done, waiting = given(door, ann, status="completed", file=FILE), given(door, ann)

        refused(ann.delete(f"/youtube/downloads/{done}?onlyCancel=true"), 409, "CONFLICT")

        assert data_of(ann.get(f"/youtube/downloads/{done}"))["file"] == FILE
        row = data_of(ann.delete(f"/youtube/downloads/{waiting}?onlyCancel=true"))
        assert row["status"] == "cancelled"

    @pytest.mark.parametrize(
        ("query", "removals"), [("", 0), ("?deleteFile=false", 0), ("?deleteFile=true", 1)]
    )
    def test_deleting_one_that_ended_removes_it(
        self, door: Door, ann: Person, query: str, removals: int
    ) -> None:
        done = given(door, ann, status="completed", file=FILE)

        answer = data_of(ann.delete(f"/youtube/downloads/{done}{query}"))

        assert answer["file"] == FILE
        refused(ann.get(f"/youtube/downloads/{done}"), 404, "NOT_FOUND")
        with door.runtime.unit_of_work() as db:
            query_ = select(func.count()).select_from(Download.metadata.tables["file_removals"])
            table = Download.metadata.tables["file_removals"]
            assert db.scalar(query_.where(table.c.download_id == done)) == removals

    @pytest.mark.parametrize("flag", ["yes", "1", "True", ""])
    def test_whether_the_file_goes_is_true_or_false(self, door: Door, ann: Person, flag: str) -> None:
        done = given(door, ann, status="completed", file=FILE)

        refused(ann.delete(f"/youtube/downloads/{done}?deleteFile={flag}"), 400, "VALIDATION_ERROR")

    def test_a_failed_one_is_tried_again_and_a_completed_one_not(self, door: Door, ann: Person) -> None:
        failed, done = given(door, ann, status="failed"), given(door, ann, status="completed")

        answer = ann.post(f"/youtube/downloads/{failed}/retry")

        assert (answer.status_code, data_of(answer)["status"]) == (202, "queued")
        assert answer.headers["Location"].endswith(failed)
        refused(ann.post(f"/youtube/downloads/{done}/retry"), 409, "CONFLICT")
        refused(ann.post(f"/youtube/downloads/{failed}/retry"), 409, "CONFLICT")


class TestPreview:
    @pytest.fixture
    def worker(self, runtime: Runtime) -> Iterator[Callable[..., None]]:
        """Answers the first preview that is asked for, as a worker would."""
        threads: list[threading.Thread] = []

        def answer(**values: Any) -> None:
            def work() -> None:
                def end() -> bool:
                    over = {**values, "ended_at": func.now()}
                    with runtime.unit_of_work() as db:
                        waiting = update(Preview).where(Preview.ended_at.is_(None))
                        return db.execute(waiting.values(**over).returning(Preview.id)).first() is not None

                eventually(end)

            threads.append(threading.Thread(target=work))
            threads[-1].start()

        yield answer
        for thread in threads:
            thread.join()

    def test_shows_what_a_worker_found_and_asks_once(
        self, runtime: Runtime, rung: list[Job], worker: Callable[..., None]
    ) -> None:
        ann = Door(runtime).person()
        worker(status="completed", result=RESULT)

        found = data_of(ann.get(f"/youtube/metadata?url={URL}"))

        assert (found["title"], found["duration"], found["qualities"]) == ("A film", 4.0, ["best", "720p"])
        assert set(rung) == {Job.PREVIEW}
        rung.clear()
        assert data_of(ann.get(f"/youtube/metadata?url={URL}")) == found
        assert rung == []

    @pytest.mark.parametrize(
        ("kind", "status", "code"),
        [
            ("playlist", 400, "VALIDATION_ERROR"),
            ("unsupported", 400, "VALIDATION_ERROR"),
            ("geo", 502, "UPSTREAM_ERROR"),
        ],
    )
    def test_says_in_words_why_not(
        self, runtime: Runtime, worker: Callable[..., None], kind: str, status: int, code: str
    ) -> None:
        error = {"kind": kind, "message": "It is no video.", "advice": "Choose another.", "retryable": False}
        worker(status="failed", error=error)

        refusal = refused(Door(runtime).person().get(f"/youtube/metadata?url={URL}"), status, code)

        assert "It is no video. Choose another." in str(refusal)

    def test_gives_up_after_a_while(self, runtime: Runtime) -> None:
        with opened(runtime.settings, preview_seconds=1.0) as there:
            refused(there.person().get(f"/youtube/metadata?url={URL}"), 502, "UPSTREAM_ERROR")

    def test_says_when_no_worker_can_be_reached(self, door: Door) -> None:
        def broken(job: Job) -> None:
            raise ConnectionError

        runtime = Runtime(door.runtime.settings, door.runtime.redis, broken)
        try:
            answer = Door(runtime).person().get(f"/youtube/metadata?url={URL}")
        finally:
            runtime.database.close()

        refused(answer, 503, "SERVICE_UNAVAILABLE")
        assert answer.headers["Retry-After"]

    @pytest.mark.parametrize(
        ("by_cookie", "site", "status"),
        [
            (True, "cross-site", 403),
            (True, "same-origin", 400),
            (True, None, 400),
            (False, "cross-site", 400),
        ],
    )
    def test_a_link_on_another_site_makes_nobody_look(
        self, door: Door, ann: Person, by_cookie: bool, site: str | None, status: int
    ) -> None:
        """A browser sends the cookie along with a link; whoever is let in is told here that the URL is no good."""
        headers = {} if site is None else {"Sec-Fetch-Site": site}
        if by_cookie:
            headers["Cookie"] = f"medianest_access={ann.token}"
        else:
            headers["Authorization"] = f"Bearer {ann.token}"
        answer = ann.client.get(f"{API}/youtube/metadata?url=http://example.com/a", headers=headers)
        assert answer.status_code == status
        with door.runtime.reading() as db:
            assert not db.scalar(select(func.count()).where(Preview.user_id == ann.id))

    @pytest.mark.parametrize("query", ["", "?url=", "?url=ftp://127.0.0.1/a", "?url=http://example.com/a"])
    def test_a_url_at_fault_is_named(self, ann: Person, query: str) -> None:
        assert "url" in refused(ann.get(f"/youtube/metadata{query}"), 400, "VALIDATION_ERROR")["details"]


def _names(schema: type[Schema]) -> set[str]:
    return {str(field.data_key) for field in schema().fields.values()}


def test_what_is_written_by_hand_is_what_is_documented() -> None:
    now = func.now()
    download = Download(id=new_id("dl"), status="queued", progress=0.0, attempt=0, created_at=now)
    user = User(id="user-1", role="user")
    login = Login(id="ses-1")

    assert set(youtube.download_row(download)) == _names(youtube.DownloadSchema)
    assert set(youtube.metadata_row(URL, RESULT)) == _names(youtube.MetadataSchema)
    assert set(auth.user_row(user)) == _names(auth.UserSchema)
    assert set(auth.device_row(login, "ses-1")) == _names(auth.DeviceSchema)
    assert set(testing.PerformanceSchema.row(Timings(1, 2, 3, 4))) == _names(testing.PerformanceSchema)
