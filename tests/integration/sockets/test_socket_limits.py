"""How many sockets one may hold, how often they may open one, and what is left for others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import websocket
from house import House, Person, opened_house
from sqlalchemy import func, select
from stack import eventually

from models.audit import AuditEntry
from models.base import new_id

ADDRESS_LIMIT, USER_LIMIT = 20, 50
PLACES = 27  # of a process that may open few files: a third of them for people who are signed in


@pytest.fixture
def house(postgres: str, short_tmp: Path) -> Iterator[House]:
    """One for each test, because what a test fills stays full."""
    with opened_house(postgres, short_tmp / new_id("places").replace("-", "").lower()) as house:
        yield house
        for each in house.sockets:
            each.shutdown()


@pytest.fixture
def counting_house(postgres: str, short_tmp: Path) -> Iterator[House]:
    limits = {"RATE_LIMIT_ENABLED": "true", "RATE_LIMIT_ANONYMOUS": "5/min", "RATE_LIMIT_USER": "6/min"}
    with opened_house(postgres, short_tmp / new_id("knocks").replace("-", "").lower(), **limits) as house:
        yield house
        for each in house.sockets:
            each.shutdown()


def knock(
    house: House, path: str, person: Person | None = None, **options: object
) -> tuple[int, dict[str, str]]:
    """The status of a handshake, and its headers where it was refused; a refusal has the form of all errors."""
    try:
        house.open(path, person, **options)
    except websocket.WebSocketBadStatusException as error:
        refused = error
    else:
        return 101, {}
    assert json.loads(refused.resp_body)["success"] is False
    return refused.status_code, dict(refused.resp_headers)


def test_an_address_has_its_share_and_leaves_the_rest(house: House) -> None:
    held = [house.listen("/ws") for _ in range(ADDRESS_LIMIT)]
    status, headers = knock(house, "/ws")
    assert (status, headers["retry-after"]) == (429, "30")
    ann = house.person()
    house.listen("/ws/media", ann)

    held.pop().shutdown()
    eventually(lambda: knock(house, "/ws")[0] == 101)


def test_a_user_has_one_share_by_whatever_proof_they_sign_in(house: House) -> None:
    ann, bob = house.person(), house.person()
    for _ in range(USER_LIMIT):
        house.open("/ws/media", ann)
    assert knock(house, "/ws/authenticated", ann)[0] == 429
    cookie = {"cookie": f"medianest_access={ann.token}", "origin": house.stack.url}
    assert knock(house, "/ws/media", **cookie)[0] == 429
    house.listen("/ws/media", bob)


def test_a_handshake_that_fails_keeps_no_place(house: House) -> None:
    for _ in range(2 * ADDRESS_LIMIT):
        assert knock(house, "/ws", header=["Sec-WebSocket-Version: 7"])[0] in {400, 426}
    house.listen("/ws")


def test_what_is_left_is_kept_for_those_who_are_signed_in(house: House) -> None:
    (worker,) = house.stack.pool_children("web")
    files = PLACES + 200
    worker.rlimit(psutil.RLIMIT_NOFILE, (files, files))
    people = [house.person() for _ in range(2)]

    for _ in range(PLACES - PLACES // 3):
        house.open("/ws")
    for _ in range(5):
        status, headers = knock(house, "/ws")
        assert (status, headers["retry-after"]) == (503, "5")
    for number in range(PLACES // 3):
        house.listen("/ws/media", people[number % 2])
    assert knock(house, "/ws/media", people[0])[0] == 503

    lines = [line for line in house.stack.log("web").splitlines() if "sockets.full" in line]
    assert len(lines) == 1
    assert "request.refused" not in house.stack.log("web")


def test_a_stranger_may_open_sockets_as_often_as_they_may_ask(counting_house: House) -> None:
    house = counting_house
    wrong = (
        {"path": "/ws/media?ticket=" + "x" * 43},
        {"path": "/ws/media", "header": ["X-Api-Key: mn_" + "x" * 43]},
        {"path": "/ws/media", "header": ["Authorization: Bearer x"]},
        {"path": "/ws/media"},
    )
    statuses = []
    for number in range(8):
        options = dict(wrong[number % 4])
        status, headers = knock(house, str(options.pop("path")), **options)
        statuses.append(status)
        assert headers["x-ratelimit-limit"] == "5"
    assert statuses == [401] * 5 + [429] * 3
    assert headers["x-ratelimit-remaining"] == "0"
    assert int(headers["retry-after"]) > 0
    assert knock(house, "/ws")[0] == 429

    house.listen("/ws/media", house.person())  # from the same address, but known


def test_denials_that_are_written_down_are_bounded(counting_house: House) -> None:
    house = counting_house
    ann = house.person()
    assert [knock(house, "/ws/admin", ann)[0] for _ in range(10)] == [403] * 6 + [429] * 4
    with house.runtime.reading() as db:
        denied = select(func.count()).where(
            AuditEntry.action == "access.denied", AuditEntry.actor_id == ann.id
        )
        assert db.scalar(denied) == 6
