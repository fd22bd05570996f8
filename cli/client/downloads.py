"""`medianest downloads`: a small table of one's own downloads, newest first."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cli.client.download_state import DownloadState
from cli.client.session.account import SavedAccount, add_server
from cli.terminal import columns_of, fit, size_text, width
from config.settings import Settings

HEAD = ("ID", "STATUS", "DONE", "SIZE", "ADDED", "TITLE")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--status", help="only those: queued, downloading, processing, completed, failed or cancelled"
    )
    parser.add_argument("--page", type=int, default=1, metavar="N", help="of 20 downloads each (default: 1)")
    add_server(parser)


def run(args: argparse.Namespace, _settings: Settings) -> int:
    """Print one page."""
    query = {"page": args.page} | ({"status": args.status} if args.status else {})
    answer = SavedAccount.open(args.server).call("GET", "/youtube/downloads", query=query)
    items, page = answer["items"], answer["pagination"]
    if items:
        columns = columns_of(sys.stdout) if sys.stdout.isatty() else None
        print("\n".join(_table([HEAD, *map(_cells, items)], columns)))
    else:
        print("No downloads here.")
    if page["totalPages"] > 1:
        print(f"Page {page['page']} of {page['totalPages']}; --page N shows another.", file=sys.stderr)
    return 0


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    state = DownloadState.of(row)
    size = state.size if state.size is not None else state.total
    added = datetime.fromisoformat(row["createdAt"]).astimezone()
    return (
        state.id,
        state.phase,
        f"{state.progress:.0f}%",
        "" if size is None else size_text(size),
        f"{added:%Y-%m-%d %H:%M}",
        f"{state.label}: {state.error}" if state.error else state.label,
    )


def _table(rows: Sequence[Sequence[str]], columns: int | None) -> list[str]:
    """Lines with aligned cells, cut to so many columns where a screen is that wide."""
    widths = [max(map(width, cells)) for cells in zip(*rows, strict=True)]
    lines = ("  ".join(map(fit, row, widths)).rstrip() for row in rows)
    return [line if columns is None or width(line) <= columns else fit(line, columns) for line in lines]
