"""What others of the machine may see of DATA_DIR."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cli.embedded import EmbeddedPostgres, EmbeddedRedis
from cli.supervision.leftovers import sole_owner
from config import private_folders
from config.settings import Settings


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def settings_of(folder: Path) -> Settings:
    return Settings(data_dir=folder, download_dir=folder / "downloads", work_dir=folder / "work")


@pytest.fixture(autouse=True)
def usual() -> None:
    os.umask(0o022)


def test_an_installation_of_before_is_closed_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in ("work", "artwork", "downloads/films"):
        (folder / name).mkdir(parents=True)
    for name in ("postgres.log", "redis.log", "celerybeat-schedule", "downloads/films/a.mp4"):
        (folder / name).write_text("x")
    assert mode(folder) == 0o755

    settings_of(folder).check_folders()

    assert mode(folder) == 0o711, "others reach what is below, where they may read it, and see nothing else"
    assert [mode(folder / name) for name in ("work", "artwork")] == [0o700, 0o700]
    assert [mode(folder / f"{name}.log") for name in ("postgres", "redis")] == [0o600, 0o600]
    assert mode(folder / "celerybeat-schedule") == 0o600
    assert mode(folder / "downloads" / "films") == 0o755, "Plex reads them"
    assert mode(folder / "downloads" / "films" / "a.mp4") == 0o644


def test_a_new_one_is_closed_from_the_beginning(short_tmp: Path) -> None:
    folder = short_tmp / "fresh"
    with sole_owner(folder):
        settings_of(folder).check_folders()
        with (
            EmbeddedPostgres(folder, durable=False).running(),
            EmbeddedRedis(folder, durable=False).running(),
        ):
            seen = {path.name: mode(path) for path in folder.iterdir()}
    assert mode(folder) == 0o711
    assert {name for name, found in seen.items() if found & 0o077} == {"downloads"}


def test_what_is_closed_further_or_not_ours_stays(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir(mode=0o700)
    elsewhere.mkdir()
    (folder / "work").symlink_to(elsewhere)
    private_folders.close(folder)
    private_folders.close(tmp_path / "absent")
    assert mode(folder) == 0o700
    assert mode(elsewhere) == 0o755
    assert not (tmp_path / "absent").exists()
