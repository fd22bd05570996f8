"""The rows of the battery about processes: killed, frozen, asked to leave, cut off between two steps."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import psutil
import requests

from engine.jobs.owner import is_alive
from tests.faults.installation import LEASE, PATIENCE, Installation
from tests.faults.ledger import Ledger
from tests.stack import eventually

POISON = 3  # crashes after which a download is given up
Scenario = Callable[[Installation, Ledger], None]
QUIRKS = (
    {"cut": 60_000, "times": 1, "skip": 1}, {"status": 503, "times": 1}, {"status": 500, "times": 1, "skip": 1},
    {"no_range": 1}, {"no_length": 1}, {"rate": 200_000}, {"no_range": 1, "cut": 90_000, "times": 1, "skip": 1},
)  # fmt: skip


def ask_many(installation: Installation, ledger: Ledger, number: int) -> list[str]:
    """Ask for small files, every third with a quirk of the site's."""
    ids = []
    for _ in range(number):
        quirk = installation.random.choice(QUIRKS) if installation.random.random() < 0.33 else {}
        ids.append(ledger.ask(installation.random.randrange(130_000, 320_000), **quirk))
    return ids


def in_background(work: Callable[[], object]) -> threading.Thread:
    """Run beside the faults; an exception is the scenario's only through what is missing in its ledger."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def storm(installation: Installation, ledger: Ledger) -> None:
    """Workers, pool children and attempts are killed every second or two while hundreds of downloads run."""
    number = int(640 * installation.scale)
    asking = in_background(lambda: ask_many(installation, ledger, number))
    until = time.monotonic() + max(20.0, 200 * installation.scale)
    while (asking.is_alive() or ledger.active() > number // 20) and time.monotonic() < until:
        time.sleep(installation.random.uniform(1.0, 2.0))
        kill_something(installation)
    asking.join()
    installation.make_ready()
    ledger.drain(90 + number / 4)


def kill_something(installation: Installation) -> None:
    """One fault of the storm."""
    choice = installation.random
    name = choice.choice(("one", "two"))
    kind = choice.choices(
        ("worker group", "worker alone", "pool child", "attempt", "maintenance worker", "beat"),
        (6, 2, 7, 7, 2, 1),
    )[0]
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError, IndexError):
        if kind in {"worker group", "maintenance worker", "beat"}:
            name = {"worker group": name, "maintenance worker": "maintenance", "beat": "beat"}[kind]
            installation.kill_worker(name)
        elif kind == "worker alone":
            # Its children are orphans now: what they hold is theirs, or is taken from them.
            installation.processes.pop(name).kill()
        else:
            children = installation.pool_children(name)
            victim = choice.choice(children)
            if kind == "attempt":
                victim = choice.choice(victim.children())
                victim.kill()
            else:
                lost = installation.rescues.held_by([victim.pid])
                victim.kill()
                installation.rescues.lost(lost)
        installation.measures.faults[f"killed: {kind}"] += 1
    revive(installation)


def revive(installation: Installation) -> None:
    """Start again what was killed, without waiting for it."""
    for name in ("one", "two"):
        if not installation.runs(name):
            installation.spawn_worker(name)
    if not installation.runs("maintenance"):
        queues = "plex,webhooks,notifications,requests,maintenance"
        installation.spawn_worker("maintenance", queues=queues, concurrency=2)
    if not installation.runs("beat"):
        installation.start_beat("beat")


def frozen(installation: Installation, ledger: Ledger) -> None:
    """A worker sleeps past its lease with all its processes, and wakes beside its successor."""
    for _ in range(int(max(8, 48 * installation.scale))):
        ledger.ask(installation.random.randrange(250_000, 500_000), rate=120_000)
    for turn in range(int(max(1, 4 * installation.scale))):
        name = ("one", "two")[turn % 2]
        eventually(
            lambda name=name: installation.rescues.held_by([installation.processes[name].pid]), PATIENCE
        )
        family = installation.family(name)
        held = installation.rescues.held_by([installation.processes[name].pid])
        send(family, signal.SIGSTOP)
        installation.rescues.lost(held)
        installation.measures.faults["frozen: worker"] += 1
        with contextlib.suppress(AssertionError):  # then the promise is broken, which the report shows
            eventually(lambda: not installation.rescues.waiting, LEASE + 15)
        installation.random.shuffle(family)
        send(family, signal.SIGCONT)
    ledger.drain(120)


def send(family: list[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def thawed(installation: Installation, ledger: Ledger) -> None:
    """An attempt thaws alone, its watchers still asleep, while its successor writes into the same folder."""
    for turn in range(int(max(2, 6 * installation.scale))):
        gate = f"thaw{turn}"
        held_at = installation.random.randrange(90_000, 150_000)
        download_id = ledger.ask(400_000, gate=gate, after=held_at, skip=1, rate=400_000)
        installation.site.wait_held(gate)
        owner = eventually(
            lambda wanted=download_id: (installation.row(wanted, "lease_owner")[0] or {}).get("attempt")
        )
        epoch = installation.row(download_id, "epoch")[0]
        name = next(n for n in ("one", "two") if owner["pid"] in [p.pid for p in installation.family(n)])
        sleepers = installation.family(name)
        held = installation.rescues.held_by([installation.processes[name].pid])
        send(sleepers, signal.SIGSTOP)
        installation.rescues.lost(held)
        try:
            eventually(lambda wanted=download_id, e=epoch: installation.row(wanted, "epoch")[0] > e, 60)
            installation.site.wait_held(gate, 2)
            if is_alive(owner):
                ledger.verdict.problems["doubled"].append(f"{download_id}: two attempts live in one folder")
                psutil.Process(owner["pid"]).send_signal(signal.SIGCONT)
            installation.measures.faults["frozen: attempt thawed alone"] += 1
            installation.site.release(gate)
            eventually(lambda wanted=download_id: installation.row(wanted, "ended_at")[0], PATIENCE)
        finally:
            send(sleepers, signal.SIGCONT)
    ledger.drain(60)


def last_byte(installation: Installation, ledger: Ledger) -> None:
    """An attempt is killed between its last byte and the file's name: the next one finds nothing left to fetch."""
    for turn in range(int(max(2, 6 * installation.scale))):
        gate = f"last{turn}"
        download_id = ledger.ask(200_000, gate=gate, after=150_000, skip=1)
        installation.site.wait_held(gate)
        attempt = eventually(lambda wanted=download_id: installation.attempt_process(wanted))
        [part] = eventually(
            lambda wanted=download_id: parts(installation, wanted), what="bytes are on the disk"
        )
        attempt.kill()
        installation.measures.faults["killed: attempt after its last byte"] += 1
        # It waits for a second now; no kill could be timed so well that all bytes were written, so we write them.
        part.write_bytes(
            requests.get(installation.site.url + ledger.wishes[download_id].source, timeout=60).content
        )
        installation.site.release(gate)
    ledger.drain(90)


def parts(installation: Installation, download_id: str) -> list[Path]:
    """The unfinished files of a download that have bytes."""
    found = (installation.folder / "work" / download_id).glob("*.part")
    return [path for path in found if path.stat().st_size]


def lethal(installation: Installation, ledger: Ledger) -> None:
    """Downloads whose every attempt takes its pool child down: three crashes each, then they fail; no other suffers."""
    installation.other_workers(app="fakes.poisoned_worker", POISON_CRASHES=str(POISON))
    installation.kill_group("maintenance")  # it counts the crashes
    queues = "plex,webhooks,notifications,requests,maintenance"
    installation.spawn_worker("maintenance", queues=queues, concurrency=2, POISON_CRASHES=str(POISON))
    sound = ask_many(installation, ledger, int(max(8, 40 * installation.scale)))
    bad = [ledger.ask(poison=1, ends="failed") for _ in range(int(max(2, 6 * installation.scale)))]
    sound += ask_many(installation, ledger, len(sound))
    ledger.drain(120)
    installation.measures.faults["killed: pool child by its own attempt"] += POISON * len(bad)
    expected = dict.fromkeys(sound, (0, None)) | dict.fromkeys(bad, (POISON, "poison"))
    for download_id, wanted in expected.items():
        crashes, kind = installation.row(download_id, "crash_count, error->>'kind'")
        if (crashes, kind if download_id in bad else None) != wanted:
            text = f"{download_id}: {crashes} crashes, {kind}; {wanted} expected"
            ledger.verdict.problems["broken promise"].append(text)
    installation.other_workers()
    installation.kill_group("maintenance")
    installation.make_ready()


def sigterm(installation: Installation, ledger: Ledger) -> None:
    """SIGTERM with ten seconds of grace, in the middle of downloads; the attempt that was cut off does not count."""
    for _ in range(int(max(8, 40 * installation.scale))):
        ledger.ask(300_000, rate=150_000)
    for turn in range(int(max(2, 8 * installation.scale))):
        name = ("one", "two")[turn % 2]
        busy = installation.processes[name].pid
        with contextlib.suppress(AssertionError):
            eventually(lambda pid=busy: installation.rescues.held_by([pid]), 10)
        installation.terminate(name)
        installation.measures.faults["SIGTERM: download worker"] += 1
        installation.spawn_worker(name)
        installation.wait_ready(name)
    for name in ("web", "maintenance", "beat"):
        installation.terminate(name)
        installation.measures.faults[f"SIGTERM: {name}"] += 1
    installation.make_ready()
    ledger.drain(90)
    for download_id in ledger.wishes:
        attempt, crashes = installation.row(download_id, "attempt, crash_count")
        if (attempt, crashes) != (1, 0):
            text = f"{download_id}: {attempt} attempts and {crashes} crashes counted for a shutdown"
            ledger.verdict.problems["broken promise"].append(text)


def api_killed(installation: Installation, ledger: Ledger) -> None:
    """The API dies after the commit and before the bell: nobody answered, and yet the download is done."""
    installation.kill_group("web")
    installation.start("web", "gunicorn", "--config", "python:api.gunicorn", "fakes.dying_web:app")
    eventually(installation._answers, PATIENCE)
    for _ in range(int(max(3, 10 * installation.scale))):
        plain, url = ledger.url()
        eventually(installation._answers, PATIENCE)
        with contextlib.suppress(requests.RequestException, AssertionError):
            installation.client.download(url, downloadPath=ledger.folder)
            raise RuntimeError("the API was to die here")
        rows = installation.rows("SELECT id FROM downloads WHERE url = %s", [url])
        assert rows, "committed before the API died"
        ledger.note(rows[0][0], plain)
        installation.measures.faults["killed: API between commit and bell"] += 1
    installation.kill_group("web")
    installation.start_web()
    ledger.drain(90)


def identical(installation: Installation, ledger: Ledger) -> None:
    """Fifty identical requests at once make one download."""
    for _ in range(int(max(2, 6 * installation.scale))):
        plain, url = ledger.url(rate=60_000)
        installation.measures.faults["50 identical requests"] += 1

        def post(_: int, url: str = url) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {installation.client.token}"}
            body = {"url": url, "downloadPath": ledger.folder}
            address = f"{installation.url}/api/v1/youtube/download"
            answer = requests.post(address, json=body, headers=headers, timeout=60)
            return answer.status_code, answer.json()["data"]["id"]

        with ThreadPoolExecutor(50) as pool:
            answers = list(pool.map(post, range(50)))
        ledger.note(answers[0][1], plain)
        if (
            len({made for _, made in answers}) != 1
            or sorted(answers)[-1][0] != 202
            or sorted(answers)[-2][0] != 200
        ):
            ledger.verdict.problems["doubled"].append(f"50 requests were answered {sorted(set(answers))}")
    ledger.drain(60)


def publishing(installation: Installation, ledger: Ledger) -> None:
    """Killed or frozen at each step between the last byte and the completed row."""
    installation.other_workers(app="fakes.dying_publisher")
    steps = ("bringing", "brought", "named", "linked", "completing", "completed")
    for _ in range(int(max(1, 6 * installation.scale))):
        for step in steps:
            ledger.ask(die=step)
            installation.measures.faults[f"killed while publishing: {step}"] += 1
    ledger.drain(120)
    numbers = count()
    for _ in range(int(max(1, 2 * installation.scale))):
        for step in steps[:-1]:
            freeze_at(installation, ledger, step, f"publishing{next(numbers)}")
        wake_beside_a_finished_file(installation, ledger)
    ledger.drain(60)
    installation.other_workers()


def freeze_at(installation: Installation, ledger: Ledger, step: str, gate: str) -> None:
    """A pool child sleeps at a step and wakes while its successor holds the row."""
    # Two requests a download: the third is the successor's first, and waits.
    download_id = ledger.ask(freeze=step, gate=gate, skip=2)
    owner = eventually(lambda: frozen_owner(installation, download_id), 60, what=f"{step}: frozen")
    installation.rescues.lost([(download_id, 1)])
    installation.measures.faults[f"frozen while publishing: {step}"] += 1
    eventually(lambda: installation.row(download_id, "epoch")[0] > 1, 60, what=f"{step}: claimed anew")

    def there() -> bool:  # its successor is at the site, or had nothing left to fetch
        return installation.site.held(gate) > 0 or installation.row(download_id, "ended_at")[0] is not None

    eventually(there, 60, what=f"{step}: the successor works")
    owner.send_signal(signal.SIGCONT)
    with contextlib.suppress(AssertionError):  # whoever is not stopped does his harm now
        eventually(lambda: installation.row(download_id, "ended_at")[0], 2)
    installation.site.release(gate)
    eventually(lambda: installation.row(download_id, "ended_at")[0], 60, what=f"{step}: ended")
    attempt, epoch, crashes = installation.row(download_id, "attempt, epoch, crash_count")
    if (attempt, epoch, crashes) != (2, 2, 1):
        text = f"{download_id}: a sleeper at {step} had a say: {attempt=} {epoch=} {crashes=}"
        ledger.verdict.problems["doubled"].append(text)


def wake_beside_a_finished_file(installation: Installation, ledger: Ledger) -> None:
    """A pool child sleeps before it moves its file, and wakes when its successor's file lies in the same place."""
    download_id = ledger.ask(freeze="bringing", freeze2="bringing")
    sleeper = eventually(lambda: frozen_owner(installation, download_id), 60, what="the first is frozen")
    installation.measures.faults["frozen while publishing: beside a finished file"] += 1
    eventually(lambda: installation.row(download_id, "epoch")[0] > 1, 60, what="claimed anew")
    successor = eventually(lambda: frozen_owner(installation, download_id), 60, what="the second is frozen")
    sleeper.send_signal(signal.SIGCONT)
    time.sleep(1.0)  # for any harm; a second less than what is left of the successor's lease
    successor.send_signal(signal.SIGCONT)
    eventually(lambda: installation.row(download_id, "ended_at")[0], 60, what="ended")


def frozen_owner(installation: Installation, download_id: str) -> psutil.Process | None:
    """The pool child that holds a row, once it has stopped itself."""
    owner = installation.row(download_id, "lease_owner")[0]
    with contextlib.suppress(psutil.NoSuchProcess, TypeError):
        process = psutil.Process(owner["pid"])
        if process.status() == psutil.STATUS_STOPPED:
            return process
    return None
