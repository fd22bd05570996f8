"""Signing in and out: the first administrator, tokens and their renewal, cookies and their proof."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import jwt
import pytest
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from factories import make_user
from flask.testing import FlaskClient
from sqlalchemy import func, select, update

from engine.accounts.sign_in import sign_in
from engine.audit import Actor
from engine.errors import Unauthorized
from engine.identity import sessions
from engine.identity.sessions import Device
from engine.reset import reset
from engine.runtime import Runtime
from engine.secrets import keys
from models.audit import AuditEntry
from models.login import Login
from models.user import User

ADMIN = {"email": "admin@medianest.com", "password": PASSWORD, "name": "Admin User"}


@pytest.fixture
def production(door: Door) -> Iterator[Door]:
    with opened(door.runtime.settings, app_env="production") as there:
        yield there


@pytest.fixture
def nobody(door: Door) -> Door:
    """The door, before anyone has come in."""
    reset(door.runtime, Actor(proven=True))
    return door


def login(client: FlaskClient, **changes: Any) -> Any:
    body = {"email": ADMIN["email"], "password": PASSWORD, **changes}
    return client.post(f"{API}/auth/login", json=body)


def age(runtime: Runtime, login_id: str, **values: Any) -> None:
    with runtime.unit_of_work() as db:
        db.execute(update(Login).where(Login.id == login_id).values(**values))


def login_id_of(runtime: Runtime, person: Person) -> str:
    with runtime.unit_of_work() as db:
        found = db.scalar(
            select(Login.id).where(Login.user_id == person.id).order_by(Login.id.desc()).limit(1)
        )
    assert found is not None
    return found


class TestBootstrap:
    def test_makes_the_first_super_admin_and_signs_them_in(self, nobody: Door) -> None:
        answer = nobody.stranger().post("/api/auth/admin", json=ADMIN | {"email": "  Admin@MediaNest.com "})

        data = data_of(answer)
        assert answer.status_code == 201
        assert data["user"]["email"] == "admin@medianest.com"
        assert data["user"]["role"] == "super_admin"
        assert data["user"]["id"].startswith("user-")
        assert {"token", "refreshToken", "csrfToken"} < set(data)
        headers = {"Authorization": f"Bearer {data['token']}"}
        session = nobody.stranger().get("/api/v1/auth/session", headers=headers)
        assert data_of(session)["user"] == data["user"]

    def test_works_once(self, nobody: Door) -> None:
        nobody.stranger().post(f"{API}/auth/admin", json=ADMIN)

        refused(
            nobody.stranger().post(f"{API}/auth/admin", json=ADMIN | {"email": "b@example.com"}),
            409,
            "CONFLICT",
        )

    def test_fifty_at_once_make_one(self, nobody: Door, door: Door) -> None:
        def ask(number: int) -> int:
            body = ADMIN | {"email": f"admin{number}@example.com"}
            return nobody.stranger().post(f"{API}/auth/admin", json=body).status_code

        with ThreadPoolExecutor(10) as pool:
            answers = sorted(pool.map(ask, range(50)))

        assert answers == [201] + [409] * 49
        with door.runtime.unit_of_work() as db:
            assert db.scalar(select(func.count()).select_from(User)) == 1

    def test_needs_the_setup_token_in_production(self, nobody: Door, production: Door) -> None:
        token = production.runtime.settings.resolve_setup_token()

        refused(production.stranger().post(f"{API}/auth/admin", json=ADMIN), 403, "FORBIDDEN")
        wrong = ADMIN | {"setupToken": token[:-1] + "ü"}
        refused(production.stranger().post(f"{API}/auth/admin", json=wrong), 403, "FORBIDDEN")
        right = production.stranger().post(f"{API}/auth/admin", json=ADMIN | {"setupToken": token})
        assert right.status_code == 201

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", "nobody"),
            ("email", "a@b\0.de"),
            ("email", "x" * 250 + "@example.com"),
            ("password", "short"),
            ("password", "x" * 129),
            ("password", "with\0nul-in-it"),
            ("name", "   "),
            ("name", "x" * 101),
            ("role", "super_admin"),
        ],
    )
    def test_takes_nothing_but_what_is_documented(self, door: Door, field: str, value: str) -> None:
        answer = door.stranger().post(f"{API}/auth/admin", json=ADMIN | {field: value})

        assert list(refused(answer, 400, "VALIDATION_ERROR")["details"]) == [field]


class TestLogin:
    def test_answers_alike_for_unknown_wrong_and_disabled(self, door: Door) -> None:
        ann, bob = door.person(), door.person()
        with door.runtime.unit_of_work() as db:
            plex_only = make_user(db).email
            db.execute(update(User).where(User.id == bob.id).values(disabled_at=func.now()))

        answers = [
            login(door.stranger(), email=ann.email, password="wrong password"),
            login(door.stranger(), email="nobody@example.com"),
            login(door.stranger(), email=bob.email),
            login(door.stranger(), email=plex_only),
        ]

        assert len({refused(answer, 401, "UNAUTHORIZED")["message"] for answer in answers}) == 1

    def test_knows_an_address_in_any_spelling(self, door: Door, ann: Person) -> None:
        assert data_of(login(door.stranger(), email=f" {ann.email.upper()} "))["user"]["id"] == ann.id

    @pytest.mark.parametrize(("remember", "days"), [(False, 7), (True, 30)])
    def test_lasts_as_long_as_wished(self, door: Door, ann: Person, remember: bool, days: int) -> None:
        answer = login(door.stranger(), email=ann.email, rememberMe=remember)

        data = data_of(answer)
        assert data["rememberToken"] == data["refreshToken"]
        cookies = answer.headers.getlist("Set-Cookie")
        assert [f"Max-Age={days * 86400};" in cookie for cookie in cookies] == [True] * 3

    def test_sets_cookies_that_scripts_and_other_sites_cannot_use(self, production: Door) -> None:
        person = production.person()

        cookies = login(production.stranger(), email=person.email).headers.getlist("Set-Cookie")

        assert {cookie.partition("=")[0] for cookie in cookies} == {
            "medianest_access", "medianest_refresh", "medianest_session",
        }  # fmt: skip
        assert all({"HttpOnly", "SameSite=Lax", "Secure"} <= set(cookie.split("; ")) for cookie in cookies)

    @pytest.mark.parametrize("remember", ["true", 1, None])
    def test_a_flag_is_true_or_false(self, door: Door, remember: object) -> None:
        refused(login(door.stranger(), rememberMe=remember), 400, "VALIDATION_ERROR")


class TestAccess:
    def test_without_a_token_there_is_no_way_in(self, door: Door) -> None:
        refused(door.stranger().get(f"{API}/auth/session"), 401, "UNAUTHORIZED")

    @pytest.mark.parametrize(
        "header", ["Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Bearer \xff", "Basic eA=="]
    )
    def test_a_broken_one_opens_nothing(self, door: Door, header: str) -> None:
        answer = door.stranger().get(f"{API}/auth/session", headers={"Authorization": header})

        refused(answer, 401, "UNAUTHORIZED")

    @pytest.mark.parametrize(
        "forgery", ["none", "key", "audience", "session", "no_session", "nul", "no_expiry"]
    )
    def test_a_forged_one_opens_nothing(self, door: Door, ann: Person, forgery: str) -> None:
        key: Any = keys.key(door.runtime.settings, keys.ACCESS_TOKENS)
        algorithm = "HS256"
        claims = jwt.decode(ann.token, options={"verify_signature": False})
        if forgery == "none":
            key, algorithm = "", "none"
        elif forgery == "key":
            key = b"k" * 32
        elif forgery == "audience":
            claims["aud"] = "somebody else"
        elif forgery == "session":
            claims["sid"] = "ses-0000000000000000000000000"
        elif forgery == "nul":
            claims["sid"] = "ses\0"
        else:
            del claims["sid" if forgery == "no_session" else "exp"]
        token = jwt.encode(claims, key, algorithm=algorithm)

        answer = door.stranger().get(f"{API}/auth/session", headers={"Authorization": f"Bearer {token}"})

        refused(answer, 401, "UNAUTHORIZED")

    def test_an_expired_one_says_so(self, door: Door) -> None:
        with opened(door.runtime.settings, access_token_seconds=1.0) as there:
            ann = there.person()
            assert ann.get("/auth/session").status_code == 200
            expires = jwt.decode(ann.token, options={"verify_signature": False})["exp"]
            time.sleep(max(0.0, expires - time.time()) + 0.01)

            refused(ann.get("/auth/session"), 401, "TOKEN_EXPIRED")

    def test_disabling_takes_effect_at_once(self, ann: Person, door: Door) -> None:
        with door.runtime.unit_of_work() as db:
            db.execute(update(User).where(User.id == ann.id).values(disabled_at=func.now()))

        refused(ann.get("/auth/session"), 401, "UNAUTHORIZED")

    def test_demotion_takes_effect_at_once(self, door: Door) -> None:
        boss = door.person("admin")
        assert boss.get("/admin/downloads").status_code == 200
        with door.runtime.unit_of_work() as db:
            db.execute(update(User).where(User.id == boss.id).values(role="user"))

        refused(boss.get("/admin/downloads"), 403, "FORBIDDEN")

    def test_an_expired_session_ends_its_tokens(self, ann: Person, door: Door) -> None:
        age(door.runtime, login_id_of(door.runtime, ann), expires_at=func.now() - timedelta(seconds=1))

        refused(ann.get("/auth/session"), 401, "UNAUTHORIZED")
        refused(
            ann.post("/auth/refresh", json={"refreshToken": ann.signed_in["refreshToken"]}),
            401,
            "UNAUTHORIZED",
        )


class TestRefresh:
    def refresh(self, person: Person, token: str) -> Any:
        return person.client.post(f"{API}/auth/refresh", json={"refreshToken": token})

    def test_gives_fresh_tokens_for_the_same_session(self, ann: Person) -> None:
        old = ann.signed_in

        fresh = data_of(self.refresh(ann, old["refreshToken"]))

        assert fresh["refreshToken"] != old["refreshToken"]
        assert fresh["csrfToken"] == old["csrfToken"]
        ann.token = fresh["token"]
        assert len(data_of(ann.get("/auth/sessions"))["items"]) == 1

    def test_a_lost_answer_may_be_asked_for_again(self, ann: Person) -> None:
        first = data_of(self.refresh(ann, ann.signed_in["refreshToken"]))

        again = data_of(self.refresh(ann, ann.signed_in["refreshToken"]))

        assert again["refreshToken"] == first["refreshToken"]
        assert self.refresh(ann, first["refreshToken"]).status_code == 200

    def test_two_at_once_get_the_same(self, ann: Person) -> None:
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(lambda _: self.refresh(ann, ann.signed_in["refreshToken"]), range(2)))

        assert len({data_of(answer)["refreshToken"] for answer in both}) == 1

    def test_a_later_reuse_ends_the_session(self, ann: Person, door: Door) -> None:
        fresh = data_of(self.refresh(ann, ann.signed_in["refreshToken"]))
        age(door.runtime, login_id_of(door.runtime, ann), rotated_at=func.now() - timedelta(seconds=11))

        refused(self.refresh(ann, ann.signed_in["refreshToken"]), 401, "UNAUTHORIZED")

        refused(self.refresh(ann, fresh["refreshToken"]), 401, "UNAUTHORIZED")
        refused(ann.get("/auth/session"), 401, "UNAUTHORIZED")

    def test_a_token_older_than_the_last_ends_it_even_within_the_grace(self, ann: Person) -> None:
        second = data_of(self.refresh(ann, ann.signed_in["refreshToken"]))["refreshToken"]
        self.refresh(ann, second)

        refused(self.refresh(ann, ann.signed_in["refreshToken"]), 401, "UNAUTHORIZED")

        refused(ann.get("/auth/session"), 401, "UNAUTHORIZED")

    def test_an_invented_token_ends_nothing(self, ann: Person, door: Door) -> None:
        invented = f"{login_id_of(door.runtime, ann)}.{'A' * 64}"

        refused(self.refresh(ann, invented), 401, "UNAUTHORIZED")

        assert ann.get("/auth/session").status_code == 200

    def test_without_any_token_there_is_nothing_to_refresh(self, door: Door) -> None:
        refused(door.stranger().post(f"{API}/auth/refresh"), 401, "UNAUTHORIZED")

    def test_prolongs_the_session(self, ann: Person, door: Door) -> None:
        mine = login_id_of(door.runtime, ann)
        age(door.runtime, mine, expires_at=func.now() + timedelta(minutes=1))

        self.refresh(ann, ann.signed_in["refreshToken"])

        with door.runtime.unit_of_work() as db:
            left = db.scalar(select(Login.expires_at - func.now()).where(Login.id == mine))
        assert left > timedelta(days=6)


class TestCookies:
    def signed_in(self, door: Door) -> tuple[FlaskClient, str]:
        person, browser = door.person(), door.browser()
        return browser, data_of(login(browser, email=person.email))["csrfToken"]

    def test_a_browser_reads_with_its_cookie_alone(self, door: Door) -> None:
        browser, _ = self.signed_in(door)

        assert browser.get(f"{API}/auth/session").status_code == 200

    @pytest.mark.parametrize("token", [None, "", "wrong", "ä"])
    def test_it_changes_nothing_without_the_proof(self, door: Door, token: str | None) -> None:
        browser, _ = self.signed_in(door)
        headers = {} if token is None else {"X-CSRF-Token": token}

        refused(browser.post(f"{API}/auth/logout", headers=headers), 403, "CSRF_INVALID")
        refused(browser.post(f"{API}/auth/refresh", headers=headers), 403, "CSRF_INVALID")

    def test_nor_with_the_proof_of_another_session(self, door: Door) -> None:
        browser, _ = self.signed_in(door)
        _, foreign = self.signed_in(door)

        refused(browser.post(f"{API}/auth/logout", headers={"X-CSRF-Token": foreign}), 403, "CSRF_INVALID")

    def test_the_proof_can_be_asked_for_and_outlives_a_refresh(self, door: Door) -> None:
        browser, given = self.signed_in(door)

        asked = data_of(browser.get("/api/csrf/token"))["csrfToken"]
        fresh = data_of(browser.post(f"{API}/auth/refresh", headers={"X-CSRF-Token": asked}))

        assert given == asked == fresh["csrfToken"]

    def test_before_signing_in_the_proof_belongs_to_the_browser(self, door: Door) -> None:
        one, other = door.browser(), door.browser()

        first = data_of(one.get(f"{API}/csrf/token"))["csrfToken"]

        assert data_of(one.get(f"{API}/csrf/token"))["csrfToken"] == first
        assert data_of(other.get(f"{API}/csrf/token"))["csrfToken"] != first

    def test_a_bearer_token_decides_alone(self, door: Door, ann: Person) -> None:
        browser, _ = self.signed_in(door)

        as_ann = browser.get(f"{API}/auth/session", headers={"Authorization": f"Bearer {ann.token}"})

        assert data_of(as_ann)["user"]["id"] == ann.id
        refused(
            browser.get(f"{API}/auth/session", headers={"Authorization": "Bearer x"}), 401, "UNAUTHORIZED"
        )

    def test_logout_takes_the_cookies_away(self, door: Door) -> None:
        browser, csrf = self.signed_in(door)

        browser.post(f"{API}/auth/logout", headers={"X-CSRF-Token": csrf})

        refused(browser.get(f"{API}/auth/session"), 401, "UNAUTHORIZED")
        assert browser.get_cookie("medianest_access") is None


class TestSessions:
    def test_logout_ends_access_and_refresh(self, ann: Person) -> None:
        assert ann.post("/auth/logout").status_code == 200

        refused(ann.get("/auth/session"), 401, "UNAUTHORIZED")
        body = {"refreshToken": ann.signed_in["refreshToken"]}
        refused(ann.client.post(f"{API}/auth/refresh", json=body), 401, "UNAUTHORIZED")

    def test_logout_ends_the_session_of_the_refresh_token_too(self, door: Door, ann: Person) -> None:
        phone = door.sign_in(ann.email)
        bob = door.person()

        ann.post("/auth/logout", json={"refreshToken": phone.signed_in["refreshToken"]})
        phone_again = door.sign_in(ann.email)
        phone_again.post("/auth/logout", json={"refreshToken": bob.signed_in["refreshToken"]})

        refused(phone.get("/auth/session"), 401, "UNAUTHORIZED")
        assert bob.get("/auth/session").status_code == 200

    def test_one_sees_and_ends_ones_own(self, door: Door, ann: Person) -> None:
        phone, bob = door.sign_in(ann.email), door.person()
        devices = data_of(ann.get("/auth/sessions"))["items"]
        (elsewhere,) = [device["id"] for device in devices if not device["current"]]

        refused(bob.delete(f"/auth/sessions/{elsewhere}"), 404, "NOT_FOUND")
        assert phone.get("/auth/session").status_code == 200
        assert data_of(ann.delete(f"/auth/sessions/{elsewhere}"))["id"] == elsewhere

        refused(phone.get("/auth/session"), 401, "UNAUTHORIZED")
        refused(ann.delete(f"/auth/sessions/{elsewhere}"), 404, "NOT_FOUND")

    def test_one_signs_out_everywhere_else(self, door: Door, ann: Person) -> None:
        phone, tablet, bob = door.sign_in(ann.email), door.sign_in(ann.email), door.person()

        assert data_of(ann.delete("/auth/sessions")) == {"ended": 2}

        assert [each.get("/auth/session").status_code for each in (ann, phone, tablet, bob)] == [
            200,
            401,
            401,
            200,
        ]

    def test_expired_and_revoked_ones_are_dropped_in_the_end(self, door: Door) -> None:
        ann, bob, eve = door.person(), door.person(), door.person()
        age(door.runtime, login_id_of(door.runtime, ann), expires_at=func.now() - timedelta(days=31))
        age(door.runtime, login_id_of(door.runtime, bob), revoked_at=func.now() - timedelta(days=29))

        with door.runtime.unit_of_work() as db:
            sessions.forget_old(db, timedelta(days=30))
            left = set(db.scalars(select(Login.user_id).where(Login.user_id.in_([ann.id, bob.id, eve.id]))))

        assert left == {bob.id, eve.id}


class TestChangesDuringASignIn:
    """Between the look at a password and the session that follows, an account may change."""

    @pytest.mark.parametrize("change", [{"password_hash": "other"}, {"disabled_at": func.now()}])
    def test_it_begins_no_session(self, door: Door, change: dict[str, Any]) -> None:
        with door.runtime.unit_of_work() as db:
            user_id = make_user(db, password_hash="proved").id

        with pytest.raises(Unauthorized), door.runtime.unit_of_work() as db:
            user = db.get_one(User, user_id)
            with door.runtime.unit_of_work() as elsewhere:
                elsewhere.execute(update(User).where(User.id == user_id).values(**change))
            sign_in(db, door.runtime.settings, user, method="password", device=Device(None, None))

    def test_who_ends_all_sessions_ends_the_one_that_begins(self, door: Door) -> None:
        with door.runtime.unit_of_work() as db:
            user_id = make_user(db).id

        def disable() -> int:
            with door.runtime.unit_of_work() as elsewhere:
                elsewhere.execute(update(User).where(User.id == user_id).values(disabled_at=func.now()))
                return sessions.revoke_all(elsewhere, user_id)

        with ThreadPoolExecutor(1) as pool:
            with door.runtime.unit_of_work() as db:
                started = sign_in(
                    db,
                    door.runtime.settings,
                    db.get_one(User, user_id),
                    method="plex",
                    device=Device(None, None),
                )
                disabling = pool.submit(disable)
                time.sleep(0.2)  # it would be done by now if it did not wait
                assert not disabling.done()
            assert disabling.result() == 1
        with door.runtime.unit_of_work() as db:
            assert sessions.find(db, started.login.id) is None


class TestAudit:
    def entries(self, runtime: Runtime, **where: Any) -> list[AuditEntry]:
        with runtime.unit_of_work() as db:
            return list(db.scalars(select(AuditEntry).filter_by(**where).order_by(AuditEntry.id)))

    def test_a_sign_in_is_written_down(self, door: Door, ann: Person) -> None:
        answer = door.stranger().post(
            f"{API}/auth/login",
            json={"email": ann.email, "password": PASSWORD},
            headers={"User-Agent": "Firefox", "X-Correlation-ID": "mine"},
        )
        assert answer.status_code == 200

        [entry] = self.entries(door.runtime, actor_id=ann.id)
        assert (entry.action, entry.outcome) == ("auth.signed_in", "success")
        assert (entry.subject_id, entry.actor_name) == (ann.id, "Ann")
        assert (entry.address, entry.correlation_id) == ("127.0.0.1", "mine")
        assert entry.details is not None
        assert entry.details["method"] == "password"
        assert entry.details["userAgent"] == "Firefox"
        assert entry.details["via"] == login_id_of(door.runtime, ann)

    def test_the_first_one_too(self, nobody: Door, door: Door) -> None:
        data = data_of(nobody.stranger().post(f"{API}/auth/admin", json=ADMIN))

        actions = [entry.action for entry in self.entries(door.runtime, actor_id=data["user"]["id"])]
        assert "auth.signed_in" in actions

    @pytest.mark.parametrize("known", [True, False])
    def test_one_that_fails_as_well(self, door: Door, known: bool) -> None:
        email = door.person().email if known else f"nobody-{time.time_ns()}@example.com"

        refused(login(door.stranger(), email=email, password="a wrong one"), 401, "UNAUTHORIZED")

        [entry] = self.entries(door.runtime, subject_name=email)
        assert (entry.action, entry.outcome) == ("auth.sign_in_failed", "failure")
        assert (entry.actor_id, entry.subject_id, entry.address) == (None, None, "127.0.0.1")
        assert "a wrong one" not in str(entry.details)

    def test_the_way_out_too(self, door: Door, ann: Person) -> None:
        phone = door.sign_in(ann.email)
        tablet = door.sign_in(ann.email)
        mine = login_id_of(door.runtime, tablet)

        ann.delete(f"/auth/sessions/{mine}")
        ann.delete("/auth/sessions")
        ann.post("/auth/logout")

        ended = [(e.action, e.subject_kind) for e in self.entries(door.runtime, actor_id=ann.id)][2:]
        assert ended == [
            ("session.revoked", "session"),
            ("session.revoked", "user"),
            ("auth.signed_out", "session"),
        ]
        refused(phone.get("/auth/session"), 401, "UNAUTHORIZED")

    def test_and_a_stolen_refresh_token(self, ann: Person, door: Door) -> None:
        old = {"refreshToken": ann.signed_in["refreshToken"]}
        data_of(ann.client.post(f"{API}/auth/refresh", json=old))
        age(door.runtime, login_id_of(door.runtime, ann), rotated_at=func.now() - timedelta(seconds=11))

        refused(ann.client.post(f"{API}/auth/refresh", json=old), 401, "UNAUTHORIZED")

        [entry] = self.entries(door.runtime, subject_id=ann.id)
        assert (entry.action, entry.outcome) == ("auth.refresh_reused", "denied")
        assert entry.address == "127.0.0.1"


class TestNewDevice:
    def test_its_owner_is_told_of_a_sign_in_from_somewhere_else(self, door: Door, ann: Person) -> None:
        door.stranger().post(
            f"{API}/auth/login",
            json={"email": ann.email, "password": PASSWORD},
            headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"},
        )

        told = data_of(ann.get("/dashboard/notifications"))["items"]
        assert [each["title"] for each in told] == ["New sign-in from Firefox on Linux (127.0.0.1)"]
