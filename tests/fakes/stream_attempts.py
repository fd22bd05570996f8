"""Attempts to fetch one stream that may be killed from outside, or that kill themselves at a step of their own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from engine.clients.fetch_signals import FetchSpec
from engine.clients.promises import Promise
from engine.clients.streams import journal as stream_journal
from engine.clients.ytdlp import streams as ytdlp_streams
from engine.clients.ytdlp.extract import chosen_streams, extract, youtube_dl
from tests.fakes.attempts import Attempts, Order
from tests.stack import eventually

STREAM = "film.media"


def fetch_stream(url: str, folder: Path, dies_before_record: int | None = None) -> Promise:
    """Fetch the first stream behind a URL into a folder, as `engine.clients.ytdlp.fetch` would begin."""
    if dies_before_record is not None:
        _die_before(dies_before_record)
    (folder / "pid").write_text(str(os.getpid()))
    spec = FetchSpec(url=url, quality="best", format="mp4", work_dir=folder, ffmpeg="")
    with youtube_dl(spec) as ydl:
        stream = chosen_streams(extract(ydl, url))[0]
        return ytdlp_streams.download(ydl, stream, folder / STREAM, lambda status: None)


def _die_before(number: int) -> None:
    """Be killed when the piece of that number is in the file and not yet in the journal."""
    add, left = stream_journal.Journal.add, [number]

    def adding(journal: stream_journal.Journal, record: stream_journal.Record) -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        add(journal, record)

    stream_journal.Journal.add = adding  # type: ignore[method-assign]


class StreamAttempts:
    """Attempts at one stream, one after the other, all in one folder."""

    def __init__(self, attempts: Attempts, url: str, folder: Path) -> None:
        self._attempts, self._url, self.folder = attempts, url, folder
        folder.mkdir(exist_ok=True)

    @property
    def stream(self) -> Path:
        """The complete stream."""
        return self.folder / STREAM

    def __call__(self, **how: int) -> Promise:
        """Run one to its end; RuntimeError if it was killed."""
        order = Order(call=partial(fetch_stream, self._url, self.folder, **how), guarded=False)
        return self._attempts(order)  # type: ignore[no-any-return]

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Run one beside the test, which waits for its moment inside of this; then it is killed, if it still lives."""
        (self.folder / "pid").unlink(missing_ok=True)
        ended: list[BaseException] = []

        def run() -> None:
            try:
                self()
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        pid = int(eventually(self._pid, 30))
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            thread.join(30)
        assert [str(error) for error in ended] in ([], ["the attempt died: 9"])

    def _pid(self) -> str | None:
        try:
            return (self.folder / "pid").read_text() or None
        except FileNotFoundError:
            return None

    def records(self) -> int:
        """How many pieces the journal speaks of."""
        path = self.folder / f"{STREAM}.journal"
        return path.read_bytes().count(b"\n") if path.exists() else 0
