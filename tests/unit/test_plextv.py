"""What plex.tv and a Plex server answer, as it was recorded, and as it might go wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clients.plex import identity as plex
from engine.clients.plex import tv, tv_answers
from engine.clients.plex.errors import PlexGarbled
from engine.clients.plex.http import plain
from engine.clients.plex.tv_answers import Servers, UsableServer

Recorded = Callable[[str], Any]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture
def recorded(fixtures: Callable[[str], Path]) -> Recorded:
    return lambda name: json.loads(fixtures(f"plextv/{name}").read_text())


def test_a_new_pin(recorded: Recorded) -> None:
    for name in ("pins_new.json", "spec_examples/pins_create_201.json"):
        said = recorded(name)
        pin = tv_answers.pin_of(said)

        assert (pin.id, pin.code, pin.expires_in) == (str(said["id"]), said["code"], said["expiresIn"])
        assert pin.expires_at == datetime.fromisoformat(said["expiresAt"])
        assert pin.expires_at.tzinfo == UTC
        assert tv_answers.token_of(said) is None


def test_a_claimed_pin(recorded: Recorded) -> None:
    said = recorded("pins_linked.json")
    assert said["authToken"]
    assert tv_answers.token_of(said) == said["authToken"]


def test_accounts(recorded: Recorded) -> None:
    for name in ("user_plexpass.json", "user_free.json", "spec_examples/user_example.json"):
        said = recorded(name)
        found = tv_answers.account_of(said)

        assert (found.id, found.username) == (str(said["id"]), said["username"])
        assert (found.title, found.email, found.avatar) == (said["title"], said["email"], said["thumb"])


def test_servers(recorded: Recorded) -> None:
    said = recorded("resources.json")
    servers = [each for each in said if each["product"] == "Plex Media Server"]
    assert servers
    assert tv_answers.servers_of(said) == Servers(
        [UsableServer(each["clientIdentifier"], owned=each["owned"]) for each in servers]
    )
    assert tv_answers.servers_of([]) == Servers([])


def test_a_list_of_which_nothing_can_be_read_is_not_an_empty_one(recorded: Recorded) -> None:
    assert not tv_answers.servers_of(recorded("spec_examples/resources_example.json")).whole


@pytest.mark.parametrize(
    "odd", [None, "x", {}, {"provides": "server"}, {"provides": 5, "clientIdentifier": "ours"}]
)
def test_an_entry_that_can_not_be_read_may_be_any_server(odd: object) -> None:
    read = {"provides": "server", "clientIdentifier": "theirs"}
    assert tv_answers.servers_of([read, odd]) == Servers([UsableServer("theirs", owned=False)], whole=False)


@pytest.mark.parametrize("name", ["user_401.json", "pins_get_404.json", "pins_create_400.json"])
def test_an_error_is_neither_a_pin_nor_an_account(recorded: Recorded, name: str) -> None:
    for parse in (tv_answers.pin_of, tv_answers.account_of, tv_answers.servers_of):
        with pytest.raises(PlexGarbled):
            parse(recorded(f"spec_examples/{name}"))


@pytest.mark.parametrize(
    "change",
    [
        {"id": None}, {"id": True}, {"id": -1}, {"id": "../user"}, {"id": "1" * 30}, {"code": None},
        {"code": "a b"}, {"code": ""}, {"code": "é"}, {"expiresIn": None}, {"expiresIn": 0}, {"expiresIn": "900"},
        {"expiresIn": 10**12}, {"expiresAt": None}, {"expiresAt": "soon"}, {"expiresAt": 5},
    ],
    ids=str,
)  # fmt: skip
def test_an_odd_pin_is_refused(change: dict[str, Any]) -> None:
    good = {"id": 1, "code": "ABCD", "expiresIn": 900, "expiresAt": "2022-02-01T00:15:00Z"}
    tv_answers.pin_of(good)

    with pytest.raises(PlexGarbled):
        tv_answers.pin_of(good | change)


@pytest.mark.parametrize("token", [5, {"a": 1}, "a\r\nX-Other: b", "with space", "ü", "x" * 5000, True])
def test_a_token_that_no_header_can_carry_is_refused(token: object) -> None:
    with pytest.raises(PlexGarbled):
        tv_answers.token_of({"authToken": token})


@given(JSON)
def test_whatever_comes_is_read_or_refused(document: Any) -> None:
    for parse in (tv_answers.pin_of, tv_answers.token_of, tv_answers.account_of, tv_answers.servers_of):
        try:
            parse(document)
        except PlexGarbled:
            continue


@given(
    st.fixed_dictionaries(
        {"id": st.integers(1)}, optional=dict.fromkeys(("username", "title", "email", "thumb"), JSON)
    )
)
def test_an_account_has_names_that_can_be_stored(document: dict[str, Any]) -> None:
    account = tv_answers.account_of(document)

    assert account.username
    assert account.title
    for text in (account.username, account.title, account.email or "", account.avatar or ""):
        assert text.isprintable()
        assert len(text) <= 1000


def test_a_managed_member_of_a_home_has_only_a_title() -> None:
    account = tv_answers.account_of({"id": 7, "username": "", "title": "Kid", "email": "", "thumb": ""})

    assert (account.username, account.email, account.avatar) == ("Kid", None, None)


def test_where_the_pin_is_claimed() -> None:
    assert tv.link_url("7RQZ") == "https://plex.tv/link/?pin=7RQZ"
    assert tv.auth_url("our-id", "abc", "https://media.example/a?b=1") == (
        "https://app.plex.tv/auth#?clientID=our-id&code=abc&context%5Bdevice%5D%5Bproduct%5D=MediaNest"
        "&forwardUrl=https%3A%2F%2Fmedia.example%2Fa%3Fb%3D1"
    )


@given(st.text())
def test_a_device_name_fits_into_a_header(name: str) -> None:
    assert plain(name).isascii()
    assert plain(name).isprintable()


def test_a_servers_identity(fixtures: Callable[[str], Path]) -> None:
    body = fixtures("plex/spec_examples/get-server-identity_get_200.json").read_bytes()

    machine = json.loads(body)["MediaContainer"]["machineIdentifier"]
    assert machine
    assert plex.identity_of(body) == plex.ServerIdentity(machine, claimed=True)

    in_xml = (
        b'<?xml version="1.0"?><MediaContainer size="0" claimed="0" machineIdentifier="abc" version="1"/>'
    )
    assert plex.identity_of(in_xml) == plex.ServerIdentity("abc", claimed=False)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b'{"MediaContainer": 5}', b'{"MediaContainer": {"machineIdentifier": 5}}',
        b"<html>", b"<html></html>", b'<MediaContainer machineIdentifier=""/>', b"\xff\xfe",
        b'<!DOCTYPE a [<!ENTITY b "c">]><MediaContainer machineIdentifier="&b;"/>',
    ],
)  # fmt: skip
def test_no_identity(body: bytes) -> None:
    with pytest.raises(PlexGarbled):
        plex.identity_of(body)
