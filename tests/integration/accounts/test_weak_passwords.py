"""No way to a password takes one that is easily guessed, and each says why and what it takes."""

from __future__ import annotations

from typing import Any

from door import API, PASSWORD, Door, data_of, refused
from sqlalchemy import text

from engine.accounts import password_reset
from models.base import new_id

WEAK = ["12345678", "Password1", "ann.smith"]


def test_no_door_takes_one(door: Door) -> None:
    ask = door.stranger()
    chief = door.person("super_admin")
    about = {"name": "Ann Smith"}

    def invited(password: str) -> Any:
        body = {"email": f"{new_id('x')}@example.com"}
        url = data_of(chief.post("/admin/invitations", json=body))["url"]
        accept = {"token": url.partition("token=")[2], "password": password, **about}
        return ask.post(f"{API}/auth/invitations/accept", json=accept)

    def made(password: str) -> Any:
        body = {"email": f"{new_id('x')}@example.com", "password": password, **about}
        return chief.post("/admin/users", json=body)

    def changed(password: str) -> Any:
        ann = door.person()
        ann.request("PATCH", "/users/me", json=about)
        body = {"currentPassword": PASSWORD, "newPassword": password}
        return ann.post("/users/me/password", json=body)

    def reset(password: str) -> Any:
        ann = door.person()
        ann.request("PATCH", "/users/me", json=about)
        with door.runtime.unit_of_work() as db:
            issued = password_reset.issue(db, door.runtime.settings, ann.email)
        assert issued is not None
        token = issued[1].partition("token=")[2].partition("&")[0]
        body = {"token": token, "newPassword": password}
        answers = [ask.post(f"{API}/auth/password-reset/confirm", json=body) for _ in range(2)]
        assert answers[0].status_code in {answers[1].status_code, 200}  # the link holds until it was used
        return answers[0]

    for way, field in (
        (invited, "password"),
        (made, "password"),
        (changed, "newPassword"),
        (reset, "newPassword"),
    ):
        for password in WEAK:
            error = refused(way(password), 400, "VALIDATION_ERROR")
            assert list(error["details"]) == [field], (way, password)
            assert "too easy to guess" in error["message"]
        assert way("correct horse battery staple").status_code in {200, 201}, way


def test_nor_does_the_first_one_of_all(door: Door) -> None:
    with door.runtime.unit_of_work() as db:
        db.execute(text("TRUNCATE users CASCADE"))
    body = {"email": "ann.smith@example.com", "name": "Ann"}

    for password in WEAK:
        answer = door.stranger().post(f"{API}/auth/admin", json=body | {"password": password})
        assert list(refused(answer, 400, "VALIDATION_ERROR")["details"]) == ["password"]

    answer = door.stranger().post(f"{API}/auth/admin", json=body | {"password": "secure_password"})
    assert answer.status_code == 201
