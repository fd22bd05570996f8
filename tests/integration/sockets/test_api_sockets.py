"""Who gets a socket, by which proof, and how it ends with the right to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import websocket
from house import House, Person, farewell
from sqlalchemy import func, select, update

from api.sockets.endpoints import NAMESPACES
from engine.identity import api_keys, credentials, sessions, socket_tickets
from engine.permissions import ROLES, Permission, permissions_of
from models.api_key import ApiKey
from models.audit import AuditEntry
from models.socket_ticket import SocketTicket
from models.user import User

NOBODY = (401, "UNAUTHORIZED")


def ticket_of(house: House, **headers: str) -> str:
    answer = requests.post(f"{house.stack.url}/api/v1/auth/ws-ticket", headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"]["expiresIn"] == 30
    return str(answer.json()["data"]["ticket"])


def ticket_for(house: House, person: Person) -> str:
    return ticket_of(house, Authorization=f"Bearer {person.token}")


def key_of(house: House, person: Person, *permissions: Permission) -> tuple[str, str]:
    """An API key of somebody: its id and its text."""
    with house.runtime.unit_of_work() as db:
        owner = sessions.find(db, person.login_id)
        assert owner is not None
        row, text = api_keys.create(db, owner, name="program", permissions=permissions)
    return row.id, text


def status_of(open_socket: Callable[[], websocket.WebSocket]) -> int:
    """101, or what the handshake is refused with."""
    try:
        open_socket().shutdown()
    except websocket.WebSocketBadStatusException as refused:
        return int(refused.status_code)
    return 101


# What each may open, to be read as a table.
OPENED = {
    None: {"/ws"},
    "guest": {"/ws", "/ws/authenticated", "/ws/media"},
    "user": {"/ws", "/ws/authenticated", "/ws/media", "/ws/system"},
    "admin": {"/ws", "/ws/authenticated", "/ws/media", "/ws/system", "/ws/admin"},
    "super_admin": {"/ws", "/ws/authenticated", "/ws/media", "/ws/system", "/ws/admin"},
}


@pytest.mark.parametrize("role", [None, *ROLES])
@pytest.mark.parametrize("proof", ["bearer", "cookie", "key", "ticket"])
def test_each_path_opens_for_whom_it_should_by_every_proof(house: House, role: str, proof: str) -> None:
    person = house.person(role) if role else None
    key = key_of(house, person, *permissions_of(role))[1] if person and proof == "key" else ""

    def ask(path: str) -> int:
        options: dict[str, Any] = {}
        if person is not None and proof == "bearer":
            options["header"] = [f"Authorization: Bearer {person.token}"]
        elif person is not None and proof == "cookie":
            options = {"cookie": f"medianest_access={person.token}", "origin": house.stack.url}
        elif proof == "key":
            options["header"] = [f"X-Api-Key: {key}"]
        elif person is not None:
            path += f"?ticket={ticket_for(house, person)}"
        return status_of(lambda: house.open(path, **options))

    refusal = 403 if person else 401
    assert {path: ask(path) for path in NAMESPACES} == {
        path: 101 if path in OPENED[role] else refusal for path in NAMESPACES
    }


def test_a_key_opens_what_it_was_made_for_and_no_more(house: House) -> None:
    _, key = key_of(house, house.person("admin"), Permission.MEDIA_READ)

    house.listen("/ws/media", header=[f"X-Api-Key: {key}"])

    for path in ("/ws/authenticated", "/ws/system", "/ws/admin"):
        assert house.refused(path, header=[f"X-Api-Key: {key}"]) == (403, "FORBIDDEN")


def test_a_key_with_few_permissions_of_an_admin_hears_its_own_only(house: House) -> None:
    admin, ann = house.person("admin"), house.person()
    _, key = key_of(house, admin, Permission.MEDIA_READ, Permission.MEDIA_REQUEST)
    ws = house.listen("/ws/media", header=[f"X-Api-Key: {key}"])

    house.tell("download:completed", ann, id="dl-of-ann")
    house.tell("download:completed", admin, id="dl-of-admin")

    assert "dl-of-admin" in ws.recv()


def test_a_ticket_opens_one_socket(house: House) -> None:
    ticket = ticket_for(house, house.person())

    house.listen(f"/ws/media?ticket={ticket}")

    assert house.refused(f"/ws/media?ticket={ticket}") == NOBODY


def test_fifty_at_once_with_one_ticket_open_one_socket(house: House) -> None:
    ticket = ticket_for(house, house.person())

    with ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(status_of, lambda: house.open(f"/ws/media?ticket={ticket}")) for _ in range(50)]
        answers = sorted(each.result() for each in asked)

    assert answers == [101] + [401] * 49


def test_a_ticket_is_used_up_by_a_path_it_does_not_open(house: House) -> None:
    ticket = ticket_for(house, house.person())

    assert house.refused(f"/ws/admin?ticket={ticket}") == (403, "FORBIDDEN")

    assert house.refused(f"/ws/media?ticket={ticket}") == NOBODY


def test_a_ticket_decides_alone(house: House) -> None:
    ann = house.person()
    bearer = [f"Authorization: Bearer {ann.token}"]

    assert house.refused("/ws/media?ticket=", header=bearer) == NOBODY
    assert house.refused(f"/ws/media?ticket={'x' * 43}", header=bearer) == NOBODY
    assert house.refused("/ws/media?ticket=%00%ed%a0%80", header=bearer) == NOBODY


@pytest.mark.parametrize("how", ["expired", "signed out", "disabled", "key revoked"])
def test_a_ticket_that_holds_no_longer_opens_nothing(house: House, how: str) -> None:
    ann = house.person()
    if how == "key revoked":
        key_id, key = key_of(house, ann, Permission.PROFILE_READ, Permission.MEDIA_READ)
        ticket = ticket_of(house, **{"X-Api-Key": key})
    else:
        ticket = ticket_for(house, ann)
    with house.runtime.unit_of_work() as db:
        if how == "expired":
            past = func.clock_timestamp() - socket_tickets.LIFE
            db.execute(update(SocketTicket).values(expires_at=past))
        elif how == "signed out":
            sessions.revoke(db, ann.login_id, user_id=ann.id)
        elif how == "disabled":
            db.execute(update(User).where(User.id == ann.id).values(disabled_at=func.now()))
        else:
            api_keys.revoke(db, key_id, user_id=ann.id)

    assert house.refused(f"/ws/media?ticket={ticket}") == NOBODY


def test_a_ticket_has_no_more_rights_than_the_key_it_was_made_with(house: House) -> None:
    admin = house.person("admin")
    _, key = key_of(house, admin, Permission.PROFILE_READ)

    assert house.refused(f"/ws/admin?ticket={ticket_of(house, **{'X-Api-Key': key})}") == (403, "FORBIDDEN")
    house.listen(f"/ws/authenticated?ticket={ticket_of(house, **{'X-Api-Key': key})}")


def test_a_ticket_is_neither_stored_nor_logged(house: House) -> None:
    ticket = ticket_for(house, house.person())

    house.listen(f"/ws/media?ticket={ticket}")
    unused = ticket_for(house, house.person())
    house.refused(f"/ws/admin?ticket={ticket}")

    with house.runtime.unit_of_work() as db:
        stored = " ".join(db.scalars(select(SocketTicket.ticket_hash)))
    for text in (ticket, unused):
        assert text not in stored
        assert text not in house.stack.log("web")


def test_tickets_that_nobody_used_are_dropped(house: House) -> None:
    with house.runtime.unit_of_work() as db:
        db.execute(update(SocketTicket).values(expires_at=func.now() - socket_tickets.LIFE))
    fresh = ticket_for(house, house.person())

    with house.runtime.unit_of_work() as db:
        socket_tickets.forget_old(db)
        assert db.scalar(select(func.count()).select_from(SocketTicket)) == 1
    house.listen(f"/ws/media?ticket={fresh}")


@pytest.mark.parametrize("why", ["permission", "origin"])
def test_a_denial_is_in_the_audit_log(house: House, why: str) -> None:
    ann = house.person()

    if why == "permission":
        house.refused("/ws/admin", header=[f"Authorization: Bearer {ann.token}"])
    else:
        cookie = f"medianest_access={ann.token}"
        house.refused("/ws/media", cookie=cookie, origin="https://evil.example.com")

    with house.runtime.unit_of_work() as db:
        entry = db.scalars(select(AuditEntry).where(AuditEntry.actor_id == ann.id)).one()
    assert (entry.action, entry.outcome) == ("access.denied", "denied")
    assert entry.details is not None
    assert entry.details["path"] == ("/ws/admin" if why == "permission" else "/ws/media")


@pytest.mark.parametrize(
    "how", ["revoked", "expired", "owner disabled", "owner demoted", "fewer permissions"]
)
@pytest.mark.parametrize("by_ticket", [False, True])
def test_a_key_that_ends_takes_its_sockets_along(house: House, how: str, by_ticket: bool) -> None:
    admin, ben = house.person("admin"), house.person()
    key_id, key = key_of(house, admin, Permission.PROFILE_READ, Permission.REQUESTS_MANAGE)
    _, others = key_of(house, ben, Permission.PROFILE_READ, Permission.MEDIA_REQUEST)
    path = "/ws/authenticated"
    if by_ticket:
        ws = house.listen(f"{path}?ticket={ticket_of(house, **{'X-Api-Key': key})}")
    else:
        ws = house.listen(path, header=[f"X-Api-Key: {key}"])
    unharmed = house.listen(path, header=[f"X-Api-Key: {others}"])

    with house.runtime.unit_of_work() as db:
        if how == "revoked":
            api_keys.revoke(db, key_id, user_id=admin.id)
        elif how == "expired":
            db.execute(update(ApiKey).where(ApiKey.id == key_id).values(expires_at=func.now()))
        elif how == "owner disabled":
            db.execute(update(User).where(User.id == admin.id).values(disabled_at=func.now()))
        elif how == "owner demoted":
            db.execute(update(User).where(User.id == admin.id).values(role="user"))
        else:
            fewer = [Permission.PROFILE_READ.value]
            db.execute(update(ApiKey).where(ApiKey.id == key_id).values(permissions=fewer))

    begin = time.monotonic()
    assert farewell(ws) == 4401
    assert time.monotonic() - begin < 5
    house.tell("download:completed", ben, id="dl-1")
    assert "dl-1" in unharmed.recv()


def test_what_a_credential_may_is_asked_of_keys_and_sessions_alike(house: House) -> None:
    ann = house.person("admin")
    key_id, _ = key_of(house, ann, Permission.MEDIA_READ)

    with house.runtime.reading() as db:
        found = credentials.identities(db, [key_id, ann.login_id, "key-0", "ses-0"])

    assert set(found) == {key_id, ann.login_id}
    assert found[key_id].permissions == {Permission.MEDIA_READ}
    assert found[ann.login_id].permissions == permissions_of("admin")


@pytest.mark.parametrize("name", [b"\xff", b"\xc3\xbc", b"chat, \x80"])
def test_a_subprotocol_may_be_any_bytes_and_is_not_taken(house: House, name: bytes) -> None:
    place = urlsplit(house.stack.url)
    head = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + name + b"\r\n\r\n"
    )
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=20) as connection:
        connection.sendall(head)
        answer = connection.recv(4096)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-protocol" not in answer.lower()
