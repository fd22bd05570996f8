"""Changing one's address tells nobody who has an account: what can be seen is the same with and without one."""

from __future__ import annotations

from typing import Any

import pytest
from door import API, PASSWORD, Door, Person, data_of, refused
from sqlalchemy import func, select, update

from engine.accounts import password_reset
from models.base import new_id
from models.login import Login
from models.mail import Mail
from models.user import User

OWN = "my very own password"


def fresh() -> str:
    return f"{new_id('x')}@example.com"


def with_own_password(door: Door) -> Person:
    person = door.person()
    body = {"currentPassword": PASSWORD, "newPassword": OWN}
    assert person.post("/users/me/password", json=body).status_code == 200
    return person


def change(person: Person, email: str, password: str = OWN) -> Any:
    return person.request("PATCH", "/users/me", json={"email": email, "currentPassword": password})


def sign_in(door: Door, email: str, password: str) -> tuple[int, str | None]:
    """The status, and who that is."""
    answer = door.stranger().post(f"{API}/auth/login", json={"email": email, "password": password})
    return answer.status_code, data_of(answer)["user"]["id"] if answer.status_code == 200 else None


def invited(door: Door) -> str:
    address = fresh()
    assert door.person("admin").post("/admin/invitations", json={"email": address}).status_code == 201
    return address


def seen_by(door: Door, person: Person, address: str) -> list[Any]:
    """All that somebody can find out about an address by giving it as their own."""
    former = person.email
    answer = change(person, address.upper())
    profile = data_of(person.get("/users/me"))
    other = with_own_password(door)
    return [
        (answer.status_code, sorted(data_of(answer)), data_of(answer)["email"]),
        profile["email"],
        [sign_in(door, email, OWN)[0] for email in (address, former)],
        sign_in(door, address, "not my password")[0],
        change(other, former).status_code,
        change(person, address).status_code,
        change(person, fresh()).status_code,
        sign_in(door, address, OWN)[0],
    ]


@pytest.mark.parametrize("whose", ["somebody's", "invited"])
def test_one_that_is_taken_looks_like_one_that_is_free(door: Door, whose: str) -> None:
    taken = door.person().email if whose == "somebody's" else invited(door)
    free = fresh()

    one, other = (seen_by(door, with_own_password(door), address) for address in (taken, free))

    assert [str(each).replace(taken, free) for each in one] == [str(each) for each in other]
    assert one[0][0] == 200


def test_who_has_it_notices_nothing(door: Door) -> None:
    ann, eve = door.person(), with_own_password(door)
    assert change(eve, ann.email).status_code == 200

    assert sign_in(door, ann.email, PASSWORD) == (200, ann.id)
    assert sign_in(door, ann.email, OWN) == (200, eve.id)
    with door.runtime.unit_of_work() as db:
        issued = password_reset.issue(db, door.runtime.settings, ann.email)
        assert issued is not None
        assert issued[0].id == ann.id
        mailed = db.scalars(select(Mail.recipient).where(Mail.template == "account_changed")).all()
    assert eve.email in mailed
    assert ann.email not in mailed
    assert change(ann, fresh(), PASSWORD).status_code == 200


def test_a_claim_keeps_nobody_from_an_address(door: Door) -> None:
    ann, eve, bob, admin = door.person(), with_own_password(door), door.person(), door.person("admin")
    change(eve, ann.email)
    change(ann, fresh(), PASSWORD)

    assert change(bob, ann.email, PASSWORD).status_code == 200

    assert sign_in(door, ann.email, PASSWORD) == (200, bob.id)
    refused(
        admin.post("/admin/users", json={"email": ann.email, "name": "X", "password": OWN}), 409, "CONFLICT"
    )
    repaired = admin.request("PATCH", f"/admin/users/{eve.id}", json={"email": fresh()})
    with door.runtime.reading() as db:
        mailed = db.scalars(select(Mail.recipient).where(Mail.template == "account_changed")).all()
    assert mailed.count(ann.email) == 2  # of Ann's own change and of Bob's, never of Eve's
    assert sign_in(door, data_of(repaired)["email"], OWN) == (200, eve.id)


def test_a_first_password_tells_nothing_either(door: Door) -> None:
    answers = []
    for address in (door.person().email, fresh()):
        plex_only = door.person()
        with door.runtime.unit_of_work() as db:
            known = {"password_hash": None, "plex_id": new_id("plex"), "email": address}
            db.execute(update(User).where(User.id == plex_only.id).values(**known))
        answer = plex_only.post("/users/me/password", json={"newPassword": OWN})
        answers.append((answer.status_code, sign_in(door, address, OWN)))
        assert answers[-1] == (200, (200, plex_only.id))


def test_a_session_ends_however_often_it_is_renewed(door: Door) -> None:
    ann = door.person()
    limit = door.runtime.settings.session_max_seconds
    with door.runtime.unit_of_work() as db:
        began = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, 0, limit - 5)
        db.execute(update(Login).where(Login.user_id == ann.id).values(created_at=began))

    body = {"refreshToken": ann.signed_in["refreshToken"]}
    renewed = door.stranger().post(f"{API}/auth/refresh", json=body)

    assert renewed.status_code == 200
    with door.runtime.reading() as db:
        ends, began = db.execute(
            select(Login.expires_at, Login.created_at).where(Login.user_id == ann.id)
        ).one()
    assert (ends - began).total_seconds() == limit
