"""Live queries to Plex during a request, cached in Redis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from engine.clients.plex import actions
from engine.clients.plex.errors import PlexError, PlexGone, PlexUnreachable
from engine.clients.plex.queries import PlexQuestions
from engine.errors import NotFound, UpstreamFailed
from engine.plex.catalogue.current import Catalogue
from engine.plex.server import libraries
from engine.runtime import Runtime
from engine.stores import cache

MEMBER_SECONDS = 300.0
ACCOUNT_SECONDS = 3600.0
_PAGE = 200
_MOST_MEMBERS = 5000

T = TypeVar("T")


class PlexSilent(PlexUnreachable):
    """Plex does not answer.

    Attributes:
        age: seconds since its last answer, which is too old to be used; None: there is none.
    """

    def __init__(self, age: float | None = None, retry_after: int | None = None) -> None:
        words = "The Plex server can't be reached at the moment: try again in a minute."
        if age is not None:
            words += f" Its last answer to this is {_minutes(age)} old."
        super().__init__(words, retry_after=retry_after)
        self.age = age


def members(runtime: Runtime, catalogue: Catalogue, rating_key: str) -> list[str]:
    """The rating keys of the members of a collection, in its order; cached for 5 minutes.

    Raises:
        PlexSilent: Plex is down and the cache has nothing recent enough.
        NotFound: Plex has no such collection any more.
        UpstreamFailed: Plex refuses, or its answer can't be parsed.
    """

    def ask(plex: PlexQuestions) -> list[str]:
        path, keys = f"/library/collections/{rating_key}/children", dict[str, None]()
        while len(keys) < _MOST_MEMBERS:
            part = {"X-Plex-Container-Start": len(keys), "X-Plex-Container-Size": _PAGE}
            entries, total = plex.page(path, part)
            before = len(keys)
            keys.update((str(entry["ratingKey"]), None) for entry in entries if entry.get("ratingKey"))
            if len(keys) == before or (total is not None and len(keys) >= total):
                break  # the end, or the first page once more from a server that can't page
        return list(keys)

    return list(
        _asked(runtime, catalogue, f"members:{catalogue.server_id}:{rating_key}", MEMBER_SECONDS, ask)
    )


def accounts(runtime: Runtime, catalogue: Catalogue) -> int:
    """The number of accounts of the server: its owner, their Plex Home, and users of shared libraries.

    Raises:
        PlexSilent: Plex is down and the cache has nothing recent enough.
        UpstreamFailed: Plex refuses, or its answer can't be parsed.
    """

    def ask(plex: PlexQuestions) -> int:
        return len(actions.accounts(plex))

    return int(_asked(runtime, catalogue, f"accounts:{catalogue.server_id}", ACCOUNT_SECONDS, ask))


def ask_plex(runtime: Runtime, ask: Callable[[PlexQuestions], T]) -> T:
    """One query to the server, unless its circuit breaker is open.

    Raises:
        PlexSilent: the breaker is open, or the server can't be reached.
        NotFound: it has no such thing, or none is configured.
        UpstreamFailed: it refuses, or its answer can't be parsed.
    """
    try:
        with libraries.asking(runtime) as plex:
            return ask(plex)
    except PlexGone:
        raise NotFound("Plex has no such thing any more.") from None
    except PlexUnreachable as error:
        raise PlexSilent(retry_after=error.retry_after) from error
    except PlexError as error:
        raise UpstreamFailed(f"The Plex server gives no usable answer. {error}") from error


def _asked(
    runtime: Runtime, catalogue: Catalogue, name: str, seconds: float, ask: Callable[[PlexQuestions], Any]
) -> Any:
    kept = cache.of(runtime.settings)
    before = kept.get(name)
    if before is not None and before.age <= seconds:
        return before.value
    try:
        answer = ask_plex(runtime, ask)
    except PlexSilent as error:
        raise PlexSilent(None if before is None else before.age, error.retry_after) from error
    kept.put(name, answer)
    return answer


def _minutes(seconds: float) -> str:
    minutes = max(1, round(seconds / 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"
