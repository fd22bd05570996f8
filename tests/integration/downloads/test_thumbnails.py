"""Pictures of videos: fetched once through the guard, only real ones, and never from where nobody may be asked."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from door import Door, Person, opened
from factories import make_download
from sqlalchemy import func
from werkzeug.test import TestResponse

from engine.runtime import Runtime
from models.base import new_id
from models.download import Preview
from models.user import User
from tests.fakes.video_site import VideoSite


@pytest.fixture
def door(runtime: Runtime) -> Iterator[Door]:
    with opened(runtime.settings, download_allow_private_networks=True) as door:
        yield door


def shown(door: Door, person: Person, url: str | None, **headers: str) -> TestResponse:
    """The picture of a new download of theirs."""
    with door.runtime.unit_of_work() as db:
        one = make_download(db, db.get_one(User, person.id), thumbnail=url).id
    return person.client.get(
        f"/downloads/{one}/picture", headers={"Authorization": f"Bearer {person.token}"} | headers
    )


def test_it_is_fetched_once_and_may_be_kept(door: Door, video_site: VideoSite) -> None:
    ann, url = door.person(), f"{video_site.url}/thumb/film.jpg?type=text/html"

    first, second = shown(door, ann, url), shown(door, ann, url)

    assert (first.status_code, first.mimetype) == (200, "image/jpeg")
    assert first.data.startswith(b"\xff\xd8\xff")
    assert first.headers["Cache-Control"].startswith("private, max-age=")
    assert second.data == first.data
    assert len(video_site.asked("/thumb/film.jpg")) == 1
    assert shown(door, ann, url, **{"If-None-Match": first.headers["ETag"]}).status_code == 304


def test_that_of_a_preview(door: Door, video_site: VideoSite) -> None:
    ann, one = door.person(), new_id("prv")
    result = {"metadata": {"thumbnail": f"{video_site.url}/thumb/look.jpg"}, "heights": [], "qualities": []}
    with door.runtime.unit_of_work() as db:
        row = {"status": "completed", "ended_at": func.now(), "url": "http://x/", "url_key": one}
        db.add(Preview(id=one, user_id=ann.id, result=result, **row))

    answer = ann.client.get(
        f"/downloads/previews/{one}/picture", headers={"Authorization": f"Bearer {ann.token}"}
    )

    assert (answer.status_code, answer.mimetype) == (200, "image/jpeg")


@pytest.mark.parametrize(
    "path",
    [
        "/text/page",
        "/thumb/flood.jpg?bomb=3000000",
        "/thumb/gone.png?status=404",
        "/nothing",
        "/redirect?to=/x.jpg",
    ],
)
def test_what_is_no_picture_is_not_asked_for_again(door: Door, video_site: VideoSite, path: str) -> None:
    ann, url = door.person(), f"{video_site.url}{path}"

    answers = [shown(door, ann, url) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert len(video_site.asked(path.partition("?")[0])) == 1


def test_a_site_that_does_not_answer_holds_up_nobody(door: Door, video_site: VideoSite) -> None:
    ann, url = door.person(), f"{video_site.url}/thumb/slow.jpg?gate=slow"
    began = time.monotonic()

    answer = shown(door, ann, url)

    assert answer.status_code == 404
    assert time.monotonic() - began < 4.5
    video_site.release("slow")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "data:image/gif;base64,R0lGODlh", "http://", "ftp://127.0.0.1/x", None]
)
def test_other_addresses(door: Door, url: str | None) -> None:
    assert shown(door, door.person(), url).status_code == 404


def test_private_networks_are_asked_only_where_downloads_may_go_there(
    runtime: Runtime, video_site: VideoSite
) -> None:
    with opened(runtime.settings, download_allow_private_networks=False) as door:
        ann = door.person()
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "169.254.169.254"):
            url = video_site.url.replace("127.0.0.1", host)
            assert shown(door, ann, f"{url}/thumb/private.jpg").status_code == 404

    assert video_site.asked("/thumb/private.jpg") == []
