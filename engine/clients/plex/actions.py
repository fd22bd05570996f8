"""Single questions and actions that plexapi knows how to ask, over our own client.

plexapi builds the request and reads the answer; `_Server.query`, the one method through which it reaches a server, goes
through `PlexClient.body`. So time, bytes, entities of XML, headers, certificates and errors are those of every other
call, and neither its configuration file nor `PLEXAPI_*` name a server, a token or who we are.

Asked as raw JSON instead, each for a promise that plexapi does not keep:

* listings of a library, of collections and of their members (`library`, `queries`): a seventh of the cost, and one odd
  entry costs that entry, where plexapi loses the whole list; a list whose total is wrong keeps it asking for ever.
* libraries, and who a server is (`library`, `discovery`): servers and proxies that answer JSON to whoever asks for XML.
* an item whose files are checked (`library`): plexapi does not tell which of its versions lie in the server's trash.
* what somebody watched (`queries`): in parts that overlap, so that none is lost when the list moves.
* plex.tv (`tv`): its answers decide who may sign in, so what can't be read is refused, not skipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from xml.etree.ElementTree import Element

from plexapi.base import PlexObject
from plexapi.exceptions import PlexApiException
from plexapi.library import LibrarySection
from plexapi.server import PlexServer, SystemAccount

from engine.clients.foreign_xml import NotXml, root_of
from engine.clients.plex.errors import PlexGarbled
from engine.clients.plex.http import PlexClient

_MOST_REQUESTS = 5  # of one call: plexapi asks on and on for a list whose total is wrong
_AT_ONCE = 1000


def scan(client: PlexClient, section: str, folder: str) -> None:
    """Have the server look into one folder of a library; it does so when it gets round to it.

    Args:
        client: of the server.
        section: key of the library.
        folder: as the server sees it.

    Raises:
        PlexError: one of its kinds.
    """
    with _understood():
        library = LibrarySection(_Server(client), Element("Directory"))
        library.key = section  # type: ignore[assignment]  # plexapi takes keys for numbers
        with suppress(NotXml):  # whatever it says, nobody reads it
            library.update(folder)


def accounts(client: PlexClient) -> dict[int, str]:
    """The names of all people the server knows, by id: its owner, their home, and who has used what is shared.

    Raises:
        PlexError: one of its kinds.
    """
    with _understood():
        found = _Server(client).fetchItems("/accounts", SystemAccount, container_size=_AT_ONCE)
        return {account.id: account.name for account in found if account.id and account.name}


class _Server(PlexServer):
    """plexapi's server without its question to `/`, for one call."""

    def __init__(self, client: PlexClient) -> None:
        self._client, self._left = client, _MOST_REQUESTS
        self._baseurl, self._token, self._session = client.url, "", client.session
        PlexObject.__init__(self, self, None)

    def query(
        self,
        key: str,
        method: object = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: object = None,
        **_: object,
    ) -> Element | None:
        """Called by plexapi for every request; its methods other than GET are not used here."""
        self._left -= 1
        if self._left < 0:
            raise PlexGarbled("The server's list has no end.")
        accepting = {"Accept": "application/xml", **(headers or {})}
        body = self._client.body(key, params or {}, headers=accepting)
        return root_of(body) if body.strip() else None


@contextmanager
def _understood() -> Iterator[None]:
    """Around calls of plexapi: what it can't read, and what it raises, becomes an error of our family."""
    try:
        yield
    except (PlexApiException, ValueError, TypeError, AttributeError, KeyError):
        raise PlexGarbled("The server's answer is no answer of Plex.") from None
