"""What a server says of itself is read although one of its texts is no Unicode, in JSON and in XML."""

from __future__ import annotations

import pytest

from engine.clients.plex.answers import fields
from engine.clients.plex.errors import PlexGarbled
from engine.clients.plex.identity import identity_of

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"MediaContainer": {"machineIdentifier": "abc", "friendlyName": "caf\xe9"}}', "caf\ufffd"),
        (b'\xef\xbb\xbf{"MediaContainer": {"machineIdentifier": "abc", "friendlyName": "x"}}', "x"),
        (rb'{"MediaContainer": {"machineIdentifier": "abc", "friendlyName": "\ud83d"}}', "\ufffd"),
        (HEAD + b'<MediaContainer machineIdentifier="abc" friendlyName="caf\xe9"/>', "caf\ufffd"),
        (b"\xef\xbb\xbf" + HEAD + b'<MediaContainer machineIdentifier="abc" friendlyName="x"/>', "x"),
        (
            b'<!-- hello --><MediaContainer machineIdentifier="abc" friendlyName="a\x01b\x00"/>',
            "a\ufffdb\ufffd",
        ),
        (
            b'<MediaContainer machineIdentifier="abc" friendlyName="&#0;&#x1F;&#xD83D;&#65;"/>',
            "\ufffd\ufffd\ufffdA",
        ),
    ],
)
def test_one_bad_text_costs_itself(body: bytes, name: str) -> None:
    assert identity_of(body).machine_identifier == "abc"
    assert fields(body)["friendlyName"] == name


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><MediaContainer machineIdentifier="&b;"/>',
        b"{",
        b"[1]",
    ],
)
def test_what_is_no_answer_is_none(body: bytes) -> None:
    with pytest.raises(PlexGarbled):
        identity_of(body)
