"""The row of the battery about news: hundreds of webhooks at once while workers are killed, and no title is forgotten."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil

from tests.fakes.plex_server import PlexDouble, populate, send_webhook, webhook
from tests.fakes.plex_server.items import Item
from tests.faults.installation import PATIENCE, Installation
from tests.faults.ledger import Ledger
from tests.faults.scenarios import revive
from tests.stack import eventually

AT_ONCE = 16
SECOND = "news"  # worker
_SENT = "SELECT payload #>> '{Metadata,ratingKey}', status, outcome FROM webhooks WHERE event = 'library.new'"


def told(installation: Installation, ledger: Ledger) -> None:
    """Each film that a webhook tells of is asked for by the run that the webhook names, and is in the catalogue."""
    with connected(installation) as plex:
        answer = installation.client.call("POST", "/admin/webhooks/senders/plex/rotate")
        url = f"{installation.url}/api/v1/webhooks/plex/{answer.json()['data']['secret']}"
        films = [
            plex.library.add_film(1, f"Film {number}", 1990 + number % 30)
            for number in range(int(max(200, 600 * installation.scale)))
        ]
        with killing(installation), ThreadPoolExecutor(AT_ONCE) as pool:
            accepted = list(pool.map(lambda film: post(url, plex, film), films))
        installation.make_ready()
        eventually(lambda: not waiting(installation), 2 * PATIENCE, what="all webhooks and syncs are done")
        lost = ledger.verdict.problems["lost"]
        lost += [
            f"webhook of {film.rating_key} got {code}"
            for film, code in zip(films, accepted, strict=True)
            if code != 200
        ]
        lost += forgotten(installation, {film.rating_key for film in films})


@contextmanager
def connected(installation: Installation) -> Iterator[PlexDouble]:
    """A server that pushes nothing by itself, in step, and one more worker for its news; both are gone in the end."""
    with PlexDouble() as plex:
        plex.faults.add("status", path="/:/websockets", code=404)
        populate(plex.library, films=20)
        answer = installation.client.call(
            "PUT", "/integrations/plex", json={"url": plex.url, "token": plex.token}
        )
        assert answer.status_code == 200, answer.text
        try:
            done = "SELECT count(*) FROM sync_runs WHERE status = 'completed'"
            eventually(lambda: installation.rows(done)[0][0], PATIENCE, what="the first sync")
            spawn_second(installation)
            installation.wait_ready(SECOND)
            yield plex
        finally:
            if installation.runs(SECOND):
                installation.terminate(SECOND)
            installation.client.call("DELETE", "/integrations/plex")


def spawn_second(installation: Installation) -> None:
    """Start it where it does not run."""
    if not installation.runs(SECOND):
        installation.spawn_worker(SECOND, queues="plex,webhooks", concurrency=3)


def post(url: str, plex: PlexDouble, film: Item) -> int:
    """Send it as Plex does; once more where the connection broke."""
    for _ in range(3):
        with contextlib.suppress(OSError):
            return send_webhook(url, webhook(plex, "library.new", film), timeout=30)
    return 0


@contextmanager
def killing(installation: Installation) -> Iterator[None]:
    """The worker of webhooks and syncs, or one of its pool children, is killed every second or two."""
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(installation.random.uniform(0.7, 2.0)):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, IndexError):
                name = installation.random.choice(("maintenance", SECOND))
                if installation.random.random() < 0.3:
                    installation.kill_worker(name)
                else:
                    installation.random.choice(installation.pool_children(name)).kill()
            installation.measures.faults["killed: among webhooks"] += 1
            revive(installation)
            spawn_second(installation)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield
        time.sleep(4)  # what came last is worked on under fire too
    finally:
        ended.set()
        thread.join()


def waiting(installation: Installation) -> bool:
    """Whether a webhook or a sync is not done yet."""
    installation.supervise()
    query = "SELECT count(*) FROM {} WHERE ended_at IS NULL"
    return any(installation.rows(query.format(table))[0][0] for table in ("webhooks", "sync_runs"))


def forgotten(installation: Installation, keys: set[str]) -> list[str]:
    """The films of which nobody heard, or that the run which was named did not ask for, or that are not there."""
    runs = {
        run: (status, wanted)
        for run, status, wanted in installation.rows("SELECT id, status, rating_keys FROM sync_runs")
    }
    there = {
        row[0] for row in installation.rows("SELECT rating_key FROM media_items WHERE deleted_at IS NULL")
    }
    sent = {key: (status, outcome) for key, status, outcome in installation.rows(_SENT)}
    problems = [f"{key} was told to nobody" for key in sorted(keys - sent.keys())]
    problems += [f"{key} is not in the catalogue" for key in sorted(keys - there)]
    for key in sorted(keys & sent.keys()):
        status, outcome = sent[key]
        run = str(outcome).removeprefix("Fetched by ").removesuffix(".")
        ended, wanted = runs.get(run, ("unknown", []))
        if status != "processed" or ended != "completed" or not (wanted is None or key in wanted):
            problems.append(f"{key}: {status}, {outcome} That run is {ended}, and was asked for {wanted}")
    return problems
