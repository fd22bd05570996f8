"""A person without a password proves anew by a Plex PIN, claimed with the Plex account that is linked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from door import API, Door, data_of, opened, refused
from fakes.plextv import FakeAccount, FakePlexServer, FakePlexTv
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from models.audit import AuditEntry
from models.base import new_id
from models.login import Login
from models.plex_pin import PlexPin
from models.user import User

SERVER = "our-server"
NEW = "a new long password"


@pytest.fixture(scope="module")
def door(door: Door, module_plextv: FakePlexTv, module_plex_server: FakePlexServer) -> Iterator[Door]:
    where = {"plex_tv_url": module_plextv.url, "plex_url": module_plex_server.url}
    with opened(door.runtime.settings, **where) as there:
        yield there


@dataclass
class AtHome:
    """Somebody who has come with Plex, in a browser."""

    door: Door
    plextv: FakePlexTv
    account: FakeAccount
    client: FlaskClient
    token: str = ""
    id: str = ""

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Ask as if a second had passed since plex.tv was asked last, which rests for so long between two questions."""
        with self.door.runtime.unit_of_work() as db:
            db.execute(update(PlexPin).values(asked_at=None))
        headers = {"Authorization": f"Bearer {self.token}"}
        return self.client.open(API + path, method=method, json=body, headers=headers)

    def pin(self, account: FakeAccount | None) -> str:
        """The id of a PIN, claimed with an account."""
        found = str(data_of(self.client.post(f"{API}/auth/plex/pin", json={}))["id"])
        if account is not None:
            self.plextv.claim(found, account)
        return found


@pytest.fixture
def bob(door: Door, module_plextv: FakePlexTv) -> AtHome:
    """Bob has signed in with Plex, and the proof that that was is over."""
    account = module_plextv.account(new_id("bob"), email=f"{new_id('bob')}@example.com", servers={SERVER})
    bob = AtHome(door, module_plextv, account, door.browser())
    proof = {"X-CSRF-Token": data_of(bob.client.get(f"{API}/csrf/token"))["csrfToken"]}
    body = {"pinId": bob.pin(account)}
    data = data_of(bob.client.post(f"{API}/auth/plex/verify", json=body, headers=proof))
    bob.token, bob.id = data["token"], data["user"]["id"]
    with door.runtime.unit_of_work() as db:
        mine = update(Login).where(Login.user_id == bob.id)
        db.execute(mine.values(proven_until=func.clock_timestamp()))
    return bob


def confirmed(door: Door, bob: AtHome) -> list[tuple[str, Any]]:
    with door.runtime.reading() as db:
        mine = select(AuditEntry).where(
            AuditEntry.subject_id == bob.id, AuditEntry.action == "auth.confirmed"
        )
        return [(row.outcome, (row.details or {}).get("method")) for row in db.scalars(mine)]


def test_a_claimed_pin_confirms(door: Door, bob: AtHome) -> None:
    refused(bob.ask("POST", "/users/me/password", newPassword=NEW), 403, "CONFIRMATION_REQUIRED")

    data = data_of(bob.ask("POST", "/auth/confirm", pinId=bob.pin(bob.account)))

    assert 590 <= data["expiresIn"] <= 600
    assert confirmed(door, bob) == [("success", "plex")]
    assert data_of(bob.ask("POST", "/users/me/password", newPassword=NEW))["revokedKeys"] == 0


def test_one_that_nobody_has_claimed_is_pending(bob: AtHome) -> None:
    unclaimed = bob.pin(None)

    for method, path, body in (
        ("POST", "/auth/confirm", {}),
        ("POST", "/users/me/password", {"newPassword": NEW}),
        ("PATCH", "/users/me", {"email": f"{new_id('x')}@example.com"}),
    ):
        answer = bob.ask(method, path, **body, pinId=unclaimed)
        assert (answer.status_code, data_of(answer)) == (202, {"status": "pending"})


def test_it_may_come_with_the_change_itself(bob: AtHome) -> None:
    wanted = f"{new_id('x')}@example.com"

    changed = bob.ask("PATCH", "/users/me", email=wanted, pinId=bob.pin(bob.account))

    assert data_of(changed)["email"] == wanted
    assert (
        bob.ask("POST", "/users/me/password", newPassword=NEW, pinId=bob.pin(bob.account)).status_code == 200
    )


@pytest.mark.parametrize("how", ["another account", "used", "another browser's", "invented"])
def test_no_other_does(door: Door, module_plextv: FakePlexTv, bob: AtHome, how: str) -> None:
    stranger = module_plextv.account(new_id("eve"), email=None, servers={SERVER})
    if how == "another account":
        pin, status, code = bob.pin(stranger), 403, "FORBIDDEN"
    elif how == "another browser's":
        elsewhere = AtHome(door, module_plextv, bob.account, door.browser())
        pin, status, code = elsewhere.pin(bob.account), 404, "NOT_FOUND"
    elif how == "used":
        pin, status, code = bob.pin(bob.account), 404, "NOT_FOUND"
        assert bob.ask("POST", "/auth/confirm", pinId=pin).status_code == 200
        with door.runtime.unit_of_work() as db:
            db.execute(update(Login).where(Login.user_id == bob.id).values(proven_until=None))
    else:
        pin, status, code = "4711", 404, "NOT_FOUND"

    refused(bob.ask("POST", "/auth/confirm", pinId=pin), status, code)

    refused(bob.ask("POST", "/users/me/password", newPassword=NEW), 403, "CONFIRMATION_REQUIRED")
    with door.runtime.reading() as db:
        assert db.get_one(User, bob.id).password_hash is None
    if how == "another account":
        assert confirmed(door, bob) == [("failure", "plex")]
