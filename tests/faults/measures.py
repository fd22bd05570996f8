"""What a run counts and times: faults by kind, rescues, cancels, exits; and the report they end in."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Rows = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]


class Measures:
    """Counters and times of one run, in seconds."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.restarts: Counter[str] = Counter()  # workers that exited by themselves, as with a full Redis
        self.rescues: list[float] = []
        self.cancels: list[float] = []
        self.exits: list[float] = []

    def report(self, lease: float, reconcile: float) -> dict[str, Any]:
        """The numbers, each beside its promise; that of a rescue is told for leases of 90 s, so it is moved."""
        promised = {"rescue": 120 - 90 - 10 + lease + reconcile, "cancel": 3.0, "exit": 8.0}
        times = {"rescue": self.rescues, "cancel": self.cancels, "exit": self.exits}
        return {
            "faults": dict(sorted(self.faults.items())),
            "restarts": dict(self.restarts),
            "times": {name: _times(values, promised[name]) for name, values in times.items()},
        }


def _times(values: Sequence[float], promised: float) -> dict[str, Any]:
    return {
        "count": len(values),
        "p50": percentile(values, 50),
        "p99": percentile(values, 99),
        "max": percentile(values, 100),
        "promised": promised,
        "kept": percentile(values, 99) <= promised,
    }


def percentile(values: Iterable[float], percent: float) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    ordered = sorted(values)
    return round(ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)], 2) if ordered else 0.0


class Rescues:
    """Times how long rows stay without a living holder after a fault."""

    def __init__(self, rows: Rows, times: list[float]) -> None:
        self._rows, self._times = rows, times
        self._lost: dict[str, tuple[int, float]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="rescues")
        self._thread.start()

    def held_by(self, pids: Iterable[int]) -> list[tuple[str, int]]:
        """The rows, with their epochs, that these processes (workers or pool children) hold."""
        found = self._rows(
            "SELECT id, epoch FROM downloads WHERE lease_until IS NOT NULL"
            " AND ((lease_owner->>'pid')::int = ANY(%s) OR (lease_owner->>'parent')::int = ANY(%s))",
            [list(pids)] * 2,
        )
        return [(row[0], row[1]) for row in found]

    def lost(self, rows: Iterable[tuple[str, int]]) -> None:
        """These rows have just lost their holder."""
        with self._lock:
            self._lost.update({row_id: (epoch, time.monotonic()) for row_id, epoch in rows})

    @property
    def waiting(self) -> int:
        """Rows that nobody has taken yet."""
        return len(self._lost)

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.15):
            with self._lock:
                asked = dict(self._lost)
            if not asked:
                continue
            found = self._rows("SELECT id, epoch, ended_at FROM downloads WHERE id = ANY(%s)", [list(asked)])
            with self._lock:
                for row_id, epoch, ended_at in found:
                    if self._lost.get(row_id) == asked[row_id] and (ended_at or epoch > asked[row_id][0]):
                        self._times.append(time.monotonic() - asked[row_id][1])
                        del self._lost[row_id]
