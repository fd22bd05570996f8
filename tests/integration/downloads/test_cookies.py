"""The cookie file of the downloads: stored encrypted, never read back."""

from __future__ import annotations

import pytest
from door import Door, Person, data_of, opened, refused
from sqlalchemy import text
from structlog.testing import capture_logs

from engine.downloads.sources import cookies

FILE = (
    "# Netscape HTTP Cookie File\n"
    ".youtube.com\tTRUE\t/\tTRUE\t2000000000\tSID\tcanary-of-a-secret\n"
    "#HttpOnly_.youtube.com\tTRUE\t/\tTRUE\t1900000000\tHSID\tcanary-of-a-secret\n"
    "example.com\tFALSE\t/\tFALSE\t0\tseen\tcanary-of-a-secret\n"
)


def test_stored_shown_in_outline_and_forgotten(door: Door, admin: Person) -> None:
    refused(admin.get("/admin/cookies"), 404, "NOT_FOUND")
    answer = admin.request("PUT", "/admin/cookies", json={"cookies": FILE})
    assert answer.status_code == 200
    shown = data_of(answer)
    assert (shown["count"], shown["domains"]) == (3, ["example.com", "youtube.com"])
    assert shown["expiresAt"] == "2030-03-17T17:46:40Z"
    assert "canary" not in answer.get_data(as_text=True)
    assert data_of(admin.get("/admin/cookies")) == shown
    assert cookies.for_attempt(door.runtime) == FILE
    with door.runtime.reading() as db:
        assert "canary" not in str(db.execute(text("SELECT * FROM secrets")).all())
    assert data_of(admin.delete("/admin/cookies")) == shown
    refused(admin.delete("/admin/cookies"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "file", ["", "hello", "# Netscape HTTP Cookie File\n", "a\tb\tc\n", '{"cookies": []}']
)
def test_what_is_no_cookie_file_is_refused_without_being_shown(admin: Person, file: str) -> None:
    answer = admin.request("PUT", "/admin/cookies", json={"cookies": file})
    refused(answer, 400, "VALIDATION_ERROR")
    assert "cookies" in answer.get_json()["error"]["details"]


def test_another_key_can_not_read_them(door: Door, admin: Person) -> None:
    admin.request("PUT", "/admin/cookies", json={"cookies": FILE})
    key = "another key of more than 32 characters"
    with opened(door.runtime.settings, secret_key=key) as other, capture_logs() as logs:
        assert cookies.for_attempt(other.runtime) is None
    assert [entry["event"] for entry in logs] == ["cookies.unreadable"]
    assert cookies.for_attempt(door.runtime) == FILE


def test_only_who_configures_integrations_may(door: Door) -> None:
    ann = door.person()
    for method, body in (("GET", None), ("PUT", {"cookies": FILE}), ("DELETE", None)):
        refused(ann.request(method, "/admin/cookies", json=body), 403, "FORBIDDEN")
