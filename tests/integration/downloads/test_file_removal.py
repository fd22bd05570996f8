"""Files are removed as what they are: the one that was published, once, whatever bears its name by now."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from published import NAME, path_of, published
from sqlalchemy import func, select, update
from stack import free_port

from engine.downloads import downloads
from engine.downloads.removal_work import FILE_REMOVAL, work
from engine.jobs.reconcile import rescue
from engine.jobs.runner import run_next
from engine.runtime import Runtime
from models.download import Download, FileRemoval


def delete(runtime: Runtime, row: Download) -> None:
    with runtime.unit_of_work() as db:
        downloads.delete(db, row.id, owner_id=row.user_id, delete_file=True)


def remove(runtime: Runtime) -> FileRemoval:
    """A worker has a go at the removal; returns its row."""
    with runtime.unit_of_work() as db:
        db.execute(update(FileRemoval).values(next_run_at=func.clock_timestamp()))
    assert run_next(runtime, FILE_REMOVAL, work)
    with runtime.unit_of_work() as db:
        return db.scalars(select(FileRemoval)).one()


def there(runtime: Runtime) -> dict[str, bytes]:
    folder = runtime.settings.download_dir / "films"
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_file_goes_with_its_row(runtime: Runtime) -> None:
    row, other = published(runtime), published(runtime)
    delete(runtime, row)
    assert remove(runtime).status == "completed"
    assert there(runtime) == {"A film [x1] (2).mp4": b"film"}
    assert path_of(runtime, other).exists()


def test_the_name_is_anothers_by_now(runtime: Runtime) -> None:
    first = published(runtime)
    path_of(runtime, first).unlink()
    second = published(runtime)
    assert path_of(runtime, first) == path_of(runtime, second)
    delete(runtime, first)
    removal = remove(runtime)
    assert there(runtime) == {NAME: b"film"}, "the other's stays"
    assert (removal.status, removal.error and removal.error["kind"]) == ("failed", "replaced")


def test_a_removal_that_waits_for_plex_does_not_remove_twice(runtime: Runtime) -> None:
    away = dataclasses.replace(
        runtime.settings, plex_url=f"http://127.0.0.1:{free_port()}", plex_token="token", plex_enabled=True
    )
    row = published(runtime)
    delete(runtime, row)
    runtime.live.environment = runtime.live.settings = away
    removal = remove(runtime)
    assert (removal.status, removal.error and removal.error["kind"]) == ("queued", "plex")
    assert there(runtime) == {}
    path_of(runtime, row).write_bytes(b"film")  # by whoever
    while removal.status == "queued":
        removal = remove(runtime)
    assert removal.status == "completed"
    assert there(runtime) == {NAME: b"film"}


def other_inode(path: Path) -> None:
    fresh = path.with_name("fresh")
    fresh.write_bytes(path.read_bytes())
    os.utime(fresh, ns=(path.stat().st_mtime_ns,) * 2)
    fresh.replace(path)


def written_later(path: Path) -> None:
    """As after an inode was given away and came back: same number, same size."""
    path.write_bytes(b"mine")
    os.utime(path, (path.stat().st_atime, path.stat().st_mtime + 60))


def link(path: Path) -> None:
    kept = path.with_name("kept")
    path.rename(kept)
    path.symlink_to(kept)


@pytest.mark.parametrize("change", [other_inode, written_later, link])
def test_what_a_person_put_in_its_place_stays(runtime: Runtime, change: Callable[[Path], None]) -> None:
    row = published(runtime)
    change(path_of(runtime, row))
    before = there(runtime)
    delete(runtime, row)
    assert remove(runtime).status == "failed"
    assert there(runtime) == before
    assert before


def test_another_name_of_the_file_keeps_it(runtime: Runtime, tmp_path: Path) -> None:
    row = published(runtime)
    (tmp_path / "kept.mp4").hardlink_to(path_of(runtime, row))
    delete(runtime, row)
    assert remove(runtime).status == "completed"
    assert there(runtime) == {}
    assert (tmp_path / "kept.mp4").read_bytes() == b"film"


@pytest.mark.parametrize(("body", "left"), [(b"film", {}), (b"longer", {NAME: b"longer"})])
def test_of_a_file_from_before_identities_the_size_must_match(
    runtime: Runtime, body: bytes, left: dict[str, bytes]
) -> None:
    row = published(runtime)
    path_of(runtime, row).write_bytes(body)
    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(published=None))
    delete(runtime, row)
    remove(runtime)
    assert there(runtime) == left


def test_of_a_file_from_before_identities_nobody_else_may_have_the_name(runtime: Runtime) -> None:
    first = published(runtime)
    path_of(runtime, first).unlink()
    published(runtime)
    with runtime.unit_of_work() as db:
        db.execute(update(Download).values(published=None))
    delete(runtime, first)
    remove(runtime)
    assert there(runtime) == {NAME: b"film"}


def test_a_name_that_changes_hands_between_look_and_removal(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = published(runtime)
    rename = os.rename

    def late(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(os, "rename", rename)
        path_of(runtime, row).unlink()
        published(runtime, b"another")
        rename(*args, **kwargs)

    monkeypatch.setattr(os, "rename", late)
    delete(runtime, row)
    assert remove(runtime).status == "failed"
    assert there(runtime) == {NAME: b"another"}


class Died(BaseException):
    """The worker is killed here."""


@pytest.mark.parametrize("swapped", [False, True])
def test_a_successor_ends_what_was_set_aside(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, *, swapped: bool
) -> None:
    row = published(runtime)
    rename = os.rename

    def die(*args: Any, **kwargs: Any) -> None:
        if swapped:
            path_of(runtime, row).unlink()
            published(runtime, b"another")
        rename(*args, **kwargs)
        raise Died

    delete(runtime, row)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", die)
        with pytest.raises(Died):
            remove(runtime)
    assert list(there(runtime)) != [NAME]
    with runtime.unit_of_work() as db:
        db.execute(update(FileRemoval).values(lease_until=func.clock_timestamp() - timedelta(seconds=1)))
        assert rescue(db, FILE_REMOVAL, runtime.settings) == 1
    remove(runtime)
    assert there(runtime) == ({NAME: b"another"} if swapped else {})


def test_a_folder_that_is_not_mounted_is_waited_for(runtime: Runtime) -> None:
    row = published(runtime)
    root = runtime.settings.download_dir
    root.rename(root.with_name("away"))
    delete(runtime, row)
    for _ in range(7):
        removal = remove(runtime)
    assert (removal.status, removal.attempt) == ("queued", 0)
    root.with_name("away").rename(root)
    assert remove(runtime).status == "completed"
    assert there(runtime) == {}
