"""What goes wrong: each fault meets the requests whose path begins with its own, after `skip` of them, `times` times.

`plex.faults.add("short_pages", path="/library/sections/2/all", query={"type": "4"}, size=7)`; without `path` everything is
met, `/identity` and the notification socket too. `fault.wait_met()` returns once a request was spoiled.

Of lists
    ignore_paging             the whole list, whatever part was asked for
    short_pages size=N        at most N items a page
    no_total                  no totalSize, in the body or the headers
    repeat                    each page but the first begins with the last item of the page before
    skip_one                  each page but the first leaves out the item that it should begin with
    vanish count=N            after the answer, the first N items of the section are removed
Of the transport
    half_body                 half of the body, then the connection is closed
    reset                     half of the body, then the connection is reset
    slow seconds=S            waits before it answers
    call run=function         calls it with the request before answering: to change things in the middle of a listing
    hang                      holds the answer until the fault is cleared or the server stops
    die                       the server goes away in the middle of the answer; `plex.start()` brings it back on its port
Of the content
    status code=N [body=...]  an HTML error: 401 suddenly, 500, 503 while starting
    html_200                  an HTML error page with 200
    wrong_type type=...       the right body with another Content-Type
    invalid_json              a body that stops being JSON in the middle, its length being right
    gzip                      compressed
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = frozenset(
    [
        "ignore_paging",
        "short_pages",
        "no_total",
        "repeat",
        "skip_one",
        "vanish",
        "call",
        "half_body",
        "reset",
        "slow",
        "hang",
        "die",
        "status",
        "html_200",
        "wrong_type",
        "invalid_json",
        "gzip",
    ]
)
PAGES = {
    401: "<html><head><title>Unauthorized</title></head><body><h1>401 Unauthorized</h1></body></html>",
    404: "<html><head><title>Not Found</title></head><body><h1>404 Not Found</h1></body></html>",
    503: "<html><head><title>Maintenance</title></head><body><h1>503 Service Unavailable</h1>Plex Media Server is starting.</body></html>",
}


def page(code: int) -> str:
    """The HTML that Plex answers with that status."""
    return PAGES.get(
        code, f"<html><head><title>Error</title></head><body><h1>{code} Error</h1></body></html>"
    )


@dataclass
class Fault:
    """One fault; `met` counts the requests that it looked at, `done` those it spoiled."""

    kind: str
    path: str = "/"
    skip: int = 0
    times: int | None = None
    query: dict[str, str] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    met: int = 0
    done: int = 0
    cleared: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def wait_met(self, timeout: float = 10.0) -> None:
        """Return once it spoiled a request; AssertionError after `timeout` seconds."""
        assert self.reached.wait(timeout), f"no request met {self.kind}"

    def means(self, path: str, query: Mapping[str, str]) -> bool:
        """Whether it looks at this request."""
        return path.startswith(self.path) and all(
            query.get(name) == value for name, value in self.query.items()
        )


class Faults:
    """The faults of one server, in the order in which they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(
        self,
        kind: str,
        *,
        path: str = "/",
        skip: int = 0,
        times: int | None = None,
        query: dict[str, str] | None = None,
        **said: Any,
    ) -> Fault:
        """From now on; `skip=3, times=1` spoils the fourth matching request only."""
        if kind not in KINDS:
            raise ValueError(f"no such fault: {kind}")
        fault = Fault(kind, path, skip, times, query or {}, said)
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self, kind: str | None = None) -> None:
        """Everything (of a kind) is well again, and what hangs goes on."""
        with self._lock:
            gone = [fault for fault in self._faults if kind in {None, fault.kind}]
            self._faults = [fault for fault in self._faults if fault not in gone]
        for fault in gone:
            fault.cleared.set()

    def release(self) -> None:
        """Let go what hangs, without clearing."""
        with self._lock:
            for fault in self._faults:
                fault.cleared.set()
                fault.cleared = threading.Event()

    def meet(self, path: str, query: Mapping[str, str]) -> dict[str, Fault]:
        """The faults that this request meets, by kind."""
        hit = {}
        with self._lock:
            for fault in self._faults:
                if not fault.means(path, query):
                    continue
                fault.met += 1
                if fault.met > fault.skip and (fault.times is None or fault.done < fault.times):
                    fault.done += 1
                    fault.reached.set()
                    hit[fault.kind] = fault
        return hit


def part(
    whole: list[Any], asked: tuple[int, int] | None, hit: dict[str, Fault]
) -> tuple[list[Any], int | None]:
    """The page of a list that a request gets, and the offset it says (None: it says nothing about pages)."""
    if asked is None or "ignore_paging" in hit:
        return whole, None
    start, size = asked
    if "short_pages" in hit:
        size = min(size, int(hit["short_pages"].said["size"]))
    first = start
    if start and "repeat" in hit:
        first -= 1
    if start and "skip_one" in hit:
        first += 1
    return whole[first : first + size], start
