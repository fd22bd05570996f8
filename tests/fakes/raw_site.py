"""A site that answers with bytes of a test's choice, right or wrong HTTP, on a real socket.

In a test::

    with RawSite() as site:                                   # 127.0.0.1, a free port
        site.answers["/a"] = [b"HTTP/1.1 302 Found\\r\\n", b"Location: /b\\r\\n\\r\\n"]
        site.answers["/b"] = lambda: endless(b"x")            # anew for each request; sent until the client leaves
        site.asked                                            # the paths, in order
    site.said["/a"]                                       # the header fields of the last request for it, as sent
"""

from __future__ import annotations

import itertools
import socketserver
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress

Parts = Iterable[bytes]
MEGABYTE = 1 << 20


def head(status: str = "200 OK", *, type: str = "text/html", **fields: str) -> bytes:  # noqa: A002 - the header's word
    """Status line and header fields; `_` in a name stands for `-`."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Type: {type}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def endless(block: bytes = b" " * MEGABYTE) -> Iterator[bytes]:
    """The block for ever."""
    return itertools.repeat(block)


def packed(first: bytes = b"", block: bytes = b" " * MEGABYTE) -> Iterator[bytes]:
    """gzip of `first` and then the block for ever."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    pieces = [packer.compress(each) + packer.flush(zlib.Z_FULL_FLUSH) for each in (first + block, block)]
    yield pieces[0]
    yield from itertools.repeat(pieces[1])


class RawSite(AbstractContextManager["RawSite"]):
    """Answers each path with what `answers` holds, as it is, and closes the connection."""

    def __init__(self) -> None:
        self.answers: dict[str, Parts | Callable[[], Parts]] = {}
        self.asked: list[str] = []
        self.said: dict[str, str] = {}
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 20

            def handle(self) -> None:
                with suppress(OSError):
                    path = self.rfile.readline(65536).split()[1].decode("latin-1")
                    fields = ""
                    while line := self.rfile.readline(65536).strip():
                        fields += line.decode("latin-1") + "\n"
                    outer.asked.append(path)
                    outer.said[path] = fields
                    held = outer.answers.get(path, [head("404 Not Found", Content_Length="0")])
                    for part in held() if callable(held) else held:
                        self.wfile.write(part)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = allow_reuse_address = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> RawSite:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
