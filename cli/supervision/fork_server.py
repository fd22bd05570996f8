"""`python -m cli.supervision.fork_server`: imports once what the processes share, and forks each of them on request.

Standard input is a socket to the supervisor, one message a request or an answer; see `cli.supervision.forking`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
from dataclasses import dataclass

from cli.processes import end_with_parent
from cli.supervision.command_line import show_as

READY = b"ready"
_LONGEST_REQUEST = 65536
# What at least two of the processes load, found by comparing their sys.modules. Nothing that reads settings when it
# is imported; nothing that imports billiard.common, which reads REMAP_SIGTERM then. What only one process loads would
# gain nothing, and copies of it that others change by counting references would cost.
_SHARED = (
    "argparse",
    "celery.app.amqp",
    "celery.app.task",
    "cli.about",
    "cli.flower.command",
    "cli.interrupts",
    "cli.terminal",
    "config.celery",
    "config.logging",
    "config.redis",
    "engine.accounts.administration",
    "engine.arrivals.work",
    "engine.downloads.previews.work",
    "engine.downloads.removal_work",
    "engine.downloads.work",
    "engine.mails.work",
    "engine.monitoring.heartbeats",
    "engine.plex.sync.work",
    "engine.plex.watching.refresh",
    "engine.runtime",
    "engine.webhooks.work",
    "kombu.transport.redis",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
)


@dataclass(frozen=True)
class _Request:
    """A process to become: `python -m` these words, with these variables set, output to this descriptor."""

    words: list[str]
    variables: dict[str, str]
    output: int


def main() -> None:
    """Serve until the supervisor ends; in each forked process, run what was asked for."""
    supervisor = os.getppid()
    show_as(["python", "-m", "cli.supervision.fork_server"])
    gc.disable()  # until the fork: it only slows the loading down
    for name in _SHARED:
        importlib.import_module(name)
    importlib.import_module("sqlalchemy.orm").configure_mappers()
    gc.collect()
    gc.freeze()  # a collection writes to what it looks at, which in a child would copy it
    with socket.socket(fileno=sys.stdin.fileno()) as control:
        request = _serve(control, supervisor)
    if request is not None:
        _become(request)


def _serve(control: socket.socket, supervisor: int) -> _Request | None:
    """Fork for each request, answering with the id of the process, 0 where there is none.

    Returns:
        In a forked process what it is to become; in the fork server None, when the supervisor is gone.
    """
    control.send(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, _LONGEST_REQUEST, 1)
        if not message:
            return None
        words, variables = json.loads(message)
        pid = _fork(supervisor)
        if pid is None:
            return _Request(words, variables, descriptors[0])
        os.close(descriptors[0])
        control.send(b"%d" % pid)


def _fork(supervisor: int) -> int | None:
    """Fork a child of the supervisor: by a process between that ends at once, since the supervisor adopts orphans.

    Returns:
        Its id, 0 where the system refused; None in the child.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            between = os.fork()
        except OSError:
            return 0
        if between == 0:
            ours.close()
            _fork_again(theirs)
            os.setsid()
            # Our parent is the supervisor once the one between is reaped, not before: then we are told to go on.
            if not theirs.recv(1):
                os._exit(1)
            end_with_parent(supervisor, signal.SIGTERM)
            return None
        theirs.close()
        os.waitpid(between, 0)
        pid = int(ours.recv(32) or 0)
        if pid:
            ours.send(b"1")
        return pid


def _fork_again(theirs: socket.socket) -> None:
    """Return in a second child only; the first one tells its id and ends."""
    try:
        pid = os.fork()
        if pid:
            theirs.send(b"%d" % pid)
    except OSError:
        os._exit(1)
    if pid:
        os._exit(0)


def _become(request: _Request) -> None:
    """Be what `python -m` would have made of the request."""
    for target in (sys.stdout, sys.stderr):
        os.dup2(request.output, target.fileno())
    os.close(request.output)
    os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # takes the number that the socket had: 0
    os.environ.update(request.variables)
    show_as(["python", "-m", *request.words])
    gc.enable()
    module, *sys.argv[1:] = request.words
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
