"""The pictures that sites name for their videos: fetched once by us, kept on this host's disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from contextlib import suppress
from threading import Lock

from engine.clients import pictures
from engine.clients.pictures import NoPicture, Picture, picture_of
from engine.errors import NotFound
from engine.runtime import Runtime
from engine.storage.picture_store import PictureStore
from engine.stores import cache

_PATIENCE = 3.0  # seconds that a request waits; what comes later is there for the next one
_FETCHES = 4  # at once in this process: a slow site must not take all its threads
_MOST_WAITING = 64
_FORGET_FAILURES = 900  # seconds


class _Fetches:
    """The fetches of this process, in threads of their own; none is made twice at once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._under_way: dict[str, Future[Picture]] = {}
        self._pool = ThreadPoolExecutor(_FETCHES, "thumbnails")

    def begin(self, name: str, fetch: Callable[[], Picture]) -> Future[Picture]:
        """The fetch of a picture.

        Raises:
            NoPicture: there are too many already.
        """
        with self._lock:
            found = self._under_way.get(name)
            if found is None:
                if len(self._under_way) >= _MOST_WAITING:
                    raise NoPicture
                found = self._under_way[name] = self._pool.submit(fetch)
                found.add_done_callback(lambda _: self._forget(name))
        return found

    def _forget(self, name: str) -> None:
        with self._lock:
            self._under_way.pop(name, None)


_of_process: dict[int, _Fetches] = {}


def show(runtime: Runtime, url: str | None, *, trusted: bool = False) -> Picture:
    """The picture at an address that a site has named, at most 2 MB.

    Args:
        runtime: its `DATA_DIR` has the cache, Redis remembers what failed.
        url: of the picture.
        trusted: its host is one of our settings, which may lie anywhere.

    Raises:
        NotFound: there is none, it does not come within 3 s, or did not lately.
    """
    if url is None:
        raise _none()
    name = hashlib.sha256(url.encode()).hexdigest()
    store = PictureStore(runtime.settings.data_dir / "thumbnails")
    kept = store.get(name)
    picture = None if kept is None else picture_of(kept)
    if picture is not None:
        return picture
    failed = cache.of(runtime.settings).get(f"thumbnail:{name}")
    if failed is not None and failed.age < _FORGET_FAILURES:
        raise _none()
    with suppress(NoPicture, TooSlow):
        return (
            _fetches()
            .begin(name, lambda: _fetched(runtime, store, name, url, trusted=trusted))
            .result(_PATIENCE)
        )
    raise _none()


def _fetched(runtime: Runtime, store: PictureStore, name: str, url: str, *, trusted: bool) -> Picture:
    try:
        allow_private = trusted or runtime.settings.download_allow_private_networks
        picture = pictures.fetch(url, allow_private=allow_private)
    except NoPicture:
        cache.of(runtime.settings).put(f"thumbnail:{name}", True)
        raise
    store.put(name, picture.body)
    return picture


def _fetches() -> _Fetches:
    """Those of this process: threads do not survive a fork."""
    return _of_process.setdefault(os.getpid(), _Fetches())


def _none() -> NotFound:
    return NotFound("There is no such picture.")
