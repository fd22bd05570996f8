"""The rows of the battery about people who change their minds: a cancel in each phase, and one that races the end."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tests.faults.installation import Installation
from tests.faults.ledger import Ledger
from tests.faults.scenarios import frozen_owner
from tests.stack import eventually

TRIES = 5  # to meet a download in ffmpeg


def cancelled(installation: Installation, ledger: Ledger) -> None:
    """A cancel in each phase ends the download within three seconds and leaves nothing behind."""
    installation.other_workers(app="fakes.dying_publisher")
    for _ in range(int(max(1, 5 * installation.scale))):
        for phase in (queued, extracting, downloading, processing, being_published):
            phase(installation, ledger)
            installation.measures.faults[f"cancel: {phase.__name__.replace('_', ' ')}"] += 1
    racing(installation, ledger, int(max(10, 60 * installation.scale)))
    ledger.drain(60)
    installation.other_workers()
    ids = list(ledger.wishes)
    query = (
        "SELECT extract(epoch FROM ended_at - cancel_requested_at) FROM downloads"
        " WHERE id = ANY(%s) AND status = 'cancelled'"
    )
    installation.measures.cancels += [float(row[0]) for row in installation.rows(query, [ids])]


def cancel(installation: Installation, download_id: str) -> tuple[int, str]:
    """DELETE a download; the answer's status code, and the row's state in it."""
    answer = installation.client.call("DELETE", f"/youtube/downloads/{download_id}")
    return answer.status_code, str((answer.json().get("data") or {}).get("status"))


def queued(installation: Installation, ledger: Ledger) -> None:
    """All workers are busy; what waits behind them is cancelled at once."""
    gate = f"queued{len(ledger.wishes)}"
    for _ in range(6):
        ledger.ask(gate=gate, skip=1)
    eventually(lambda: installation.site.held(gate) == 6, 60, what="six at the gate")
    for download_id in [ledger.ask(ends="cancelled") for _ in range(3)]:
        assert cancel(installation, download_id) == (200, "cancelled")
    installation.site.release(gate)
    ledger.drain(60)


def extracting(installation: Installation, ledger: Ledger) -> None:
    """At the gate with its very first request."""
    at_a_gate(installation, ledger, {"gate": f"extracting{len(ledger.wishes)}"})


def downloading(installation: Installation, ledger: Ledger) -> None:
    """In the middle of its bytes."""
    at_a_gate(installation, ledger, {"gate": f"bytes{len(ledger.wishes)}", "skip": 1, "after": 70_000})


def at_a_gate(installation: Installation, ledger: Ledger, behaviour: dict[str, object]) -> None:
    download_id = ledger.ask(ends="cancelled", **behaviour)
    installation.site.wait_held(str(behaviour["gate"]))
    end_soon(installation, download_id)
    installation.site.release(str(behaviour["gate"]))


def processing(installation: Installation, ledger: Ledger) -> None:
    """In ffmpeg, which is made to re-encode; now and then it is faster than we are."""
    for _ in range(TRIES):
        download_id = ledger.ask(None, lines=1080, format="webm", ends="cancelled")
        eventually(partial(_is_past_its_bytes, installation, download_id), 60)
        path = f"/youtube/downloads/{download_id}"
        answer = installation.client.call("DELETE", path)
        if answer.status_code == 409:  # it is being published
            ended(installation, download_id)
            answer = installation.client.call("DELETE", path)
        row = answer.json()["data"]
        if row["status"] != "completed":
            ended(installation, download_id)
            return
        ledger.disregard(download_id, row["file"]["path"])
    raise AssertionError(f"ffmpeg was faster than the cancel, {TRIES} times")


def _is_past_its_bytes(installation: Installation, download_id: str) -> bool:
    return installation.row(download_id, "status")[0] in {"processing", "completed"}


def being_published(installation: Installation, ledger: Ledger) -> None:
    """While the file gets its name the answer is 409, and the download completes."""
    download_id = ledger.ask(freeze="named")
    owner = eventually(lambda: frozen_owner(installation, download_id), 60, what="frozen while publishing")
    status, _ = cancel(installation, download_id)
    owner.send_signal(signal.SIGCONT)
    ended(installation, download_id)
    if status != 409:
        ledger.verdict.problems["broken promise"].append(f"{download_id}: {status} while being published")


def end_soon(installation: Installation, download_id: str) -> None:
    status, _ = cancel(installation, download_id)
    assert status == 200, status
    ended(installation, download_id)


def ended(installation: Installation, download_id: str) -> None:
    eventually(lambda: installation.row(download_id, "ended_at")[0], 30, what=f"{download_id} ends")


def racing(installation: Installation, ledger: Ledger, number: int) -> None:
    """Cancelled at about the moment of completion: either there is a file, or a cancelled row; never both."""
    delays = {
        ledger.ask(ends="cancelled|completed"): installation.random.uniform(0, 1.0) for _ in range(number)
    }

    def race(download_id: str) -> None:
        eventually(lambda: installation.row(download_id, "status")[0] != "queued", 60)
        time.sleep(delays[download_id])
        _, state = cancel(installation, download_id)
        if state == "completed":  # it had ended, so the row was removed and the file stays
            ledger.wishes[download_id].removed = True

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(race, delays))
    installation.measures.faults["cancel: racing completion"] += number
