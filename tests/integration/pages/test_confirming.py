"""A form that takes a person asks for the password, and then does what was entered, without scripts too."""

from __future__ import annotations

import html
import re
from datetime import timedelta

from door import PASSWORD, Door, Person, opened
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from models.api_key import ApiKey
from models.audit import AuditEntry
from models.login import Login


def grown_old(door: Door, person: Person) -> Person:
    """The same person, whose last proof is too old."""
    with door.runtime.unit_of_work() as db:
        db.execute(
            update(Login)
            .where(Login.user_id == person.id)
            .values(proven_until=func.clock_timestamp() - timedelta(minutes=1))
        )
    return person


def keys_of(door: Door, person: Person) -> list[tuple[str, list[str]]]:
    with door.runtime.reading() as db:
        rows = db.scalars(select(ApiKey).where(ApiKey.user_id == person.id)).all()
        return [(row.name, list(row.permissions)) for row in rows]


def sent(person: Person, path: str, fields: dict[str, str | list[str]]) -> TestResponse:
    headers = {"Authorization": f"Bearer {person.token}", "Accept": "text/html"}
    return person.client.post(f"/{path}", data=fields, headers=headers)


def hidden(answer: TestResponse) -> dict[str, str]:
    """The hidden fields of the form that asks for the proof."""
    form = answer.text[answer.text.index('id="confirm"') :]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
    return {name: html.unescape(value) for name, value in found}


WANTED: dict[str, str | list[str]] = {
    "name": "A script",
    "permissions": ["media.read", "profile.read"],
    "back": "account/keys",
}


def test_it_is_asked_for_and_then_done(door: Door, ann: Person) -> None:
    grown_old(door, ann)

    asked = sent(ann, "account/keys", WANTED)

    assert asked.status_code == 403
    assert "Your password" in asked.text
    assert "A script" not in asked.text  # what was entered goes along encrypted
    assert keys_of(door, ann) == []

    done = sent(ann, "account/keys", {**hidden(asked), "confirmPassword": PASSWORD})

    assert done.status_code == 303, done.text
    assert keys_of(door, ann) == [("A script", ["media.read", "profile.read"])]


def test_a_wrong_password_loses_nothing(door: Door, ann: Person) -> None:
    grown_old(door, ann)
    asked = sent(ann, "account/keys", WANTED)

    again = sent(ann, "account/keys", {**hidden(asked), "confirmPassword": "not the one"})

    assert again.status_code == 403
    assert "The password is wrong." in again.text
    assert keys_of(door, ann) == []
    with door.runtime.reading() as db:
        noted = db.scalars(select(AuditEntry).where(AuditEntry.actor_id == ann.id)).all()
    assert [entry.outcome for entry in noted if entry.action == "auth.confirmed"] == ["failure"]

    done = sent(ann, "account/keys", {**hidden(again), "confirmPassword": PASSWORD})

    assert done.status_code == 303
    assert keys_of(door, ann) == [("A script", ["media.read", "profile.read"])]


def test_it_comes_with_the_form_itself_too(door: Door, ann: Person) -> None:
    """As the dialog over the page sends it."""
    grown_old(door, ann)

    done = sent(ann, "account/keys", {**WANTED, "confirmPassword": PASSWORD})

    assert done.status_code == 303
    assert len(keys_of(door, ann)) == 1


def test_what_one_entered_is_of_no_use_to_another(door: Door, ann: Person) -> None:
    carried = hidden(sent(grown_old(door, ann), "account/keys", WANTED))
    mallory = grown_old(door, door.person())

    answer = sent(mallory, "account/keys", {**carried, "confirmPassword": PASSWORD})

    assert answer.status_code == 409
    assert keys_of(door, mallory) == []


def test_nor_for_another_form(door: Door, ann: Person) -> None:
    carried = hidden(sent(grown_old(door, ann), "account/keys", WANTED))

    answer = sent(ann, "account/name", {**carried, "confirmPassword": PASSWORD})

    assert answer.status_code == 409
    assert ann.get("/users/me").get_json()["data"]["name"] == "Ann"


def test_guesses_are_counted(door: Door) -> None:
    """As those at POST /auth/confirm are."""

    with opened(door.runtime.settings, rate_limit_enabled=True) as limited:
        person = grown_old(limited, limited.person())
        codes = [
            sent(person, "account/keys", {**WANTED, "confirmPassword": f"guess {number}"}).status_code
            for number in range(12)
        ]

    assert codes[0] == 403
    assert codes[-1] == 429
