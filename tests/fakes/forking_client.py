"""The client, imported once and forked for each command: a line of words makes a child, whose end is told."""

from __future__ import annotations

import contextlib
import os
import sys

from cli.main import main


def run() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            # Told by the child itself: a Ctrl-C that comes before Python has finished the fork is lost.
            print(os.getpid(), flush=True)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            code = 99
            with contextlib.suppress(SystemExit):
                code = main(line.split())
            os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


run()
