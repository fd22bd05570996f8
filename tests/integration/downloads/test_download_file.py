"""`GET /youtube/downloads/<id>/file`: the finished file, whole or a range of it, and never anything else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from door import API, Door, Person, opened, refused
from factories import make_download
from published import path_of, published
from sqlalchemy import func, update
from werkzeug.test import TestResponse

from engine.identity import api_keys
from engine.identity.sessions import Identity
from engine.permissions import Permission, permissions_of
from models.download import Download
from models.user import User

BODY = bytes(range(256)) * 4
DAY = 86400


@pytest.fixture
def film(door: Door, ann: Person) -> Download:
    """A film of hers, of 1,024 bytes."""
    row = published(door.runtime, BODY, owner_id=ann.id)
    # Long ago, so that the time is exact enough to be compared.
    os.utime(path_of(door.runtime, row), (1_700_000_000, 1_700_000_000))
    known = {**(row.published or {}), "mtime": 1_700_000_000 * 10**9}
    with door.runtime.unit_of_work() as db:
        db.execute(update(Download).where(Download.id == row.id).values(published=known))
    return row


def fetch(
    person: Person, row: Download, query: str = "", *, method: str = "GET", **headers: str
) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return person.request(method, f"/youtube/downloads/{row.id}/file{query}", headers=named, buffered=True)


class TestServing:
    def test_the_whole_file_is_saved_under_its_name(self, ann: Person, film: Download) -> None:
        answer = fetch(ann, film)

        assert (answer.status_code, answer.data) == (200, BODY)
        assert answer.headers["Content-Length"] == "1024"
        assert answer.headers["Content-Type"] == "video/mp4"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["Last-Modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="A film [x1]')
        assert not answer.headers["ETag"].startswith("W/")

    def test_inline_it_is_played_and_nothing_in_it_runs(self, ann: Person, film: Download) -> None:
        answer = fetch(ann, film, "?inline=true")

        assert answer.headers["Content-Disposition"].startswith("inline; ")
        policy = answer.headers["Content-Security-Policy"].split("; ")
        assert {"sandbox", "default-src 'none'", "media-src 'self'"} <= set(policy)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        refused(fetch(ann, film, "?inline=yes"), 400, "VALIDATION_ERROR")

    @pytest.mark.parametrize(
        ("container", "media_type"),
        [("webm", "video/webm"), ("opus", "audio/ogg"), ("html", "application/octet-stream")],
    )
    def test_the_type_is_that_of_the_container(
        self, door: Door, ann: Person, container: str, media_type: str
    ) -> None:
        row = published(door.runtime, b"<script>", owner_id=ann.id, container=container)

        answer = fetch(ann, row, "?inline=true")

        assert answer.headers["Content-Type"] == media_type

    def test_head_tells_the_same_without_the_file(self, ann: Person, film: Download) -> None:
        whole, head = fetch(ann, film), fetch(ann, film, method="HEAD", Range="bytes=0-9")

        assert (head.status_code, head.data) == (200, b"")
        for name in ("Content-Length", "ETag", "Last-Modified", "Content-Type", "Content-Disposition"):
            assert head.headers[name] == whole.headers[name]

    def test_what_the_client_has_is_not_sent_again(self, ann: Person, film: Download) -> None:
        tag = fetch(ann, film).headers["ETag"]

        for headers in (
            {"If_None_Match": tag},
            {"If_None_Match": f'"other", W/{tag}'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": "Tue, 14 Nov 2023 22:13:20 GMT"},
        ):
            answer = fetch(ann, film, **headers)
            assert (answer.status_code, answer.data) == (304, b""), headers
            assert answer.headers["ETag"] == tag
        for headers in (
            {"If_None_Match": '"other"'},
            {"If_None_Match": '"other"', "If_Modified_Since": "Tue, 14 Nov 2023 22:13:20 GMT"},
            {"If_Modified_Since": "Tue, 14 Nov 2023 22:13:19 GMT"},
        ):
            assert fetch(ann, film, **headers).status_code == 200, headers


class TestRanges:
    @pytest.mark.parametrize(
        ("asked", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=100-199", 100, 199),
            ("bytes=1000-", 1000, 1023),
            ("bytes=1000-5000", 1000, 1023),
            ("bytes=-1", 1023, 1023),
            ("bytes=-5000", 0, 1023),
        ],
    )
    def test_a_range_is_that_part(
        self, ann: Person, film: Download, asked: str, first: int, last: int
    ) -> None:
        answer = fetch(ann, film, Range=asked)

        assert (answer.status_code, answer.data) == (206, BODY[first : last + 1])
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/1024"
        assert answer.headers["Content-Length"] == str(last - first + 1)

    @pytest.mark.parametrize(
        "asked", ["bytes=0-1,5-6", "bytes=9-2", "bytes=a-b", "bytes", "bytes=-", "lines=0-1", "bytes=-0"]
    )
    def test_what_is_no_single_range_is_ignored(self, ann: Person, film: Download, asked: str) -> None:
        assert fetch(ann, film, Range=asked).status_code == 200

    @pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=99999999999999999999-"])
    def test_a_range_behind_the_end(self, ann: Person, film: Download, asked: str) -> None:
        answer = fetch(ann, film, Range=asked)

        refused(answer, 416, "VALIDATION_ERROR")
        assert answer.headers["Content-Range"] == "bytes */1024"

    def test_a_range_of_another_file_gives_all_of_this_one(self, ann: Person, film: Download) -> None:
        first = fetch(ann, film)
        tag, written = first.headers["ETag"], first.headers["Last-Modified"]

        for same in (tag, written):
            assert fetch(ann, film, Range="bytes=5-9", If_Range=same).status_code == 206
        for other in ('"other"', f"W/{tag}", "Tue, 14 Nov 2023 22:13:21 GMT", "nonsense"):
            assert fetch(ann, film, Range="bytes=5-9", If_Range=other).data == BODY


class TestNames:
    @pytest.mark.parametrize(
        ("name", "plain", "full"),
        [
            ("A film.mp4", "A film.mp4", "A film.mp4"),
            ("Amélie – 東京 🎬.mp4", "Amelie .mp4", "Amélie – 東京 🎬.mp4"),
            ("a\r\nSet-Cookie: x=1.mp4", "a Set-Cookie - x=1.mp4", "a Set-Cookie - x=1.mp4"),
            ('say "hi"; filename=evil.html', "say 'hi'; filename=evil.html", "say 'hi'; filename=evil.html"),
            ("100% real\\.mp4", "100_ real-.mp4", "100% real-.mp4"),
            ("gpj.\u202e4pm.exe", "gpj.4pm.exe", "gpj.4pm.exe"),
            ("日本.mp4", "mp4", "日本.mp4"),
        ],
    )
    def test_any_name_is_one_header(self, door: Door, ann: Person, name: str, plain: str, full: str) -> None:
        row = published(door.runtime, owner_id=ann.id, name=name)

        header = fetch(ann, row).headers["Content-Disposition"]

        kind, quoted, *extended = header.split('"')
        assert (kind, quoted) == ("attachment; filename=", plain)
        told = unquote(extended[0].removeprefix("; filename*=UTF-8''")) if extended[0] else quoted
        assert told == full
        assert header.isascii()
        assert header.isprintable()


class TestWhoMay:
    def test_the_owner_and_admins_and_nobody_else(self, door: Door, ann: Person, film: Download) -> None:
        assert fetch(door.person("admin"), film).data == BODY
        there = refused(fetch(door.person(), film), 404, "NOT_FOUND")
        assert refused(ann.get("/youtube/downloads/dl-none/file"), 404, "NOT_FOUND") == there
        refused(fetch(door.person("guest"), film), 403, "FORBIDDEN")
        path = f"{API}/youtube/downloads/{film.id}/file"
        refused(door.stranger().get(path), 401, "UNAUTHORIZED")
        by_cookie = door.stranger().get(
            path, headers={"Cookie": f"medianest_access={ann.token}"}, buffered=True
        )
        assert by_cookie.data == BODY

    def test_a_key_that_may_see_rows(self, door: Door, ann: Person, film: Download) -> None:
        owner = Identity(ann.id, None, "user", permissions_of("user"), key_id="key-1")
        path = f"{API}/youtube/downloads/{film.id}/file"
        for permission, status in ((Permission.MEDIA_REQUEST, 200), (Permission.MEDIA_READ, 403)):
            with door.runtime.unit_of_work() as db:
                _, text = api_keys.create(db, owner, name=permission.value, permissions={permission})
            answer = door.stranger().get(path, headers={"X-Api-Key": text}, buffered=True)
            assert answer.status_code == status

    def test_what_a_deleted_account_leaves_is_for_admins(self, door: Door, film: Download) -> None:
        chief = door.person("super_admin")
        assert chief.delete(f"/admin/users/{film.user_id}").status_code == 200

        assert fetch(door.person("admin"), film).data == BODY
        refused(fetch(door.person(), film), 404, "NOT_FOUND")

    @pytest.mark.parametrize("status", ["queued", "downloading", "failed", "cancelled"])
    def test_one_that_is_not_completed_says_what_it_is(self, door: Door, ann: Person, status: str) -> None:
        ended = {"ended_at": func.now()} if status in {"failed", "cancelled"} else {}
        with door.runtime.unit_of_work() as db:
            row = make_download(db, db.get_one(User, ann.id), status=status, **ended)

        assert status in refused(fetch(ann, row), 409, "CONFLICT")["message"]


def link(path: Path) -> None:
    """The very file, but through a symbolic link."""
    kept = path.with_name("kept")
    path.rename(kept)
    path.symlink_to(kept)


def linked_folder(path: Path) -> None:
    """The very file, but through a symbolic link in place of its folder."""
    kept = path.parent.with_name("kept")
    path.parent.rename(kept)
    path.parent.symlink_to(kept)


def secret_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def file_for_folder(path: Path) -> None:
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(BODY)


def another_with_its_size_and_time(path: Path) -> None:
    status = path.stat()
    fresh = path.with_name("fresh")
    fresh.write_bytes(b"x" * status.st_size)
    os.utime(fresh, ns=(status.st_atime_ns, status.st_mtime_ns))
    fresh.replace(path)


def hard_link_of_another(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(BODY)
    path.unlink()
    path.hardlink_to(other)


def written_into(path: Path) -> None:
    path.write_bytes(b"mine")


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class TestNothingElse:
    @pytest.fixture
    def alone(self, door: Door, ann: Person, tmp_path: Path) -> Any:
        """A door with a download folder of its own, since the folders are harmed."""
        changes = {"download_dir": tmp_path / "downloads", "work_dir": tmp_path / "work"}
        with opened(door.runtime.settings, **changes) as there:
            row = published(there.runtime, BODY, owner_id=ann.id)
            person = Person(there.stranger(), ann.id, ann.email, ann.token, ann.signed_in)
            yield row, path_of(there.runtime, row), lambda: fetch(person, row)

    @pytest.mark.parametrize(
        "change",
        [
            link, linked_folder, secret_link, folder, fifo, file_for_folder, another_with_its_size_and_time,
            hard_link_of_another, written_into,
        ],
    )  # fmt: skip
    def test_what_is_in_its_place_is_not_handed_out(self, alone: Any, change: Callable[[Path], None]) -> None:
        _, path, ask = alone
        change(path)

        answer = ask()

        assert "in the place of" in refused(answer, 409, "CONFLICT")["message"]
        assert "/" not in answer.text

    def test_another_link_of_it_does_no_harm(self, alone: Any, tmp_path: Path) -> None:
        _, path, ask = alone
        (tmp_path / "kept.mp4").hardlink_to(path)

        assert ask().data == BODY

    @pytest.mark.parametrize(
        "change", [lambda path: path.unlink(), lambda path: path.parent.rename(path.parents[1] / "x")]
    )
    def test_a_file_that_is_gone_says_so(self, alone: Any, change: Callable[[Path], object]) -> None:
        _, path, ask = alone
        change(path)

        assert "gone" in refused(ask(), 404, "NOT_FOUND")["message"]

    def test_a_folder_that_is_not_mounted_is_another_matter(self, alone: Any, tmp_path: Path) -> None:
        _, path, ask = alone
        path.parents[1].rename(tmp_path / "away")

        refused(ask(), 503, "SERVICE_UNAVAILABLE")

    @pytest.mark.parametrize("path", ["../outside.mp4", "films/../../outside.mp4", "/etc/hostname", ""])
    def test_a_row_that_leads_out_leads_nowhere(
        self, door: Door, alone: Any, tmp_path: Path, path: str
    ) -> None:
        row, _, ask = alone
        (tmp_path / "outside.mp4").write_bytes(BODY)
        with door.runtime.unit_of_work() as db:
            values = {"file": {**(row.file or {}), "path": path}, "published": None}
            db.execute(update(Download).where(Download.id == row.id).values(**values))

        refused(ask(), 409, "CONFLICT")

    def test_one_of_an_earlier_release_is_known_by_its_size(self, door: Door, alone: Any) -> None:
        row, path, ask = alone
        with door.runtime.unit_of_work() as db:
            db.execute(update(Download).where(Download.id == row.id).values(published=None))

        assert ask().data == BODY
        path.write_bytes(b"another size")
        refused(ask(), 409, "CONFLICT")

    def test_no_file_stays_open(self, alone: Any) -> None:
        _, path, ask = alone
        ask()  # connections stay open
        before = open_files()
        for _ in range(5):
            ask()
        path.write_bytes(b"mine")
        for _ in range(5):
            ask()

        assert open_files() == before
