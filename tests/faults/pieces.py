"""The row of the battery about streams in pieces: attempts are killed at random, what arrives is the same packet by packet."""

from __future__ import annotations

import contextlib
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import psutil

if TYPE_CHECKING:
    from tests.faults.installation import Installation
    from tests.faults.ledger import Ledger

KINDS = ("hls", "dash")
KILLS = 4  # most of one download


def in_pieces(installation: Installation, ledger: Ledger) -> None:
    """HLS and DASH streams that come slowly, whose attempts are killed again and again, at whatever piece they are."""
    models = {kind: ledger.ask(None, kind=kind) for kind in KINDS}
    ledger.drain(60)
    for download_id in models.values():
        ledger.compare_packets(download_id, download_id)
    left = {}
    for number in range(int(max(4, 24 * installation.scale))):
        kind = KINDS[number % len(KINDS)]
        download_id = ledger.ask(None, kind=kind, **{"media.rate": 40_000})
        ledger.compare_packets(download_id, models[kind])
        left[download_id] = KILLS
    until = time.monotonic() + 30 + 20 * len(left) / len(KINDS)
    while any(left.values()) and ledger.active() and time.monotonic() < until:
        time.sleep(installation.random.uniform(0.05, 0.4))
        download_id = installation.random.choice([each for each, kills in left.items() if kills])
        with contextlib.suppress(psutil.NoSuchProcess):
            attempt = installation.attempt_process(download_id)
            if attempt is not None:
                attempt.kill()
                left[download_id] -= 1
                installation.measures.faults["killed: attempt at a piece"] += 1
    assert sum(left.values()) < KILLS * len(left), "no attempt was killed"
    ledger.drain(120)


def packets(path: Path) -> list[tuple[Any, ...]]:
    """Every packet of a film: its stream, times, size and bytes."""
    with av.open(f"file:{path}") as container:
        return [
            (packet.stream_index, packet.dts, packet.pts, packet.size, blake2b(bytes(packet)).digest())
            for packet in container.demux()
        ]
