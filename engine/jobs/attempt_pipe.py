"""The pipe between an attempt and the process that watches it: pickled messages, each with its length before it."""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Iterator
from typing import Any

_HEADER = struct.Struct("!I")


class MessageReader:
    """Cuts a stream of bytes into pickled messages."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = bytearray()
        self.ended = False

    def messages(self) -> Iterator[Any]:
        """Read what is there, once, and hand out the messages that are whole by now; sets `ended` at the end."""
        chunk = os.read(self._descriptor, 1 << 16)
        self.ended = not chunk
        self._buffer += chunk
        while len(self._buffer) >= _HEADER.size:
            (size,) = _HEADER.unpack_from(self._buffer)
            if len(self._buffer) < _HEADER.size + size:
                return
            body = bytes(self._buffer[_HEADER.size : _HEADER.size + size])
            del self._buffer[: _HEADER.size + size]
            yield pickle.loads(body)  # noqa: S301 - from our own child


def packed(message: Any) -> bytes:
    """A message as it travels."""
    body = pickle.dumps(message)
    return _HEADER.pack(len(body)) + body


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, in as many steps as the pipe takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
