"""Proof of a person: what asks for it, whatever the door, how it is given, and how long it counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from door import API, PASSWORD, Door, Person, data_of, opened, refused
from sqlalchemy import func, select, text, update

from config.variables import Rate
from engine.identity import api_keys
from engine.identity.sessions import Identity
from engine.permissions import permissions_of
from models.audit import AuditEntry
from models.base import new_id
from models.login import Login
from models.mail import Mail
from models.notification import Notification
from models.user import User

NEW = "a new long password"
Body = dict[str, Any]
Where = Callable[[Door, Person], str]


@pytest.fixture(autouse=True)
def nothing_is_set(door: Door) -> None:
    """Settings are stored, and hold for the tests that come after."""
    with door.runtime.unit_of_work() as db:
        db.execute(text("TRUNCATE stored_settings"))
    door.runtime.live.expire()


def address() -> str:
    return f"{new_id('x')}@example.com"


def age(door: Door, person: Person) -> None:
    """Let the proof of a person be over, as 10 minutes later; the session goes on."""
    with door.runtime.unit_of_work() as db:
        mine = update(Login).where(Login.user_id == person.id)
        db.execute(mine.values(proven_until=func.clock_timestamp()))


def confirm(person: Person, **proof: Any) -> Any:
    return person.post("/auth/confirm", json=proof or {"password": PASSWORD})


def at(path: str) -> Where:
    return lambda door, _: path


def of_somebody(role: str, rest: str = "") -> Where:
    return lambda door, _: f"/admin/users/{door.person(role).id}{rest}"


def of_disabled_admin(door: Door, _: Person) -> str:
    shut = door.person("admin").id
    with door.runtime.unit_of_work() as db:
        off = {"disabled_at": func.now(), "disabled_reason": "admin"}
        db.execute(update(User).where(User.id == shut).values(**off))
    return f"/admin/users/{shut}"


def of_sender(rest: str) -> Where:
    def made(door: Door, person: Person) -> str:
        name = new_id("sender")
        assert confirm(person).status_code == 200
        assert person.post("/admin/webhooks/senders", json={"name": name}).status_code == 201
        age(door, person)
        return f"/admin/webhooks/senders/{name}{rest}"

    return made


COOKIES = ".example.com\tTRUE\t/\tTRUE\t2000000000\tname\tvalue\n"


def new_user(role: str) -> Body:
    return {"email": address(), "name": "Bob", "password": PASSWORD, "role": role}


# Everything that takes a person: operation as in the document, where, and with what.
EFFECTS: list[tuple[str, str, Where, Callable[[], Body | None]]] = [
    ("POST /admin/users", "an admin", at("/admin/users"), lambda: new_user("admin")),
    ("POST /admin/users", "a super admin", at("/admin/users"), lambda: new_user("super_admin")),
    ("PATCH /admin/users/{user_id}", "an address", of_somebody("user"), lambda: {"email": address()}),
    ("PATCH /admin/users/{user_id}", "shut out", of_somebody("admin"), lambda: {"disabled": True}),
    ("PATCH /admin/users/{user_id}", "let in", of_disabled_admin, lambda: {"disabled": False}),
    ("PATCH /admin/users/{user_id}/role", "up", of_somebody("user", "/role"), lambda: {"role": "admin"}),
    ("PATCH /admin/users/{user_id}/role", "down", of_somebody("admin", "/role"), lambda: {"role": "user"}),
    (
        "PATCH /admin/users/{user_id}/role",
        "a little",
        of_somebody("user", "/role"),
        lambda: {"role": "guest"},
    ),
    ("DELETE /admin/users/{user_id}", "an admin", of_somebody("admin"), lambda: None),
    (
        "POST /admin/invitations",
        "an admin",
        at("/admin/invitations"),
        lambda: {"email": address(), "role": "admin"},
    ),
    ("PUT /integrations/{name}", "a token", at("/integrations/tmdb"), lambda: {"token": "x"}),
    (
        "PUT /integrations/{name}",
        "an address",
        at("/integrations/plex"),
        lambda: {"url": "http://127.0.0.1:1"},
    ),
    ("DELETE /integrations/{name}", "", at("/integrations/overseerr"), lambda: None),
    (
        "POST /integrations/plex/servers",
        "",
        at("/integrations/plex/servers"),
        lambda: {"machineIdentifier": "x"},
    ),
    *(
        ("PATCH /admin/settings", name, at("/admin/settings"), lambda name=name, value=value: {name: value})
        for name, value in {
            "frontendUrl": "https://evil.example",
            "publicUrl": "https://evil.example",
            "smtpUrl": "smtp://evil.example",
            "mailFrom": "x@evil.example",
            "plexOwnerIsAdmin": True,
            "downloadAllowedHosts": "*",
            "auditDays": 30,
            "rateLimitEnabled": True,
            "rateLimitLogin": "off",
            "rateLimitConfirm": "off",
        }.items()
    ),
    ("PUT /admin/cookies", "", at("/admin/cookies"), lambda: {"cookies": COOKIES}),
    ("DELETE /admin/cookies", "", at("/admin/cookies"), lambda: None),
    (
        "POST /admin/webhooks/senders",
        "",
        at("/admin/webhooks/senders"),
        lambda: {"name": new_id("sender")},
    ),
    ("POST /admin/webhooks/senders/{name}/rotate", "", of_sender("/rotate"), lambda: None),
    ("DELETE /admin/webhooks/senders/{name}", "", of_sender(""), lambda: None),
    (
        "POST /users/me/api-keys",
        "",
        at("/users/me/api-keys"),
        lambda: {"name": "x", "permissions": ["media.read"]},
    ),
    ("DELETE /users/me/plex", "", at("/users/me/plex"), lambda: None),
    ("POST /test/reset", "", at("/test/reset"), lambda: None),
]
# Those that take the password instead, where there is one.
BY_PASSWORD = {"PATCH /users/me", "POST /users/me/password", "POST /users/me/plex"}
# Whatever changes something and needs no proof: nobody is more, and nothing is known or trusted, after it.
HARMLESS = {
    "POST /auth/admin", "POST /auth/confirm", "POST /auth/login", "POST /auth/refresh", "POST /auth/logout",
    "DELETE /auth/sessions", "DELETE /auth/sessions/{session_id}", "POST /auth/ws-ticket", "POST /csrf/refresh",
    "POST /auth/plex/pin", "POST /auth/plex/verify", "POST /auth/password-reset/request",
    "POST /auth/password-reset/verify", "POST /auth/password-reset/confirm", "POST /auth/invitations/accept",
    "DELETE /users/me/api-keys/{key_id}", "POST /dashboard/notifications/read", "POST /youtube/download",
    "POST /youtube/downloads",
    "DELETE /youtube/downloads/{download_id}", "POST /youtube/downloads/{download_id}/retry",
    "POST /integrations/{name}/test", "POST /plex/syncs", "DELETE /plex/syncs/{sync_id}",
    "PATCH /admin/downloads/{download_id}", "POST /admin/queues/{name}/pause", "POST /admin/queues/{name}/resume",
    "DELETE /admin/invitations/{invitation_id}", "POST /webhooks/plex/{secret}", "POST /webhooks/overseerr",
    "POST /webhooks/{name}", "POST /admin/webhooks/{webhook_id}/replay",
    "POST /media/request",
    "PATCH /media/requests/{request_id}",
    "DELETE /media/requests/{request_id}",
    "POST /media/requests/{request_id}/approve",
    "POST /media/requests/{request_id}/deny",
    "POST /media/requests/{request_id}/reopen",
    "POST /media/requests/{request_id}/retry",
    "POST /media/requests/{request_id}/follow",
    "POST /media/requests/{request_id}/comments",
    "DELETE /media/requests/{request_id}/follow",
    "POST /admin/requests/approve",
    "POST /admin/requests/deny",
    "PUT /admin/request-rules",
    "PUT /users/me/notifications",
    "PUT /users/me/watchlist",
    "POST /users/me/notifications/test",
    "POST /notifications/unsubscribe/{token}",
    "POST /admin/deliveries/{delivery_id}/retry",
}  # fmt: skip
each_effect = pytest.mark.parametrize(
    ("operation", "where", "body"),
    [(operation, where, body) for operation, _, where, body in EFFECTS],
    ids=[f"{operation} {word}".strip() for operation, word, _, _ in EFFECTS],
)


def test_every_operation_that_changes_something_is_judged_and_says_so(door: Door) -> None:
    document = door.stranger().get(f"{API}/openapi.json").get_json()
    changing = {
        f"{method.upper()} {path.removeprefix(API)}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in {"post", "put", "patch", "delete"}
    }
    judged = {operation for operation, _, _, _ in EFFECTS} | BY_PASSWORD

    assert judged | HARMLESS == set(changing)
    marked = {name for name, operation in changing.items() if "x-confirmation" in operation}
    assert marked == judged
    assert all("CONFIRMATION_REQUIRED" in changing[name]["description"] for name in marked)


@each_effect
def test_takes_a_person(door: Door, operation: str, where: Where, body: Callable[[], Body | None]) -> None:
    person = door.person("super_admin")
    path, method = where(door, person), operation.split()[0]
    with door.runtime.unit_of_work() as db:
        owner = Identity(person.id, "ses-1", "super_admin", permissions_of("super_admin"))
        _, key = api_keys.create(db, owner, name="k", permissions=permissions_of("super_admin"))
        before = db.scalar(select(func.count()).select_from(User))
    age(door, person)

    unproven = person.request(method, path, json=body())
    by_key = door.stranger().open(API + path, method=method, headers={"X-Api-Key": key}, json=body())

    assert "/auth/confirm" in refused(unproven, 403, "CONFIRMATION_REQUIRED")["message"]
    assert "API key" in refused(by_key, 403, "FORBIDDEN")["message"]
    with door.runtime.reading() as db:
        assert db.scalar(select(func.count()).select_from(User)) == before
        noted = select(AuditEntry.outcome).where(AuditEntry.actor_id == person.id)
        assert set(db.scalars(noted.order_by(AuditEntry.id.desc()).limit(2))) == {"denied"}

    if path != "/test/reset":  # it would take the database of the other tests
        assert confirm(person).status_code == 200
        answer = person.request(method, path, json=body())
        assert answer.status_code in {200, 201, 400, 404, 409, 503}, answer.text


@pytest.mark.parametrize("proven", [True, False])
def test_ones_own_address_and_role_are_changed_at_no_admin_route(door: Door, proven: bool) -> None:
    door.person("super_admin")  # else the last one is refused for being the last
    for role in ("admin", "super_admin"):
        person = door.person(role)
        mine = f"/admin/users/{person.id}"
        if not proven:
            age(door, person)

        for path, body in ((mine, {"email": address()}), (f"{mine}/role", {"role": "user"})):
            error = refused(person.request("PATCH", path, json=body), 403, "FORBIDDEN")
            assert "your own" in error["message"]
        refused(person.request("PATCH", mine, json={"password": NEW}), 400, "VALIDATION_ERROR")

        shown = data_of(person.get("/users/me"))
        assert (shown["email"], shown["role"]) == (person.email, role)


@pytest.mark.parametrize(
    "body", [{"name": "Rob"}, {"tier": "premium"}, {"disabled": True}, {"disabled": False}]
)
def test_looking_after_users_goes_on_without(door: Door, chief: Person, body: Body) -> None:
    age(door, chief)

    assert chief.request("PATCH", of_somebody("user")(door, chief), json=body).status_code == 200
    assert chief.post("/admin/users", json=new_user("user")).status_code == 201
    assert chief.post("/admin/invitations", json={"email": address()}).status_code == 201
    assert chief.delete(of_somebody("user")(door, chief)).status_code == 200
    assert chief.request("PATCH", "/admin/settings", json={"downloadHostLimit": 5}).status_code == 200


class TestConfirming:
    def test_counts_for_ten_minutes_on_this_device(self, door: Door, chief: Person) -> None:
        phone = door.sign_in(chief.email)
        age(door, chief)

        data = data_of(confirm(chief))

        assert 595 <= data["expiresIn"] <= 600
        assert data["confirmedUntil"].endswith("Z")
        assert chief.post("/admin/users", json=new_user("admin")).status_code == 201
        refused(phone.post("/admin/users", json=new_user("admin")), 403, "CONFIRMATION_REQUIRED")

    def test_signing_in_does_so_too_and_renewing_does_not(self, door: Door, chief: Person) -> None:
        age(door, chief)
        fresh = door.sign_in(chief.email)
        renewed = data_of(
            chief.client.post(f"{API}/auth/refresh", json={"refreshToken": chief.signed_in["refreshToken"]})
        )
        headers = {"Authorization": f"Bearer {renewed['token']}"}

        assert fresh.post("/admin/users", json=new_user("admin")).status_code == 201
        answer = door.stranger().post(f"{API}/admin/users", headers=headers, json=new_user("admin"))
        refused(answer, 403, "CONFIRMATION_REQUIRED")

    def test_is_a_setting(self, door: Door) -> None:
        with opened(door.runtime.settings, confirmation_seconds=1.0) as there:
            assert data_of(confirm(there.person("admin")))["expiresIn"] <= 1

    def test_a_wrong_password_proves_nothing(self, door: Door, chief: Person) -> None:
        age(door, chief)

        refused(confirm(chief, password="wrong"), 403, "FORBIDDEN")

        refused(chief.post("/admin/users", json=new_user("admin")), 403, "CONFIRMATION_REQUIRED")
        assert chief.get("/auth/session").status_code == 200
        with door.runtime.reading() as db:
            mine = select(AuditEntry).where(AuditEntry.actor_id == chief.id)
            entry = db.scalars(mine.where(AuditEntry.action == "auth.confirmed")).one()
        assert (entry.outcome, entry.details and entry.details["reason"]) == ("failure", "wrong password")

    @pytest.mark.parametrize(
        "body", [{}, {"password": PASSWORD, "pinId": "1"}, {"password": None}, {"pin": "1"}]
    )
    def test_takes_one_proof(self, chief: Person, body: Body) -> None:
        refused(chief.post("/auth/confirm", json=body), 400, "VALIDATION_ERROR")

    def test_is_written_down(self, door: Door, chief: Person) -> None:
        confirm(chief)

        with door.runtime.reading() as db:
            mine = select(AuditEntry).where(AuditEntry.actor_id == chief.id)
            entry = db.scalars(mine.where(AuditEntry.action == "auth.confirmed")).one()
        assert (entry.outcome, entry.details and entry.details["method"]) == ("success", "password")

    def test_a_stolen_session_guesses_five_times_and_keeps_nobody_out(self, door: Door) -> None:
        limits = {"rate_limit_confirm": (Rate(3, 900),), "rate_limit_account": (Rate(5, 900),)}
        with opened(door.runtime.settings, rate_limit_enabled=True, **limits) as there:
            owner = there.person("admin")
            stolen = there.sign_in(owner.email)

            tries = [confirm(stolen, password=f"guess {number}").status_code for number in range(4)]
            right = confirm(stolen)

            assert tries == [403, 403, 403, 429]
            refused(right, 429, "RATE_LIMIT_EXCEEDED")
            body = {"currentPassword": "guess", "newPassword": NEW}
            refused(stolen.post("/users/me/password", json=body), 429, "RATE_LIMIT_EXCEEDED")
            assert confirm(owner).status_code == 200
            more = [there.sign_in(owner.email) for _ in range(2)]
            codes = [confirm(each, password="guess").status_code for each in more for _ in range(2)]
            assert codes == [403, 403, 429, 429]  # from whichever session: the account has its limit too


class TestWithoutPassword:
    @pytest.fixture
    def plex_only(self, door: Door) -> Person:
        person = door.person()
        with door.runtime.unit_of_work() as db:
            known = {"password_hash": None, "plex_id": new_id("plex")}
            db.execute(update(User).where(User.id == person.id).values(**known))
        return person

    def test_takes_a_proof_for_address_and_first_password(self, door: Door, plex_only: Person) -> None:
        age(door, plex_only)

        refused(plex_only.post("/users/me/password", json={"newPassword": NEW}), 403, "CONFIRMATION_REQUIRED")
        changed = plex_only.request("PATCH", "/users/me", json={"email": address()})
        refused(changed, 403, "CONFIRMATION_REQUIRED")
        refused(plex_only.post("/users/me/plex", json={"pinId": "1"}), 403, "CONFIRMATION_REQUIRED")
        refused(confirm(plex_only), 409, "CONFLICT")

        shown = data_of(plex_only.get("/users/me"))
        assert (shown["email"], shown["hasPassword"]) == (plex_only.email, False)


class TestTelling:
    @pytest.fixture(autouse=True)
    def nobody_else(self, door: Door) -> None:
        with door.runtime.unit_of_work() as db:
            db.execute(text("TRUNCATE users, audit_entries, mails, invitations CASCADE"))

    def told(self, door: Door) -> dict[str, list[str]]:
        """Who was told of a new admin, by notification and by mail."""
        with door.runtime.reading() as db:
            noted = select(Notification.user_id).where(Notification.type == "user.new_admin")
            mailed = select(Mail.recipient).where(Mail.template == "account_changed")
            return {"notes": sorted(db.scalars(noted)), "mails": sorted(db.scalars(mailed))}

    @pytest.mark.parametrize("way", ["made", "raised", "raised high", "let in"])
    def test_the_other_admins_hear_of_a_new_one(self, door: Door, way: str) -> None:
        doer, first, second = (door.person(role) for role in ("super_admin", "admin", "super_admin"))
        door.person("user")
        somebody = of_disabled_admin if way == "let in" else of_somebody("user")
        path = somebody(door, doer)

        if way == "made":
            assert doer.post("/admin/users", json=new_user("admin")).status_code == 201
        elif way == "let in":
            assert doer.request("PATCH", path, json={"disabled": False}).status_code == 200
        else:
            role = "admin" if way == "raised" else "super_admin"
            assert doer.request("PATCH", f"{path}/role", json={"role": role}).status_code == 200

        assert self.told(door) == {
            "notes": sorted([first.id, second.id]),
            "mails": sorted([first.email, second.email]),
        }

    def test_and_of_one_who_was_invited(self, door: Door) -> None:
        doer, other = door.person("admin"), door.person("admin")
        url = data_of(doer.post("/admin/invitations", json={"email": address(), "role": "admin"}))["url"]

        body = {"token": url.partition("token=")[2], "name": "Bob", "password": PASSWORD}
        assert door.stranger().post(f"{API}/auth/invitations/accept", json=body).status_code == 201

        assert self.told(door)["notes"] == sorted([doer.id, other.id])

    def test_nobody_hears_of_a_user(self, door: Door) -> None:
        doer, _ = door.person("super_admin"), door.person("admin")

        assert doer.post("/admin/users", json=new_user("user")).status_code == 201
        somebody = of_somebody("admin", "/role")(door, doer)
        assert doer.request("PATCH", somebody, json={"role": "user"}).status_code == 200

        assert self.told(door) == {"notes": [], "mails": []}
