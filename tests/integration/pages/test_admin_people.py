"""The pages about users and invitations."""

from __future__ import annotations

import re

from door import PASSWORD, Door
from factories import make_user
from page_visits import PageVisits, title_of, words_of
from sqlalchemy import select

from models.invitation import Invitation
from models.login import Login
from models.mail import Mail
from models.user import User

NEW = {
    "name": "Mira",
    "email": "mira@example.org",
    "password": "paper-lantern-8",
    "role": "user",
    "tier": "standard",
}


def found(door: Door, email: str) -> User:
    with door.runtime.reading() as db:
        return db.scalars(select(User).where(User.email == email)).one()


def test_somebody_is_added_and_found(as_admin: PageVisits) -> None:
    assert "Mira can sign in now." in as_admin.told("admin/users/new", NEW)

    assert "mira@example.org" in as_admin.see("admin/users?search=MIR&role=user&status=active")
    assert "Nobody fits" in as_admin.see("admin/users?search=MIR&role=guest")
    user = found(as_admin.door, "mira@example.org")
    assert title_of(as_admin.get(f"admin/users/{user.id}")) == "Mira has not been here yet"


def test_what_is_wrong_stands_at_its_field_and_the_rest_stays(as_admin: PageVisits) -> None:
    answer = as_admin.send("admin/users/new", {**NEW, "name": "Theo", "email": "theo"})

    assert answer.status_code == 400
    assert 'value="Theo"' in answer.text
    assert re.search(r'id="email"[^>]*aria-invalid="true"', answer.text)
    assert NEW["password"] not in answer.text


def test_a_user_is_changed(as_admin: PageVisits) -> None:
    user = as_admin.door.person()
    path = f"admin/users/{user.id}"

    assert "It is saved." in as_admin.told(path, {"name": "Another", "email": user.email, "tier": "premium"})
    assert "is now: Guest" in as_admin.told(f"{path}/role", {"role": "guest"})
    assert "One session has ended." in as_admin.told(f"{path}/sessions/end")
    assert "can't sign in any more" in as_admin.told(f"{path}/disable")
    assert "Disabled" in as_admin.see(path)
    assert "can sign in again" in as_admin.told(f"{path}/enable")

    with as_admin.door.runtime.reading() as db:
        row = db.get_one(User, user.id)
        assert (row.name, row.tier, row.role, row.disabled_at) == ("Another", "premium", "guest", None)
        assert all(db.scalars(select(Login.revoked_at).where(Login.user_id == user.id)))


def test_a_link_for_a_new_password_is_mailed(as_admin: PageVisits) -> None:
    user = as_admin.door.person()

    assert user.email in as_admin.told(f"admin/users/{user.id}/reset")

    with as_admin.door.runtime.reading() as db:
        assert list(db.scalars(select(Mail.template).where(Mail.recipient == user.email))) == [
            "password_reset"
        ]


def test_who_signs_in_with_plex_has_no_password_to_reset(as_admin: PageVisits) -> None:
    with as_admin.door.runtime.unit_of_work() as db:
        user = make_user(db, password_hash=None)

    assert "have no password" in as_admin.told(f"admin/users/{user.id}/reset")


def test_deleting_takes_the_name_away(as_admin: PageVisits) -> None:
    user = as_admin.door.person()

    assert "is deleted" in as_admin.told(f"admin/users/{user.id}/delete")
    assert as_admin.get(f"admin/users/{user.id}").status_code == 404


def test_whoever_may_do_more_is_out_of_reach(as_admin: PageVisits) -> None:
    chief = as_admin.door.person("super_admin")
    path = f"admin/users/{chief.id}"

    assert "They may do more than you" in as_admin.see(path)
    for action in ("disable", "delete", "sessions/end"):
        assert "they may do more than you" in as_admin.told(f"{path}/{action}", {"back": path})
    with as_admin.door.runtime.reading() as db:
        row = db.get_one(User, chief.id)
        assert (row.disabled_at, row.deleted_at) == (None, None)


def test_making_an_admin_takes_the_password(as_chief: PageVisits) -> None:
    user = as_chief.door.person()
    path = f"admin/users/{user.id}/role"
    as_chief.let_the_proof_grow_old()

    asked = as_chief.send(path, {"role": "admin", "back": f"admin/users/{user.id}"})
    assert asked.status_code == 403
    assert "Your password" in asked.text

    assert "is now: Admin" in words_of(as_chief.confirm(asked, path))


def test_an_invitation_shows_its_link_once(as_admin: PageVisits) -> None:
    answer = as_admin.send("admin/invitations", {"email": "theo@example.org", "role": "guest"})

    assert answer.status_code == 200
    link = re.search(r'id="url" value="([^"]+/invitation\?token=[^"]+)"', answer.text)
    assert link is not None
    assert link[1] not in as_admin.get("admin/invitations").text
    client = as_admin.door.stranger()
    token = link[1].partition("token=")[2]
    made = client.post(
        "/api/v1/auth/invitations/accept", json={"token": token, "name": "Theo", "password": PASSWORD}
    )
    assert made.status_code == 201, made.text


def test_an_invitation_is_taken_back(as_admin: PageVisits) -> None:
    as_admin.send("admin/invitations", {"email": "rosa@example.org", "role": "user"})
    with as_admin.door.runtime.reading() as db:
        row = db.scalars(select(Invitation).where(Invitation.email == "rosa@example.org")).one()

    assert "rosa@example.org is taken back" in as_admin.told(f"admin/invitations/{row.id}/revoke")
    assert "Taken back" in as_admin.see("admin/invitations?status=revoked")
    assert "is not open any more" in as_admin.told(f"admin/invitations/{row.id}/revoke")
