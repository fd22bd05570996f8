"""What was tried against accounts: whoever holds a token, a key or a form for a minute gains nothing that lasts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from factories import make_user
from sqlalchemy import func, select, update

from engine.accounts import administration
from engine.audit import Actor
from engine.errors import Forbidden, Unauthorized
from engine.identity.sessions import Identity
from engine.permissions import permissions_of
from engine.runtime import Runtime
from models.audit import AuditEntry
from models.base import new_id
from models.mail import Mail
from models.notification import Notification
from models.user import User

NEW = "a new long password"
BROWSER = "medianest_browser"

pytestmark = pytest.mark.usefixtures("empty_users")


def patch(person: Person, path: str, **body: Any) -> Any:
    return person.request("PATCH", path, json=body)


def key_of(person: Person, *permissions: str) -> dict[str, str]:
    body = {"name": "program", "permissions": list(permissions)}
    answer = person.post("/users/me/api-keys", json=body)
    assert answer.status_code == 201, answer.text
    return {"X-Api-Key": data_of(answer)["key"]}


def told(runtime: Runtime, person: Person) -> list[str]:
    with runtime.reading() as db:
        mine = select(Notification.type).where(Notification.user_id == person.id)
        return list(db.scalars(mine.order_by(Notification.id)))


def mailed(runtime: Runtime) -> list[tuple[str, str]]:
    with runtime.reading() as db:
        return [(row.template, row.recipient) for row in db.scalars(select(Mail).order_by(Mail.id))]


def audited(runtime: Runtime, *outcomes: str) -> list[AuditEntry]:
    query = select(AuditEntry).where(AuditEntry.outcome.in_(outcomes)).order_by(AuditEntry.id)
    with runtime.reading() as db:
        return list(db.scalars(query))


def fresh_address() -> str:
    return f"{new_id('x')}@example.com"


class TestSettings:
    def test_no_key_changes_them(self, door: Door, chief: Person) -> None:
        """Whoever sets where links lead, or who sends them, has the next reset of a super admin."""
        key = key_of(chief, "settings.manage")

        answer = door.stranger().patch(
            f"{API}/admin/settings", headers=key, json={"publicUrl": "http://evil.example"}
        )

        refused(answer, 403, "FORBIDDEN")
        assert door.stranger().get(f"{API}/admin/settings", headers=key).status_code == 200

    def test_the_audit_log_can_not_be_emptied_by_one(self, chief: Person) -> None:
        error = refused(patch(chief, "/admin/settings", auditDays=1), 400, "VALIDATION_ERROR")

        assert "30" in error["message"]


class TestPassword:
    def test_a_change_ends_the_keys_too(self, door: Door, ann: Person) -> None:
        keys = [key_of(ann, "profile.read") for _ in range(2)]

        body = {"currentPassword": PASSWORD, "newPassword": NEW}
        assert data_of(ann.post("/users/me/password", json=body)) == {"ended": 0, "revokedKeys": 2}

        for key in keys:
            refused(door.stranger().get(f"{API}/users/me", headers=key), 401, "UNAUTHORIZED")

    def test_its_owner_is_told_of_a_new_key(self, ann: Person, door: Door) -> None:
        key_of(ann, "profile.read")

        assert told(door.runtime, ann) == ["security.key_created"]
        assert mailed(door.runtime) == [("account_changed", ann.email)]


class TestAddress:
    def test_the_old_one_hears_of_a_change_by_oneself(self, ann: Person, door: Door) -> None:
        fresh = fresh_address()

        assert patch(ann, "/users/me", email=fresh, currentPassword=PASSWORD).status_code == 200

        assert mailed(door.runtime) == [("account_changed", ann.email), ("account_changed", fresh)]
        assert told(door.runtime, ann) == ["security.email_changed"]
        (entry,) = audited(door.runtime, "success")
        assert entry.details is not None
        assert entry.details["changes"] == {"email": {"before": ann.email, "after": fresh}}

    def test_and_by_an_admin(self, ann: Person, admin: Person, door: Door) -> None:
        fresh = fresh_address()

        assert patch(admin, f"/admin/users/{ann.id}", email=fresh).status_code == 200

        assert mailed(door.runtime) == [("account_changed", ann.email), ("account_changed", fresh)]
        assert told(door.runtime, ann) == ["security.email_changed"]

    def test_one_that_is_invited_is_kept_for_the_invited(
        self, door: Door, ann: Person, admin: Person
    ) -> None:
        invited = fresh_address()
        url = data_of(admin.post("/admin/invitations", json={"email": invited}))["url"]

        claimed = patch(ann, "/users/me", email=invited.upper(), currentPassword=PASSWORD)
        assert data_of(claimed)["email"] == invited
        with door.runtime.unit_of_work() as db:
            off = {"password_hash": None, "email": invited, "email_claimed_at": None}
            db.execute(update(User).where(User.id == ann.id).values(**off))
        assert ann.post("/users/me/password", json={"newPassword": NEW}).status_code == 200

        body = {"token": url.partition("token=")[2], "name": "Bob", "password": PASSWORD}
        accepted = door.stranger().post(f"{API}/auth/invitations/accept", json=body)
        assert accepted.status_code == 201, accepted.text
        assert data_of(accepted)["user"]["email"] == invited

    @pytest.mark.parametrize("address", ["ann@[127.0.0.1]", "ann@[IPv6:::1]", "ann@nest", "ann@-x.example"])
    def test_lies_in_a_domain_with_a_name(self, ann: Person, address: str) -> None:
        answer = patch(ann, "/users/me", email=address, currentPassword=PASSWORD)

        refused(answer, 400, "VALIDATION_ERROR")


class TestName:
    @pytest.mark.parametrize("sign", ["\u202e", "\u2066", "\u2069", "\u202a", "\u0085", "\u2028"])
    def test_does_not_turn_a_line_around(self, ann: Person, admin: Person, sign: str) -> None:
        name = f"Ann {sign}nimda"
        new = {"email": fresh_address(), "password": PASSWORD, "name": name}

        refused(patch(ann, "/users/me", name=name), 400, "VALIDATION_ERROR")
        refused(patch(admin, f"/admin/users/{ann.id}", name=name), 400, "VALIDATION_ERROR")
        refused(admin.post("/admin/users", json=new), 400, "VALIDATION_ERROR")
        refused(
            ann.post("/users/me/api-keys", json={"name": name, "permissions": ["profile.read"]}),
            400,
            "VALIDATION_ERROR",
        )

    @pytest.mark.parametrize("name", ["Søren", "علي", "מרים", "李", "Ann 🦊", "O'Brien-Łuk"])
    def test_is_of_any_script(self, ann: Person, name: str) -> None:
        assert data_of(patch(ann, "/users/me", name=name))["name"] == name


class TestAudit:
    def test_reaching_too_high_names_whom_and_what(
        self, door: Door, admin: Person, chief: Person, ann: Person
    ) -> None:
        new = {"email": "Eve@example.com", "name": "Eve", "password": PASSWORD, "role": "super_admin"}
        invited = {"email": "eve@example.com", "role": "super_admin"}
        refused(admin.post("/admin/users", json=new), 403, "FORBIDDEN")
        refused(admin.post("/admin/invitations", json=invited), 403, "FORBIDDEN")
        refused(patch(admin, f"/admin/users/{ann.id}/role", role="super_admin"), 403, "FORBIDDEN")
        refused(patch(admin, f"/admin/users/{chief.id}", disabled=True), 403, "FORBIDDEN")
        refused(admin.delete(f"/admin/users/{chief.id}"), 403, "FORBIDDEN")
        key = {"name": "k", "permissions": ["settings.manage"]}
        refused(ann.post("/users/me/api-keys", json=key), 403, "FORBIDDEN")

        found = audited(door.runtime, "denied")

        assert [(row.action, row.subject_kind, row.subject_name) for row in found] == [
            ("user.created", "user", "eve@example.com"),
            ("invitation.created", "invitation", "eve@example.com"),
            ("user.role_changed", "user", "Ann"),
            ("user.updated", "user", "Ann"),
            ("user.deleted", "user", "Ann"),
            ("key.created", "key", "k"),
        ]
        details = [row.details or {} for row in found]
        assert [each.get("role") for each in details[:3]] == ["super_admin"] * 3
        assert details[5]["lacking"] == ["settings.manage"]
        assert [row.subject_id for row in found[2:5]] == [ann.id, chief.id, chief.id]
        assert {row.actor_id for row in found} == {admin.id, ann.id}
        assert {row.address for row in found} == {"127.0.0.1"}

    def test_the_last_super_admin(self, chief: Person, door: Door) -> None:
        refused(chief.delete(f"/admin/users/{chief.id}"), 409, "CONFLICT")
        refused(patch(chief, f"/admin/users/{chief.id}", disabled=True), 409, "CONFLICT")
        refused(patch(chief, f"/admin/users/{chief.id}/role", role="user"), 409, "CONFLICT")

        assert [(row.action, row.subject_id) for row in audited(door.runtime, "denied")] == [
            ("user.deleted", chief.id),
            ("user.disabled", chief.id),
            ("user.role_changed", chief.id),
        ]

    def test_links_that_nobody_gave_out(self, door: Door) -> None:
        stranger = door.stranger()
        body = {"token": "guessed-token", "name": "Eve", "password": PASSWORD}
        refused(stranger.post(f"{API}/auth/invitations/accept", json=body), 404, "NOT_FOUND")
        body = {"token": "guessed-token", "newPassword": NEW}
        refused(stranger.post(f"{API}/auth/password-reset/confirm", json=body), 404, "NOT_FOUND")
        body = {"token": "guessed-token", "tokenId": "rst-1"}
        refused(stranger.post(f"{API}/auth/password-reset/verify", json=body), 404, "NOT_FOUND")

        found = audited(door.runtime, "failure")

        actions = ["invitation.accepted", "password.reset", "password.reset"]
        assert [row.action for row in found] == actions
        assert {(row.address, row.actor_id) for row in found} == {("127.0.0.1", None)}
        assert "guessed" not in str([row.details for row in found])

    def test_a_wrong_setup_token(self, door: Door) -> None:
        with opened(door.runtime.settings, app_env="production", setup_token="right") as there:
            body = {"email": "eve@example.com", "name": "Eve", "password": PASSWORD, "setupToken": "wrong"}
            refused(there.stranger().post(f"{API}/auth/admin", json=body), 403, "FORBIDDEN")

        (entry,) = audited(door.runtime, "denied")
        assert (entry.action, entry.subject_name, entry.address) == (
            "auth.bootstrap",
            "eve@example.com",
            "127.0.0.1",
        )
        assert "wrong" not in str(entry.details)

    def test_what_a_view_refuses_is_written_down_once(self, door: Door, ann: Person) -> None:
        key = key_of(ann, "profile.edit")

        answer = door.stranger().patch(f"{API}/users/me", headers=key, json={"email": fresh_address()})

        refused(answer, 403, "FORBIDDEN")
        (entry,) = audited(door.runtime, "denied", "failure")
        assert (entry.action, entry.actor_id) == ("access.denied", ann.id)
        assert entry.details is not None
        assert (entry.details["method"], entry.details["path"]) == ("PATCH", f"{API}/users/me")

    def test_so_is_a_wrong_password(self, ann: Person, door: Door) -> None:
        body = {"currentPassword": "wrong", "newPassword": NEW}
        refused(ann.post("/users/me/password", json=body), 403, "FORBIDDEN")

        (entry,) = audited(door.runtime, "denied", "failure")
        assert (entry.action, entry.outcome) == ("password.changed", "failure")


class TestActingAdmin:
    def test_who_was_demoted_while_they_waited_does_nothing(self, admin: Person, door: Door) -> None:
        """Their rights were read when the request began: they are read again in the transaction that grants."""
        with door.runtime.unit_of_work() as db:
            bob = make_user(db).id
            db.execute(update(User).where(User.id == admin.id).values(role="user"))
        before = Identity(admin.id, "ses-1", "admin", permissions_of("admin"))
        tries: list[dict[str, Any]] = [
            {"do": administration.set_role, "args": (door.runtime.settings, bob, "guest")},
            {"do": administration.delete, "args": (bob,)},
        ]
        for each in tries:
            with pytest.raises(Forbidden, match="any more"), door.runtime.unit_of_work() as db:
                each["do"](db, *each["args"], by=before, actor=Actor(admin.id))

    def test_nor_who_was_disabled(self, admin: Person, door: Door) -> None:
        with door.runtime.unit_of_work() as db:
            bob = make_user(db).id
            db.execute(update(User).where(User.id == admin.id).values(disabled_at=func.now()))
        before = Identity(admin.id, "ses-1", "admin", permissions_of("admin"))

        with pytest.raises(Unauthorized), door.runtime.unit_of_work() as db:
            administration.delete(db, bob, by=before, actor=Actor(admin.id))

    def test_two_who_act_on_each_other_do_not_wait_for_ever(self, door: Door, chief: Person) -> None:
        other = door.person("super_admin")
        pairs = [(chief, other), (other, chief)] * 4

        with ThreadPoolExecutor(8) as pool:
            answers = list(
                pool.map(lambda pair: patch(pair[0], f"/admin/users/{pair[1].id}", name="X"), pairs)
            )

        assert {answer.status_code for answer in answers} == {200}


class TestBrowserCookie:
    def test_one_that_we_did_not_sign_is_replaced(self, door: Door) -> None:
        for planted in ("A" * 32, "A" * 32 + "." + "A" * 43, "x", ""):
            browser = door.browser()
            browser.set_cookie(BROWSER, planted)

            browser.get(f"{API}/csrf/token")

            cookie = browser.get_cookie(BROWSER)
            assert cookie is not None
            assert cookie.value != planted

    def test_ours_stays(self, door: Door) -> None:
        browser = door.browser()
        asked = [(data_of(browser.get(f"{API}/csrf/token")), browser.get_cookie(BROWSER)) for _ in range(2)]
        (first, cookie), (again, kept) = asked
        assert cookie is not None
        assert kept is not None
        assert (again, kept.value) == (first, cookie.value)

    def test_signing_in_ends_it(self, door: Door, ann: Person) -> None:
        browser = door.browser()
        browser.get(f"{API}/csrf/token")
        before = browser.get_cookie(BROWSER)

        answer = browser.post(f"{API}/auth/login", json={"email": ann.email, "password": PASSWORD})

        assert answer.status_code == 200
        after = browser.get_cookie(BROWSER)
        assert before is not None
        assert after is None or after.value != before.value


@pytest.mark.parametrize("remember", [False, True])
def test_every_sign_in_has_a_remember_token(door: Door, ann: Person, remember: bool) -> None:
    body = {"email": ann.email, "password": PASSWORD, "rememberMe": remember}
    data = data_of(door.stranger().post(f"{API}/auth/login", json=body))

    assert data["rememberToken"] == data["refreshToken"]
