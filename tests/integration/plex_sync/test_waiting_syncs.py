"""A sync that waits takes on more, while workers claim what waits: nothing that was asked for is lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from stack import eventually

from engine.jobs import lease
from engine.plex.sync import runs as sync
from engine.plex.sync.work import SYNC
from engine.runtime import Runtime
from models.sync_run import SyncRun


def claim(runtime: Runtime) -> SyncRun | None:
    """What waits, as a worker takes it."""
    with runtime.unit_of_work() as db:
        claimed = lease.claim(db, SYNC, runtime.settings, {"host": "elsewhere"})
    return None if claimed is None else claimed.row


def end(runtime: Runtime, run: SyncRun) -> None:
    with runtime.unit_of_work() as db:
        lease.finish(db, SYNC, run, "completed")


def is_locked_out(runtime: Runtime) -> bool:
    mine = "datname = current_database() AND wait_event_type = 'Lock'"
    with runtime.reading() as db:
        return bool(db.scalar(text(f"SELECT count(*) FROM pg_stat_activity WHERE {mine}")))


def ask(runtime: Runtime, key: str) -> str:
    with runtime.unit_of_work() as db:
        return sync.start(db, full=False, trigger="webhook", rating_keys=[key])[0].id


def test_each_key_is_in_the_run_that_was_named_for_it(runtime: Runtime) -> None:
    keys = [str(number) for number in range(320)]
    asked: dict[str, set[str]] = {}
    done = threading.Event()

    def work() -> None:
        while True:
            last = done.is_set()
            run = claim(runtime)
            if run is None:
                if last:
                    return
                continue
            asked[run.id] = set(run.rating_keys or ())
            end(runtime, run)

    worker = threading.Thread(target=work)
    worker.start()
    with ThreadPoolExecutor(8) as pool:
        promised = dict(zip(keys, pool.map(lambda key: ask(runtime, key), keys), strict=True))
    done.set()
    worker.join(60)

    assert [key for key, run in promised.items() if key not in asked[run]] == []
    assert len(asked) > 1, "no run was claimed while others asked"


@pytest.mark.parametrize("full", [True, False])
def test_what_is_claimed_meanwhile_is_not_changed_any_more(runtime: Runtime, full: bool) -> None:
    """The claim is in the middle of its transaction when somebody asks for more: they get a run of their own."""
    first = ask(runtime, "1")
    got: list[tuple[str, bool]] = []

    def start() -> None:
        with runtime.unit_of_work() as db:
            run, new = sync.start(db, full=full, trigger="webhook", rating_keys=None if full else ["2"])
            got.append((run.id, new))

    with runtime.unit_of_work() as db:
        assert lease.claim(db, SYNC, runtime.settings, {"host": "elsewhere"}) is not None
        waits = threading.Thread(target=start)
        waits.start()
        eventually(lambda: is_locked_out(runtime), what="it waits for the row")
    waits.join(10)

    assert got[0][0] != first
    assert got[0][1] is True
    with runtime.reading() as db:
        rows = db.execute(select(SyncRun.id, SyncRun.full, SyncRun.rating_keys).order_by(SyncRun.id)).all()
    assert [tuple(row) for row in rows] == [(first, False, ["1"]), (got[0][0], full, None if full else ["2"])]


def test_a_claim_that_passes_over_a_locked_run_is_rung_for_again(runtime: Runtime) -> None:
    ask(runtime, "1")
    with runtime.unit_of_work() as db:
        sync.start(db, full=False, trigger="webhook", rating_keys=["2"])
        assert claim(runtime) is None
        assert [job.value for job in db.info["jobs"]] == [SYNC.job.value]
    run = claim(runtime)
    assert run is not None
    assert run.rating_keys == ["1", "2"]


def test_nothing_joins_a_run_that_waits_to_go_on(runtime: Runtime) -> None:
    first = ask(runtime, "1")
    run = claim(runtime)
    assert run is not None
    with runtime.unit_of_work() as db:
        lease.give_back(db, SYNC, run, after=5, sections=[{"key": "1", "title": "Films"}])

    second = ask(runtime, "2")

    assert second != first
    assert ask(runtime, "3") == second
    with runtime.unit_of_work() as db:
        assert sync.start(db, full=True, trigger="manual")[0].id == second


def test_one_cancels_while_another_starts(runtime: Runtime) -> None:
    """Both take their locks in one order."""
    first = ask(runtime, "1")
    with runtime.unit_of_work() as db:
        sync.cancel(db, first)
        waits = threading.Thread(target=ask, args=(runtime, "2"))
        waits.start()
        assert sync.start(db, full=False, trigger="manual")[1] is True
    waits.join(10)
    with runtime.reading() as db:
        waiting = db.scalars(select(SyncRun.rating_keys).where(SyncRun.ended_at.is_(None))).all()
    assert waiting == [None]
