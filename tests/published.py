"""Downloads with a file that a worker has published for real."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from factories import make_download, make_user

from engine.downloads import publishing
from engine.downloads.work import DOWNLOAD
from engine.jobs.runner import run_next
from engine.runtime import Runtime
from models.download import Download
from models.user import User

NAME = "A film [x1].mp4"
FACTS = {"container": "mp4", "height": 720, "duration": 4.0}


def published(
    runtime: Runtime,
    body: bytes = b"film",
    *,
    owner_id: str | None = None,
    name: str = NAME,
    size: int | None = None,
    container: str = "mp4",
) -> Download:
    """A download in `films`, of a new user unless of `owner_id`; with `size` the rest of the file is a hole."""
    with runtime.unit_of_work() as db:
        owner = make_user(db) if owner_id is None else db.get_one(User, owner_id)
        row_id = make_download(db, owner, folder="films", priority=1).id  # before others that wait
    source = runtime.settings.work_dir / row_id
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_bytes(body)
    if size is not None:
        os.truncate(source, size)

    def publish(attempt: Any) -> dict[str, Any]:
        facts = FACTS | {"container": container}
        return {"file": publishing.publish(attempt, source, name, facts), "publishing": None}

    assert run_next(runtime, DOWNLOAD, publish)
    source.unlink()
    with runtime.unit_of_work() as db:
        return db.get_one(Download, row_id)


def path_of(runtime: Runtime, row: Download) -> Path:
    """Where its file is."""
    assert row.file is not None
    return runtime.settings.download_dir / str(row.file["path"])
