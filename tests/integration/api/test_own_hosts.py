"""The first administrator of a server without setup token: made only by an address of that server."""

from __future__ import annotations

from typing import Any

import psutil
import pytest
from door import API, Door, data_of, opened, refused

ADMIN = {"email": "admin@example.com", "name": "Admin", "password": "secure_password"}


pytestmark = pytest.mark.usefixtures("empty_users")


def ask(door: Door, host: str, origin: str | None = None, **more: Any) -> Any:
    headers = {"Host": host, **({"Origin": origin} if origin is not None else {})}
    return door.stranger().post(f"{API}/auth/admin", json=ADMIN | more, headers=headers)


def machine() -> str:
    """An address of this machine that is no loopback one."""
    found = [entry.address for entries in psutil.net_if_addrs().values() for entry in entries]
    others = [each for each in found if each.count(".") == 3 and not each.startswith("127.")]
    return others[0] if others else pytest.skip("this machine has a loopback address only")


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "evil.example:4000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "10.1.2.3",
        ),
        *("localhost@evil.example", "evil.example.", "[2001:db8::1]:4000", "127.0.0.1x"),
        "medianest",
    ],
)
def test_a_name_that_leads_here_by_chance_makes_nobody_admin(door: Door, host: str) -> None:
    for origin in (None, f"http://{host}", "null", "http://127.0.0.1:4000"):
        refused(ask(door, host, origin), 403, "FORBIDDEN")

    forwarded = {"Host": host, "X-Forwarded-Host": "localhost", "Forwarded": "host=localhost"}
    refused(door.stranger().post(f"{API}/auth/admin", json=ADMIN, headers=forwarded), 403, "FORBIDDEN")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:4000", "127.0.0.1:4000", "127.9.9.9", "[::1]:4000", "[::ffff:127.0.0.1]"]
)
def test_an_address_of_this_server_does(door: Door, host: str) -> None:
    assert ask(door, host, f"http://{host.lower()}").status_code == 201


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:9", "http://localhost.evil"]
)
def test_a_page_of_another_site_never_does(door: Door, origin: str) -> None:
    refused(ask(door, "localhost:4000", origin), 403, "FORBIDDEN")

    with opened(door.runtime.settings, app_env="production", setup_token="t" * 20) as production:
        refused(ask(production, "localhost:4000", origin, setupToken="t" * 20), 403, "FORBIDDEN")


def test_the_name_it_is_told_to_have_is_its_own(door: Door) -> None:
    names = {"public_url": "https://media.example.com", "frontend_url": ("https://front.example.com:8443",)}
    with opened(door.runtime.settings, **names) as named:
        refused(ask(named, "evil.example", "https://media.example.com"), 403, "FORBIDDEN")
        refused(ask(named, "media.example.com.evil.example"), 403, "FORBIDDEN")
        answer = ask(named, "media.example.com", "https://front.example.com:8443")

    assert data_of(answer)["user"]["role"] == "super_admin"


def test_so_are_the_machines_addresses_where_it_listens_on_all(door: Door) -> None:
    address = machine()
    refused(ask(door, address), 403, "FORBIDDEN")

    with opened(door.runtime.settings, host="0.0.0.0") as everywhere:
        refused(ask(everywhere, "10.255.255.1"), 403, "FORBIDDEN")
        assert ask(everywhere, f"{address}:4000").status_code == 201


def test_with_a_setup_token_any_name_will_do(door: Door) -> None:
    with opened(door.runtime.settings, app_env="production", setup_token="t" * 20) as production:
        answer = ask(production, "media.example.com", "https://media.example.com", setupToken="t" * 20)

    assert answer.status_code == 201
