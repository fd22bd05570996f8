"""The API in this process, and people who talk to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from databases import databases_of
from factories import make_user
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from api.app import create_app
from api.security.authentication import issue_access_token
from api.security.csrf import csrf_token
from config.redis import make_redis
from config.settings import Settings
from engine.identity import passwords, sessions
from engine.identity.sessions import Device
from engine.runtime import Runtime

PASSWORD = "secure_password"
API = "/api/v1"


_builders: dict[Any, Any] = {}
_compile_builder = Rule._compile_builder


def _compile_builder_once(rule: Rule, append_unknown: bool = True) -> Any:
    """The code that builds the URLs of a route; the same for the same route of each application.

    To compile it is three quarters of what an application costs, and a test makes one or more.
    """
    key = (rule.rule, rule.subdomain, repr(rule.defaults), tuple(rule._trace), append_unknown)
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]


Rule._compile_builder = _compile_builder_once  # type: ignore[method-assign]


@dataclass
class Person:
    """Somebody with a bearer token."""

    client: FlaskClient
    id: str
    email: str
    token: str
    signed_in: dict[str, Any]

    def request(self, method: str, path: str, **kwargs: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", **kwargs.pop("headers", {})}
        return self.client.open(API + path, method=method, headers=headers, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("POST", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.request("DELETE", path, **kwargs)


class Door:
    """An application over a runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.app: Flask = create_app(runtime.settings, runtime)

    def browser(self) -> FlaskClient:
        """A client that keeps cookies."""
        return self.app.test_client()

    def stranger(self) -> FlaskClient:
        """A client that keeps none."""
        return self.app.test_client(use_cookies=False)

    def person(self, role: str = "user") -> Person:
        """Somebody new who has signed in; his password is `PASSWORD`."""
        settings = self.runtime.settings
        with self.runtime.unit_of_work() as db:
            user = make_user(db, role=role, password_hash=hashed_password())
            started = sessions.start(db, settings, user, remember_me=False, device=Device("test", None))
        with self.app.app_context():
            token = issue_access_token(started.login.id, user.id)
        proof = csrf_token(settings, started.login.id)
        data = {"token": token, "refreshToken": started.refresh_token, "csrfToken": proof}
        return Person(self.stranger(), user.id, user.email, token, data)

    def sign_in(self, email: str, **more: Any) -> Person:
        client = self.stranger()
        answer = client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD, **more})
        assert answer.status_code == 200, answer.text
        data = data_of(answer)
        return Person(client, data["user"]["id"], email, data["token"], data)


@contextmanager
def opened(settings: Settings, **changes: Any) -> Iterator[Door]:
    """A door with these settings; nobody hears its bell."""
    settings = dataclasses.replace(settings, **changes)
    runtime = Runtime(settings, make_redis(settings), lambda job: None)
    try:
        yield Door(runtime)
    finally:
        runtime.database.close()
        runtime.redis.close()


@contextmanager
def opened_once(postgres: str, folder: Path) -> Iterator[Door]:
    """A door for a whole module, with a database of its own and without Redis: most answers need none."""
    with databases_of(postgres).lent() as url:
        settings = Settings(
            app_env="development",
            data_dir=folder,
            download_dir=folder / "downloads",
            work_dir=folder / "work",
            database_url=url,
            redis_url=f"unix://{folder}/nobody-listens.sock",
            secret_key="s" * 48,
            download_allowed_hosts=("127.0.0.1",),
            download_allow_private_networks=True,
            rate_limit_enabled=False,
        )
        with opened(settings) as door:
            yield door


@cache
def hashed_password() -> str:
    return passwords.make_hash(PASSWORD)


def data_of(answer: TestResponse) -> Any:
    """The data of a success."""
    body = answer.get_json()
    assert set(body) == {"success", "data"}, body
    assert body["success"] is True
    assert answer.headers["X-Correlation-ID"]
    return body["data"]


def refused(answer: TestResponse, status: int, code: str) -> Mapping[str, Any]:
    """The error of a failure, checked for its shape."""
    body = answer.get_json()
    assert (answer.status_code, body["error"]["code"]) == (status, code), body
    assert set(body) == {"success", "error", "correlationId"}
    assert body["success"] is False
    assert body["correlationId"] == answer.headers["X-Correlation-ID"]
    assert set(body["error"]) == {"code", "message", "details"}
    assert isinstance(body["error"], dict)
    return body["error"]
