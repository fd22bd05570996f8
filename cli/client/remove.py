"""`medianest remove`: take a download that has ended off the list."""

from __future__ import annotations

import argparse

from cli.client.download_state import DownloadState, find
from cli.client.session.account import SavedAccount, add_server
from cli.client.session.server import one
from cli.errors import CommandError
from cli.terminal import clean
from config.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("id", metavar="ID", help="of the download: `medianest downloads` lists them")
    parser.add_argument("--delete-file", action="store_true", help="delete the finished file too")
    add_server(parser)


def run(args: argparse.Namespace, _settings: Settings) -> int:
    """Remove.

    Raises:
        CommandError: it has not ended, or there is none.
    """
    account = SavedAccount.open(args.server)
    # The server cancels what is active upon the same request.
    state = find(account, args.id)
    if not state.ended:
        raise CommandError(f"it is still active: {state.status} (medianest cancel {state.id})")
    query = {"deleteFile": "true"} if args.delete_file else None
    state = DownloadState.of(account.call("DELETE", one("/youtube/downloads", args.id), query=query))
    if state.path is None:
        print("Removed.")
    elif args.delete_file:
        print(clean(f"Removed; the file goes too: {state.path}"))
    else:
        print(clean(f"Removed; the file stays: {state.path}"))
    return 0
