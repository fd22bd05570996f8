"""The signed-in user: calls with their token, which is renewed when it has expired."""

from __future__ import annotations

import argparse
from typing import Any, Self

from cli.client.session.saved_login import SavedLogin, sole_renewer
from cli.client.session.server import ApiServer, Refused, server_url
from cli.errors import CommandError
from config.settings import Settings


def add_server(parser: argparse.ArgumentParser) -> None:
    """Add `--server`."""
    parser.add_argument(
        "--server",
        type=server_url,
        metavar="URL",
        help="where MediaNest runs (default: where you are signed in, else this machine)",
    )


def chosen_server(named: str | None, settings: Settings) -> ApiServer:
    """The server that is meant: the named one, that of the saved login, the one on this machine."""
    saved = SavedLogin.load()
    return ApiServer(named or (saved.server if saved else f"http://127.0.0.1:{settings.port}"))


class SavedAccount:
    """The user of the saved login.

    Attributes:
        server: where they are signed in.
        token: their access token; it may have expired.
    """

    def __init__(self, server: ApiServer, token: str) -> None:
        self.server, self.token = server, token

    @classmethod
    def open(cls, named: str | None) -> Self:
        """The account at the named server, or wherever the user is signed in.

        Raises:
            CommandError: they are not signed in.
        """
        saved = SavedLogin.load()
        if saved is None or (named is not None and named != saved.server):
            there = f" at {named}" if named else ""
            option = f" --server {named}" if named else ""
            raise CommandError(f"you are not signed in{there}: medianest login{option}")
        return cls(ApiServer(saved.server), saved.token)

    def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Make one request, as `ApiServer.call` does.

        Raises:
            CommandError: as there; or the session is over.
        """
        try:
            try:
                return self.server.call(method, path, token=self.token, **more)
            except Refused as refusal:
                if refusal.code != "TOKEN_EXPIRED":
                    raise
            self.renew()
            return self.server.call(method, path, token=self.token, **more)
        except Refused as refusal:
            if refusal.status == 401:
                raise self._over() from None
            raise

    def renew(self) -> None:
        """Get a fresh access token, from the server or from a client beside us that has just done so.

        Raises:
            CommandError: the session is over.
        """
        with sole_renewer():
            saved = SavedLogin.load()
            if saved is None or saved.server != self.server.url:
                raise self._over()
            if saved.token == self.token:
                body = {"refreshToken": saved.refresh_token}
                try:
                    answer = self.server.call("POST", "/auth/refresh", body=body)
                except Refused as refusal:
                    if refusal.status == 401:
                        raise self._over() from None
                    raise
                saved = SavedLogin.of(self.server.url, answer)
                saved.save()
            self.token = saved.token

    def _over(self) -> CommandError:
        return CommandError(f"your session at {self.server.url} is over: sign in with `medianest login`")
