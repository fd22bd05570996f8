"""The pages of downloads as HTML: the form for many links, the list, one's own page, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html import unescape
from types import MappingProxyType
from typing import Any

import pytest
from door import Door, Person, opened_once
from factories import make_download
from sqlalchemy import Engine, event, func, select, update
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from models.audit import AuditEntry
from models.base import new_id
from models.download import Download, Preview
from models.user import User

SITE = "http://127.0.0.1"
NOW = datetime.now(UTC)
PRIVATE = {
    "kind": "private",
    "message": "This video is private.",
    "advice": "Ask who made it.",
    "retryable": False,
}
FILE = {"path": "a.mp4", "size": 2_000_000, "container": "mp4", "height": 720, "duration": 4.0}


@pytest.fixture(scope="module")
def door(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with opened_once(postgres, tmp_path_factory.mktemp("pages")) as door:
        yield door


def asked(
    person: Person,
    path: str,
    method: str = "GET",
    headers: Mapping[str, str] = MappingProxyType({}),
    **more: Any,
) -> TestResponse:
    always = {"Authorization": f"Bearer {person.token}", "Accept": "text/html"}
    return person.client.open(f"/{path}", method=method, headers=always | headers, **more)


def sent(person: Person, path: str, *fields: tuple[str, str]) -> TestResponse:
    return asked(person, path, "POST", data=MultiDict(fields))


def words(answer: TestResponse) -> str:
    """What a person reads, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def told(person: Person, answer: TestResponse) -> str:
    """The message after a form, as the next page shows it."""
    assert answer.status_code == 303, answer.text
    headers = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
    shown = person.client.get(
        f"/{answer.location.lstrip('./')}",
        headers=headers | {"Authorization": f"Bearer {person.token}", "Accept": "text/html"},
    )
    found = re.search(r'<div class="toast">.*?<p>(.*?)</p>', shown.text, re.DOTALL)
    assert found is not None, shown.text
    return unescape(found[1])


def add(door: Door, person: Person, **values: Any) -> str:
    with door.runtime.unit_of_work() as db:
        return make_download(db, db.get_one(User, person.id), **values).id


def ended(status: str, **values: Any) -> dict[str, Any]:
    return {"status": status, "ended_at": func.now(), **values}


@contextmanager
def between_statements(act: Callable[[], None]) -> Iterator[None]:
    """Does it once, as soon as a statement that reads downloads has run, as another process would."""
    left = [act]

    def after(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if left and "FROM downloads" in statement:
            left.pop()()

    event.listen(Engine, "after_cursor_execute", after)
    try:
        yield
    finally:
        event.remove(Engine, "after_cursor_execute", after)
    assert not left


def urls_of(door: Door, person: Person) -> list[str]:
    with door.runtime.reading() as db:
        return list(
            db.scalars(select(Download.url).where(Download.user_id == person.id).order_by(Download.id))
        )


def status_of(door: Door, download_id: str) -> str | None:
    with door.runtime.reading() as db:
        return db.scalar(select(Download.status).where(Download.id == download_id))


def field_of(answer: TestResponse) -> str:
    """What stands in the field for links."""
    found = re.search(r'<textarea id="urls".*?>\n(.*?)</textarea>', answer.text, re.DOTALL)
    assert found is not None
    return unescape(found[1])


def row_of(answer: TestResponse, title: str) -> str:
    """The first row with a title, as HTML."""
    rows = re.findall(r'<li class="row.*?</li>', answer.text, re.DOTALL)
    return str(next(each for each in rows if title in each))


def looked_at(door: Door, person: Person, url: str, **values: Any) -> None:
    metadata = {"title": "A film", "channel": "Ann", "duration": 65.0, "thumbnail": f"{SITE}/x.jpg"}
    found = {"metadata": metadata, "heights": [720, 1080], "qualities": ["720p", "1080p"]}
    with door.runtime.unit_of_work() as db:
        from engine.downloads.sources import urls

        row = {"status": "completed", "result": found, "ended_at": func.now(), **values}
        key = urls.meaning(url).key
        db.add(Preview(id=new_id("prv"), user_id=person.id, url=url, url_key=key, **row))


class TestAsking:
    def test_an_address_with_links_only_fills_the_form(self, door: Door, ann: Person) -> None:
        answer = asked(ann, "downloads", query_string={"urls": f"{SITE}/1\n{SITE}/2<b>"})

        assert field_of(answer) == f"{SITE}/1\n{SITE}/2<b>"
        assert urls_of(door, ann) == []

    def test_many_at_once_are_judged_one_by_one(self, door: Door, ann: Person) -> None:
        add(door, ann, url=f"{SITE}/old", url_key="x")
        text = f"{SITE}/1\n\n  {SITE}/2 http://example.com/3\n{SITE}/1\nnonsense"

        answer = sent(ann, "downloads", ("urls", text), ("quality", "720p"))

        assert answer.status_code == 200
        assert urls_of(door, ann) == [f"{SITE}/old", f"{SITE}/1", f"{SITE}/2"]
        assert field_of(answer) == "http://example.com/3\nnonsense"
        assert "2 videos are on their way. 2 were not taken." in words(answer)
        assert "Downloads from example.com are not allowed." in words(answer)

    def test_what_is_there_already_is_said(self, door: Door, ann: Person) -> None:
        sent(ann, "downloads", ("urls", f"{SITE}/1"))

        answer = sent(ann, "downloads", ("urls", f"{SITE}/1\n{SITE}/2"))

        assert told(ann, answer) == "1 video is on its way. 1 was on its way already."

    def test_only_what_is_ticked_and_what_came_after_the_look(self, door: Door, ann: Person) -> None:
        text = "\n".join(f"{SITE}/{number}" for number in range(3))
        looked = sent(ann, "downloads", ("urls", text), ("look", "0"))
        names = re.findall(r'name="shown" value="(\w+)"', looked.text)
        assert len(names) == 3

        fields = [("shown", name) for name in names] + [("tick", names[1])]
        sent(ann, "downloads", ("urls", f"{text}\n{SITE}/late"), *fields)

        assert urls_of(door, ann) == [f"{SITE}/1", f"{SITE}/late"]

    def test_quality_and_format_that_contradict_each_other(self, door: Door, ann: Person) -> None:
        answer = sent(ann, "downloads", ("urls", f"{SITE}/1"), ("quality", "audio"), ("format", "mkv"))

        assert answer.status_code == 400
        assert "With quality audio, must be one of: mp3, m4a, opus." in words(answer)
        assert field_of(answer) == f"{SITE}/1"
        assert urls_of(door, ann) == []

    def test_a_folder_outside(self, door: Door, ann: Person) -> None:
        answer = sent(ann, "downloads", ("urls", f"{SITE}/1"), ("downloadPath", "../etc"))

        assert answer.status_code == 400
        assert re.search(r'id="downloadPath"[^>]*aria-invalid="true"', answer.text)

    def test_more_than_two_hundred(self, door: Door, ann: Person) -> None:
        text = "\n".join(f"{SITE}/{number}" for number in range(201))

        answer = sent(ann, "downloads", ("urls", text))

        assert answer.status_code == 400
        assert "At most 200 at once." in words(answer)
        assert field_of(answer) == text
        assert urls_of(door, ann) == []

    def test_a_choice_is_remembered(self, door: Door, ann: Person) -> None:
        choice = (("quality", "480p"), ("format", "webm"), ("downloadPath", "films/old"))

        sent(ann, "downloads", ("urls", f"{SITE}/1"), *choice, ("remember", "on"))

        answer = asked(ann, "downloads").text
        assert '<option value="480p" selected>' in answer
        assert '<option value="webm" selected>' in answer
        assert 'value="films/old"' in answer
        assert re.search(r'name="remember" checked', answer)


class TestLooking:
    def test_each_link_says_what_is_known(self, door: Door, ann: Person) -> None:
        known, mine, new = (f"{SITE}/{new_id('x')}" for _ in range(3))
        looked_at(door, ann, known)
        sent(ann, "downloads", ("urls", mine))
        with door.runtime.unit_of_work() as db:
            row = db.scalars(select(Download).where(Download.url == mine)).one()
            row.status, row.ended_at = "completed", NOW
        text = "\n".join([known, mine, new, "http://example.com/x"])

        answer = sent(ann, "downloads", ("urls", text), ("look", "0"))

        found = row_of(answer, "A film")
        assert "New" in found
        assert "1 min" in found
        assert "up to 1080p" in found
        assert " checked" in found
        have = row_of(answer, mine.partition("//")[2])
        assert "You have this, since" in have
        assert " checked" not in have
        assert "data-looking" in row_of(answer, new.partition("//")[2])
        refused = row_of(answer, "example.com/x")
        assert "Not possible" in refused
        assert " disabled" in refused
        assert field_of(answer) == text
        assert urls_of(door, ann) == [mine]

    def test_no_more_are_looked_at_at_once_than_a_user_may(self, door: Door, ann: Person) -> None:
        urls = [f"{SITE}/{new_id('many')}" for _ in range(200)]

        answer = sent(ann, "downloads", ("urls", "\n".join(urls)), ("look", "0"))

        assert answer.text.count("data-looking") == 200
        with door.runtime.reading() as db:
            mine = select(func.count()).where(Preview.user_id == ann.id)
            assert db.scalar(mine) == door.runtime.settings.preview_user_limit

    def test_what_could_not_be_looked_at_can_be_tried(self, door: Door, ann: Person) -> None:
        url = f"{SITE}/{new_id('slow')}"
        error = {"kind": "too_slow", "message": "The site took too long.", "advice": None, "retryable": True}
        looked_at(door, ann, url, status="failed", result=None, error=error)

        found = row_of(sent(ann, "downloads", ("urls", url), ("look", "0")), url.partition("//")[2])

        assert "The site took too long." in found
        assert " checked" in found
        assert "data-looking" not in found


class TestList:
    def test_an_empty_one_offers_the_first_step(self, ann: Person) -> None:
        answer = asked(ann, "downloads")

        assert "<h1>Nothing is on its way</h1>" in answer.text
        assert "Paste a link above" in words(answer)

    def test_the_sentence_the_tabs_and_the_order(self, door: Door, ann: Person) -> None:
        add(door, ann, title="Old one", **ended("completed", file=FILE))
        add(door, ann, title="Broken one", **ended("failed", error=PRIVATE))
        add(door, ann, title="Waits longer")
        add(door, ann, title="Waits")
        held = {"status": "downloading", "lease_until": NOW + timedelta(hours=1), "progress": 40.0}
        add(door, ann, title="Runs", **held)

        answer = asked(ann, "downloads")

        assert "<h1>One moving, two waiting, one failed</h1>" in answer.text
        german = asked(ann, "downloads", headers={"Accept-Language": "de"})
        assert "<h1>Einer unterwegs, zwei warten, einer fehlgeschlagen</h1>" in german.text
        titles = re.findall(r'<p class="h3 h"><a href="[^"]+">(.*?)</a>', answer.text)
        assert titles == ["Runs", "Waits longer", "Waits", "Broken one", "Old one"]
        assert "All 5 Moving 1 Waiting 2 Failed 1 Done 1 Cancelled 0" in words(answer)
        assert "This video is private. Ask who made it." in words(answer)
        assert "Try again" not in row_of(answer, "Broken one")
        assert "Number 2 in line" in row_of(answer, "Waits<")

    def test_one_that_ends_while_the_page_is_made_is_on_it_once(self, door: Door, ann: Person) -> None:
        lease = {"lease_owner": "worker", "lease_until": NOW + timedelta(minutes=5)}
        moving = add(door, ann, title="Holiday", status="processing", **lease)

        def ends() -> None:
            free = {"lease_owner": None, "lease_until": None}
            with door.runtime.unit_of_work() as db:
                db.execute(update(Download).where(Download.id == moving).values(ended("completed", **free)))

        with between_statements(ends):
            answer = asked(ann, "downloads")

        assert answer.text.count(f'id="{moving}"') == 1
        assert "One moving" in answer.text

    def test_filters_are_in_the_address(self, door: Door, ann: Person) -> None:
        add(door, ann, title="Slow bread", channel="Fieldnotes", **ended("completed", file=FILE))
        add(door, ann, title="Fast bread", **ended("failed", error=PRIVATE))
        add(door, ann, title="Piano", **ended("failed", error=PRIVATE))

        def titles(**query: str) -> list[str]:
            return re.findall(
                r'<p class="h3 h"><a href="[^"]+">(.*?)</a>', asked(ann, "downloads", query_string=query).text
            )

        assert titles(status="failed") == ["Piano", "Fast bread"]
        assert titles(query="BREA") == ["Fast bread", "Slow bread"]
        assert titles(query="bread", status="failed") == ["Fast bread"]
        assert titles(query="slow fieldn") == ["Slow bread"]
        assert titles(query="%") == ["Piano", "Fast bread", "Slow bread"]
        assert titles(query="'); --") == ["Piano", "Fast bread", "Slow bread"]

    def test_pages_keep_the_filter(self, door: Door, ann: Person) -> None:
        for number in range(21):
            add(door, ann, title=f"Film {number}", **ended("cancelled"))

        first = asked(ann, "downloads", query_string={"status": "cancelled", "query": "film"})
        second = asked(ann, "downloads?status=cancelled&query=film&page=2")

        assert "1 to 20 of 21" in words(first)
        assert 'rel="next" href="downloads?status=cancelled&amp;query=film&amp;page=2"' in first.text
        assert "21 to 21 of 21" in words(second)

    def test_names_are_escaped(self, door: Door, ann: Person) -> None:
        evil = '<script>alert(1)</script>"onload="x'
        one = add(door, ann, title=evil, channel=evil, thumbnail=evil, **ended("failed", error=PRIVATE))

        for page in ("downloads", f"downloads/{one}"):
            answer = asked(ann, page).text
            assert "<script>alert" not in answer
            assert '"onload' not in answer


class TestChanges:
    def test_one(self, door: Door, ann: Person) -> None:
        one = add(door, ann)

        answer = sent(ann, f"downloads/{one}", ("action", "cancel"), ("back", "downloads?status=queued"))

        assert answer.location == "../downloads?status=queued"
        assert told(ann, answer) == "1 is cancelled."
        assert status_of(door, one) == "cancelled"
        sent(ann, f"downloads/{one}", ("action", "retry"))
        assert status_of(door, one) == "queued"

    def test_one_that_was_removed_on_its_own_page(self, door: Door, ann: Person) -> None:
        one = add(door, ann, **ended("failed", error=PRIVATE))

        answer = sent(ann, f"downloads/{one}", ("action", "remove"), ("back", f"downloads/{one}"))

        assert answer.location == "../downloads"
        assert status_of(door, one) is None

    def test_several_are_judged_one_by_one(self, door: Door, ann: Person) -> None:
        waits, done, others = add(door, ann), add(door, ann, **ended("completed")), add(door, door.person())
        fields = [("ids", one) for one in (waits, done, others)]

        answer = sent(ann, "downloads/chosen", *fields, ("action", "cancel"))

        assert [status_of(door, one) for one in (waits, done, others)] == ["cancelled", "completed", "queued"]
        text = told(ann, answer)
        assert text.startswith("1 is cancelled. 2 stay as they are:")
        assert "It has ended already: completed." in text

    def test_none_was_ticked(self, ann: Person) -> None:
        assert told(ann, sent(ann, "downloads/chosen", ("action", "cancel"))) == "Choose at least one first."

    def test_who_manages_requests_puts_one_first(self, door: Door, ann: Person, admin: Person) -> None:
        first, second = add(door, ann), add(door, ann)

        assert "needs the permission" in told(ann, sent(ann, f"downloads/{second}", ("action", "first")))
        assert told(admin, sent(admin, f"downloads/{second}", ("action", "first"))) == "1 is first in line."

        with door.runtime.reading() as db:
            row = db.get_one(Download, second)
            assert row.priority > db.get_one(Download, first).priority
            noted = select(AuditEntry.action).where(AuditEntry.actor_id == admin.id)
            assert list(db.scalars(noted)) == ["download.priority_changed_by_admin"]


class TestOne:
    def test_a_failure_in_words_with_its_steps(self, door: Door, ann: Person) -> None:
        one = add(door, ann, title="Slow bread", started_at=func.now(), **ended("failed", error=PRIVATE))

        answer = asked(ann, f"downloads/{one}")

        assert "<h1>Slow bread could not be downloaded</h1>" in answer.text
        text = words(answer)
        assert "This video is private. Ask who made it." in text
        assert [step for step in ("Asked for", "Begun", "Failed") if step in text] == [
            "Asked for",
            "Begun",
            "Failed",
        ]
        assert "<video" not in answer.text

    @pytest.mark.parametrize(("container", "player"), [("mp4", "<video"), ("opus", "<audio"), ("mkv", "")])
    def test_a_file_is_played_or_saved(self, door: Door, ann: Person, container: str, player: str) -> None:
        one = add(door, ann, title="Slow bread", **ended("completed", file=FILE | {"container": container}))

        answer = asked(ann, f"downloads/{one}").text

        assert "<h1>Slow bread is downloaded</h1>" in answer
        assert f'href="../downloads/{one}/file" download' in answer
        assert re.findall(r"<(?:video|audio)(?= )", answer) == ([player] if player else [])
        assert (f'src="../downloads/{one}/file?inline=true"' in answer) == bool(player)

    def test_another_users_is_not_there(self, door: Door, ann: Person, admin: Person) -> None:
        one = add(door, door.person(), title="Secret film")

        answer = asked(ann, f"downloads/{one}")

        assert answer.status_code == 404
        assert "Secret film" not in answer.text
        assert "There is nothing here" in answer.text
        assert "Secret film" in asked(admin, f"downloads/{one}").text


class TestAll:
    def test_of_everybody_and_of_some(self, door: Door, admin: Person) -> None:
        ruth, otto = door.person(), door.person()
        for person, name in ((ruth, "Ruth Moreau"), (otto, "Otto Ito")):
            with door.runtime.unit_of_work() as db:
                db.get_one(User, person.id).name = name
            add(door, person, title=f"Film of {name}")

        everybody, one = asked(admin, "admin/downloads"), asked(admin, "admin/downloads?user=ruth+mor")

        assert "Film of Ruth Moreau" in everybody.text
        assert "Film of Otto Ito" in everybody.text
        assert "Film of Ruth Moreau" in one.text
        assert "Film of Otto Ito" not in one.text
        assert "All 1 Moving 0 Waiting 1" in words(one)
        assert "No download fits this filter." in words(asked(admin, "admin/downloads?user=nobody-at-all"))

    def test_it_is_not_for_users(self, ann: Person) -> None:
        assert asked(ann, "admin/downloads").status_code == 403
