"""Webhooks whose texts are not what JSON allows: the event is kept, the text pays. And addresses with a slash too much."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from door import Door
from webhook_forms import form, plex_path

from engine.webhooks import secrets
from models.webhook import Webhook

BAD: list[tuple[bytes, Any]] = [
    (b"caf\xe9.mkv", "caf\ufffd.mkv"),
    (rb"half \ud83d", "half \ufffd"),
    (b"two\nlines", "two\nlines"),
    (rb"nul\u0000", "nul"),
    (b"nul\0", "nul"),
]
FORMS = ["multipart", "attached", "one line", "raw line", "json"]


def request(how: str, said: bytes) -> dict[str, Any]:
    """A message as senders put it."""
    head = b'Content-Disposition: form-data; name="payload"; filename="payload.json"'
    plain = "application/x-www-form-urlencoded"
    match how:
        case "multipart":
            return form(said)
        case "attached":
            body = (
                b"--xyz\r\n"
                + head
                + b"\r\nContent-Type: application/json\r\n\r\n"
                + said
                + b"\r\n--xyz--\r\n"
            )
            return {"data": body, "content_type": "multipart/form-data; boundary=xyz"}
        case "one line":
            return {"data": f"payload={quote_from_bytes(said)}", "content_type": plain}
        case "raw line":
            return {"data": b"payload=" + said.replace(b"\n", b"%0A"), "content_type": plain}
    return {"data": said, "content_type": "application/json"}


def kept(door: Door, answer: Any) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    with door.runtime.reading() as db:
        row = db.get_one(Webhook, answer.json["data"]["id"])
    assert row.event == "media.play"
    return row.payload


@pytest.mark.parametrize("how", FORMS)
def test_the_event_is_kept_and_the_text_pays(own_door: Door, how: str) -> None:
    for number, (raw, text) in enumerate(BAD):
        title = b'"Metadata": {"title": "' + raw + b'", "index": NaN, "year": %d}}' % number
        said = b'\xef\xbb\xbf{"event": "media.play", ' + title

        answer = own_door.stranger().post(plex_path(own_door), **request(how, said))

        assert kept(own_door, answer)["Metadata"] == {"title": text, "index": None, "year": number}


def test_what_is_nested_too_deeply_is_left_out_of_an_event(own_door: Door) -> None:
    for depth in (300, 1000, 3000):
        deep = (
            b'{"event": "media.play", "a":' + b'{"a":' * depth + b"1" + b"}" * depth + b', "b": %d}' % depth
        )

        answer = own_door.stranger().post(plex_path(own_door), **form(deep))

        assert kept(own_door, answer)["b"] == depth


def test_a_slash_behind_an_address_is_overlooked(own_door: Door) -> None:
    said = form({"event": "media.play"})
    assert own_door.stranger().post(plex_path(own_door) + "/", **said).status_code == 200
    with own_door.runtime.unit_of_work() as db:
        header = secrets.overseerr_authorization(db, own_door.runtime.settings)
    for path in ("overseerr/", "nobody/"):
        answer = own_door.stranger().post(
            f"/api/v1/webhooks/{path}", json={}, headers={"Authorization": header}
        )
        assert answer.status_code == (200 if path == "overseerr/" else 401)
    assert own_door.stranger().post(plex_path(own_door) + "x/", **said).status_code == 401
