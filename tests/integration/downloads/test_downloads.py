"""Downloads as people see them, on a real database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from factories import make_download, make_user
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.downloads import downloads
from engine.downloads.events import eta_text, speed_text
from engine.downloads.requested import choose
from engine.downloads.shown import listing
from engine.errors import Conflict, NotFound, ValidationFailed
from engine.job_names import Job
from engine.paging import compact_counts
from engine.runtime import Runtime
from engine.storage.layout import confine
from models.download import Download, FileRemoval
from models.user import User

URL = "https://www.youtube.com/watch?v=YE7VzlLtp-4"


@pytest.fixture
def user(db: Session) -> User:
    return make_user(db)


def ask(db: Session, settings: Settings, user: User, url: str = URL, **choices: str) -> tuple[Download, bool]:
    return downloads.create(db, settings, user_id=user.id, url=url, **choices)


def test_a_wish_is_a_row_at_once(runtime: Runtime, settings: Settings, rung: list[Job]) -> None:
    with runtime.unit_of_work() as db:
        row, new = ask(db, settings, make_user(db))
        assert rung == []
    assert new
    assert (row.status, row.quality, row.format, row.folder) == ("queued", "best", "mp4", "")
    assert rung == [Job.DOWNLOAD]


def test_the_same_active_wish_is_the_same_row(db: Session, settings: Settings, user: User) -> None:
    row, _ = ask(db, settings, user)
    again, new = ask(db, settings, user, "https://youtu.be/YE7VzlLtp-4")
    assert (again.id, new) == (row.id, False)
    other, new = ask(db, settings, user, quality="720p")
    assert new
    assert other.id != row.id
    assert ask(db, settings, make_user(db))[1]


def test_fifty_identical_wishes_at_once_are_one_row(runtime: Runtime, settings: Settings) -> None:
    with runtime.unit_of_work() as db:
        user = make_user(db)

    def wish(_: int) -> tuple[str, bool]:
        with runtime.unit_of_work() as db:
            row, new = ask(db, settings, user)
            return row.id, new

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(wish, range(50)))
    assert len({row_id for row_id, _ in answers}) == 1
    assert sum(new for _, new in answers) == 1


def test_an_ended_wish_can_be_asked_for_again(db: Session, settings: Settings, user: User) -> None:
    row, _ = ask(db, settings, user)
    row.status, row.ended_at = "completed", func.clock_timestamp()
    db.flush()
    assert ask(db, settings, user)[1]


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ((None, None), ("best", "mp4")),
        (("720p", None), ("720p", "mp4")),
        (("1080p", "webm"), ("1080p", "webm")),
        (("720p", "mp3"), ("audio", "mp3")),
        ((None, "opus"), ("audio", "opus")),
        (("audio", None), ("audio", "m4a")),
        (("audio", "mp3"), ("audio", "mp3")),
    ],
)
def test_choices(given: tuple[str | None, str | None], chosen: tuple[str, str]) -> None:
    assert choose(*given) == chosen


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        (("audio", "mp4"), "format", "mp3, m4a, opus"),
        (("999p", None), "quality", "1080p"),
        ((None, "avi"), "format", "mkv"),
    ],
)
def test_wrong_choices_say_what_is_accepted(given: tuple[str, str], field: str, said: str) -> None:
    with pytest.raises(ValidationFailed) as caught:
        choose(*given)
    assert said in caught.value.details[field][0]  # type: ignore[index]


def test_folders_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "downloads"
    for given, folder in [
        (None, ""), ("", ""), ("a", "a"), ("a/b/", "a/b"), ("./a", "a"), (str(root), ""), (f"{root}/youtube", "youtube"),
        ("Zoë & co", "Zoë & co"),
    ]:  # fmt: skip
        assert confine(given, root) == folder


def test_folders_elsewhere(tmp_path: Path) -> None:
    root = tmp_path / "downloads"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    bad = [
        "..",
        "a/../../b",
        "/etc",
        f"{root}-2",
        "a\0b",
        "a\nb",
        "con",
        "a/NUL.x",
        "a:b",
        "foo.",
        "foo ",
        " ",
        "a*",
        ".hidden",
        "a/.medianest",
        "out",
        "out/x",
        "a\\..\\b",
    ]
    for path in bad:
        with pytest.raises(ValidationFailed):
            confine(path, root)


def test_lists_are_stable_and_counted(db: Session, user: User) -> None:
    made = [make_download(db, user, status=status).id for status in ["queued", "failed"] * 5]
    make_download(db, make_user(db))
    page = listing.newest(db, owner_id=user.id, status=None, page=2, limit=4)
    assert [row.id for row in page.items] == sorted(made, reverse=True)[4:8]
    assert (page.total, page.total_pages, page.has_next, page.has_prev) == (10, 3, True, True)
    assert listing.newest(db, owner_id=user.id, status="failed", page=1, limit=20).total == 5
    assert listing.newest(db, owner_id=None, status=None, page=1, limit=20).total == 11
    assert listing.newest(db, owner_id=user.id, status="completed", page=1, limit=20).total_pages == 0


def test_totals_follow_every_change(runtime: Runtime) -> None:
    def truth_and_total() -> tuple[object, object]:
        with runtime.unit_of_work() as db:
            query = "SELECT user_id, status, count(*) FROM downloads GROUP BY 1, 2 ORDER BY 1, 2"
            counts = "SELECT owner_id, status, sum(n)::bigint FROM row_counts GROUP BY 1, 2 HAVING sum(n) <> 0 ORDER BY 1, 2"
            return db.execute(text(query)).all(), db.execute(text(counts)).all()

    with runtime.unit_of_work() as db:
        users = [make_user(db) for _ in range(3)]
        rows = [make_download(db, user) for user in users for _ in range(4)]
    for change in (
        "UPDATE downloads SET status = 'failed' WHERE id < :id",
        "UPDATE downloads SET progress = 5",
        "DELETE FROM downloads WHERE status = 'failed' AND id > :id",
        "UPDATE downloads SET status = 'completed' WHERE id >= :id",
        "DELETE FROM users WHERE id = (SELECT max(id) FROM users)",
    ):
        with runtime.unit_of_work() as db:
            db.execute(text(change), {"id": rows[5].id})
        one, other = truth_and_total()
        assert one == other, change
        with runtime.unit_of_work() as db:
            compact_counts(db)
        one, other = truth_and_total()
        assert one == other, f"compacted after {change}"


def test_another_users_download_does_not_exist(db: Session, user: User) -> None:
    row = make_download(db, make_user(db))
    for call in (downloads.get, downloads.delete, downloads.retry):
        with pytest.raises(NotFound):
            call(db, row.id, owner_id=user.id)
    assert downloads.get(db, row.id, owner_id=None).id == row.id


def test_what_waits_is_cancelled_at_once(db: Session, user: User) -> None:
    row = downloads.delete(db, make_download(db, user).id, owner_id=user.id)
    assert row.status == "cancelled"
    assert row.ended_at is not None
    assert [event.name for event in db.info["events"]] == ["download:cancelled"]


def test_what_is_worked_on_is_asked_to_end(db: Session, user: User) -> None:
    made = make_download(db, user, status="downloading", lease_until=func.clock_timestamp())
    row = downloads.delete(db, made.id, owner_id=user.id)
    assert row.status == "downloading"
    assert row.cancel_requested_at is not None
    assert row.ended_at is None


def test_what_is_being_published_can_not_be_cancelled(db: Session, user: User) -> None:
    held = {"status": "processing", "lease_until": func.clock_timestamp(), "publishing": {"path": "x"}}
    with pytest.raises(Conflict):
        downloads.delete(db, make_download(db, user, **held).id, owner_id=user.id)


@pytest.mark.parametrize("delete_file", [False, True])
def test_what_has_ended_is_removed(db: Session, user: User, *, delete_file: bool) -> None:
    ended = {
        "status": "completed",
        "ended_at": func.clock_timestamp(),
        "file": {"path": "a/b.mp4", "size": 1},
    }
    made = make_download(db, user, **ended)
    row = downloads.delete(db, made.id, owner_id=user.id, delete_file=delete_file)
    assert (row.id, row.status) == (made.id, "completed")
    db.flush()
    assert db.scalar(select(func.count()).select_from(Download)) == 0
    removals = db.scalars(select(FileRemoval.path)).all()
    assert removals == (["a/b.mp4"] if delete_file else [])
    assert (Job.REMOVE_FILE in db.info.get("jobs", [])) is delete_file


def test_what_failed_can_be_tried_again(db: Session, user: User) -> None:
    made = make_download(
        db,
        user,
        status="failed",
        ended_at=func.clock_timestamp(),
        attempt=5,
        crash_count=3,
        error={"kind": "x"},
    )
    row = downloads.retry(db, made.id, owner_id=user.id)
    assert (row.status, row.attempt, row.crash_count, row.error, row.ended_at) == ("queued", 0, 0, None, None)
    assert Job.DOWNLOAD in db.info["jobs"]
    with pytest.raises(Conflict, match="queued"):
        downloads.retry(db, made.id, owner_id=user.id)


def test_what_waits_for_its_next_attempt_can_begin_now(db: Session, user: User) -> None:
    later = func.clock_timestamp() + timedelta(minutes=15)
    made = make_download(db, user, next_run_at=later, attempt=2, error={"kind": "disk_full"})
    row = downloads.retry(db, made.id, owner_id=user.id)
    assert (row.status, row.attempt, row.error) == ("queued", 2, {"kind": "disk_full"})
    assert row.next_run_at <= db.scalar(select(func.clock_timestamp()))
    assert Job.DOWNLOAD in db.info["jobs"]


def test_a_retry_beside_the_same_active_wish_is_a_conflict(db: Session, user: User) -> None:
    old = make_download(db, user, status="failed", ended_at=func.clock_timestamp(), url_key="same")
    make_download(db, user, url_key="same")
    with pytest.raises(Conflict, match="already"):
        downloads.retry(db, old.id, owner_id=user.id)
    db.rollback()


def test_numbers_as_people_read_them() -> None:
    speeds = [None, 12, 1500, 1_234_567, 2_500_000_000]
    assert [speed_text(s) for s in speeds] == [None, "12 B/s", "1.5 KB/s", "1.2 MB/s", "2.5 GB/s"]
    etas = [None, 7, 330, 3725]
    assert [eta_text(e) for e in etas] == [None, "7s", "5m 30s", "1h 2m"]
