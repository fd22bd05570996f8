"""`medianest login`: sign in, and stay signed in on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from cli.client.questions import add_password, ask, ask_password
from cli.client.session.account import add_server, chosen_server
from cli.client.session.saved_login import SavedLogin
from cli.client.session.server import ApiServer
from cli.terminal import clean
from config.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("--email", help="asked for if absent")
    add_password(parser)
    add_server(parser)


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Ask, sign in, keep the tokens; the session lasts while it is used at least once in 30 days.

    Raises:
        CommandError: address or password is wrong, no server.
    """
    server, saved = chosen_server(args.server, settings), SavedLogin.load()
    email = args.email or ask("E-mail", "--email", saved.email if saved else "")
    body = {"email": email, "password": ask_password(args), "rememberMe": True}
    keep(server, server.call("POST", "/auth/login", body=body))
    return 0


def keep(server: ApiServer, signed_in: Mapping[str, Any]) -> None:
    """Save the login, and say so."""
    SavedLogin.of(server.url, signed_in).save()
    user = signed_in["user"]
    print(clean(f"Signed in as {user['name']} ({user['email']}) at {server.url}."))
