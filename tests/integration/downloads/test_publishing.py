"""Publishing: atomic, never overwriting, once, whoever dies or thaws in between."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import make_download, make_user
from sqlalchemy import func, update

from engine.downloads import cleanup, publishing
from engine.downloads.work import DOWNLOAD
from engine.jobs import lease
from engine.jobs.lease import CancelRequested, Fenced
from engine.jobs.reconcile import rescue
from engine.jobs.runner import Attempt, GiveUp
from engine.runtime import Runtime
from engine.storage.layout import STAGING
from models.download import Download

NAME = "A film [x1].mp4"
FACTS = {"container": "mp4", "height": 720, "duration": 4.0}


def claim(runtime: Runtime, **values: Any) -> Attempt[Download]:
    if values.pop("make", True):
        with runtime.unit_of_work() as db:
            make_download(db, make_user(db), folder="films", **values)
    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, DOWNLOAD, runtime.settings, {"host": "h", "pid": 1, "started": 1.0})
    assert claimed is not None
    return Attempt(runtime, DOWNLOAD, claimed)


def succeed(runtime: Runtime) -> Attempt[Download]:
    """The lease runs out, and another claims the row."""
    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(lease_until=func.clock_timestamp() - timedelta(seconds=1)))
        rescue(db, DOWNLOAD, runtime.settings)
        db.execute(update(Download).values(next_run_at=func.clock_timestamp()))
    return claim(runtime, make=False)


def finished(runtime: Runtime, body: bytes = b"film") -> Path:
    folder = runtime.settings.work_dir / "w"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "result.mp4"
    path.unlink(missing_ok=True)  # an attempt never writes into a finished file
    path.write_bytes(body)
    return path


@pytest.fixture
def mounted(runtime: Runtime) -> Iterator[Path]:
    """The downloads' folder `films` is a file system of its own."""
    folder = runtime.settings.download_dir / "films"
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def published(runtime: Runtime) -> dict[str, bytes]:
    root = runtime.settings.download_dir
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and STAGING not in path.parts
    }


def staged(runtime: Runtime, folder: str = "") -> list[str]:
    return sorted(path.name for path in (runtime.settings.download_dir / folder / STAGING).iterdir())


def test_a_file_gets_its_name(runtime: Runtime) -> None:
    file = publishing.publish(claim(runtime), finished(runtime), NAME, FACTS)
    assert file == {"path": f"films/{NAME}", "size": 4, **FACTS}
    assert published(runtime) == {f"films/{NAME}": b"film"}
    assert staged(runtime) == []


def test_a_taken_name_is_never_overwritten(runtime: Runtime) -> None:
    for body in (b"one", b"two", b"three"):
        publishing.publish(claim(runtime), finished(runtime, body), NAME, FACTS)
    assert published(runtime) == {
        "films/A film [x1].mp4": b"one",
        "films/A film [x1] (2).mp4": b"two",
        "films/A film [x1] (3).mp4": b"three",
    }


def test_a_name_taken_between_look_and_link(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def slow(source: Path, target: Path) -> None:
        if STAGING not in target.parts:
            monkeypatch.setattr(os, "link", link)
            target.write_bytes(b"somebody else's")
        link(source, target)

    monkeypatch.setattr(os, "link", slow)
    file = publishing.publish(claim(runtime), finished(runtime), NAME, FACTS)
    assert file["path"] == "films/A film [x1] (2).mp4"
    assert published(runtime)[f"films/{NAME}"] == b"somebody else's"


def test_a_large_file_from_another_file_system(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def refuse(source: Path, target: Path) -> None:
        if STAGING not in source.parts:
            raise OSError(errno.EXDEV, "other file system")
        link(source, target)

    monkeypatch.setattr(os, "link", refuse)
    body = os.urandom(9 << 20)
    publishing.publish(claim(runtime), finished(runtime, body), NAME, FACTS)
    assert published(runtime) == {f"films/{NAME}": body}


def test_a_file_system_without_hard_links(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    for body in (b"one", b"two"):
        publishing.publish(claim(runtime), finished(runtime, body), NAME, FACTS)
    assert published(runtime) == {"films/A film [x1].mp4": b"one", "films/A film [x1] (2).mp4": b"two"}
    assert staged(runtime) == []


class Died(BaseException):
    """The worker is killed here."""


def die(*_: object) -> None:
    raise Died


@pytest.mark.parametrize("place", ["_link", "_sync_folder"])
def test_a_successor_finishes_what_was_begun(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publishing, place, die)
        with pytest.raises(Died):
            publishing.publish(claim(runtime), finished(runtime), NAME, FACTS)
    file = publishing.resume(succeed(runtime))
    assert file == {"path": f"films/{NAME}", "size": 4, **FACTS}
    assert published(runtime) == {f"films/{NAME}": b"film"}
    assert staged(runtime) == []


def test_a_sleeper_that_thaws_before_its_link_can_not_publish_a_second_file(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = claim(runtime)
    link = publishing._link
    adopted: list[object] = []

    def sleep_first(source: Path, target: Path) -> None:
        monkeypatch.setattr(publishing, "_link", link)
        adopted.append(publishing.resume(succeed(runtime)))
        link(source, target)

    monkeypatch.setattr(publishing, "_link", sleep_first)
    with pytest.raises(FileNotFoundError):
        publishing.publish(sleeper, finished(runtime), NAME, FACTS)
    assert adopted == [{"path": f"films/{NAME}", "size": 4, **FACTS}]
    assert published(runtime) == {f"films/{NAME}": b"film"}


def test_a_sleeper_that_thaws_before_its_fenced_write_stops_there(runtime: Runtime) -> None:
    sleeper = claim(runtime)
    succeed(runtime)
    with pytest.raises(Fenced):
        publishing.publish(sleeper, finished(runtime), NAME, FACTS)
    assert published(runtime) == {}


def test_a_cancel_before_the_name_wins(runtime: Runtime) -> None:
    attempt = claim(runtime)
    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(cancel_requested_at=func.clock_timestamp()))
    with pytest.raises(CancelRequested):
        publishing.publish(attempt, finished(runtime), NAME, FACTS)
    assert published(runtime) == {}


def test_nothing_begun_is_nothing_to_adopt(runtime: Runtime) -> None:
    claim(runtime)
    (runtime.settings.download_dir / STAGING).mkdir(parents=True)
    attempt = succeed(runtime)
    leftover = runtime.settings.download_dir / STAGING / f"{attempt.row.id}.1"
    leftover.write_bytes(b"half")
    assert publishing.resume(attempt) is None
    assert staged(runtime) == []


def test_a_published_file_that_was_taken_away_is_fetched_again(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_sync_folder", die)
        with pytest.raises(Died):
            publishing.publish(claim(runtime), finished(runtime), NAME, FACTS)
    for path in runtime.settings.download_dir.rglob("*"):
        if path.is_file():
            path.unlink()
    attempt = succeed(runtime)
    assert publishing.resume(attempt) is None


def test_a_folder_that_became_a_link_is_refused(runtime: Runtime, tmp_path: Path) -> None:
    attempt = claim(runtime)
    runtime.settings.download_dir.mkdir(exist_ok=True)
    (runtime.settings.download_dir / "films").symlink_to(tmp_path)
    with pytest.raises(GiveUp):
        publishing.publish(attempt, finished(runtime), NAME, FACTS)
    assert not (tmp_path / NAME).exists()


def test_a_sleeper_does_not_take_away_what_its_successor_has_fetched(runtime: Runtime) -> None:
    sleeper = claim(runtime)
    source = finished(runtime)
    successor = succeed(runtime)
    with pytest.raises(Fenced):
        publishing.publish(sleeper, source, NAME, FACTS)
    file = publishing.publish(successor, source, NAME, FACTS)
    assert published(runtime) == {f"films/{NAME}": b"film"}
    assert file["size"] == 4


@pytest.mark.usefixtures("mounted")
def test_a_folder_on_another_file_system(runtime: Runtime) -> None:
    for body in (b"one", b"two"):
        file = publishing.publish(claim(runtime), finished(runtime, body), NAME, FACTS)
    assert file == {"path": "films/A film [x1] (2).mp4", "size": 3, **FACTS}
    assert published(runtime) == {f"films/{NAME}": b"one", "films/A film [x1] (2).mp4": b"two"}
    assert staged(runtime) == staged(runtime, "films") == []


@pytest.mark.usefixtures("mounted")
@pytest.mark.parametrize(
    "links", [0, 1, 2], ids=["before it is staged there", "before its link", "after its link"]
)
def test_a_successor_finishes_on_another_file_system(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, links: int
) -> None:
    link, left = os.link, [links]

    def die(source: Path, target: Path) -> None:
        if target.name != NAME:  # not the name itself
            return link(source, target)
        left[0] -= 1
        if left[0] < 0:
            raise SystemExit
        return link(source, target)

    frozen = claim(runtime)
    monkeypatch.setattr("os.link", die)
    if links < 2:
        with pytest.raises(SystemExit):
            publishing.publish(frozen, finished(runtime), NAME, FACTS)
    else:
        monkeypatch.setattr(publishing, "discard", lambda _attempt: None)
        publishing.publish(frozen, finished(runtime), NAME, FACTS)
    monkeypatch.undo()

    successor = succeed(runtime)
    (begun,) = staged_for(runtime, frozen)
    assert publishing.resume(successor) == {"path": f"films/{NAME}", "size": 4, **FACTS}
    assert published(runtime) == {f"films/{NAME}": b"film"}
    assert not begun.exists(), "the sleeper has nothing left to link"
    assert staged(runtime) == staged(runtime, "films") == []


def staged_for(runtime: Runtime, attempt: Attempt[Download]) -> list[Path]:
    """What an attempt would link next."""
    name = f"{attempt.row.id}.{attempt.row.epoch}"
    root = runtime.settings.download_dir
    there = [path for path in (root / "films" / STAGING / name, root / STAGING / name) if path.exists()]
    return there[:1]


@pytest.mark.usefixtures("mounted")
def test_what_an_ended_download_left_on_another_file_system_goes(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = claim(runtime)
    monkeypatch.setattr(publishing, "_sync_folder", lambda _folder: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        publishing.publish(attempt, finished(runtime), NAME, FACTS)
    assert staged(runtime, "films")
    with runtime.unit_of_work() as db:
        cleanup.sweep(db, runtime.settings)
    assert staged(runtime, "films"), "it has not ended"
    with runtime.unit_of_work() as db:
        db.execute(
            update(Download).values(ended_at=func.clock_timestamp(), lease_until=None, status="failed")
        )
    with runtime.unit_of_work() as db:
        cleanup.sweep(db, runtime.settings)
    assert staged(runtime) == staged(runtime, "films") == []
