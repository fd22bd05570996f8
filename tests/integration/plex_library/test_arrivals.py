"""Finished downloads on their way into Plex, against a doubled server: found, waited for, not found, and said so."""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from door import Door
from factories import make_download, make_user
from fakes.plex_server import PlexDouble
from sqlalchemy import event, func, select, text, update
from stack import eventually

from config.redis import make_redis
from config.settings import Settings
from engine.arrivals import arrivals
from engine.arrivals import work as arrival_work
from engine.arrivals.work import ARRIVE
from engine.downloads import downloads, removal_work
from engine.downloads.shown import listing
from engine.events import Event
from engine.job_names import Job
from engine.jobs.reconcile import rescue
from engine.jobs.runner import Retry, run_next
from engine.plex.sync import runs as sync
from engine.plex.sync import work as sync_work
from engine.runtime import Runtime
from engine.storage.layout import STAGING
from models.download import Download, FileRemoval
from models.integration import Integration
from models.media import MediaItem
from models.notification import Notification
from models.plex_arrival import PlexArrival
from models.sync_run import SyncRun
from models.user import User


class Listening(Runtime):
    """A runtime that keeps the events it publishes."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.published: list[Event] = []

    def publish(self, event: Event) -> None:
        self.published.append(event)
        super().publish(event)


@dataclass
class House:
    """A small installation beside a Plex server; its downloads lie in a folder of the library `Films`."""

    runtime: Listening
    plex: PlexDouble
    rung: list[Job] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.runtime.settings.download_dir

    def user(self) -> User:
        with self.runtime.unit_of_work() as db:
            return make_user(db)

    def complete(self, path: str, user: User | None = None, *, title: str = "Heat", **values: Any) -> str:
        """A download that is completed this moment; its file is there."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"film")
        with self.runtime.unit_of_work() as db:
            row = make_download(
                db, user or make_user(db), title=title, status="completed", ended_at=func.now(),
                file={"path": path, "size": 4, "container": "mp4", "height": 720, "duration": 1.0}, **values,
            )  # fmt: skip
            arrivals.create(db, self.runtime.settings, row.id)
            arrivals.wake(db, row.id)
        return row.id

    def look(self) -> bool:
        """One look, whenever it was to be."""
        with self.runtime.unit_of_work() as db:
            db.execute(
                update(PlexArrival).where(PlexArrival.lease_until.is_(None)).values(next_run_at=func.now())
            )
        return run_next(self.runtime, ARRIVE, arrival_work.work)

    def sync(self) -> bool:
        return run_next(self.runtime, sync_work.SYNC, sync_work.work)

    def synced(self, *, full: bool = False, rating_keys: list[str] | None = None) -> None:
        with self.runtime.unit_of_work() as db:
            sync.start(db, full=full, trigger="manual", rating_keys=rating_keys)
        assert self.sync()

    def until_ended(self, download_id: str) -> PlexArrival:
        def ended() -> bool:
            self.look()
            self.sync()
            return self.row(download_id).ended_at is not None

        eventually(ended, 10)
        return self.row(download_id)

    def row(self, download_id: str) -> PlexArrival:
        with self.runtime.unit_of_work() as db:
            return db.scalars(select(PlexArrival).filter_by(download_id=download_id)).one()

    def later(self, seconds: float, *, but: tuple[str, ...] = ()) -> None:
        """Let time pass for what is waited for."""
        columns = [name for name in ("created_at", "deadline", "scanned_at") if name not in but]
        moved = ", ".join(f"{name} = {name} - make_interval(secs => :seconds)" for name in columns)
        with self.runtime.unit_of_work() as db:
            db.execute(text(f"UPDATE plex_arrivals SET {moved}"), {"seconds": seconds})

    def state(self, download_id: str) -> Any:
        with self.runtime.unit_of_work() as db:
            return arrivals.states(db, [db.get_one(Download, download_id)]).get(download_id)

    def scans(self) -> list[str | None]:
        seen = self.plex.asked("/library/sections/")
        return [one.query.get("path") for one in seen if one.path.endswith("/refresh")]

    def told(self) -> list[dict[str, Any]]:
        """The events `media:added` that speak of a download."""
        added = [one for one in self.runtime.published if one.name == "media:added"]
        return [dict(one.data) for one in added if "downloadId" in one.data]

    def notified(self, user: User) -> list[Notification]:
        with self.runtime.unit_of_work() as db:
            return list(db.scalars(select(Notification).filter_by(user_id=user.id)))


@contextmanager
def opened(settings: Settings, plex: PlexDouble, **changes: Any) -> Iterator[House]:
    reached = {"plex_url": plex.url, "plex_token": plex.token, **changes}
    settings = dataclasses.replace(settings, **reached)
    settings.download_dir.mkdir(exist_ok=True)
    rung: list[Job] = []
    runtime = Listening(settings, make_redis(settings), rung.append)
    try:
        yield House(runtime, plex, rung)
    finally:
        runtime.database.close()
        runtime.redis.close()


@pytest.fixture
def plex(settings: Settings) -> Iterator[PlexDouble]:
    with PlexDouble() as double:
        double.library.add_section("movie", "Films", str(settings.download_dir / "films"))
        yield double


@pytest.fixture
def house(settings: Settings, plex: PlexDouble) -> Iterator[House]:
    with opened(settings, plex) as made:
        yield made


def prepared(house: House, path: str, title: str = "Heat", *, section: str = "Films", **said: Any) -> str:
    """What Plex will find in the folder of a file of ours."""
    file = str(house.root / path)
    house.plex.library.prepare(
        section, str((house.root / path).parent), "film", title=title, file=file, **said
    )
    return path


def test_a_file_is_scanned_for_found_and_told(house: House) -> None:
    user = house.user()
    house.synced(full=True)
    path = prepared(house, "films/Heat (1995)/Heat.mp4")
    download_id = house.complete(path, user)
    assert Job.ARRIVE in house.rung
    waiting = house.state(download_id)
    assert (waiting["state"], waiting["available"], waiting["reason"]) == ("waiting", False, None)

    house.look()
    assert house.scans() == [str(house.root / "films/Heat (1995)")]
    assert house.state(download_id)["reason"]["kind"] == "scanning"
    assert house.told() == []
    eventually(lambda: house.plex.library.items)

    house.look()
    assert house.state(download_id)["reason"]["kind"] == "catalogue"
    assert house.row(download_id).ended_at is None
    assert house.told() == [], "not before it is certain"
    assert house.sync()
    house.look()

    row, item = house.row(download_id), house.plex.library.titled("Heat")
    assert (row.status, row.rating_key, row.path) == ("completed", item.rating_key, str(house.root / path))
    with house.runtime.unit_of_work() as db:
        entered = db.get_one(MediaItem, row.item_id)
        assert (entered.title, entered.rating_key) == ("Heat", item.rating_key)
        run = db.scalars(select(SyncRun).order_by(SyncRun.id.desc())).first()
        assert run is not None
        assert (run.trigger, run.rating_keys) == ("push", [item.rating_key])
    state = house.state(download_id)
    assert {name: state[name] for name in ("state", "available", "ratingKey", "itemId", "reason")} == {
        "state": "available", "available": True, "ratingKey": item.rating_key, "itemId": row.item_id, "reason": None,
    }  # fmt: skip
    assert house.told() == [
        {
            "id": row.item_id, "type": "movie", "title": "Heat", "count": 1, "downloadId": download_id,
            "ratingKey": item.rating_key, "available": True, "reason": None,
        }
    ]  # fmt: skip
    (notice,) = house.notified(user)
    assert (notice.type, notice.title) == ("download.available", "Heat can be watched now")
    assert "Films" in notice.message
    assert len(house.scans()) == 1
    assert not house.look(), "nothing is left to do"


def test_what_plex_has_already_needs_no_scan(house: House) -> None:
    path = "films/Heat (1995)/Heat.mp4"
    house.plex.library.add_film("Films", "Heat", 1995, file=str(house.root / path))
    download_id = house.complete(path)
    assert house.until_ended(download_id).status == "completed"
    assert house.scans() == []


def test_what_the_catalogue_has_is_proved_by_plex(house: House) -> None:
    path = "films/Heat (1995)/Heat.mp4"
    file = str(house.root / path)
    item = house.plex.library.add_film("Films", "Heat", 1995, file=file, added_at=5, updated_at=5)
    for number in range(120):  # so that it is not among the newest
        house.plex.library.add_film("Films", f"Film {number}", 2000)
    house.synced(full=True)
    download_id = house.complete(path)
    house.look()
    assert house.row(download_id).rating_key == item.rating_key

    house.plex.library.remove(item)  # the catalogue does not know it yet
    other = house.complete("films/Heat (1995)/Heat.mp4")
    house.look()
    assert house.row(other).ended_at is None


def test_a_second_version_of_an_older_film(house: House) -> None:
    old = house.plex.library.add_film("Films", "Heat", 1995, added_at=5, file="/elsewhere/Heat.mkv")
    for number in range(120):
        house.plex.library.add_film("Films", f"Film {number}", 2000, updated_at=10, quiet=True)
    path = "films/Heat (1995)/Heat.mp4"
    versions = [{"files": ["/elsewhere/Heat.mkv"]}, {"files": [str(house.root / path)]}]
    house.plex.library.change(old, versions=versions)
    download_id = house.complete(path)
    assert house.until_ended(download_id).rating_key == old.rating_key


def test_twenty_files_in_one_folder_are_one_scan(house: House) -> None:
    ids = []
    for number in range(20):
        path = prepared(house, f"films/box/Part {number}.mp4", f"Part {number}")
        ids.append(house.complete(path, title=f"Part {number}"))
    for _ in range(20):
        house.look()
    assert len(house.scans()) == 1
    for download_id in ids:
        assert house.until_ended(download_id).status == "completed"
    assert len(house.scans()) == 1
    assert len({house.row(download_id).rating_key for download_id in ids}) == 20
    assert len(house.told()) == 20


def test_a_file_that_comes_after_a_scan_gets_one_of_its_own_ten_seconds_later(house: House) -> None:
    first = house.complete(prepared(house, "films/box/One.mp4", "One"))
    house.look()
    eventually(lambda: house.plex.library.items)
    second = house.complete(prepared(house, "films/box/Two.mp4", "Two"), title="Two")
    house.until_ended(first)
    for _ in range(3):
        house.look()
    assert len(house.scans()) == 1
    assert house.row(second).scanned_at is None
    house.later(10, but=("deadline",))
    assert house.until_ended(second).status == "completed"
    assert len(house.scans()) == 2


def test_a_slow_scan_is_waited_for(house: House) -> None:
    house.plex.scan_delay = 1.0
    download_id = house.complete(prepared(house, "films/a/Heat.mp4"))
    house.look()
    house.later(700)  # the deadline is over; Plex still scans
    house.look()
    assert house.row(download_id).ended_at is None
    assert house.until_ended(download_id).status == "completed"


def test_a_look_that_is_not_counted_comes_later_and_later(house: House) -> None:
    download_id = house.complete("films/a/Heat.mp4")

    def pause() -> float:
        house.look()
        row = house.row(download_id)
        with house.runtime.unit_of_work() as db:
            now = db.execute(select(func.clock_timestamp())).scalar_one()
        return (row.next_run_at - now).total_seconds()

    assert pause() == pytest.approx(2, abs=0.5)
    house.later(40)
    assert pause() == pytest.approx(10, abs=0.5)
    house.later(300)
    assert pause() == pytest.approx(30, abs=0.5)
    assert house.row(download_id).attempt == 0


def test_a_lost_scan_is_asked_for_again(house: House) -> None:
    house.complete("films/a/Heat.mp4")
    house.look()
    house.later(30)
    house.look()
    assert len(house.scans()) == 1
    house.later(31)
    house.look()
    assert len(house.scans()) == 2


def give_up(house: House, download_id: str) -> Any:
    house.look()
    house.later(700)
    house.look()
    assert house.row(download_id).status == "failed"
    return house.state(download_id)


def test_what_plex_does_not_take_is_said_in_words(house: House) -> None:
    user = house.user()
    download_id = house.complete("films/a/Heat.mp4", user)
    house.look()
    house.later(590)
    house.look()
    assert house.row(download_id).ended_at is None
    house.later(20)
    house.look()
    assert house.row(download_id).ended_at is None, "a scan has 30 seconds"
    house.later(30)
    house.look()
    state = house.state(download_id)
    assert (state["state"], state["available"], state["itemId"]) == ("not_found", False, None)
    assert state["reason"]["kind"] == "not_taken"
    assert "Films" in state["reason"]["message"]
    (said,) = house.told()
    assert (said["available"], said["downloadId"], said["reason"]) == (False, download_id, state["reason"])
    (notice,) = house.notified(user)
    assert (notice.type, notice.title) == ("download.not_in_plex", "Heat is not in Plex")
    assert len(house.scans()) <= 3


@pytest.mark.parametrize(
    ("kind", "name", "format_", "reason"),
    [
        ("show", "Heat.mp4", "mp4", "naming"),
        ("show", "Heat - S01E02.mp4", "mp4", "not_taken"),
        ("movie", "Heat.mp3", "mp3", "library_type"),
        ("artist", "Heat.mp4", "mp4", "library_type"),
        ("photo", "Heat.mp4", "mp4", "library_type"),
    ],
)
def test_what_a_library_wants_is_said(house: House, kind: str, name: str, format_: str, reason: str) -> None:
    house.plex.library.add_section(kind, "Others", str(house.root / "others"), hidden=1)
    download_id = house.complete(f"others/{name}", format=format_)
    assert give_up(house, download_id)["reason"]["kind"] == reason


def test_a_file_that_is_gone_is_said_so(house: House) -> None:
    (house.root / STAGING).mkdir()
    download_id = house.complete("films/a/Heat.mp4")
    (house.root / "films/a/Heat.mp4").unlink()
    assert give_up(house, download_id)["reason"]["kind"] == "file_gone"


def test_what_lies_outside_is_known_at_once_and_wakes_nobody(house: House) -> None:
    user = house.user()
    download_id = house.complete("else/Heat.mp4", user)
    house.look()
    assert house.row(download_id).status == "cancelled"
    assert house.state(download_id)["reason"]["kind"] == "outside"
    assert [one["available"] for one in house.told()] == [False]
    assert house.notified(user) == []
    assert house.scans() == []


def test_what_plex_takes_later_shows_up(house: House) -> None:
    path = "films/a/Heat.mp4"
    download_id = house.complete(path)
    give_up(house, download_id)
    item = house.plex.library.add_film("Films", "Heat", file=str(house.root / path))
    house.synced(rating_keys=[item.rating_key])
    state = house.state(download_id)
    assert (state["state"], state["ratingKey"], state["reason"]) == ("available", item.rating_key, None)


def test_what_leaves_plex_is_not_available_any_more(house: House) -> None:
    download_id = house.complete(prepared(house, "films/a/Heat.mp4"))
    house.until_ended(download_id)
    with house.runtime.unit_of_work() as db:
        db.execute(update(MediaItem).values(deleted_at=func.now()))
    state = house.state(download_id)
    assert (state["state"], state["available"], state["ratingKey"]) == ("not_found", False, None)
    assert state["reason"]["kind"] == "removed"


def test_music_is_found_in_a_library_of_music(house: House) -> None:
    library = house.plex.library
    library.add_section("artist", "Music", str(house.root / "music"))
    album = library.add_album(library.add_artist("Music", "Moby"), "Play", 1999)
    track = library.add_track(album, 1, "Honey", file=str(house.root / "music/Honey.mp3"))
    download_id = house.complete("music/Honey.mp3", title="Honey", format="mp3", quality="audio")
    house.look()
    state = house.state(download_id)
    assert (state["state"], state["ratingKey"], state["itemId"]) == ("available", track.rating_key, None)


def test_of_two_libraries_with_the_folder_the_fitting_one_is_asked(house: House) -> None:
    music = house.plex.library.add_section("artist", "Music", str(house.root / "films"))
    house.complete("films/a/Heat.mp4")
    house.look()
    assert [one.path for one in house.plex.asked(f"/library/sections/{music.key}")] == []
    assert len(house.scans()) == 1


@pytest.mark.parametrize(
    ("location", "theirs", "spelt"),
    [
        ("/media/films", "/media/films", "/media/films/Zoë/Heat.mp4"),
        ("D:\\Films", "d:\\films\\", "D:\\Films\\Zoë\\Heat.mp4"),
        ("\\\\NAS\\Films", "\\\\nas\\Films", "\\\\NAS\\Films\\Zoë\\Heat.mp4"),
    ],
)
def test_folders_are_mapped(settings: Settings, location: str, theirs: str, spelt: str) -> None:
    with PlexDouble() as plex, opened(settings, plex) as house:
        plex.library.add_section("movie", "Mapped", location)
        with house.runtime.unit_of_work() as db:
            options = {"paths": [{"ours": str(house.root / "films"), "plex": theirs}]}
            db.add(Integration(name="plex", options=options, updated_at=func.now()))
        folder = spelt[: -len("Heat.mp4") - 1]
        reported = unicodedata.normalize("NFD", spelt)  # its file system decomposes accents
        if "\\" in spelt:
            reported = reported.replace("Films", "FILMS")  # and knows no case
        plex.library.prepare("Mapped", folder, "film", title="Heat", file=reported)
        download_id = house.complete("films/Zoë/Heat.mp4")
        assert house.until_ended(download_id).path == spelt
        assert house.scans() == [folder]


def test_plex_is_down_at_first_and_back_later(house: House) -> None:
    download_id = house.complete("films/a/Heat.mp4")
    house.plex.stop()
    house.look()
    waiting = house.state(download_id)
    assert (waiting["state"], waiting["reason"]["kind"]) == ("waiting", "unreachable")
    house.later(3 * 3600)
    house.look()
    house.plex.start()
    house.look()
    assert len(house.scans()) == 1
    house.later(50)
    house.look()
    assert house.row(download_id).ended_at is None, "the deadline does not count while nobody can look"
    prepared(house, "films/a/Heat.mp4")
    house.later(15)
    assert house.until_ended(download_id).status == "completed"


def test_plex_that_stays_away_is_given_up_after_a_day(house: House) -> None:
    download_id = house.complete("films/a/Heat.mp4")
    house.plex.stop()
    house.look()
    house.later(24 * 3600)
    house.look()
    assert (house.row(download_id).status, house.state(download_id)["reason"]["kind"]) == (
        "failed",
        "unreachable",
    )
    assert [one["available"] for one in house.told()] == [False]


def test_plex_that_goes_away_after_the_scan_is_asked_to_scan_again(house: House) -> None:
    download_id = house.complete("films/a/Heat.mp4")
    house.look()
    house.plex.stop()
    house.look()
    house.plex.start()
    prepared(house, "films/a/Heat.mp4")
    house.later(10, but=("deadline",))
    assert house.until_ended(download_id).status == "completed"
    assert len(house.scans()) == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"kind": "status", "code": 401}, "unauthorized"),
        ({"kind": "status", "code": 503}, "unreachable"),
        ({"kind": "html_200"}, "garbled"),
        ({"kind": "half_body"}, "unreachable"),
        ({"kind": "invalid_json"}, "garbled"),
    ],
)
def test_trouble_passes(house: House, fault: dict[str, Any], kind: str) -> None:
    download_id = house.complete(prepared(house, "films/a/Heat.mp4"))
    house.plex.faults.add(path="/library", **fault)
    house.look()
    assert house.state(download_id)["reason"]["kind"] == kind
    house.plex.faults.clear()
    assert house.until_ended(download_id).status == "completed"


def test_another_server_is_not_ours(settings: Settings, plex: PlexDouble) -> None:
    with opened(settings, plex, plex_url="", plex_token="t") as house:
        with house.runtime.unit_of_work() as db:
            options = {"machineIdentifier": "ours"}
            db.add(Integration(name="plex", url=plex.url, token="x", options=options, updated_at=func.now()))
        download_id = house.complete("films/a/Heat.mp4")
        house.runtime.live.environment = house.runtime.live.settings = dataclasses.replace(
            house.runtime.settings, plex_token=plex.token
        )
        house.look()
        assert house.state(download_id)["reason"]["kind"] == "other_server"
        assert house.scans() == []


@pytest.mark.parametrize("changes", [{"plex_enabled": False}, {"plex_url": "", "plex_token": ""}])
def test_without_plex_there_is_no_noise(
    settings: Settings, plex: PlexDouble, changes: dict[str, Any]
) -> None:
    with opened(settings, plex, **changes) as house:
        download_id = house.complete("films/a/Heat.mp4")
        with house.runtime.unit_of_work() as db:
            assert db.scalar(select(func.count()).select_from(PlexArrival)) == 0
        assert house.state(download_id) is None
        assert Job.ARRIVE not in house.rung
        assert not house.look()


def test_plex_that_is_disconnected_meanwhile_is_nobodys_failure(house: House) -> None:
    user = house.user()
    download_id = house.complete("films/a/Heat.mp4", user)
    house.runtime.live.environment = house.runtime.live.settings = dataclasses.replace(
        house.runtime.settings, plex_enabled=False
    )
    house.look()
    assert house.row(download_id).status == "cancelled"
    assert house.state(download_id) is None
    assert house.told() == []
    assert house.notified(user) == []


def test_a_row_is_not_touched_before_its_download_is_completed(house: House) -> None:
    with house.runtime.unit_of_work() as db:
        row = make_download(db, make_user(db), status="processing")
        assert arrivals.create(db, house.runtime.settings, row.id)
        assert arrivals.create(db, house.runtime.settings, row.id), "twice is once"
    assert not house.look()
    assert house.state(row.id) is None


def test_a_worker_that_dies_between_two_looks_loses_nothing(house: House) -> None:
    download_id = house.complete(prepared(house, "films/a/Heat.mp4"))

    class Death(BaseException):
        pass

    def die(attempt: Any) -> Any:
        with pytest.raises(Retry, match="scanning"):
            arrival_work.work(attempt)
        raise Death

    with pytest.raises(Death):
        run_next(house.runtime, ARRIVE, die)
    with house.runtime.unit_of_work() as db:
        past = func.clock_timestamp() - text("interval '1 second'")
        db.execute(update(PlexArrival).values(lease_until=past))
        assert rescue(db, ARRIVE, house.runtime.settings) == 1
    assert house.until_ended(download_id).status == "completed"
    assert len(house.scans()) == 1, "the scan was written down"
    assert len(house.told()) == 1


def test_a_download_that_is_removed_meanwhile_is_not_looked_for(house: House) -> None:
    user = house.user()
    download_id = house.complete("films/a/Heat.mp4", user)

    def remove(attempt: Any) -> Any:
        with house.runtime.unit_of_work() as db:
            downloads.delete(db, download_id, owner_id=user.id)
        return arrival_work.work(attempt)

    run_next(house.runtime, ARRIVE, remove)
    with house.runtime.unit_of_work() as db:
        assert db.scalar(select(func.count()).select_from(PlexArrival)) == 0
    assert house.told() == []
    assert not house.look()


def remove_file(house: House) -> None:
    with house.runtime.unit_of_work() as db:
        db.execute(update(FileRemoval).values(next_run_at=func.now()))
    run_next(house.runtime, removal_work.FILE_REMOVAL, removal_work.work)


def test_plex_is_told_of_removed_files_once_a_folder(house: House) -> None:
    user = house.user()
    ids = [house.complete(f"films/box/{number}.mp4", user) for number in range(3)]
    outside = house.complete("else/Heat.mp4", user)
    with house.runtime.unit_of_work() as db:
        for download_id in [*ids, outside]:
            downloads.delete(db, download_id, owner_id=user.id, delete_file=True)
    for _ in range(4):
        remove_file(house)
    assert list((house.root / "films/box").iterdir()) == []
    assert house.scans() == [str(house.root / "films/box")]
    with house.runtime.unit_of_work() as db:
        assert set(db.scalars(select(FileRemoval.status))) == {"completed"}


def test_a_file_is_removed_although_plex_is_away(house: House) -> None:
    user = house.user()
    download_id = house.complete("films/a/Heat.mp4", user)
    with house.runtime.unit_of_work() as db:
        downloads.delete(db, download_id, owner_id=user.id, delete_file=True)
    house.plex.stop()
    remove_file(house)
    assert not (house.root / "films/a/Heat.mp4").exists()
    with house.runtime.unit_of_work() as db:
        assert db.scalars(select(FileRemoval.status)).one() == "queued"
    for _ in range(4):
        remove_file(house)
    with house.runtime.unit_of_work() as db:
        assert db.scalars(select(FileRemoval.status)).one() == "completed"


@pytest.fixture
def count_statements() -> Iterator[Callable[[Runtime], list[str]]]:
    watched: list[Any] = []

    def watch(runtime: Runtime) -> list[str]:
        said: list[str] = []

        def note(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
            said.append(statement)

        for engine in (runtime.database.engine, runtime.database._read_engine):
            event.listen(engine, "before_cursor_execute", note)
            watched.append((engine, note))
        return said

    yield watch
    for engine, note in watched:
        event.remove(engine, "before_cursor_execute", note)


def test_answers_and_lists_say_so_in_one_statement_more(
    house: House, count_statements: Callable[[Runtime], list[str]]
) -> None:
    door = Door(house.runtime)
    person = door.person()
    with house.runtime.unit_of_work() as db:
        owner = db.get_one(User, person.id)
    first = house.complete(prepared(house, "films/a/Heat.mp4"), owner)
    second = house.complete("else/Heat.mp4", owner)
    house.until_ended(first)
    house.until_ended(second)
    with house.runtime.unit_of_work() as db:
        third = make_download(db, owner).id

    one = person.get(f"/youtube/downloads/{first}").get_json()["data"]["plex"]
    assert one["available"] is True
    assert one["since"].endswith("Z")
    said = count_statements(house.runtime)
    listed = person.get("/youtube/downloads").get_json()["data"]["items"]
    assert len([statement for statement in said if "FROM plex_arrivals LEFT" in statement]) == 1
    assert [row["id"] for row in listed] == [third, second, first]
    assert [row["plex"] and row["plex"]["state"] for row in listed] == [None, "not_found", "available"]
    assert listed[2]["plex"] == one

    with house.runtime.unit_of_work() as db:
        shown = {row["id"]: row["plex"] for row in listing.snapshot(db, owner.id)}
    for row in listed:
        for told in filter(None, (row["plex"], shown[row["id"]])):
            assert told.pop("since").endswith("Z")
        assert shown[row["id"]] == row["plex"]
