"""What one has been told, as a page."""

from __future__ import annotations

import re
from typing import Any

from door import Door, Person
from pages_read import heading, page

from engine.notifications import notifications


def tell(door: Door, person: Person, title: str, **more: Any) -> str:
    with door.runtime.unit_of_work() as db:
        row = notifications.notify(
            db, person.id, type="download.available", title=title, message="Now.", **more
        )
        assert row is not None
        return row.id


def send(person: Person, **form: str) -> Any:
    form = {"csrfToken": person.signed_in["csrfToken"], "back": "notifications", **form}
    headers = {"Accept": "text/html", "Authorization": f"Bearer {person.token}"}
    return person.client.post("/notifications/read", data=form, headers=headers)


def told(html: str) -> list[str]:
    """The ids of those that are shown, in their order."""
    return re.findall(r'<li class="told[^"]*" id="([^"]+)"', html)


def test_the_newest_first(own_door: Door) -> None:
    ann, bob = own_door.person(), own_door.person()
    first, second = tell(own_door, ann, "First"), tell(own_door, ann, "Second")
    tell(own_door, bob, "Of somebody else")

    html = page(ann, "/notifications")

    assert heading(html) == "Two notifications are new"
    assert told(html) == [second, first]


def test_looking_marks_nothing(own_door: Door) -> None:
    ann = own_door.person()
    tell(own_door, ann, "First")

    page(ann, "/notifications")

    assert heading(page(ann, "/notifications")) == "One notification is new"


def test_one_is_read_and_leads_to_what_it_is_about(own_door: Door) -> None:
    ann = own_door.person()
    first = tell(own_door, ann, "First", subject=("download", "dl-1"))
    second = tell(own_door, ann, "Second")
    assert 'name="go" value="downloads/dl-1"' in page(ann, "/notifications")

    answer = send(ann, id=first, go="downloads/dl-1")

    assert (answer.status_code, answer.headers["Location"]) == (303, "../downloads/dl-1")
    assert told(page(ann, "/notifications?unread=true")) == [second]
    assert 'href="downloads/dl-1"' in page(ann, "/notifications")


def test_it_leads_nowhere_else(own_door: Door) -> None:
    ann = own_door.person()
    first = tell(own_door, ann, "First")

    answer = send(ann, id=first, go="//elsewhere.example/")

    assert answer.headers["Location"] == "../notifications"


def test_all_are_read(own_door: Door) -> None:
    ann = own_door.person()
    for number in range(3):
        tell(own_door, ann, f"Number {number}")

    assert send(ann).status_code == 303

    assert heading(page(ann, "/notifications")) == "You have read everything"
    assert "Nothing new" in page(ann, "/notifications?unread=true")


def test_those_of_others_are_not_found(own_door: Door) -> None:
    ann, bob = own_door.person(), own_door.person()
    theirs = tell(own_door, bob, "Theirs")

    send(ann, id=theirs)

    assert heading(page(bob, "/notifications")) == "One notification is new"


def test_more_than_a_page(own_door: Door) -> None:
    ann = own_door.person()
    oldest = tell(own_door, ann, "Oldest")
    for number in range(30):
        tell(own_door, ann, f"Number {number}")

    assert "1 to 30 of 31" in page(ann, "/notifications?unread=true")
    assert told(page(ann, "/notifications?unread=true&page=2")) == [oldest]


def test_nothing_told_yet(own_door: Door) -> None:
    assert "Nothing has been told yet" in page(own_door.person("guest"), "/notifications")
