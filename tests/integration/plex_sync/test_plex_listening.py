"""What a Plex server pushes reaches the catalogue within seconds, by one of all the workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select, text
from stack import eventually
from structlog.testing import capture_logs
from syncing import Syncing, syncing

from engine.plex.sync import push_listener
from engine.plex.sync.push_listener import PushListener, named
from engine.runtime import Runtime
from models.sync_run import SyncRun
from tests.fakes.plex_server import populate


@pytest.fixture
def plex(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> Iterator[Syncing]:
    """A small library in step, and a hurry."""
    monkeypatch.setattr(push_listener, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(push_listener, "SETTINGS_SECONDS", 0.3)
    monkeypatch.setattr(push_listener, "FIRST_PAUSE_SECONDS", 0.1)
    monkeypatch.setattr(push_listener, "LONGEST_PAUSE_SECONDS", 0.8)
    with syncing(runtime) as made:
        populate(made.library, films=5, shows=1, episodes_per_show=3)
        made.sync()
        yield made


@contextmanager
def listening_to(plex: Syncing) -> Iterator[PushListener]:
    listener = PushListener(plex.runtime)
    thread = threading.Thread(target=listener.run)
    thread.start()
    try:
        yield listener
    finally:
        listener.end()
        thread.join(5)
        assert not thread.is_alive(), "it holds the process up"


def caught_up(plex: Syncing) -> bool:
    plex.attempt()
    try:
        plex.in_step()
    except AssertionError:
        return False
    return True


def runs(plex: Syncing) -> int:
    with plex.runtime.reading() as db:
        return db.scalar(select(func.count()).select_from(SyncRun)) or 0


def settled(plex: Syncing) -> None:
    """Once it listens, and what it missed before was looked for."""
    plex.plex.notifications.wait_listening()
    eventually(lambda: runs(plex) >= 2, what="the sync that looks for what was missed")
    while plex.attempt():
        pass


def test_change_arrives_without_waiting_for_the_timetable(plex: Syncing) -> None:
    with listening_to(plex):
        settled(plex)
        film = plex.library.add_film(1, "Heat", 1995)
        eventually(lambda: caught_up(plex), 10)
        plex.library.change(film, summary="Words.")
        eventually(lambda: caught_up(plex), 10)
        plex.library.remove(film)
        eventually(lambda: caught_up(plex), 10)
        with plex.runtime.reading() as db:
            keys = db.scalars(select(SyncRun.rating_keys).where(SyncRun.trigger == "push")).all()
        assert [film.rating_key] in keys


def test_many_changes_are_few_syncs(plex: Syncing) -> None:
    with listening_to(plex):
        settled(plex)
        before = runs(plex)
        for number in range(50):
            plex.library.add_film(1, f"Film {number}", 2000)
        eventually(lambda: caught_up(plex), 15)
        assert runs(plex) - before <= 3


def test_of_two_one_listens_and_the_other_takes_over(plex: Syncing) -> None:
    with listening_to(plex) as first:
        settled(plex)
        with listening_to(plex):
            before = runs(plex)
            plex.library.add_film(1, "Heat", 1995)
            eventually(lambda: caught_up(plex), 10)
            assert runs(plex) == before + 1
            assert plex.plex.notifications.count == 1
            first.end()
            eventually(lambda: runs(plex) == before + 2, what="the other one listens and looks")
            plex.library.add_film(1, "Ronin", 1998)
            eventually(lambda: caught_up(plex), 10)


def test_lost_socket_and_restarted_server_are_caught_up_with(plex: Syncing) -> None:
    with listening_to(plex):
        settled(plex)
        plex.plex.notifications.silent = True
        plex.library.add_film(1, "Missed", 2001)
        plex.plex.notifications.silent = False
        plex.plex.notifications.drop()
        eventually(lambda: caught_up(plex), 10)
        plex.plex.stop()
        plex.library.add_film(1, "While away", 2002)
        plex.plex.start()
        eventually(lambda: caught_up(plex), 15)


def test_rubbish_on_the_socket_is_ignored(plex: Syncing) -> None:
    with listening_to(plex):
        settled(plex)
        for message in (
            "",
            "[]",
            "{",
            '{"NotificationContainer": 7}',
            '{"NotificationContainer": {"type": "timeline"}}',
        ):
            plex.plex.notifications.raw(message)
        plex.library.add_film(1, "Heat", 1995)
        eventually(lambda: caught_up(plex), 10)


def test_server_that_is_away_is_one_warning_and_growing_pauses(plex: Syncing) -> None:
    plex.plex.stop()
    with capture_logs() as logs, listening_to(plex) as listener:
        eventually(lambda: listener._failures >= 4, 15)
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["plex.listener_lost"]
    assert runs(plex) == 1


def test_nothing_configured_is_quiet(plex: Syncing) -> None:
    with plex.runtime.unit_of_work() as db:
        db.execute(text("DELETE FROM integrations"))
    ended = threading.Event()
    with capture_logs() as logs, listening_to(plex):
        ended.wait(1.5)
    assert logs == []
    assert plex.plex.asked("/:/websockets") == []


def test_another_server_is_noticed(plex: Syncing) -> None:
    with listening_to(plex):
        settled(plex)
        with plex.runtime.unit_of_work() as db:
            db.execute(text("DELETE FROM integrations"))
        eventually(lambda: plex.plex.notifications.count == 0, what="it hangs up")


@pytest.mark.parametrize(
    ("message", "keys"),
    [
        ({"type": "timeline", "TimelineEntry": [{"itemID": "7", "type": 1, "state": 5}]}, {"7"}),
        ({"type": "timeline", "TimelineEntry": [{"itemID": 7, "type": "4", "state": "9"}]}, {"7"}),
        ({"type": "timeline", "TimelineEntry": [{"itemID": "7", "type": 1, "state": 3}]}, set()),
        ({"type": "timeline", "TimelineEntry": [{"itemID": "7", "type": 18, "state": 5}]}, set()),
        ({"type": "timeline", "TimelineEntry": [{"itemID": "x", "type": 1, "state": 5}, 3]}, set()),
        ({"type": "timeline", "TimelineEntry": {"itemID": "7"}}, set()),
        ({"type": "playing", "TimelineEntry": [{"itemID": "7", "type": 1, "state": 5}]}, set()),
    ],
)
def test_which_items_a_message_names(message: dict[str, object], keys: set[str]) -> None:
    assert named(message) == keys
