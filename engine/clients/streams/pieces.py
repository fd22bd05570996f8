"""Fetches a stream in pieces: a few in parallel; each is checked, decrypted, appended in order and journaled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from hashlib import blake2b
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import IO

from engine.clients.fetch_errors import FetchError
from engine.clients.streams.files import StreamFiles
from engine.clients.streams.journal import DIGEST, Journal, Record, resumed_journal, valid_records
from engine.clients.streams.keys import BLOCK, Keys, decrypted
from engine.clients.streams.plan import LARGEST_PIECE, Piece, TransferPlan
from engine.clients.streams.report import TransferReport
from engine.clients.streams.shape import HEAD, initialisation, is_clear_map, is_page, is_truncated
from engine.clients.streams.source import Source
from engine.clients.streams.transfer import Transfer

_AT_ONCE = 3
_AHEAD = 2 * _AT_ONCE  # pieces being fetched or waiting to be appended
_IN_MEMORY = 1 << 20  # bytes of a piece; larger ones are kept in an unnamed temporary file


class _StoppedError(Exception):
    """Stops the other pieces' transfers after one failed."""


def fetch(source: Source, plan: TransferPlan, files: StreamFiles, report: TransferReport) -> None:
    """Complete the part file, resuming after the last piece that the journal proves to be there.

    Raises:
        FetchError, yt_dlp.networking.exceptions.RequestError: a piece failed; those before it are kept.
    """
    report.expect(total=plan.size, pieces=len(plan.pieces))
    with files.part.open("r+b" if files.part.exists() else "w+b") as part:
        kept = valid_records(files.journal, part, plan.pieces, report.reused)
        end = kept[-1].offset + kept[-1].length if kept else 0
        part.truncate(end)
        keys = Keys(source)
        with resumed_journal(files.journal, kept) as notes, _Fetcher(source, files, report) as fetcher:
            fetcher.check_maps(plan.pieces, keys)
            appender = _Appender(part, end, notes, keys)
            for number, piece, body in fetcher.in_order(plan.pieces, len(kept)):
                with body:
                    report.appended(appender.append(piece, body), number)
        if not appender.end:
            raise FetchError("truncated", detail="nothing arrived")


class _Fetcher:
    """Fetches pieces in parallel and hands them out in order."""

    def __init__(self, source: Source, files: StreamFiles, report: TransferReport) -> None:
        self._source, self._folder, self._report = source, files.part.parent, report
        self._stop: BaseException | None = None  # raised in all transfers once set
        self._pool = ThreadPoolExecutor(_AT_ONCE)
        self._pending: deque[tuple[int, Future[IO[bytes]]]] = deque()

    def __enter__(self) -> _Fetcher:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = self._stop or _StoppedError()
        self._pool.shutdown(cancel_futures=True)
        for _number, future in self._pending:
            if not future.cancelled() and future.exception() is None:
                future.result().close()

    def in_order(self, pieces: Sequence[Piece], first: int) -> Iterator[tuple[int, Piece, IO[bytes]]]:
        """Number, piece and body of each piece from `first` on; the caller closes the body."""
        for number in range(first, len(pieces) + _AHEAD):
            if number < len(pieces):
                self._pending.append((number, self._pool.submit(self._fetch, number, pieces[number])))
            if self._pending and (number >= len(pieces) or len(self._pending) == _AHEAD):
                next_number, future = self._pending.popleft()
                yield next_number, pieces[next_number], future.result()

    def check_maps(self, pieces: Sequence[Piece], keys: Keys) -> None:
        """Compare all initialisation sections before the transfer, rather than failing at a later piece.

        Raises:
            FetchError: spliced, they differ: the stream changes its format in the middle.
        """
        openings = {(piece.url, piece.span): piece for piece in pieces if piece.is_map}
        if len(openings) < 2:
            return
        found = set()
        for piece in openings.values():
            with self._fetch(0, piece) as body:
                found.add(initialisation(next(_content(piece, body, keys), b"")))
        if len(found) > 1:
            raise FetchError("spliced", detail=f"{len(found)} initialisation sections")

    def _fetch(self, number: int, piece: Piece) -> IO[bytes]:
        def arrived(have: int) -> None:
            if self._stop is not None:
                raise self._stop
            if have > LARGEST_PIECE:
                raise FetchError("too_large", detail="a single piece is too large")
            try:
                self._report.arrived(have, number)
            except BaseException as error:  # a limit is reached, or the download is cancelled
                self._stop = error
                raise

        body = SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(self._folder))  # noqa: SIM115 - the caller closes it
        try:
            version = Transfer(self._source, piece.url, body, span=piece.span, arrived=arrived).run()
            if version.size is None and piece.span is None and piece.key is None and is_truncated(body):
                raise FetchError("truncated", detail="a piece that ends within a packet")
        except BaseException:
            body.close()
            raise
        return body


class _Appender:
    """Appends pieces to the part file and to the journal."""

    def __init__(self, part: IO[bytes], end: int, notes: Journal, keys: Keys) -> None:
        self._part, self._notes, self._keys = part, notes, keys
        self.end = end

    def append(self, piece: Piece, body: IO[bytes]) -> int:
        """Append a piece, or nothing if it repeats the initialisation section; returns the bytes written.

        Raises:
            FetchError: spliced (another initialisation section); not_media; see `keys.decrypted`.
        """
        content = _content(piece, body, self._keys)
        head = next(content, b"")
        if is_page(head):
            raise FetchError("not_media", detail="a page instead of a piece")
        if self._is_repeated(head):
            content, head = iter(()), b""
        digest, length = blake2b(digest_size=DIGEST), 0
        self._part.seek(self.end)
        for block in chain((head,), content):
            self._part.write(block)
            digest.update(block)
            length += len(block)
        self._part.flush()
        self._notes.add(Record(piece.fingerprint, self.end, length, digest.hexdigest()))
        self.end += length
        return length

    def _is_repeated(self, head: bytes) -> bool:
        """Whether it is only this stream's initialisation section again."""
        again = initialisation(head)
        if again is None or not self.end:
            return False
        self._part.seek(0)
        first = initialisation(self._part.read(HEAD)) or b""
        if not first or first[: len(again)] != again[: len(first)]:
            raise FetchError("spliced", detail="another initialisation section")
        return head.endswith(again)


def _content(piece: Piece, body: IO[bytes], keys: Keys) -> Iterator[bytes]:
    """A piece's decrypted bytes in blocks; the first block is large enough for the checks in `shape`."""
    length = body.seek(0, 2)
    body.seek(0)
    clear = piece.is_map and is_clear_map(body.read(8))
    body.seek(0)
    if piece.key is None or clear:
        return iter(lambda: body.read(BLOCK), b"")
    return decrypted(body, length, keys.value(piece.key), piece.key.iv)
