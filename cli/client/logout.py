"""`medianest logout`: end the session, here and on the server."""

from __future__ import annotations

import argparse

from cli.client.session.account import SavedAccount
from cli.client.session.saved_login import SavedLogin
from cli.client.session.server import Refused, Unreachable
from cli.errors import CommandError
from config.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: it has none."""


def run(_args: argparse.Namespace, _settings: Settings) -> int:
    """Forget the tokens in any case; the server is told where it can be.

    Raises:
        CommandError: it could not be told.
    """
    if SavedLogin.load() is None:
        print("You are not signed in.")
        return 0
    account = SavedAccount.open(None)
    try:
        account.call("POST", "/auth/logout", body={})
    except (Unreachable, Refused) as error:
        raise CommandError(f"signed out here, but the server was not told: {error}") from None
    except CommandError:
        pass  # the session was over already
    finally:
        SavedLogin.forget()
    print(f"Signed out at {account.server.url}.")
    return 0
