"""The API in this process, and people who talk to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from factories import make_user
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.app import create_app
from engine.accounts import passwords
from engine.runtime import Runtime

PASSWORD = "secure_password"
API = "/api/v1"


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
        """Somebody new who has signed in."""
        with self.runtime.unit_of_work() as db:
            user = make_user(db, role=role, password_hash=passwords.make_hash(PASSWORD))
        return self.sign_in(user.email)

    def sign_in(self, email: str, **more: Any) -> Person:
        client = self.stranger()
        answer = client.post(f"{API}/auth/login", json={"email": email, "password": PASSWORD, **more})
        assert answer.status_code == 200, answer.text
        data = data_of(answer)
        return Person(client, data["user"]["id"], email, data["token"], data)


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
