"""`medianest retry`: let a failed or cancelled download begin anew."""

from __future__ import annotations

import argparse

from cli.client.session.account import SavedAccount, add_server
from cli.client.session.server import one
from config.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("id", metavar="ID", help="of the download: `medianest downloads` lists them")
    add_server(parser)


def run(args: argparse.Namespace, _settings: Settings) -> int:
    """Queue it again.

    Raises:
        CommandError: it is active or completed, or there is none.
    """
    account = SavedAccount.open(args.server)
    account.call("POST", f"{one('/youtube/downloads', args.id)}/retry")
    print("Queued again; `medianest downloads` shows it.")
    return 0
