"""Requests that nobody means well with: none is a 500, none gets past the door, none changes what it should not."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import pytest
from door import API, PASSWORD, Door, Person, data_of, refused
from sqlalchemy import func, select, update
from werkzeug.test import TestResponse

from engine.identity import api_keys, sessions
from engine.permissions import Permission
from engine.runtime import Runtime
from engine.secrets import keys
from models.login import Login
from models.user import User


class TestForgedTokens:
    def forge(self, runtime: Runtime, person: Person, **changes: Any) -> str:
        """A token signed by our own key, as somebody who had it could make it."""
        claims = jwt.decode(person.token, options={"verify_signature": False}) | changes
        return jwt.encode(claims, keys.key(runtime.settings, keys.ACCESS_TOKENS), algorithm="HS256")

    def ask(self, door: Door, token: str, path: str = "/auth/session") -> TestResponse:
        return door.stranger().get(API + path, headers={"Authorization": f"Bearer {token}"})

    def test_the_way_of_forging_is_right(self, door: Door, ann: Person) -> None:
        assert self.ask(door, self.forge(door.runtime, ann)).status_code == 200

    @pytest.mark.filterwarnings("ignore:The HMAC key is 32 bytes long")
    @pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512"])
    def test_another_algorithm_opens_nothing(self, door: Door, ann: Person, algorithm: str) -> None:
        claims = jwt.decode(ann.token, options={"verify_signature": False})
        key: Any = None if algorithm == "none" else keys.key(door.runtime.settings, keys.ACCESS_TOKENS)
        for typ in ("JWT", "at+jwt", None):
            token = jwt.encode(claims, key, algorithm=algorithm, headers={"typ": typ})
            refused(self.ask(door, token), 401, "UNAUTHORIZED")

    @pytest.mark.parametrize("spelling", ["none", "None", "NONE", "nOnE"])
    def test_a_signature_cannot_be_left_out(self, door: Door, ann: Person, spelling: str) -> None:
        _, claims, signature = ann.token.split(".")
        head = jwt.utils.base64url_encode(json.dumps({"alg": spelling, "typ": "JWT"}).encode()).decode()
        for token in (f"{head}.{claims}.", f"{head}.{claims}", f"{head}.{claims}.{signature}"):
            refused(self.ask(door, token), 401, "UNAUTHORIZED")

    @pytest.mark.parametrize(
        "headers",
        [
            {"kid": "../../../../dev/null"},
            {"jku": "http://127.0.0.1/keys"},
            {"jwk": {"kty": "oct", "k": "AA"}},
        ],
    )
    def test_a_token_does_not_choose_its_key(self, door: Door, ann: Person, headers: dict[str, Any]) -> None:
        claims = jwt.decode(ann.token, options={"verify_signature": False})
        for key in (b"", b"\0" * 32):
            refused(
                self.ask(door, jwt.encode(claims, key or None, "HS256" if key else "none", headers)),
                401,
                "UNAUTHORIZED",
            )

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "other"},
            {"aud": ["other"]},
            {"iss": "other"},
            {"sid": 1},
            {"sid": None},
            {"sid": ["x"]},
            {"exp": "soon"},
        ],
    )
    def test_other_claims_open_nothing(self, door: Door, ann: Person, changes: dict[str, Any]) -> None:
        refused(self.ask(door, self.forge(door.runtime, ann, **changes)), 401, "UNAUTHORIZED")

    def test_an_old_one_says_that_it_is_old(self, door: Door, ann: Person) -> None:
        token = self.forge(door.runtime, ann, exp=int(time.time()) - 1)
        refused(self.ask(door, token), 401, "TOKEN_EXPIRED")

    def test_a_role_in_it_counts_for_nothing(self, door: Door, ann: Person) -> None:
        token = self.forge(
            door.runtime, ann, role="super_admin", permissions=list(Permission), roles=["admin"]
        )

        assert data_of(self.ask(door, token))["user"]["role"] == "user"
        refused(self.ask(door, token, "/admin/queues"), 403, "FORBIDDEN")

    def test_the_session_counts_not_the_subject(self, door: Door, ann: Person) -> None:
        boss = door.person("admin")

        token = self.forge(door.runtime, ann, sub=boss.id)

        assert data_of(self.ask(door, token))["user"]["id"] == ann.id

    @pytest.mark.parametrize("purpose", [keys.REFRESH_TOKENS, keys.CSRF_TOKENS])
    def test_a_key_of_another_purpose_signs_none(self, door: Door, ann: Person, purpose: str) -> None:
        claims = jwt.decode(ann.token, options={"verify_signature": False})
        refused(
            self.ask(door, jwt.encode(claims, keys.key(door.runtime.settings, purpose), "HS256")),
            401,
            "UNAUTHORIZED",
        )

    def test_one_kind_of_proof_is_no_other(self, door: Door, ann: Person) -> None:
        with door.runtime.unit_of_work() as db:
            login_id = db.scalar(select(Login.id).where(Login.user_id == ann.id))
            owner = sessions.find(db, login_id or "")
            assert owner is not None
            _, key = api_keys.create(db, owner, name="k", permissions=[Permission.PROFILE_READ])
        refresh, proof = ann.signed_in["refreshToken"], ann.signed_in["csrfToken"]

        for token in (refresh, proof, key):
            refused(self.ask(door, token), 401, "UNAUTHORIZED")
        for token in (refresh, proof, ann.token, key[:-1], key + "=", "mn_", ""):
            answer = door.stranger().get(f"{API}/auth/session", headers={"X-Api-Key": token})
            refused(answer, 401, "UNAUTHORIZED")
        for token in (ann.token, proof, key):
            answer = door.stranger().post(f"{API}/auth/refresh", json={"refreshToken": token})
            refused(answer, 401, "UNAUTHORIZED")


class TestMixedProofs:
    """Header before key before cookie; the first decides, and a bad one is not made good by another."""

    def test_the_first_decides(self, door: Door, ann: Person) -> None:
        boss = door.person("admin")
        browser = door.browser()
        browser.post(f"{API}/auth/login", json={"email": boss.email, "password": PASSWORD})

        def who(**headers: str) -> Any:
            return browser.get(f"{API}/auth/session", headers=headers)

        assert data_of(who())["user"]["id"] == boss.id
        assert data_of(who(Authorization=f"Bearer {ann.token}"))["user"]["id"] == ann.id
        refused(who(Authorization="Bearer wrong"), 401, "UNAUTHORIZED")
        refused(who(**{"X-Api-Key": "wrong"}), 401, "UNAUTHORIZED")
        both = {"Authorization": f"Bearer {ann.token}", "X-Api-Key": "wrong"}
        assert data_of(who(**both))["user"]["id"] == ann.id

    def test_a_token_in_the_query_or_body_is_none(self, door: Door, ann: Person) -> None:
        stranger = door.stranger()
        for path in ("/auth/session", "/youtube/downloads"):
            for name in ("token", "access_token", "jwt", "api_key", "ticket"):
                answer = stranger.get(f"{API}{path}?{name}={ann.token}")
                refused(answer, 401, "UNAUTHORIZED")
        refused(stranger.post(f"{API}/auth/logout", json={"token": ann.token}), 401, "UNAUTHORIZED")

    def test_two_cookies_of_a_name_are_no_riddle(self, door: Door, ann: Person) -> None:
        boss = door.person("admin")
        cookies = f"medianest_access={ann.token}; medianest_access={boss.token}"

        answer = door.stranger().get(f"{API}/auth/session", headers={"Cookie": cookies})

        assert data_of(answer)["user"]["id"] == ann.id

    @pytest.mark.parametrize("value", ["\x00", "\xff\xfe", "a" * 60_000, "=;=", '"', "%00"])
    def test_a_broken_cookie_is_nobodys(self, door: Door, value: str) -> None:
        headers = {
            "Cookie": f"medianest_access={value}; medianest_refresh={value}; medianest_browser={value}"
        }

        refused(door.stranger().get(f"{API}/auth/session", headers=headers), 401, "UNAUTHORIZED")
        refused(door.stranger().post(f"{API}/auth/refresh", headers=headers), 401, "UNAUTHORIZED")
        assert door.stranger().get(f"{API}/csrf/token", headers=headers).status_code == 200


BODIES = {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"email":' * 100_000 + b"1" + b"}" * 100_000,
    "not a number": b'{"email": NaN}',
    "infinity": b'{"email": -Infinity}',
    "huge exponent": b'{"email": 1e99999}',
    "huge number": b'{"email": ' + b"9" * 500_000 + b"}",
    "a lone surrogate": rb'{"email": "\ud800"}',
    "raw surrogate": b'{"email": "\xed\xa0\x80"}',
    "not UTF-8": b'{"email": "\xff"}',
    "UTF-16": '{"email": "a"}'.encode("utf-16"),
    "a mark of order": b'\xef\xbb\xbf{"email": "a@b.de"}',
    "a comment": b'{"email": "a" /* b */}',
    "a trailing comma": b'{"email": "a",}',
    "single quotes": b"{'email': 'a'}",
    "two values": b"{} {}",
    "a bomb of keys": json.dumps({f"k{number}": 1 for number in range(50_000)}).encode(),
    "prototype": b'{"__proto__": {"role": "admin"}, "constructor": 1}',
}


class TestBodies:
    @pytest.mark.parametrize("path", ["/auth/login", "/auth/admin", "/auth/refresh"])
    @pytest.mark.parametrize("kind", BODIES)
    def test_what_is_no_proper_json_is_refused(self, door: Door, path: str, kind: str) -> None:
        answer = door.stranger().post(API + path, data=BODIES[kind], content_type="application/json")

        assert refused(answer, 400, "VALIDATION_ERROR")["details"]
        assert len(answer.data) < 10_000

    def test_ten_megabytes_are_too_much(self, door: Door) -> None:
        body = b'{"email": "' + b"a" * 10_000_000 + b'"}'

        answer = door.stranger().post(f"{API}/auth/login", data=body, content_type="application/json")

        refused(answer, 413, "PAYLOAD_TOO_LARGE")

    @pytest.mark.parametrize(
        "content_type",
        [
            "text/plain",
            "text/html",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "application/jsonp",
            "json",
            "application/json-patch",
        ],
    )
    def test_another_type_is_refused(self, door: Door, ann: Person, content_type: str) -> None:
        """A page of another site can send these three first without being asked whether it may."""
        body = json.dumps({"email": ann.email, "password": PASSWORD}).encode()

        answer = door.stranger().post(f"{API}/auth/login", data=body, content_type=content_type)

        refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
        assert "Set-Cookie" not in answer.headers

    def test_of_a_key_given_twice_the_checked_one_is_used(self, door: Door, ann: Person) -> None:
        right, wrong = json.dumps(PASSWORD), json.dumps("something else")
        body = f'{{"email": "{ann.email}", "password": {wrong}, "password": {right}}}'

        answer = door.stranger().post(f"{API}/auth/login", data=body, content_type="application/json")

        assert answer.status_code in {200, 400}  # never one that was not looked at
        reverse = f'{{"email": "{ann.email}", "password": {right}, "password": {wrong}}}'
        answer = door.stranger().post(f"{API}/auth/login", data=reverse, content_type="application/json")
        assert answer.status_code in {401, 400}

    @pytest.mark.parametrize(
        "value",
        [
            "\0",
            "a\0b",
            "\ud800",
            "\u202e",
            "x" * 100_000,
            "\r\nSet-Cookie: a=b",
            "'; --",
            "{{7*7}}",
            "%s%n",
            "$(id)",
        ],
    )
    def test_every_text_of_every_operation_may_be_anything(self, door: Door, value: str) -> None:
        document = door.stranger().get(f"{API}/openapi.json").get_json()
        boss = door.person("super_admin")
        asked = 0
        for path, item in document["paths"].items():
            for method in item.keys() & {"post", "put", "patch"}:
                schema = body_schema(document, item[method])
                if schema is None or path.endswith("/logout"):
                    continue
                asked += 1
                body = json.dumps(dict.fromkeys(schema["properties"], value))
                url = path.replace("{", "").replace("}", "")
                answer = boss.client.open(
                    url,
                    method=method.upper(),
                    data=body,
                    content_type="application/json",
                    headers={"Authorization": f"Bearer {boss.token}"},
                )
                assert answer.status_code < 500, (path, answer.text)
                assert answer.status_code >= 400 or "\0" not in value, (path, answer.text)
                assert "Set-Cookie" not in answer.headers
        assert asked >= 10


def body_schema(document: Any, operation: Any) -> Any:
    """The schema of an operation's JSON body, if it takes texts."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    if "$ref" not in content["schema"]:
        return dict(content["schema"])
    name = content["schema"]["$ref"].rpartition("/")[2]
    return document["components"]["schemas"][name]


class TestMassAssignment:
    @pytest.mark.parametrize(
        "field",
        ["role", "tier", "permissions", "id", "passwordHash", "password_hash", "disabledAt", "plexId"],
    )
    def test_nobody_promotes_themselves(self, door: Door, ann: Person, field: str) -> None:
        for method, path in (("PATCH", "/users/me"), ("PUT", "/users/me")):
            answer = ann.request(method, path, json={"name": "Ann", field: "super_admin"})
            assert answer.status_code in {400, 404, 405}, answer.text
        login = {"email": ann.email, "password": PASSWORD, field: "super_admin"}
        refused(door.stranger().post(f"{API}/auth/login", json=login), 400, "VALIDATION_ERROR")

        with door.runtime.unit_of_work() as db:
            user = db.get_one(User, ann.id)
        assert (user.role, user.tier, user.id) == ("user", "standard", ann.id)


class TestPathsAndHeaders:
    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1//admin/queues",
            "//api/v1/admin/queues",
            "/api/v1/admin//queues",
            "/api/v1/./admin/queues",
            "/api/v1/auth/../admin/queues",
            "/api/v1/auth/%2e%2e/admin/queues",
            "/api/v1/admin/queues;jsessionid=1",
            "/api/v1/admin;/queues",
            "/api/v1/admin/queues/",
            "/api/v1/admin/queues%00",
            "/api/v1/admin/queues%2f",
            "/api/v1/ADMIN/queues",
            "/api/v1\\admin\\queues",
            "/api/api/v1/admin/queues",
            "/api/v1/api/v1/admin/queues",
            "/api/v1/admin/queues.json",
            "/api/v1/admin/queues%20",
            "/api/v1/docs/..%2f..%2f..%2fsetup.cfg",
            "/api/v1/docs/../../../setup.cfg",
            "/api/v1/docs//etc/passwd",
        ],
    )
    def test_no_spelling_of_a_path_goes_round_the_door(self, door: Door, ann: Person, path: str) -> None:
        for client in (door.stranger(), ann.client):
            headers = {} if client is not ann.client else {"Authorization": f"Bearer {ann.token}"}
            answer = client.get("/", environ_overrides={"PATH_INFO": path, "RAW_URI": path}, headers=headers)
            assert answer.status_code in {401, 403, 404}, answer.text

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Original-URL": "/api/v1/health"},
            {"X-Rewrite-URL": "/api/v1/health"},
            {"X-Forwarded-Prefix": "/health"},
            {"X-Forwarded-Host": "evil.example.com"},
            {"Forwarded": "for=127.0.0.1;host=evil.example.com"},
            {"X-Forwarded-For": "127.0.0.1"},
            {"X-Real-IP": "127.0.0.1"},
            {"X-User-Id": "1"},
            {"Remote-User": "admin"},
        ],
    )
    def test_no_header_of_a_proxy_opens_it(self, door: Door, headers: dict[str, str]) -> None:
        refused(door.stranger().get(f"{API}/admin/queues", headers=headers), 401, "UNAUTHORIZED")

    @pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
    def test_no_header_changes_the_method(self, door: Door, ann: Person, name: str) -> None:
        ann.get("/auth/sessions", headers={name: "DELETE"})
        refused(door.stranger().get(f"{API}/auth/login", headers={name: "POST"}), 405, "METHOD_NOT_ALLOWED")

        assert ann.get("/auth/session").status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example.com",
            "evil.example.com:80",
            "a\tb",
            "x" * 3000,
            "[::1",
            "",
            "127.0.0.1@evil.example.com",
        ],
    )
    def test_a_false_host_is_found_in_no_answer(self, door: Door, ann: Person, host: str) -> None:
        headers = {"Host": host, "Authorization": f"Bearer {ann.token}"}

        for path in ("/auth/session", "/docs", "/nothing", "/csrf/token"):
            answer = door.stranger().get(API + path, headers=headers)
            assert answer.status_code in {200, 400, 404}
            assert "evil" not in answer.text + str(answer.headers)

    @pytest.mark.parametrize(
        "value", ["a\r\nSet-Cookie: stolen=1", "a\nX: y", "a\rb", "\u2028", "x" * 129, "<script>"]
    )
    def test_what_is_echoed_is_checked(self, door: Door, value: str) -> None:
        environ = {
            "HTTP_X_CORRELATION_ID": value.encode().decode("latin-1"),
            "HTTP_ORIGIN": value.encode().decode("latin-1"),
        }

        answer = door.stranger().get("/health", environ_overrides=environ)

        assert answer.status_code == 200
        assert answer.headers["X-Correlation-ID"] != value
        assert "stolen" not in str(answer.headers)
        assert "Access-Control-Allow-Origin" not in answer.headers

    @pytest.mark.parametrize(
        "value",
        [
            "\x00",
            "x" * 5000,
            "\xff\xfe",
            "Bearer Bearer x",
            "bearer\tx",
            "Basic YTpi",
            "Digest x",
            "Bearer " + "a" * 8000,
        ],
    )
    def test_a_strange_authorization_is_nobodys(self, door: Door, value: str) -> None:
        answer = door.stranger().get("/api/v1/auth/session", environ_overrides={"HTTP_AUTHORIZATION": value})

        refused(answer, 401, "UNAUTHORIZED")

    def test_a_strange_device_is_written_down_harmlessly(self, door: Door, ann: Person) -> None:
        for agent in (
            "\x00",
            "<script>alert(1)</script>",
            "x" * 7000,
            "\xff\xfe",
            "\u202e".encode().decode("latin-1"),
        ):
            body = {"email": ann.email, "password": PASSWORD}
            answer = door.stranger().post(
                f"{API}/auth/login", json=body, environ_overrides={"HTTP_USER_AGENT": agent}
            )
            assert answer.status_code == 200, answer.text

        devices = data_of(ann.get("/auth/sessions"))["items"]
        assert len(devices) == 6
        assert all(len(each["userAgent"] or "") <= 400 for each in devices)


def test_a_disabled_account_takes_its_session_along_everywhere(door: Door) -> None:
    ann = door.person()
    with door.runtime.unit_of_work() as db:
        db.execute(update(User).where(User.id == ann.id).values(disabled_at=func.now()))

    for path in ("/auth/session", "/auth/sessions", "/youtube/downloads", "/csrf/stats"):
        refused(ann.get(path), 401, "UNAUTHORIZED")
    refused(ann.post("/auth/ws-ticket"), 401, "UNAUTHORIZED")
