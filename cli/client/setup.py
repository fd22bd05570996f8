"""`medianest setup`: create the first administrator of a fresh server, and sign in as them."""

from __future__ import annotations

import argparse

from cli.client.login import keep
from cli.client.questions import add_password, ask, ask_password, ask_secret
from cli.client.session.account import add_server, chosen_server
from cli.client.session.server import Refused
from cli.errors import CommandError
from config.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--email", help="of the administrator; asked for if absent")
    parser.add_argument("--name", help="of the administrator; asked for if absent")
    add_password(parser)
    parser.add_argument(
        "--setup-token",
        metavar="TOKEN",
        help="the proof that a server in production asks for; it printed it at its first start "
        "(default: SETUP_TOKEN; asked for if needed)",
    )
    add_server(parser)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Ask, create, sign in.

    Raises:
        CommandError: there is an administrator already, an answer is not accepted, no server.
    """
    server = chosen_server(args.server, settings)
    body = {
        "email": args.email or ask("E-mail", "--email"),
        "name": args.name or ask("Name", "--name"),
        "password": ask_password(args, twice=True),
    }
    proof = args.setup_token or settings.setup_token
    if proof:
        body["setupToken"] = proof
    try:
        try:
            signed_in = server.call("POST", "/auth/admin", body=body)
        except Refused as refusal:
            proof = (
                None if proof or refusal.status != 403 else ask_secret("Setup token (the server printed it)")
            )
            if not proof:
                raise
            signed_in = server.call("POST", "/auth/admin", body=body | {"setupToken": proof})
    except Refused as refusal:
        if refusal.status == 409:
            raise CommandError(f"{refusal} (medianest login)") from None
        raise
    keep(server, signed_in)
    return 0
