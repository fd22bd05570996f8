"""Signing in with Plex, against a plex.tv and a Plex server of our own: PINs, access, accounts, linking."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from fakes.plextv import OUTAGES, REQUIRED, FakeAccount, FakePlexServer, FakePlexTv
from flask.testing import FlaskClient
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import delete, func, select, text, update
from werkzeug.serving import make_server
from werkzeug.test import TestResponse

from api.security.browsers import BROWSER_COOKIE
from config.variables import Rate
from engine.accounts import password_reset
from engine.clients.gate import gate_of
from engine.plex.server import user_tokens
from engine.secrets import secret_box
from models.audit import AuditEntry
from models.base import Base
from models.integration import Integration
from models.mail import Mail
from models.notification import Notification
from models.plex_pin import PlexPin
from models.setting import Fact
from models.user import User

SERVER = "our-server"


@pytest.fixture
def plextv(module_plextv: FakePlexTv) -> Iterator[FakePlexTv]:
    module_plextv.seen.clear()
    yield module_plextv
    module_plextv.fail(None)
    module_plextv.life, module_plextv.created = 900, 201


@pytest.fixture(scope="module")
def door(door: Door, module_plextv: FakePlexTv, module_plex_server: FakePlexServer) -> Iterator[Door]:
    where = {
        "plex_tv_url": module_plextv.url,
        "plex_url": module_plex_server.url,
        "public_url": "https://media.example",
    }
    with opened(door.runtime.settings, **where) as there:
        yield there


@dataclass
class Browser:
    """A browser with its cookies, on the page where one signs in."""

    door: Door
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.door.browser()

    def pin(self, **body: Any) -> dict[str, Any]:
        answer = self.client.post(f"{API}/auth/plex/pin", json=body)
        assert answer.status_code == 201, answer.text
        return dict(data_of(answer))

    def proof(self) -> dict[str, str]:
        token = data_of(self.client.get(f"{API}/csrf/token"))["csrfToken"]
        return {"X-CSRF-Token": token}

    def verify(self, pin_id: str, **more: Any) -> TestResponse:
        """Ask, as if a second had passed since the last time."""
        rest(self.door, pin_id)
        body = {"pinId": pin_id, **more}
        return self.client.post(f"{API}/auth/plex/verify", json=body, headers=self.proof())


@pytest.fixture
def browser(door: Door) -> Browser:
    return Browser(door)


@pytest.fixture
def bob(plextv: FakePlexTv) -> FakeAccount:
    return plextv.account("bob", email="Bob@Example.com", servers={SERVER, "another"})


def rest(door: Door, pin_id: str) -> None:
    """Let a second pass for a PIN."""
    with door.runtime.unit_of_work() as db:
        db.execute(update(PlexPin).where(PlexPin.id == pin_id).values(asked_at=None))


def sign_in(door: Door, plextv: FakePlexTv, account: FakeAccount, **more: Any) -> TestResponse:
    browser = Browser(door)
    pin = browser.pin()
    plextv.claim(pin["id"], account)
    return browser.verify(pin["id"], **more)


def user_of(door: Door, account: FakeAccount) -> User | None:
    with door.runtime.reading() as db:
        return db.scalars(select(User).where(User.plex_id == str(account.id))).one_or_none()


def known(door: Door, account: FakeAccount) -> User:
    user = user_of(door, account)
    assert user is not None
    return user


def change(door: Door, user: User, **values: Any) -> None:
    with door.runtime.unit_of_work() as db:
        db.execute(update(User).where(User.id == user.id).values(**values))


def audited(door: Door, action: str, subject_id: str | None = None) -> list[AuditEntry]:
    query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
    with door.runtime.reading() as db:
        rows = list(db.scalars(query))
    return [row for row in rows if subject_id in {None, row.subject_id}]


def stored_token(door: Door, user: User) -> str | None:
    with door.runtime.reading() as db:
        return secret_box.take(db, door.runtime.settings, user_tokens.secret_name(user.id))


class TestPin:
    def test_of_four_characters_to_type(self, browser: Browser, plextv: FakePlexTv) -> None:
        plextv.life = 876

        pin = browser.pin()

        ours = plextv.pins[int(pin["id"])]
        assert set(pin) == {"id", "code", "qrUrl", "authUrl", "expiresIn", "expiresAt"}
        assert (len(pin["code"]), pin["code"], ours.strong) == (4, ours.code, False)
        assert pin["qrUrl"] == f"https://plex.tv/link/?pin={pin['code']}"
        assert pin["authUrl"] is None
        assert pin["expiresIn"] == 876
        assert pin["expiresAt"] == ours.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ")

    def test_for_the_page_of_plex(self, browser: Browser, plextv: FakePlexTv) -> None:
        pin = browser.pin(flow="browser")

        ours = plextv.pins[int(pin["id"])]
        page = urlsplit(pin["authUrl"])
        assert ours.strong
        assert (page.scheme, page.netloc, page.path) == ("https", "app.plex.tv", "/auth")
        assert parse_qs(page.fragment.removeprefix("?")) == {
            "clientID": [ours.client],
            "code": [ours.code],
            "context[device][product]": ["MediaNest"],
            "forwardUrl": ["https://media.example"],
        }
        assert pin["qrUrl"] is None

    def test_every_call_says_who_we_are_always_alike(self, browser: Browser, plextv: FakePlexTv) -> None:
        browser.pin(clientName="  Küche 📺 ")
        browser.verify(browser.pin()["id"])

        assert all(seen.headers.get(name.lower()) for seen in plextv.seen for name in REQUIRED)
        assert all(seen.headers["accept"] == "application/json" for seen in plextv.seen)
        assert {seen.headers["x-plex-product"] for seen in plextv.seen} == {"MediaNest"}
        assert len({seen.headers["x-plex-client-identifier"] for seen in plextv.seen}) == 1
        assert [seen.headers["x-plex-device-name"] for seen in plextv.seen][:2] == ["Kuche", "MediaNest"]

    def test_an_older_plextv_answers_200(self, browser: Browser, plextv: FakePlexTv) -> None:
        plextv.created = 200

        assert browser.pin()["code"]

    def test_the_browser_keeps_its_nonce(self, browser: Browser) -> None:
        browser.proof()
        before = browser.client.get_cookie(BROWSER_COOKIE)
        browser.pin()
        after = browser.client.get_cookie(BROWSER_COOKIE)

        assert before is not None
        assert after is not None
        assert before.value == after.value
        assert (after.http_only, after.same_site, after.secure) == (True, "Lax", False)

    def test_a_nonce_that_we_did_not_give_out_is_replaced(self, browser: Browser) -> None:
        browser.client.set_cookie(BROWSER_COOKIE, "chosen-by-somebody")
        browser.pin()
        cookie = browser.client.get_cookie(BROWSER_COOKIE)
        assert cookie is not None
        assert cookie.value != "chosen-by-somebody"

    @pytest.mark.parametrize("body", [{"flow": "tv"}, {"clientName": 5}, {"clientName": "x" * 101}, {"a": 1}])
    def test_a_malformed_wish_is_refused(self, browser: Browser, body: dict[str, Any]) -> None:
        refused(browser.client.post(f"{API}/auth/plex/pin", json=body), 400, "VALIDATION_ERROR")

    def test_the_installation_has_one_name_however_many_ask_at_once(
        self, door: Door, plextv: FakePlexTv
    ) -> None:
        with door.runtime.unit_of_work() as db:
            db.execute(delete(Fact))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: Browser(door).pin(), range(8)))

        assert len({seen.headers["x-plex-client-identifier"] for seen in plextv.asked("/api/v2/pins")}) == 1

    def test_plex_switched_off(self, door: Door) -> None:
        with opened(door.runtime.settings, plex_enabled=False) as off:
            browser = Browser(off)
            error = refused(browser.client.post(f"{API}/auth/plex/pin", json={}), 404, "NOT_FOUND")
            assert "switched off" in error["message"]
            refused(browser.verify("1"), 404, "NOT_FOUND")


class TestVerify:
    def test_pending_then_signed_in(
        self, door: Door, browser: Browser, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin = browser.pin()
        pending = browser.verify(pin["id"])
        assert (pending.status_code, data_of(pending)) == (202, {"status": "pending"})
        plextv.claim(pin["id"], bob)

        answer = browser.verify(pin["id"], rememberMe=True)

        data = data_of(answer)
        assert answer.status_code == 200
        assert {"user", "token", "refreshToken", "rememberToken", "csrfToken"} == set(data)
        assert data["user"]["username"] == data["user"]["plexUsername"] == "bob"
        assert (data["user"]["email"], data["user"]["role"]) == ("bob@example.com", "user")
        assert data["user"]["hasPassword"] is False
        assert data["user"]["avatarUrl"].startswith("https://plex.tv/users/")
        headers = {"Authorization": f"Bearer {data['token']}"}
        session = door.stranger().get(f"{API}/auth/session", headers=headers)
        assert data_of(session)["user"]["id"] == data["user"]["id"]
        by_cookie = browser.client.get(f"{API}/auth/session")
        assert data_of(by_cookie)["user"]["id"] == data["user"]["id"]
        (entry,) = audited(door, "user.created", data["user"]["id"])
        assert entry.details is not None
        assert entry.details["method"] == "plex"
        assert audited(door, "auth.signed_in", data["user"]["id"])[-1].actor_id == data["user"]["id"]

    def test_a_pin_works_once(self, browser: Browser, plextv: FakePlexTv, bob: FakeAccount) -> None:
        pin = browser.pin()
        plextv.claim(pin["id"], bob)

        assert browser.verify(pin["id"]).status_code == 200
        refused(browser.verify(pin["id"]), 404, "NOT_FOUND")

    def test_another_browser_can_do_nothing_with_a_pin(
        self, door: Door, browser: Browser, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin = browser.pin()
        plextv.claim(pin["id"], bob)
        thief = Browser(door)
        thief.pin()
        plextv.seen.clear()

        refused(thief.verify(pin["id"]), 404, "NOT_FOUND")
        refused(Browser(door).verify(pin["id"]), 404, "NOT_FOUND")
        assert plextv.seen == []
        assert browser.verify(pin["id"]).status_code == 200

    @pytest.mark.parametrize("pin_id", ["1", "../user", "no", "9" * 30])
    def test_an_unknown_pin(self, browser: Browser, plextv: FakePlexTv, pin_id: str) -> None:
        browser.pin()
        plextv.seen.clear()

        refused(browser.verify(pin_id), 404, "NOT_FOUND")
        assert plextv.seen == []

    def test_an_expired_pin(self, browser: Browser, plextv: FakePlexTv, bob: FakeAccount) -> None:
        pin = browser.pin()
        plextv.claim(pin["id"], bob)
        plextv.expire(pin["id"])

        refused(browser.verify(pin["id"]), 404, "NOT_FOUND")
        plextv.seen.clear()
        refused(browser.verify(pin["id"]), 404, "NOT_FOUND")
        assert plextv.seen == [], "asked once more about a PIN that is gone"

    def test_a_pin_beyond_its_life_is_not_asked_about(
        self, door: Door, browser: Browser, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin = browser.pin()
        plextv.claim(pin["id"], bob)
        with door.runtime.unit_of_work() as db:
            db.execute(update(PlexPin).values(expires_at=func.now()))

        refused(browser.verify(pin["id"]), 404, "NOT_FOUND")

    def test_needs_the_proof_of_our_page_always(
        self, door: Door, browser: Browser, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin = browser.pin()
        plextv.claim(pin["id"], bob)
        other = Browser(door).proof()

        for headers in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": "0" * 64}, other):
            answer = browser.client.post(
                f"{API}/auth/plex/verify", json={"pinId": pin["id"]}, headers=headers
            )
            refused(answer, 403, "CSRF_INVALID")
        bare = door.stranger().post(f"{API}/auth/plex/verify", json={"pinId": pin["id"]}, headers=other)
        refused(bare, 403, "CSRF_INVALID")
        assert browser.verify(pin["id"]).status_code == 200

    def test_takes_the_proof_of_the_session_too_and_of_the_browser_only_until_then(
        self, browser: Browser, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        of_browser = browser.proof()
        first = browser.pin()
        plextv.claim(first["id"], bob)
        session = {"X-CSRF-Token": data_of(browser.verify(first["id"]))["csrfToken"]}

        refreshed = {"X-CSRF-Token": data_of(browser.client.post(f"{API}/csrf/refresh"))["csrfToken"]}
        for headers in (session, refreshed):
            pin = browser.pin()
            answer = browser.client.post(
                f"{API}/auth/plex/verify", json={"pinId": pin["id"]}, headers=headers
            )
            assert answer.status_code == 202, answer.text
        answer = browser.client.post(f"{API}/auth/plex/verify", json={"pinId": pin["id"]}, headers=of_browser)
        refused(answer, 403, "CSRF_INVALID")

    def test_plextv_is_asked_once_a_second(
        self, browser: Browser, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin, headers = browser.pin(), browser.proof()
        plextv.seen.clear()
        ends = time.monotonic() + 1.5
        answers = []
        while time.monotonic() < ends:
            answer = browser.client.post(
                f"{API}/auth/plex/verify", json={"pinId": pin["id"]}, headers=headers
            )
            answers.append(answer.status_code)

        asked = [seen.at for seen in plextv.asked("/api/v2/pins/")]
        assert set(answers) == {202}
        assert len(asked) == 2
        assert asked[1] - asked[0] > 0.95

    def test_fifty_at_once_sign_in_once(
        self, door: Door, browser: Browser, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin, headers = browser.pin(), browser.proof()
        plextv.claim(pin["id"], bob)
        cookie = browser.client.get_cookie(BROWSER_COOKIE)
        assert cookie is not None

        def ask(_: int) -> int:
            client = door.browser()
            client.set_cookie(BROWSER_COOKIE, cookie.value)
            rest(door, pin["id"])  # so that many really come so far
            body = {"pinId": pin["id"]}
            return client.post(f"{API}/auth/plex/verify", json=body, headers=headers).status_code

        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(ask, range(50)))

        assert answers.count(200) == 1, answers
        assert set(answers) <= {200, 202, 404}
        assert len(plextv.asked("/api/v2/user")) > 1, "nobody raced"
        assert len(audited(door, "auth.signed_in", known(door, bob).id)) == 1

    @pytest.mark.parametrize("body", [{}, {"pinId": 5}, {"pinId": "1", "rememberMe": "yes"}, {"pinId": ""}])
    def test_a_malformed_question_is_refused(self, browser: Browser, body: dict[str, Any]) -> None:
        answer = browser.client.post(f"{API}/auth/plex/verify", json=body, headers=browser.proof())
        refused(answer, 400, "VALIDATION_ERROR")


class TestAccess:
    def test_without_access_to_our_server_nobody_comes_in(
        self, door: Door, browser: Browser, plextv: FakePlexTv
    ) -> None:
        eve = plextv.account("eve", servers={"another"}, owned={"her-own"})
        pin = browser.pin()
        plextv.claim(pin["id"], eve)

        error = refused(browser.verify(pin["id"]), 403, "FORBIDDEN")

        assert "access" in error["message"]
        assert user_of(door, eve) is None
        (entry,) = audited(door, "auth.plex_refused", str(eve.id))
        assert (entry.outcome, entry.subject_name, entry.address) == ("denied", "eve", "127.0.0.1")
        refused(browser.verify(pin["id"]), 404, "NOT_FOUND")

    def test_a_player_of_that_name_is_no_server(
        self, door: Door, plextv: FakePlexTv, module_plex_server: Any
    ) -> None:
        eve = plextv.account("eve")  # everyone has the player phone-1
        module_plex_server.identifier = "phone-1"
        with door.runtime.unit_of_work() as db:
            db.execute(delete(Fact).where(Fact.name == "plex.server"))
        try:
            refused(sign_in(door, plextv, eve), 403, "FORBIDDEN")
        finally:
            module_plex_server.identifier = SERVER
            with door.runtime.unit_of_work() as db:
                db.execute(delete(Fact).where(Fact.name == "plex.server"))

    def test_no_server_is_configured(self, door: Door, plextv: FakePlexTv, bob: FakeAccount) -> None:
        with opened(door.runtime.settings, plex_url="") as bare:
            error = refused(sign_in(bare, plextv, bob), 403, "FORBIDDEN")
        assert "no Plex server is configured" in error["message"]

    @pytest.mark.parametrize("status", [401, 498])
    def test_a_token_that_holds_no_longer(self, door: Door, plextv: FakePlexTv, status: int) -> None:
        eve = plextv.account("eve", servers={SERVER}, token_status=status)

        refused(sign_in(door, plextv, eve), 403, "FORBIDDEN")
        assert user_of(door, eve) is None

    def test_a_server_that_is_down_is_remembered(
        self, door: Door, plextv: FakePlexTv, module_plex_server: FakePlexServer, bob: FakeAccount
    ) -> None:
        assert sign_in(door, plextv, bob).status_code == 200
        module_plex_server.fail("reset")
        try:
            assert sign_in(door, plextv, bob).status_code == 200
            with opened(door.runtime.settings, plex_url=f"{module_plex_server.url}/elsewhere") as moved:
                refused(sign_in(moved, plextv, bob), 503, "PLEX_UNREACHABLE")
        finally:
            module_plex_server.fail(None)

    def test_a_server_that_was_set_up_anew_is_recognised(
        self, door: Door, plextv: FakePlexTv, module_plex_server: FakePlexServer, bob: FakeAccount
    ) -> None:
        assert sign_in(door, plextv, bob).status_code == 200
        module_plex_server.identifier, module_plex_server.xml = "set-up-anew", True
        try:
            bob.servers = {"set-up-anew"}
            refused(sign_in(door, plextv, bob), 403, "FORBIDDEN")  # asked a moment ago
            with door.runtime.unit_of_work() as db:
                db.execute(update(Fact).values(updated_at=func.now() - text("interval '2 minutes'")))
            assert sign_in(door, plextv, bob).status_code == 200
        finally:
            module_plex_server.identifier, module_plex_server.xml = SERVER, False
            with door.runtime.unit_of_work() as db:
                db.execute(delete(Fact).where(Fact.name == "plex.server"))


class TestAccounts:
    def test_twenty_first_sign_ins_at_once_make_one_user(
        self, door: Door, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        browsers = [Browser(door) for _ in range(20)]
        pins = [browser.pin() for browser in browsers]
        proofs = [browser.proof() for browser in browsers]
        for pin in pins:
            plextv.claim(pin["id"], bob)

        def ask(number: int) -> tuple[int, str]:
            body = {"pinId": pins[number]["id"]}
            answer = browsers[number].client.post(
                f"{API}/auth/plex/verify", json=body, headers=proofs[number]
            )
            return answer.status_code, answer.get_json()["data"]["user"]["id"]

        with ThreadPoolExecutor(10) as pool:
            answers = set(pool.map(ask, range(20)))

        assert answers == {(200, known(door, bob).id)}
        assert len(audited(door, "user.created", known(door, bob).id)) == 1

    def test_later_sign_ins_bring_the_picture_up_to_date_and_leave_the_rest(
        self, door: Door, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        sign_in(door, plextv, bob)
        change(door, known(door, bob), name="Robert", role="guest")
        bob.username, bob.extra = "bobby", {"thumb": "javascript:alert(1)"}

        user = data_of(sign_in(door, plextv, bob))["user"]

        assert (user["name"], user["role"], user["username"], user["avatarUrl"]) == (
            "Robert", "guest", "bobby", None,
        )  # fmt: skip

    def test_an_address_proves_nothing(self, door: Door, plextv: FakePlexTv) -> None:
        ann = door.person("admin")
        eve = plextv.account("eve", email=ann.email.upper(), servers={SERVER})

        user = data_of(sign_in(door, plextv, eve))["user"]

        assert user["id"] != ann.id
        assert user["role"] == "user"
        assert data_of(ann.get("/auth/session"))["user"]["plexUsername"] is None
        assert door.sign_in(ann.email).id == ann.id
        assert sign_in(door, plextv, eve).status_code == 200

    def test_nobody_signs_in_with_a_password_to_an_account_without_one(
        self, door: Door, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        sign_in(door, plextv, bob)

        body = {"email": bob.email, "password": PASSWORD}
        refused(door.stranger().post(f"{API}/auth/login", json=body), 401, "UNAUTHORIZED")

    def test_the_owner_becomes_admin_where_that_is_set(self, door: Door, plextv: FakePlexTv) -> None:
        owner = plextv.account("owner", owned={SERVER})
        guest = plextv.account("guest", servers={SERVER})
        assert data_of(sign_in(door, plextv, owner))["user"]["role"] == "user"

        with opened(door.runtime.settings, plex_owner_is_admin=True) as there:
            assert data_of(sign_in(there, plextv, owner))["user"]["role"] == "admin"
            assert data_of(sign_in(there, plextv, guest))["user"]["role"] == "user"
            (entry,) = audited(door, "user.role_changed", known(door, owner).id)
            assert entry.actor_id is None
            change(door, known(door, owner), role="super_admin")
            assert data_of(sign_in(there, plextv, owner))["user"]["role"] == "super_admin"

    def test_but_not_of_a_server_that_an_admin_connected(
        self, door: Door, plextv: FakePlexTv, module_plex_server: FakePlexServer
    ) -> None:
        """An admin who may connect a server could otherwise make an admin of anybody."""
        owner = plextv.account("friend", owned={SERVER})
        with door.runtime.unit_of_work() as db:
            chosen = {"machineIdentifier": SERVER}
            db.add(
                Integration(name="plex", url=module_plex_server.url, options=chosen, updated_at=func.now())
            )
        try:
            with opened(door.runtime.settings, plex_owner_is_admin=True, plex_url="") as there:
                assert data_of(sign_in(there, plextv, owner))["user"]["role"] == "user"
        finally:
            with door.runtime.unit_of_work() as db:
                db.execute(delete(Integration))

    def test_who_was_disabled_by_an_admin_stays_outside(
        self, door: Door, browser: Browser, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        sign_in(door, plextv, bob)
        change(door, known(door, bob), disabled_at=func.now(), disabled_reason="admin")
        pin = browser.pin()
        plextv.claim(pin["id"], bob)

        error = refused(browser.verify(pin["id"]), 403, "FORBIDDEN")

        assert "disabled" in error["message"]
        assert known(door, bob).disabled_at is not None
        assert audited(door, "auth.plex_refused", known(door, bob).id)
        refused(browser.verify(pin["id"]), 404, "NOT_FOUND")

    def test_who_has_access_again_is_let_in_again(
        self, door: Door, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        sign_in(door, plextv, bob)
        change(door, known(door, bob), disabled_at=func.now(), disabled_reason="plex")

        assert sign_in(door, plextv, bob).status_code == 200
        user = known(door, bob)
        assert (user.disabled_at, user.disabled_reason) == (None, None)
        assert audited(door, "user.enabled", user.id)

    def test_a_deleted_users_plex_account_begins_anew(
        self, door: Door, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        sign_in(door, plextv, bob)
        before = known(door, bob)
        change(door, before, deleted_at=func.now(), disabled_at=func.now(), plex_id=None, name="Deleted user")

        assert data_of(sign_in(door, plextv, bob))["user"]["id"] != before.id

    def test_a_member_of_a_home_without_username_or_address(self, door: Door, plextv: FakePlexTv) -> None:
        kid = plextv.account("", title="Kid\x00\n", servers={SERVER}, extra={"username": None, "email": ""})

        user = data_of(sign_in(door, plextv, kid))["user"]
        assert (user["name"], user["username"], user["email"]) == ("Kid", "Kid", None)


class TestToken:
    def test_is_kept_encrypted_and_shown_to_nobody(
        self, door: Door, plextv: FakePlexTv, bob: FakeAccount, capfd: pytest.CaptureFixture[str]
    ) -> None:
        browser = Browser(door)
        answers = [browser.client.post(f"{API}/auth/plex/pin", json={})]
        pin = data_of(answers[0])
        answers.append(browser.verify(pin["id"]))
        plextv.claim(pin["id"], bob)
        plextv.fail("html", "/api/v2/resources")
        answers.append(browser.verify(pin["id"]))
        plextv.fail(None)
        answers.append(browser.verify(pin["id"]))

        assert [answer.status_code for answer in answers] == [201, 202, 503, 200]
        assert all(bob.token not in answer.text + str(answer.headers) for answer in answers)
        assert stored_token(door, known(door, bob)) == bob.token
        with door.runtime.reading() as db:
            for table in Base.metadata.sorted_tables:
                rows = str(db.execute(select(table)).all())
                assert bob.token not in rows, table.name
        logged = capfd.readouterr()
        assert bob.token not in logged.out + logged.err
        assert all(bob.token not in str(seen.query) + seen.path for seen in plextv.seen)


WAITED_OUT = ("hang", "trickle")  # for as long as we wait for plex.tv
EVERY_OUTAGE = [pytest.param(how, marks=pytest.mark.long) if how in WAITED_OUT else how for how in OUTAGES]


class TestOutage:
    @pytest.mark.parametrize("how", EVERY_OUTAGE)
    def test_no_pin(self, browser: Browser, plextv: FakePlexTv, how: str) -> None:
        plextv.fail(how)
        began = time.monotonic()

        answer = browser.client.post(f"{API}/auth/plex/pin", json={})

        refused(answer, 503, "PLEX_UNREACHABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert time.monotonic() - began < 10

    @pytest.mark.parametrize(
        ("how", "path"),
        [
            pytest.param(how, "/api/v2/resources", marks=[pytest.mark.long] * (how in WAITED_OUT))
            for how in OUTAGES
        ]
        + [
            (how, path) for how in ("429", "html", "cut", "odd") for path in ("/api/v2/pins/", "/api/v2/user")
        ],
    )
    def test_a_pin_survives(
        self, door: Door, browser: Browser, plextv: FakePlexTv, bob: FakeAccount, how: str, path: str
    ) -> None:
        pin = browser.pin()
        plextv.claim(pin["id"], bob)
        plextv.fail(how, path)
        began = time.monotonic()

        answer = browser.verify(pin["id"])

        refused(answer, 503, "PLEX_UNREACHABLE")
        assert int(answer.headers["Retry-After"]) > 0
        assert time.monotonic() - began < 10
        assert user_of(door, bob) is None
        plextv.fail(None)
        assert browser.verify(pin["id"]).status_code == 200


def test_passwords_work_while_plextv_is_down(door: Door, plextv: FakePlexTv) -> None:
    ann = door.person()
    plextv.fail("503")

    assert door.sign_in(ann.email).id == ann.id


@pytest.mark.long
def test_while_plextv_hangs_few_wait_for_it_and_then_nobody(door: Door, plextv: FakePlexTv) -> None:
    """Of 24 requests at once a quarter of the 16 threads waits, the others for a second at most."""
    plextv.fail("hang", "/api/v2/pins")

    def ask(_: int) -> float:
        began = time.monotonic()
        refused(door.stranger().post(f"{API}/auth/plex/pin", json={}), 503, "PLEX_UNREACHABLE")
        return time.monotonic() - began

    with ThreadPoolExecutor(24) as pool:
        took = sorted(pool.map(ask, range(24)))
    assert sum(seconds > 2 for seconds in took) <= 4
    asked = len(plextv.seen)
    assert ask(0) < 0.5
    assert len(plextv.seen) == asked


def test_a_404_of_something_on_the_way_is_not_the_end_of_a_pin(
    browser: Browser, plextv: FakePlexTv, bob: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = browser.pin()
    plextv.claim(pin["id"], bob)
    monkeypatch.setattr(plextv, "answer", lambda seen: (404, b"<html>nothing here</html>"))
    refused(browser.verify(pin["id"]), 503, "PLEX_UNREACHABLE")
    monkeypatch.undo()

    assert browser.verify(pin["id"]).status_code == 200


def test_a_failure_that_passes_is_not_noticed(
    browser: Browser, plextv: FakePlexTv, bob: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = browser.pin()
    plextv.claim(pin["id"], bob)
    well, failed = plextv.answer, set()

    def once_each(seen: Any) -> tuple[int, Any]:
        if seen.path not in failed:
            failed.add(seen.path)
            return 502, {"errors": []}
        return well(seen)

    monkeypatch.setattr(plextv, "answer", once_each)
    assert browser.verify(pin["id"]).status_code == 200


class TestLinking:
    @dataclass
    class AtHome:
        """Somebody with a password, in a browser."""

        browser: Browser
        person: Person

        def link(self, pin_id: str, password: str | None = PASSWORD) -> TestResponse:
            rest(self.browser.door, pin_id)
            headers = {"Authorization": f"Bearer {self.person.token}"}
            body = {"pinId": pin_id} if password is None else {"pinId": pin_id, "currentPassword": password}
            return self.browser.client.post(f"{API}/users/me/plex", json=body, headers=headers)

        def unlink(self) -> TestResponse:
            return self.person.delete("/users/me/plex")

    @pytest.fixture
    def ann(self, door: Door, browser: Browser) -> AtHome:
        return self.AtHome(browser, door.person())

    def test_links_signs_in_and_unlinks(
        self, door: Door, ann: AtHome, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin = ann.browser.pin()
        assert ann.link(pin["id"]).status_code == 202
        plextv.claim(pin["id"], bob)

        answer = ann.link(pin["id"])

        assert answer.status_code == 200
        assert (data_of(answer)["id"], data_of(answer)["plexUsername"]) == (ann.person.id, "bob")
        assert data_of(sign_in(door, plextv, bob))["user"]["id"] == ann.person.id
        refused(ann.link(pin["id"]), 404, "NOT_FOUND")
        user = known(door, bob)
        assert data_of(ann.unlink())["plexUsername"] is None
        assert user_of(door, bob) is None
        assert stored_token(door, user) is None
        refused(ann.unlink(), 404, "NOT_FOUND")
        changes = [
            entry.details and entry.details["plex"] for entry in audited(door, "user.updated", user.id)
        ]
        assert changes == ["linked", "unlinked"]

    @pytest.mark.parametrize(
        ("password", "status", "code"), [(None, 400, "VALIDATION_ERROR"), ("wrong", 403, "FORBIDDEN")]
    )
    def test_takes_the_password_for_it_is_a_way_in_for_good(
        self,
        door: Door,
        ann: AtHome,
        plextv: FakePlexTv,
        bob: FakeAccount,
        password: str | None,
        status: int,
        code: str,
    ) -> None:
        pin = ann.browser.pin()
        plextv.claim(pin["id"], bob)
        plextv.seen.clear()

        refused(ann.link(pin["id"], password), status, code)

        assert user_of(door, bob) is None
        assert plextv.seen == []
        failed = [entry.outcome for entry in audited(door, "user.updated", ann.person.id)]
        assert failed == ([] if password is None else ["failure"])
        assert ann.link(pin["id"]).status_code == 200

    def test_guessing_it_is_slowed_down(self, door: Door, plextv: FakePlexTv) -> None:
        limits = {"rate_limit_enabled": True, "rate_limit_account": (Rate(3, 900),)}
        with opened(door.runtime.settings, **limits) as there:
            ann = self.AtHome(Browser(there), there.person())
            pin = ann.browser.pin()
            answers = [ann.link(pin["id"], f"guess {number}").status_code for number in range(4)]

        assert answers == [403, 403, 403, 429]

    def test_its_owner_is_told_and_admins_of_the_end(
        self, door: Door, ann: AtHome, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        admin, guest = door.person("admin"), door.person("guest")
        pin = ann.browser.pin()
        plextv.claim(pin["id"], bob)
        ann.link(pin["id"])
        ann.unlink()

        def told(person: Person) -> list[str]:
            query = select(Notification.type).where(Notification.user_id == person.id)
            with door.runtime.reading() as db:
                return list(db.scalars(query.order_by(Notification.id)))

        assert told(ann.person) == ["security.plex_linked", "security.plex_unlinked"]
        assert told(admin) == ["user.plex_unlinked"]
        assert told(guest) == []
        with door.runtime.reading() as db:
            mails = db.scalars(select(Mail.template).where(Mail.recipient == ann.person.email)).all()
        assert mails == ["account_changed", "account_changed"]

    def test_a_reset_of_the_password_says_who_can_sign_in_still(
        self, door: Door, ann: AtHome, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin = ann.browser.pin()
        plextv.claim(pin["id"], bob)
        ann.link(pin["id"])
        with door.runtime.unit_of_work() as db:
            issued = password_reset.issue(db, door.runtime.settings, ann.person.email)
        assert issued is not None
        token = parse_qs(urlsplit(issued[1]).query)["token"][0]
        body = {"token": token, "newPassword": "a new long password"}
        assert door.stranger().post(f"{API}/auth/password-reset/confirm", json=body).status_code == 200

        query = select(Notification.message).where(Notification.type == "security.password_changed")
        with door.runtime.reading() as db:
            said = db.scalars(query.where(Notification.user_id == ann.person.id)).one()
        assert "The Plex account bob stays linked" in said

    def test_a_plex_account_is_one_persons(
        self, door: Door, ann: AtHome, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        sign_in(door, plextv, bob)
        pin = ann.browser.pin()
        plextv.claim(pin["id"], bob)

        refused(ann.link(pin["id"]), 409, "CONFLICT")

    def test_a_person_has_one_plex_account(self, ann: AtHome, plextv: FakePlexTv, bob: FakeAccount) -> None:
        pins = [ann.browser.pin(), ann.browser.pin()]
        plextv.claim(pins[0]["id"], bob)
        plextv.claim(pins[1]["id"], plextv.account("second", servers={SERVER}))

        assert ann.link(pins[0]["id"]).status_code == 200
        refused(ann.link(pins[1]["id"]), 409, "CONFLICT")

    def test_needs_access_to_the_server(self, ann: AtHome, plextv: FakePlexTv) -> None:
        pin = ann.browser.pin()
        plextv.claim(pin["id"], plextv.account("eve"))

        refused(ann.link(pin["id"]), 403, "FORBIDDEN")

    def test_another_browsers_pin(
        self, door: Door, ann: AtHome, plextv: FakePlexTv, bob: FakeAccount
    ) -> None:
        pin = Browser(door).pin()
        plextv.claim(pin["id"], bob)

        refused(ann.link(pin["id"]), 404, "NOT_FOUND")

    def test_nobody_locks_themselves_out(self, door: Door, plextv: FakePlexTv, bob: FakeAccount) -> None:
        data = data_of(sign_in(door, plextv, bob))

        headers = {"Authorization": f"Bearer {data['token']}"}
        refused(door.stranger().delete(f"{API}/users/me/plex", headers=headers), 409, "CONFLICT")

    def test_needs_a_session_with_the_permission(self, door: Door) -> None:
        body = {"pinId": "1"}
        refused(door.stranger().post(f"{API}/users/me/plex", json=body), 401, "UNAUTHORIZED")
        refused(door.person("guest").post("/users/me/plex", json=body), 403, "FORBIDDEN")

    def test_linking_and_signing_in_at_once_make_no_second_user_and_no_error(
        self, door: Door, plextv: FakePlexTv
    ) -> None:
        for number in range(5):
            account = plextv.account(f"racer{number}", servers={SERVER})
            ann = self.AtHome(Browser(door), door.person())
            pin = ann.browser.pin()
            plextv.claim(pin["id"], account)

            with ThreadPoolExecutor(2) as pool:
                link = pool.submit(ann.link, pin["id"])
                into = pool.submit(sign_in, door, plextv, account)

            assert into.result().status_code == 200
            assert link.result().status_code in {200, 409}
            assert known(door, account).id == data_of(into.result())["user"]["id"]


def test_the_whole_way_over_http(door: Door, plextv: FakePlexTv, bob: FakeAccount) -> None:
    web = make_server("127.0.0.1", 0, door.app, threaded=True)
    url = f"http://127.0.0.1:{web.server_port}/api"
    with ThreadPoolExecutor(1) as pool, requests.Session() as jar:
        pool.submit(web.serve_forever)
        try:
            pin = jar.post(f"{url}/auth/plex/pin", json={"clientName": "Sofa"}, timeout=10).json()["data"]
            proof = jar.get(f"{url}/csrf/token", timeout=10).json()["data"]["csrfToken"]
            ask = {"json": {"pinId": pin["id"]}, "headers": {"X-CSRF-Token": proof}, "timeout": 10}
            assert jar.post(f"{url}/auth/plex/verify", **ask).status_code == 202
            plextv.claim(pin["id"], bob)
            deadline = time.monotonic() + 20
            while (answer := jar.post(f"{url}/auth/plex/verify", **ask)).status_code == 202:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert answer.status_code == 200, answer.text
            assert jar.get(f"{url}/auth/session", timeout=10).json()["data"]["user"]["username"] == "bob"
            assert "HttpOnly" in answer.headers["Set-Cookie"]
            with requests.Session() as thief:
                thief.cookies.update({"medianest_browser": "A" * 32 + "." + "A" * 43})
                assert thief.post(f"{url}/auth/plex/verify", **ask).status_code == 403
        finally:
            web.shutdown()
            web.server_close()


def test_in_production_the_nonce_travels_over_tls_only(door: Door, plextv: FakePlexTv) -> None:
    with opened(door.runtime.settings, app_env="production") as there:
        answer = there.stranger().post(f"{API}/auth/plex/pin", json={})
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Lax"))


class PinLife(RuleBasedStateMachine):
    """Whatever two browsers, two people and plex.tv do: a PIN signs its claimer in once, in its own browser.

    A sign-in is the end of the browser's other PINs.
    """

    pins = Bundle("pins")

    def __init__(self, door: Door, plextv: FakePlexTv) -> None:
        super().__init__()
        self.door, self.plextv = door, plextv
        gate_of.cache_clear()
        self.browsers = [Browser(door), Browser(door)]
        self.bob = plextv.account("bob", servers={SERVER})
        self.eve = plextv.account("eve")
        self.owner: dict[str, int] = {}
        self.claimer: dict[str, FakeAccount] = {}
        self.gone: set[str] = set()  # and we know it
        self.expired: set[str] = set()  # and only plex.tv knows it
        self.signed_in = 0

    @rule(target=pins, browser=st.integers(0, 1), flow=st.sampled_from(["link", "browser"]))
    def begin(self, browser: int, flow: str) -> str:
        answer = self.browsers[browser].client.post(f"{API}/auth/plex/pin", json={"flow": flow})
        if self.plextv.outage:
            refused(answer, 503, "PLEX_UNREACHABLE")
            return "1"
        pin_id = str(data_of(answer)["id"])
        self.owner[pin_id] = browser
        return pin_id

    @rule(pin_id=pins, who=st.sampled_from(["bob", "eve"]))
    def claim(self, pin_id: str, who: str) -> None:
        if pin_id in self.owner and pin_id not in self.claimer:
            self.claimer[pin_id] = getattr(self, who)
            self.plextv.claim(pin_id, self.claimer[pin_id])

    @rule(pin_id=pins)
    def expire(self, pin_id: str) -> None:
        if pin_id in self.owner:
            self.expired.add(pin_id)
            self.plextv.expire(pin_id)

    @rule(down=st.booleans())
    def weather(self, down: bool) -> None:
        self.plextv.fail("429" if down else None)
        if not down:
            gate_of.cache_clear()  # else it is left alone for seconds more

    @rule(pin_id=pins, browser=st.integers(0, 1))
    def verify(self, pin_id: str, browser: int) -> None:
        answer = self.browsers[browser].verify(pin_id)
        if self.owner.get(pin_id) != browser or pin_id in self.gone:
            refused(answer, 404, "NOT_FOUND")
        elif self.plextv.outage:
            refused(answer, 503, "PLEX_UNREACHABLE")
        elif pin_id in self.expired:
            refused(answer, 404, "NOT_FOUND")
            self.gone.add(pin_id)
        elif pin_id not in self.claimer:
            assert answer.status_code == 202
        elif self.claimer[pin_id] is self.eve:
            refused(answer, 403, "FORBIDDEN")
            self.gone.add(pin_id)
        else:
            assert data_of(answer)["user"]["id"] == known(self.door, self.bob).id
            # The browser begins anew, so that nothing of before is any good: see `forget_nonce`.
            self.gone |= {each for each, owner in self.owner.items() if owner == browser}
            self.signed_in += 1

    @rule(pin_id=pins, browser=st.integers(0, 1))
    def verify_without_proof(self, pin_id: str, browser: int) -> None:
        answer = self.browsers[browser].client.post(f"{API}/auth/plex/verify", json={"pinId": pin_id})
        refused(answer, 403, "CSRF_INVALID")

    def teardown(self) -> None:
        self.plextv.fail(None)
        assert user_of(self.door, self.eve) is None
        bob = user_of(self.door, self.bob)
        assert len(audited(self.door, "auth.signed_in", bob.id) if bob else ()) == self.signed_in


def test_the_life_of_a_pin(door: Door, plextv: FakePlexTv) -> None:
    run_state_machine_as_test(
        lambda: PinLife(door, plextv),
        settings=settings(max_examples=30, stateful_step_count=25, deadline=None),
    )
