"""The rows of the battery about what is whose: files with a new owner, places of the slow, memory of the greedy."""

from __future__ import annotations

import contextlib
import time

import psutil
import requests

from tests.faults.installation import Installation
from tests.faults.ledger import Ledger
from tests.faults.scenarios import kill_something, revive
from tests.stack import PASSWORD, Client, eventually

TURN = 3.0  # seconds that a user waits for a first place
SOON = 45.0  # within which it must have begun, on a busy machine


def republished(installation: Installation, ledger: Ledger) -> None:
    """A file is gone, another download has its name: to delete the first one leaves the other's, whoever is killed."""
    folder = f"{ledger.folder}-again"
    problems = ledger.verdict.problems
    for _ in range(int(max(2, 8 * installation.scale))):
        plain, url = ledger.url(200_000)
        first = fetched(installation, url, folder)
        path = installation.downloads / installation.row(first, "file ->> 'path'")[0]
        path.unlink()
        second = fetched(installation, url, folder)
        other = installation.downloads / installation.row(second, "file ->> 'path'")[0]
        assert other == path, "it gets the name that is free"
        delete(installation, first)
        under_kills(installation, first)
        if not path.exists() or installation.digest(path) != installation.site.digest(plain):
            problems["lost"].append(f"{path.name} of {second} went with {first}")
        delete(installation, second)
        under_kills(installation, second)
        if path.exists():
            problems["stuck"].append(f"{path.name} of {second} is still there")
        if left := [each.name for each in path.parent.iterdir()]:
            problems["partial"].append(f"left beside it: {left}")
        installation.measures.faults["killed: beside a removal"] += 1
    installation.make_ready()


def fetched(installation: Installation, url: str, folder: str) -> str:
    """A download that is completed by now."""
    made = installation.ask(url, downloadPath=folder)
    eventually(lambda: installation.row(made, "status")[0] == "completed", 60, what=f"{made} is there")
    return made


def delete(installation: Installation, download_id: str) -> None:
    path = f"/youtube/downloads/{download_id}?deleteFile=true"
    assert installation.client.call("DELETE", path).status_code == 200


def under_kills(installation: Installation, download_id: str) -> None:
    """Until the removal of a download's file has ended, workers die."""
    query = "SELECT ended_at FROM file_removals WHERE download_id = %s"
    deadline = time.monotonic() + 60
    while installation.rows(query, [download_id])[0][0] is None and time.monotonic() < deadline:
        kill_something(installation)
        eventually(lambda: all(map(installation.runs, ("one", "two"))), 20)
        with contextlib.suppress(AssertionError):
            eventually(lambda: installation.rows(query, [download_id])[0][0], 3)
    revive(installation)
    eventually(
        lambda: installation.rows(query, [download_id])[0][0], what=f"the file of {download_id} is removed"
    )


def slow(installation: Installation, ledger: Ledger) -> None:
    """All places are held by one user's downloads that drip; another's begins soon all the same, under kills."""
    installation.other_workers(DOWNLOAD_TURN_SECONDS=str(TURN))
    bob = another(installation)
    drips = [ledger.ask(600_000, rate=5_000, ends="cancelled|completed") for _ in range(8)]
    eventually(lambda: held(installation) >= 6, 60, what="all places are taken")
    plain, url = ledger.url(150_000)
    asked = time.monotonic()
    made = str(bob.download(url, downloadPath=ledger.folder)["id"])
    ledger.note(made, plain)
    with contextlib.suppress(psutil.NoSuchProcess, IndexError, AttributeError):
        children = installation.pool_children("one")
        installation.random.choice([child for child in children if child.children()]).kill()
        installation.measures.faults["killed: beside a user who waits"] += 1
    eventually(lambda: installation.row(made, "started_at")[0], 120, what="the other's begins")
    waited = time.monotonic() - asked
    if waited > SOON:
        ledger.verdict.problems["broken promise"].append(f"{made} waited {waited:.0f} s for a first place")
    eventually(lambda: installation.row(made, "ended_at")[0], 60, what="the other's is there")
    for download_id in drips:
        attempt, crashes = installation.row(download_id, "attempt, crash_count")
        if attempt > 1 + crashes:
            ledger.verdict.problems["broken promise"].append(f"{download_id}: {attempt} attempts counted")
        installation.client.call("DELETE", f"/youtube/downloads/{download_id}")
    ledger.drain(30)
    installation.other_workers()


def held(installation: Installation) -> int:
    return int(installation.rows("SELECT count(*) FROM downloads WHERE lease_until IS NOT NULL")[0][0])


def another(installation: Installation, name: str = "bob") -> Client:
    """A user beside the administrator."""
    body = {"email": f"{name}@example.com", "name": name, "password": PASSWORD, "role": "user"}
    installation.client.call("POST", "/admin/users", json=body)
    answer = requests.post(
        f"{installation.url}/api/v1/auth/login",
        json={"email": body["email"], "password": PASSWORD},
        timeout=20,
    )
    return Client(installation.url, answer.json()["data"]["token"])


def greedy(installation: Installation, ledger: Ledger) -> None:
    """Attempts that eat memory, at once, slowly and in programs of theirs, fail in words; the others are done."""
    installation.other_workers(
        app="fakes.greedy_worker", DOWNLOAD_MEMORY_LIMIT=str(600 << 20), DOWNLOAD_ATTEMPTS="2"
    )
    eaters = []
    for _ in range(int(max(1, 3 * installation.scale))):
        eaters += [ledger.ask(eat=way, ends="failed") for way in ("once", "slowly", "program")]
        for _ in range(3):
            ledger.ask()
        installation.measures.faults["attempts that eat memory"] += 3
    ledger.drain(180)
    for download_id in eaters:
        kind, crashes = installation.row(download_id, "error ->> 'kind', crash_count")
        if (kind, crashes) != ("too_much_memory", 0):
            ledger.verdict.problems["broken promise"].append(f"{download_id}: {kind}, {crashes} crashes")
    ledger.settle()
    for download_id in eaters:  # what they have fetched would be kept for a day
        installation.client.call("DELETE", f"/youtube/downloads/{download_id}")
    installation.other_workers()
