"""Runs the benchmarks: `python -m bench [--json FILE] [--markdown] [names...]`; always exits with 0."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import report
from bench.report import Figure
from bench.rows import (
    asked,
    enqueue,
    files30,
    limited,
    listing,
    pages,
    plex_reads,
    plex_sync,
    post,
    relayed,
    started,
    webhooks,
)

ROWS: dict[str, Callable[[bool], Iterable[Figure]]] = {
    "post": post.run,
    "files30": files30.run,
    "enqueue": enqueue.run,
    "list": listing.run,
    "plex_sync": plex_sync.run,
    "limits": limited.run,
    "start": started.start,
    "idle": started.idle,
    "sockets": relayed.run,
    "plexreads": plex_reads.run,
    "webhooks": webhooks.run,
    "pages": pages.run,
    "requests": asked.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(ROWS)}; default: all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument(
        "--markdown", action="store_true", help="print the table of docs/performance.md at the end"
    )
    parser.add_argument(
        "--read", type=Path, metavar="FILE", help="measure nothing; show a file that --json wrote"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="tiny counts, to check that everything runs; the figures mean little",
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(ROWS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    where = report.machine()
    if options.read:
        figures, where = report.from_json(json.loads(options.read.read_text()))
        print(report.lines(figures))
    else:
        print(f"{where['cores']} cores, Python {where['python']}, load {where['load']}", flush=True)
        figures = [figure for name in options.names or ROWS for figure in measure(name, options.quick)]
    if options.json:
        options.json.write_text(json.dumps(report.as_json(figures, where), indent=2) + "\n")
    if options.markdown:
        print("\n" + report.markdown(figures, where))


def measure(name: str, quick: bool) -> list[Figure]:
    """Measure and print one row; a failure is printed and ends only that row."""
    began, figures = time.monotonic(), list[Figure]()
    try:
        figures.extend(ROWS[name](quick))
    except Exception:
        traceback.print_exc(file=sys.stderr)
        print(f"\n{name}: could not be measured", flush=True)
        return []
    print(
        f"\n{name} ({time.monotonic() - began:.0f} s, load {report.machine()['load']})\n{report.lines(figures)}",
        flush=True,
    )
    return figures


if __name__ == "__main__":
    main()
