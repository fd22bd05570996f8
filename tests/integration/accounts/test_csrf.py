"""The proof that a change comes from our own page: who needs it, how it is renewed, what is counted."""

from __future__ import annotations

from typing import Any

import pytest
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from flask.testing import FlaskClient

from api.security.csrf import csrf_token
from config.settings import Settings

TOKEN = "X-CSRF-Token"


def browser_of(door: Door, person: Person) -> tuple[FlaskClient, str]:
    """A browser in which somebody has signed in, and the token it was given."""
    browser = door.browser()
    answer = browser.post(f"{API}/auth/login", json={"email": person.email, "password": PASSWORD})
    return browser, data_of(answer)["csrfToken"]


def rename(browser: FlaskClient, **headers: str) -> Any:
    """A change that is allowed to everybody who is signed in."""
    return browser.delete(f"{API}/auth/sessions", headers=headers)


class TestRefresh:
    def test_gives_a_session_a_token_that_was_never_given_before(self, own_door: Door) -> None:
        browser, first = browser_of(own_door, own_door.person())

        fresh = [data_of(browser.post(f"{API}/csrf/refresh"))["csrfToken"] for _ in range(2)]

        assert len({first, *fresh}) == 3
        for token in (*fresh, first):
            assert rename(browser, **{TOKEN: token}).status_code == 200

    def test_gives_a_browser_one_before_anybody_has_signed_in(self, own_door: Door) -> None:
        browser = own_door.browser()

        first = data_of(browser.post("/api/csrf/refresh"))["csrfToken"]
        cookie = browser.get_cookie("medianest_browser")
        second = data_of(browser.post("/api/csrf/refresh"))["csrfToken"]

        assert first != second
        assert cookie is not None
        assert browser.get_cookie("medianest_browser") == cookie

    def test_of_another_session_it_proves_nothing(self, own_door: Door) -> None:
        browser, _ = browser_of(own_door, own_door.person())
        other, _ = browser_of(own_door, own_door.person())

        foreign = data_of(other.post(f"{API}/csrf/refresh"))["csrfToken"]

        refused(rename(browser, **{TOKEN: foreign}), 403, "CSRF_INVALID")

    def test_a_browser_cannot_have_one_made_for_a_session(self, own_door: Door) -> None:
        """What a token is bound to begins with its kind, whatever a cookie says."""
        browser, token = browser_of(own_door, own_door.person())
        session = data_of(browser.get(f"{API}/auth/sessions"))["items"][0]["id"]
        evil = own_door.browser()
        for planted in (session, f"browser:{session}", "\0" + session):
            evil.set_cookie("medianest_browser", planted.replace("\0", "%00"))
            made = data_of(evil.get(f"{API}/csrf/token"))["csrfToken"]
            assert made != token
            for guess in (made, f"{'0' * 16}.{made}"):
                refused(rename(browser, **{TOKEN: guess}), 403, "CSRF_INVALID")

    def test_a_cookie_that_we_did_not_make_is_replaced(self, own_door: Door) -> None:
        browser = own_door.browser()
        browser.set_cookie("medianest_browser", "x" * 3000)

        browser.get(f"{API}/csrf/token")

        cookie = browser.get_cookie("medianest_browser")
        assert cookie is not None
        assert cookie.value != "x" * 3000


class TestWhoNeedsIt:
    @pytest.mark.parametrize(
        "cut", ["", "x", "0" * 64, "0" * 16 + "." + "0" * 64, "." + "0" * 64, "\u0663" * 64]
    )
    def test_a_wrong_one_is_refused(self, own_door: Door, cut: str) -> None:
        browser, _ = browser_of(own_door, own_door.person())

        answer = browser.delete(f"{API}/auth/sessions", headers={TOKEN: cut.encode().decode("latin-1")})

        refused(answer, 403, "CSRF_INVALID")

    def test_a_bearer_token_and_a_key_need_none(self, own_door: Door) -> None:
        ann = own_door.person()
        browser, _ = browser_of(own_door, ann)

        as_ann = {"Authorization": f"Bearer {ann.token}"}

        assert rename(browser, **as_ann).status_code == 200

    def test_a_bearer_token_of_another_does_not_lend_its_rights_to_the_cookie(self, own_door: Door) -> None:
        browser, _ = browser_of(own_door, own_door.person("admin"))

        refused(
            browser.get(f"{API}/admin/queues", headers={"Authorization": "Bearer x"}), 401, "UNAUTHORIZED"
        )
        refused(browser.get(f"{API}/admin/queues", headers={"X-Api-Key": "mn_x"}), 401, "UNAUTHORIZED")
        guest = {"Authorization": f"Bearer {own_door.person('guest').token}"}
        refused(browser.get(f"{API}/admin/queues", headers=guest), 403, "FORBIDDEN")

    def test_a_token_in_body_or_query_is_no_proof(self, own_door: Door) -> None:
        browser, token = browser_of(own_door, own_door.person())

        refused(browser.post(f"{API}/auth/logout?csrfToken={token}"), 403, "CSRF_INVALID")
        refused(browser.post(f"{API}/auth/logout", json={"csrfToken": token}), 403, "CSRF_INVALID")

    def test_another_method_by_header_is_no_way_round(self, own_door: Door) -> None:
        browser, _ = browser_of(own_door, own_door.person())
        mine = data_of(browser.get(f"{API}/auth/sessions"))["items"][0]["id"]

        for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
            answer = browser.get(f"{API}/auth/sessions?_method=DELETE", headers={name: "DELETE"})
            assert answer.status_code == 400  # the parameter is unknown
            answer = browser.get(f"{API}/auth/sessions", headers={name: "DELETE"})
            assert [each["id"] for each in data_of(answer)["items"]][:1] == [mine]


class TestStats:
    def test_counts_what_happens(self, own_door: Door) -> None:
        boss = own_door.person("admin")
        assert data_of(boss.get("/csrf/stats")) == {
            "issued": 0, "refreshed": 0, "accepted": 0, "rejected": 0, "since": None,
        }  # fmt: skip

        browser, token = browser_of(own_door, own_door.person())
        browser.get(f"{API}/csrf/token")
        browser.post(f"{API}/csrf/refresh")
        rename(browser, **{TOKEN: token})
        rename(browser, **{TOKEN: "wrong"})
        rename(browser)

        stats = data_of(boss.get("/csrf/stats"))
        assert stats.pop("since").endswith("Z")
        assert stats == {"issued": 2, "refreshed": 1, "accepted": 1, "rejected": 2}

    @pytest.mark.parametrize("role", ["guest", "user"])
    def test_is_for_admins(self, own_door: Door, role: str) -> None:
        refused(own_door.person(role).get("/csrf/stats"), 403, "FORBIDDEN")
        refused(own_door.stranger().get(f"{API}/csrf/stats"), 401, "UNAUTHORIZED")

    def test_without_redis_nothing_is_counted_and_all_else_works(self, settings: Settings) -> None:
        with opened(settings, redis_url="unix:///nobody/listens.sock") as door:
            boss = door.person("admin")
            browser, token = browser_of(door, door.person())

            assert data_of(browser.get(f"{API}/csrf/token"))["csrfToken"] == token
            assert rename(browser, **{TOKEN: token}).status_code == 200
            refused(rename(browser), 403, "CSRF_INVALID")
            refused(boss.get("/csrf/stats"), 503, "SERVICE_UNAVAILABLE")


def test_the_token_of_a_session_is_the_same_everywhere(own_door: Door) -> None:
    browser, token = browser_of(own_door, own_door.person())
    session = data_of(browser.get(f"{API}/auth/sessions"))["items"][0]["id"]

    assert csrf_token(own_door.runtime.settings, session) == token
