"""`python -m tasks`: a worker. Celery's own command line would load 15 MB of other commands into every process."""

from __future__ import annotations

import argparse
import sys

from celery.utils.nodenames import default_nodename, host_format

from config.celery import QUEUES
from tasks.app import app


def main() -> None:
    """Serve queues until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tasks", description="A worker for some of the queues.")
    parser.add_argument(
        "-n", dest="name", required=True, help="its name, once in the installation; %%h is the host"
    )
    parser.add_argument("-Q", dest="queues", default=",".join(QUEUES), help="queues (default: %(default)s)")
    parser.add_argument(
        "-c", dest="concurrency", type=int, default=1, help="jobs at once (default: %(default)s)"
    )
    args = parser.parse_args()
    worker = app.Worker(
        hostname=host_format(default_nodename(args.name)),
        queues=args.queues.split(","),
        concurrency=args.concurrency,
        # Workers learn nothing from each other that the database does not tell.
        without_gossip=True,
        without_mingle=True,
        quiet=True,
    )
    worker.start()
    sys.exit(worker.exitcode)


if __name__ == "__main__":
    main()
