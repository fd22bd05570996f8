"""The token with which our Plex server knows a person with whom it is shared: plex.tv tells it to him alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.plex.http import PlexHttp
from engine.clients.plex.tv import SECONDS, WHO, Malformed, TokenRefused, token_of


def server_token(base: str, identifier: str, token: str, server_id: str) -> str | None:
    """His token for a server; None where he may not use it.

    Args:
        base: URL of plex.tv.
        identifier: the name by which Plex knows this installation.
        token: of the person, for plex.tv.
        server_id: machineIdentifier.

    Raises:
        TokenRefused: plex.tv does not take his token.
        PlexUnreachable: no answer that can be used.
    """
    http = PlexHttp(base, who=WHO, identifier=identifier, seconds=SECONDS)
    try:
        answer = http.get("/api/v2/resources", {"includeHttps": "1", "includeRelay": "1"}, token)
        if answer.status in {401, 498}:
            raise TokenRefused
        if answer.status != 200:
            raise http.unusable(f"HTTP {answer.status}")
        try:
            for each in _listed(decoded(answer.body)):
                if each.get("clientIdentifier") == server_id and "server" in str(each.get("provides")):
                    return token_of({"authToken": each.get("accessToken")})
        except (NotJson, Malformed):
            raise http.unusable("an answer that is not understood") from None
        return None
    finally:
        http.close()


def _listed(document: Any) -> list[Mapping[str, Any]]:
    """The resources that can be read; one that can't costs no other."""
    if not isinstance(document, list):
        raise Malformed("resources")
    return [each for each in document if isinstance(each, Mapping)]
