"""What is odd about one entry, one part of a message or one account costs that, and neither a listing nor a message."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from door import Door, Person, data_of
from sqlalchemy import select, update
from webhook_forms import form, plex_path

from models.media import MediaItem
from models.plex_library import PlexSection
from models.user import User
from models.webhook import Webhook
from tests.integration.plex_people.test_plex_activity import SERVER, activities, ann, door, happened, said
from tests.integration.plex_sync.test_plex_one_bad_thing import FILMS, Rewritten, films, plex, spoil_listing

__all__ = ["ann", "door", "plex"]

PLAY = {
    "event": "media.play",
    "Account": {"id": 7, "title": "ann"},
    "Metadata": {"title": "Caf\xe9", "type": "movie"},
}


def without_type(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in rows[0].items() if name != "type"}, *rows[1:]]


@pytest.mark.parametrize("odd", [without_type, lambda rows: [rows[0], *rows]], ids=["no type", "twice"])
def test_a_library_with_one_odd_entry_is_whole(plex: Rewritten, odd: Any) -> None:
    gone = min(films(plex), key=lambda film: film.added_at)
    plex.library.remove(gone)

    def edit(container: dict[str, Any]) -> None:
        rows = container.get("Metadata") or []
        if len(rows) > 1 and int(container.get("offset") or 0) == 0:
            container["Metadata"] = odd(rows)
            if "totalSize" in container:
                container["totalSize"] += len(container["Metadata"]) - len(rows)

    plex.way.edits(FILMS, edit)
    run = plex.sync(full=True)
    line = plex.section(run, "Films")
    assert (run.status, line["complete"], line["deleted"]) == ("completed", True, 1)
    plex.in_step()


def test_an_odd_entry_of_a_list_costs_no_film_and_no_full_pass(plex: Rewritten) -> None:
    film = plex.library.add_film(1, "Heat", 1995)

    def odd(row: dict[str, Any]) -> dict[str, Any]:
        return {
            **row,
            "Genre": [None, *row.get("Genre", [])],
            "Guid": [None, 7],
            "Media": [None, *row["Media"]],
        }

    spoil_listing(plex, FILMS, {film.rating_key: odd})
    run = plex.sync()
    assert (run.counts["created"], plex.section(run, "Films")["mode"]) == (1, "incremental")
    assert film.rating_key in plex.ids()


def test_what_was_ahead_of_time_is_read_once_its_time_has_come(
    plex: Rewritten, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = int(time.time()) + 10 * 86_400
    film = plex.library.add_film(1, "Heat", 1995, added_at=ahead)

    def added() -> Any:
        with plex.runtime.reading() as db:
            return db.scalars(select(MediaItem.added_at).where(MediaItem.rating_key == film.rating_key)).one()

    for _ in range(2):
        plex.sync(full=True)
        assert added() is None
    monkeypatch.setattr("engine.plex.answers.parsing.time", lambda: float(ahead))
    plex.sync(full=True)
    assert int(added().timestamp()) == ahead


@pytest.mark.parametrize(
    ("told", "hidden"), [("0", False), ("1", True), (0, False), (2, True), (None, False)]
)
def test_a_library_is_hidden_by_a_number(plex: Rewritten, told: Any, hidden: bool) -> None:
    plex.way.edits("/library/sections", lambda container: container["Directory"][0].update(hidden=told))
    plex.sync()
    with plex.runtime.reading() as db:
        assert db.scalars(select(PlexSection.hidden).where(PlexSection.key == "1")).one() is hidden


# Webhooks


def payload_of(door: Door, body: bytes, boundary: str = "xyz") -> Any:
    sent = {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}
    answer = door.stranger().post(plex_path(door), **sent)
    assert answer.status_code == 200, answer.text
    with door.runtime.reading() as db:
        return db.get(Webhook, data_of(answer)["id"]).payload  # type: ignore[union-attr]


SAID = json.dumps(PLAY, ensure_ascii=False)
WHOLE: bytes = form(SAID.encode(), thumb=b"\xff\xd8\r\n--xy\r\n" + bytes(500))["data"]
FIRST = WHOLE.index(b"--xyz", 5)
BODIES = {
    "a name in Latin-1": WHOLE.replace(b"thumb.jpg", b"caf\xe9.jpg"),
    "cut inside the thumb": WHOLE[:-300],
    "cut inside the head of the thumb": WHOLE[: FIRST + 30],
    "the thumb first": WHOLE[FIRST:].removesuffix(b"--\r\n") + b"\r\n" + WHOLE[5:FIRST] + b"--xyz--\r\n",
    "lines that end in LF": form(SAID.encode())["data"].replace(b"\r\n", b"\n"),
    "a folded head": form(SAID.encode())["data"].replace(b"form-data; ", b"form-data;\r\n "),
    **{
        name: form(SAID.encode(name), thumb=b"x")["data"]
        for name in ("utf-16", "utf-16-le", "utf-32", "utf-8-sig")
    },
    "Latin-1": form(SAID.encode("latin-1"))["data"].replace(
        b'"payload"', b'"payload"\r\nContent-Type: text/plain; charset=iso-8859-1'
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_odd_beside_the_payload_costs_no_message(door: Door, name: str) -> None:
    assert payload_of(door, BODIES[name]) == PLAY


def test_a_form_of_borders_takes_no_time(door: Door) -> None:
    began = time.monotonic()
    for junk in (
        b"\r\n--xyz" * 700_000,
        b"\n" * 5_000_000,
        b"\r\n--xyz" + b" " * 5_000_000,
        b"--xyz\r\n" + b"a:\r\n " * 999_000,
    ):
        sent = {"data": junk, "content_type": "multipart/form-data; boundary=xyz"}
        assert door.stranger().post(plex_path(door), **sent).status_code == 400
    assert time.monotonic() - began < 30


# People


def test_without_an_id_the_name_of_one_account_is_enough(door: Door, ann: Person) -> None:
    with door.runtime.unit_of_work() as db:
        db.execute(update(User).where(User.id == ann.id).values(plex_server_id=SERVER, plex_owner=False))
    happened(door, said("play", account=None))
    happened(door, said("pause", account=1))
    assert {row.event: row.user_id for row in activities(door)} == {"play": ann.id, "pause": None}
