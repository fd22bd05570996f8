"""HTTP answers, read from sockets that a test writes raw bytes to."""

from __future__ import annotations

import socket
from http.client import HTTPResponse
from typing import NamedTuple


class Answer(NamedTuple):
    """One answer: its status, its headers by lowercase name, and its whole body."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer_on(sock: socket.socket) -> Answer:
    """The next answer of a connection, however many pieces the network delivers it in.

    Only for a connection that carries one answer: what follows it may be read and lost.
    """
    with HTTPResponse(sock) as answer:
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())
