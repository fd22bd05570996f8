"""What is dear is counted at each of its doors: trying again like asking, and all that starts work by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from door import data_of, opened, refused
from factories import make_download
from sqlalchemy import func

from config.settings import Settings
from config.variables import Rate
from models.download import Download
from models.user import User

HOUR = 3600


@pytest.mark.parametrize(
    "values",
    [
        {"status": "failed", "ended_at": func.clock_timestamp()},
        {"status": "queued", "next_run_at": func.clock_timestamp() + timedelta(hours=1)},
    ],
    ids=["failed", "waits for its time"],
)
def test_to_try_again_is_counted_like_asking(settings: Settings, values: dict[str, Any]) -> None:
    with opened(settings, rate_limit_enabled=True, rate_limit_downloads=(Rate(2, HOUR),)) as door:
        ann = door.person()
        with door.runtime.unit_of_work() as db:
            rows = [make_download(db, db.get_one(User, ann.id), **values).id for _ in range(2)]
        assert ann.post("/youtube/download", json={"url": "http://127.0.0.1/a.mp4"}).status_code == 202
        assert data_of(ann.post(f"/youtube/downloads/{rows[0]}/retry"))["status"] == "queued"
        answer = ann.post(f"/youtube/downloads/{rows[1]}/retry")
        refused(answer, 429, "RATE_LIMIT_EXCEEDED")
        assert int(answer.headers["Retry-After"]) > 0
        with door.runtime.reading() as db:
            row = db.get_one(Download, rows[1])
        assert (row.status, row.attempt) == (values["status"], 0)
        assert row.ended_at is not None or row.next_run_at > row.created_at, "nothing has begun"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/plex/syncs", {}),
        ("POST", "/admin/webhooks/wh-1/replay", None),
        ("POST", "/integrations/tmdb/test", {}),
        ("PUT", "/integrations/tmdb", {"url": "http://127.0.0.1:9"}),
        ("GET", "/integrations/plex/servers", None),
        ("POST", "/admin/invitations", {"email": "new@example.com", "role": "user"}),
    ],
)
def test_work_that_is_started_by_hand_is_counted(
    settings: Settings, method: str, path: str, body: dict[str, Any] | None
) -> None:
    with opened(settings, rate_limit_enabled=True, rate_limit_work=(Rate(1, HOUR),)) as door:
        admin = door.person("super_admin")
        assert admin.request(method, path, json=body).status_code != 429
        refused(admin.request(method, path, json=body), 429, "RATE_LIMIT_EXCEEDED")


def test_nobodys_mailbox_is_filled_with_invitations(settings: Settings) -> None:
    with opened(settings, rate_limit_enabled=True, rate_limit_invitation=(Rate(1, HOUR),)) as door:
        wish = {"email": "new@example.com", "role": "user"}
        assert door.person("admin").post("/admin/invitations", json=wish).status_code == 201
        again = door.person("admin").post("/admin/invitations", json=wish | {"email": "NEW@example.com"})
        refused(again, 429, "RATE_LIMIT_EXCEEDED")
