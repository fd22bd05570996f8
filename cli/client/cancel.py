"""`medianest cancel`: stop a download that has not ended."""

from __future__ import annotations

import argparse

from cli.client.download_state import DownloadState, find
from cli.client.session.account import SavedAccount, add_server
from cli.client.session.server import Refused, one
from cli.errors import CommandError
from config.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("id", metavar="ID", help="of the download: `medianest downloads` lists them")
    add_server(parser)


def run(args: argparse.Namespace, _settings: Settings) -> int:
    """Cancel.

    Raises:
        CommandError: it has ended already, or there is none.
    """
    account = SavedAccount.open(args.server)
    # Without the word, the server removes what has ended meanwhile.
    path, query = one("/youtube/downloads", args.id), {"onlyCancel": "true"}
    try:
        state = DownloadState.of(account.call("DELETE", path, query=query))
    except Refused as refusal:
        if refusal.status == 409 and (state := find(account, args.id)).ended:
            raise CommandError(
                f"it has ended already: {state.status} (medianest remove {state.id})"
            ) from None
        raise
    print("Cancelled." if state.ended else "Being cancelled: it stops within seconds.")
    return 0
