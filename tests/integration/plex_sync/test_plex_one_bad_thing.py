"""One bad library, item, row, text or page costs itself: all else is in step, and nothing is taken for deleted."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from factories import make_user
from sqlalchemy import select, text
from syncing import Syncing, catalogue, connect, expected

from engine.runtime import Runtime
from models.media import MediaItem
from models.notification import Notification
from models.plex_library import PlexCollection, PlexSection, PlexServer
from tests.fakes.plex_server import PlexDouble, populate
from tests.fakes.plex_server.rewriting import Rewriter, rewriting

FILMS, SHOWS = "/library/sections/1/all", "/library/sections/2/all"


class Rewritten(Syncing):
    """Syncs with a double whose answers are changed on their way."""

    def __init__(self, runtime: Runtime, way: Rewriter) -> None:
        super().__init__(runtime, way.plex)
        self.way = way

    def in_step_but_for(self, *keys: str) -> None:
        """All but these items are as in Plex."""
        ours, theirs = catalogue(self.runtime), expected(self.library)
        assert {key: row for key, row in ours.items() if key not in keys} == {
            key: row for key, row in theirs.items() if key not in keys
        }

    def shown(self) -> dict[str, bool]:
        """The libraries, and whether each is there."""
        with self.runtime.reading() as db:
            return {
                title: gone is None
                for title, gone in db.execute(select(PlexSection.title, PlexSection.gone_at))
            }


@pytest.fixture
def plex(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rewritten]:
    """Seventy films and a show, in step; pages of 15."""
    monkeypatch.setattr("engine.clients.plex.library.PAGE", 15)
    monkeypatch.setattr("engine.clients.plex.http._PAUSE_SECONDS", 0.01)  # before a question is asked again
    with PlexDouble() as double, rewriting(double) as way:
        populate(double.library, films=70, shows=1, episodes_per_show=12)
        with runtime.unit_of_work() as db:
            connect(db, runtime.settings, way)  # type: ignore[arg-type]
        made = Rewritten(runtime, way)
        assert made.sync().status == "completed"
        made.in_step()
        yield made


def films(plex: Syncing) -> list[Any]:
    return plex.library.section(1).of("movie")


# Libraries

LONG = [pytest.mark.long]
SECTION_FAILURES = [
    (500, "<html>500</html>"),
    (404, "<html>404</html>"),
    (200, "<html>busy</html>"),
    pytest.param(403, "<html>no</html>", marks=LONG),
    pytest.param(400, "?", marks=LONG),
    pytest.param(302, "", marks=LONG),
    pytest.param(200, "{", marks=LONG),
    pytest.param(200, '{"MediaContainer": 7}', marks=LONG),
]


@pytest.mark.parametrize(("status", "body"), SECTION_FAILURES)
def test_a_library_that_fails_costs_itself(plex: Rewritten, status: int, body: str) -> None:
    with plex.runtime.unit_of_work() as db:
        admin = make_user(db, role="admin").id
    before = plex.ids()
    plex.way.answers(FILMS, status, body)
    plex.library.remove(films(plex)[0])
    new = plex.library.add_show(2, "New show", 2020)
    plex.library.add_episode(new, 1, 1, "Pilot")

    run = plex.start(full=True)
    plex.attempt()

    now = plex.row(run.id)
    assert now.status == "queued", "it is tried again"
    assert plex.id_of(new), "and the other library is in step already"
    asked = len(plex.way.asked)
    while plex.attempt():
        pass
    run = plex.row(run.id)
    assert SHOWS not in plex.way.asked[asked:], "that library alone is tried again"
    assert (run.status, run.attempt) == ("completed", 3)
    lines = {line["title"]: line for line in run.sections}
    assert (lines["TV Shows"]["mode"], lines["TV Shows"]["created"]) == ("full", 3)
    assert (lines["Films"]["mode"], lines["Films"]["complete"], lines["Films"]["deleted"]) == (
        "failed",
        False,
        0,
    )
    assert "could not be read" in lines["Films"]["note"]
    assert before.items() <= plex.ids().items()
    assert plex.shown() == {"Films": True, "TV Shows": True}
    with plex.runtime.reading() as db:
        assert "Films" in (db.scalars(select(PlexServer.last_error)).one() or "")
    plex.sync()
    assert told(plex) == [(admin, "Films could not be read from Plex")], "once, as long as it lasts"
    plex.way.changes.clear()
    assert plex.sync().status == "completed"
    plex.in_step()


def told(plex: Rewritten) -> list[tuple[str, str]]:
    with plex.runtime.reading() as db:
        return [tuple(row) for row in db.execute(select(Notification.user_id, Notification.title))]


def test_a_library_that_the_database_refuses_costs_itself(plex: Rewritten) -> None:
    """Whatever it is about: here a rule of our own."""
    with plex.runtime.unit_of_work() as db:
        db.execute(text("ALTER TABLE media_items ADD CONSTRAINT odd CHECK (title <> 'Odd')"))
    plex.library.add_film(1, "Odd", 1995)
    new = plex.library.add_show(2, "New show", 2020)
    run = plex.sync()
    assert (run.status, plex.section(run, "Films")["mode"]) == ("completed", "failed")
    assert plex.id_of(new)


def test_where_nothing_works_the_sync_has_failed(plex: Rewritten) -> None:
    for path in (FILMS, SHOWS):
        plex.way.answers(path, 500)
    run = plex.sync(full=True)
    assert (run.status, run.error and run.error["kind"]) == ("failed", "unreachable")
    assert [(line["title"], line["mode"]) for line in run.sections] == [
        ("Films", "failed"),
        ("TV Shows", "failed"),
    ]
    assert run.error is not None
    assert all(name in run.error["message"] for name in ("Films", "TV Shows"))


def test_a_library_that_is_not_described_costs_itself(plex: Rewritten) -> None:
    odd: Any
    for odd in ({"key": None}, {"key": {}}, {"key": "9" * 3000}, {"type": 7}, None, "rubbish", []):

        def spoil(container: dict[str, Any], odd: Any = odd) -> None:
            entries = container["Directory"]
            entries[0] = {**entries[0], **odd} if isinstance(odd, dict) else odd

        plex.way.edits("/library/sections", spoil)
        new = plex.library.add_show(2, f"New show {odd}"[:50], 2020)
        run = plex.sync()
        assert (run.status, run.counts["deleted"]) == ("completed", 0)
        assert plex.id_of(new)
        assert plex.shown() == {"Films": True, "TV Shows": True}


def test_what_is_odd_about_a_library_costs_that(plex: Rewritten) -> None:
    odds: list[dict[str, Any]] = [
        {
            "title": {"a": 1},
            "uuid": 7,
            "agent": [],
            "Location": "rubbish",
            "scannedAt": 10**30,
            "hidden": "x",
        },
        {"Location": [None, {"path": 7}, {}], "scannedAt": "soon", "title": None},
    ]
    for odd in odds:
        plex.way.edits("/library/sections", lambda container, odd=odd: container["Directory"][0].update(odd))
        plex.library.add_film(1, "Heat", 1995)
        assert plex.sync().status == "completed"
        plex.in_step()


def test_a_library_of_an_unknown_type_is_passed_over(plex: Rewritten) -> None:
    plex.way.edits(
        "/library/sections",
        lambda container: container["Directory"].insert(0, {"key": "9", "type": "scent", "title": "Scents"}),
    )
    plex.library.add_film(1, "Heat", 1995)
    run = plex.sync(full=True)
    assert (run.status, plex.section(run, "Scents")["mode"]) == ("completed", "counted")
    plex.in_step()


@pytest.mark.parametrize("left", [0, 1])
def test_a_list_of_libraries_that_is_too_short_hides_none_that_answers(plex: Rewritten, left: int) -> None:
    def shorten(container: dict[str, Any]) -> None:
        container["Directory"] = container["Directory"][:left]

    plex.way.edits("/library/sections", shorten)
    before = plex.ids()
    for full in (False, True, True):
        run = plex.sync(full=full)
        assert (run.status, run.counts["deleted"]) == ("completed", 0)
    assert plex.shown() == {"Films": True, "TV Shows": True}
    assert plex.ids() == before


def test_a_library_that_is_neither_listed_nor_answers_is_gone(plex: Rewritten) -> None:
    plex.library.remove_section(2)
    assert plex.sync().status == "completed"
    assert plex.shown() == {"Films": True, "TV Shows": False}


# Items


def spoil_listing(plex: Rewritten, path: str, changes: dict[str, Callable[[dict[str, Any]], Any]]) -> None:
    """In lists of that path some rows, by key, are others."""

    def edit(container: dict[str, Any]) -> None:
        rows = container.get("Metadata") or []
        container["Metadata"] = [changes.get(row.get("ratingKey"), lambda same: same)(row) for row in rows]

    plex.way.edits(path, edit)


def deep(levels: int) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found]
    return found


ROWS: list[Callable[[dict[str, Any]], Any]] = [
    lambda row: None,
    lambda row: "rubbish",
    lambda row: [row],
    lambda row: {},
    lambda row: {**row, "ratingKey": None},
    lambda row: {**row, "ratingKey": {"a": 1}},
    lambda row: {**row, "type": 9},
    lambda row: {**row, "type": ["movie"]},
    lambda row: {**row, "Media": "rubbish"},
    lambda row: {**row, "Media": [None]},
    lambda row: {**row, "Media": [{"Part": [7]}]},
    lambda row: {**row, "Guid": [None, 7], "Genre": {"tag": 1}},
    lambda row: {**row, "title": deep(400)},
    lambda row: {**row, "Media": deep(300)},
]


def test_rows_that_make_no_sense_cost_themselves(plex: Rewritten) -> None:
    """The first and last of a page among them."""
    in_order = sorted(films(plex), key=lambda film: film.added_at)
    odd, others = in_order[14 : 14 + len(ROWS)], in_order[:14]
    before = plex.ids()
    spoil_listing(plex, FILMS, {film.rating_key: change for film, change in zip(odd, ROWS, strict=True)})
    plex.library.remove(others[0])
    plex.library.change(others[1], summary="New.")
    new = plex.library.add_film(1, "Heat", 1995)

    run = plex.sync(full=True)

    line = plex.section(run, "Films")
    assert (run.status, line["complete"], line["created"], line["deleted"]) == ("completed", True, 1, 1)
    assert "could not be read" in line["note"]
    now, keys = plex.ids(), [film.rating_key for film in odd]
    assert new.rating_key in now
    assert [now[key] for key in keys] == [before[key] for key in keys]
    plex.in_step_but_for(*keys)


@pytest.mark.parametrize("status", [500, pytest.param(400, marks=LONG), pytest.param(403, marks=LONG), 200])
def test_a_vanished_item_whose_page_fails_stays_and_costs_nobody_else(plex: Rewritten, status: int) -> None:
    gone, odd, *_ = films(plex)
    for film in (gone, odd):
        plex.library.remove(film)
    new = plex.library.add_show(2, "New show", 2020)

    def fail(keys: list[str]) -> None:
        for path in keys:
            plex.way.answers(path, status)

    both = [f"{one.rating_key},{other.rating_key}" for one, other in ((gone, odd), (odd, gone))]
    fail([f"/library/metadata/{keys}" for keys in (*both, odd.rating_key)])
    run = plex.sync(full=True)

    line = plex.section(run, "Films")
    assert (run.status, line["deleted"]) == ("completed", 1)
    assert "1 items got no answer" in line["note"]
    assert plex.id_of(new)
    plex.in_step_but_for(odd.rating_key)
    plex.way.changes.clear()
    plex.sync()
    plex.in_step()


def test_keys_asked_for_together_are_asked_for_alone_where_one_spoils_the_answer(plex: Rewritten) -> None:
    first, gone, broken, other = films(plex)[:4]
    keys = [first.rating_key, gone.rating_key, broken.rating_key, other.rating_key]
    plex.library.remove(gone)
    for film in (first, other):
        plex.library.change(film, summary="New.")
    answered = plex.way._answer

    # A server that has no answer to a list with something in it that it does not like.
    def strict(target: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
        path = target.partition("?")[0]
        some = path.removeprefix("/library/metadata/").replace("%2C", ",").split(",")
        if path.startswith("/library/metadata/") and broken.rating_key in some:
            return 500, "text/html", b"<html>"
        if path.startswith("/library/metadata/") and gone.rating_key in some:
            return 404, "text/html", b"<html>"
        return answered(target, headers)

    plex.way._answer = strict  # type: ignore[method-assign]

    run = plex.sync(rating_keys=keys)

    assert run.status == "completed"
    assert set(plex.changes(run)) == {
        ("updated", first.title),
        ("updated", other.title),
        ("removed", gone.title),
    }
    assert "1 items got no answer" in run.sections[0]["note"]


def test_an_answer_with_fewer_items_than_were_asked_for_is_asked_again(plex: Rewritten) -> None:
    some = films(plex)[:12]
    keys = [film.rating_key for film in some]
    for film in some[1:]:
        plex.library.change(film, summary="New.")
    plex.library.remove(some[0])
    whole = plex.way._answer

    def few(target: str, headers: dict[str, str]) -> tuple[int, str, bytes]:
        steps = target.partition("?")[0].removeprefix("/library/metadata/").replace("%2C", ",").split(",")
        if target.startswith("/library/metadata/") and len(steps) > 3:
            kept = [key for key in steps if key != some[0].rating_key][:3]
            return whole(
                target.replace(target.partition("?")[0], "/library/metadata/" + ",".join(kept)), headers
            )
        return whole(target, headers)

    plex.way._answer = few  # type: ignore[method-assign]
    run = plex.sync(rating_keys=keys)
    assert (run.counts["updated"], run.counts["deleted"]) == (11, 1)
    plex.in_step()


def test_collections_that_make_no_sense_cost_themselves(plex: Rewritten) -> None:
    odds: list[Any] = [
        {"ratingKey": None},
        {"title": {}, "childCount": 10**40, "addedAt": "x"},
        None,
        "rubbish",
    ]
    odd = [plex.library.add_collection(1, f"Odd {number}", films(plex)[:2]) for number in range(len(odds))]
    plex.sync(full=True)
    plex.library.add_collection(1, "Newest", films(plex)[5:9])
    changes = {
        one.rating_key: lambda row, told=told: {**row, **told} if isinstance(told, dict) else told
        for one, told in zip(odd, odds, strict=True)
    }
    spoil_listing(plex, "/library/sections/1/collections", changes)

    assert plex.sync(full=True).status == "completed"

    assert "Newest" in collections(plex)
    assert {one.rating_key for one in odd} <= set(collections(plex).values())


def test_collections_that_fail_cost_themselves(plex: Rewritten) -> None:
    plex.library.add_collection(1, "Best of", films(plex)[:3])
    plex.sync(full=True)
    plex.way.answers("/library/sections/1/collections", 500)
    plex.library.add_film(1, "Heat", 1995)
    plex.library.add_collection(1, "Newest", films(plex)[5:9])
    run = plex.sync(full=True)
    assert run.status == "completed"
    assert "collections could not be read" in plex.section(run, "Films")["note"]
    plex.in_step()
    assert collections(plex).keys() == {"Best of"}
    plex.way.changes.clear()
    plex.sync()
    assert collections(plex).keys() == {"Best of", "Newest"}


def collections(plex: Rewritten) -> dict[str, str]:
    with plex.runtime.reading() as db:
        return dict(db.execute(select(PlexCollection.title, PlexCollection.rating_key)).all())


# Texts

TEXTS = [
    (b"x\xe9x", "x\ufffdx"),
    (rb"x\ud83dx", "x\ufffdx"),
    (b"x\nx", "x\nx"),
    (rb"x\u0000x", "xx"),
    (b"x\x00x", "xx"),
    (b"\xed\xa0\xbd", "\ufffd\ufffd\ufffd"),
]


def test_texts_that_are_no_json_cost_themselves(plex: Rewritten) -> None:
    wanted, marks = dict[tuple[str, str], str](), dict[bytes, bytes]()
    for number, (raw, read) in enumerate(TEXTS):
        for field in ("title", "summary", "file"):
            mark = f"@@{field}{number}@@"
            said = {"title": f"Odd {mark}", field: f"/media/films/{mark}.mkv" if field == "file" else mark}
            film = plex.library.add_film(1, **said)
            wanted[film.rating_key, field] = said[field].replace(mark, read)
            marks[mark.encode()] = raw
    plex.library.add_film(1, "Heat", 1995)

    def change(query: dict[str, str], status: int, body: bytes) -> tuple[int, bytes]:
        for mark, raw in marks.items():
            body = body.replace(mark, raw) if mark.startswith(b"@@") else body
        return status, body

    plex.way.changes[FILMS] = change

    run = plex.sync(full=True)

    assert (run.status, run.counts["created"], run.counts["deleted"]) == ("completed", len(wanted) + 1, 0)
    plex.in_step_but_for(*(key for key, _ in wanted))
    with plex.runtime.reading() as db:
        rows = {row.rating_key: row for row in db.scalars(select(MediaItem))}
    assert {(key, field): getattr(rows[key], field) for key, field in wanted} == wanted


def test_an_answer_with_a_byte_order_mark_and_numbers_without_end(plex: Rewritten) -> None:
    odd = plex.library.add_film(1, "Odd", 1995, summary="@@here@@")
    plex.library.add_film(1, "Heat", 1995)

    def change(query: dict[str, str], status: int, body: bytes) -> tuple[int, bytes]:
        return status, b"\xef\xbb\xbf" + body.replace(
            b'"@@here@@"', b'NaN, "rating": Infinity, "duration": 1e999, "index": ' + b"9" * 50
        )

    plex.way.changes[FILMS] = change
    assert plex.sync(full=True).status == "completed"
    plex.in_step_but_for(odd.rating_key)
    assert plex.id_of(odd)


def test_texts_without_end_cost_themselves(plex: Rewritten) -> None:
    """Longer than an index can hold, and of a kind that can't be packed."""
    long = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(15_000))
    for field in ("title", "titleSort", "guid", "file", "originalTitle"):
        plex.library.add_film(1, **{"title": "Odd", field: f"/media/{long}.mkv" if field == "file" else long})
    plex.library.add_film(1, "Heat", 1995)
    run = plex.sync(full=True)
    assert (run.status, run.counts["created"]) == ("completed", 6)
    plex.sync(full=True)
    assert plex.sync().counts["updated"] == 0


# Order


def test_a_library_whose_order_changes_from_page_to_page_is_listed_whole(plex: Rewritten) -> None:
    chance = random.Random(7)
    section = plex.library.section(1)
    plex.library.remove(films(plex)[3])

    def stir(_: object) -> None:
        with plex.library.lock:
            for (kind, _name), order in section.orders.items():
                if kind == "movie":
                    chance.shuffle(order)

    plex.plex.faults.add("call", path=FILMS, run=stir)
    plex.plex.forget()
    run = plex.sync(full=True)
    line = plex.section(run, "Films")
    assert (line["complete"], line["deleted"]) == (True, 1)
    plex.in_step()
