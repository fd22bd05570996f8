"""The Movie Database, version 3 of its API: questions within a time, and errors of one family."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from engine.clients import connection_test
from engine.clients.connection_test import ConnectionTestFailed
from engine.clients.foreign_json import NotJson, decoded
from engine.clients.http import HttpFailure, HttpSession, Limits
from engine.clients.retry_after import seconds_to_wait

STANDARD_URL = "https://api.themoviedb.org/3"
PAGE = 20  # results of a page
LAST_PAGE = 500
_KEY = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_SIZE = 8 << 20
_TRIES = 3

Type = Literal["movie", "tv"]

# What else a question for details brings; at most 20 parts, by TMDB's rules.
_PARTS: Mapping[str, str] = {
    "movie": "credits,release_dates,external_ids,videos,recommendations,similar,translations,alternative_titles",
    "tv": "aggregate_credits,content_ratings,external_ids,videos,recommendations,similar,translations,"
    "alternative_titles",
}


class TmdbError(Exception):
    """TMDB gave no usable answer; the text is for people."""


class TmdbAway(TmdbError):
    """It can't be reached, takes too long, or says that it is not well."""


class TmdbBusy(TmdbError):
    """It wants to be left alone (429); `seconds`: for how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__("TMDB gets too many requests at the moment.")
        self.seconds = seconds


class TmdbRefused(TmdbError):
    """It does not accept the token."""


class TmdbUnknown(TmdbError):
    """It has no such title."""


class TmdbGarbled(TmdbError):
    """What answers is not TMDB as we know it."""


class TmdbClient:
    """Asks TMDB; not for several threads at once.

    Args:
        url: with `/3`.
        token: an API read access token, or an API key of 32 hexadecimal digits.
        seconds: for all requests together, tries included.
        verify: whether certificates are checked.
    """

    def __init__(self, url: str, token: str, *, seconds: float, verify: bool = True) -> None:
        self._url = url.rstrip("/")
        self._key = token if _KEY.fullmatch(token) else None
        self._deadline = time.monotonic() + seconds
        limits = Limits(connect=min(3.0, seconds), silence=seconds, total=seconds, size=_SIZE)
        proof = {} if self._key else {"Authorization": f"Bearer {token}"}
        self._session = HttpSession(
            limits, {"Accept": "application/json", **proof}, verify=verify, proxied=True
        )

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._session.close()

    def page(self, path: str, number: int, language: str, **query: str | int) -> Mapping[str, Any]:
        """A page of a list, such as `/search/multi`: `results`, `total_results`, `total_pages`.

        Raises:
            TmdbError: one of its kinds.
        """
        words = {"page": number, "language": language, "include_adult": "false", **query}
        found = self._ask(path, words)
        if not isinstance(found.get("results"), list):
            raise TmdbGarbled("TMDB's list has no results.")
        return found

    def details(self, type_: Type, tmdb_id: str, language: str) -> Mapping[str, Any]:
        """A film or series with people, ratings, ids, trailers, similar ones and its titles in other languages.

        Raises:
            TmdbError: one of its kinds; TmdbUnknown where there is none.
        """
        found = self._ask(f"/{type_}/{tmdb_id}", {"language": language, "append_to_response": _PARTS[type_]})
        if not isinstance(found.get("id"), int):
            raise TmdbGarbled("TMDB's answer describes no title.")
        return found

    def season(self, tmdb_id: str, number: int, language: str) -> Mapping[str, Any]:
        """A season with its episodes.

        Raises:
            TmdbError: one of its kinds.
        """
        return self._ask(f"/tv/{tmdb_id}/season/{number}", {"language": language})

    def _ask(self, path: str, query: Mapping[str, str | int]) -> Mapping[str, Any]:
        tries = Retrying(
            stop=stop_after_attempt(_TRIES),
            retry=retry_if_exception_type(TmdbAway),
            wait=wait_exponential(multiplier=0.2, max=1.0),
            reraise=True,
        )
        found: Mapping[str, Any] = tries(self._once, path, query)
        return found

    def _once(self, path: str, query: Mapping[str, str | int]) -> Mapping[str, Any]:
        words = {**query, **({"api_key": self._key} if self._key else {})}
        left = self._left()
        limits = Limits(connect=min(3.0, left), silence=left, total=left, size=_SIZE)
        try:
            answer = self._session.request("GET", self._url + path, params=words, limits=limits)
        except HttpFailure as failure:
            if failure.kind in {"too_large", "garbled", "never_asked", "tls"}:
                raise TmdbGarbled(f"TMDB gives no usable answer ({failure.kind}).") from None
            raise TmdbAway("TMDB can't be reached.") from None
        _check(answer.status_code, answer.headers.get("Retry-After"))
        try:
            found = decoded(answer.content)
        except NotJson:
            raise TmdbGarbled("What answers is not TMDB.") from None
        if not isinstance(found, dict):
            raise TmdbGarbled("What answers is not TMDB.")
        return found

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0.05:
            raise TmdbAway("TMDB takes too long.")
        return left


def _check(status: int, retry_after: str | None) -> None:
    if status == 200:
        return
    if status == 429:
        wait = seconds_to_wait(retry_after)
        raise TmdbBusy(5.0 if wait is None else min(max(wait, 1.0), 300.0))
    if status in {401, 403}:
        raise TmdbRefused("TMDB does not accept the token.")
    if status == 404:
        raise TmdbUnknown("TMDB has no such title.")
    if status >= 500:
        raise TmdbAway(f"TMDB is not well (status {status}).")
    raise TmdbGarbled(f"TMDB does not take the question (status {status}).")


def examine(url: str, token: str, *, verify: bool = True) -> None:
    """Ask for its configuration; the token may be of either kind: a read access token, or a key of 32 digits.

    Raises:
        ConnectionTestFailed: it is not what it should be.
    """
    key = _KEY.fullmatch(token) is not None
    answer = connection_test.get(
        url.rstrip("/") + "/configuration",
        headers={"Accept": "application/json", **({} if key else {"Authorization": f"Bearer {token}"})},
        params={"api_key": token} if key else None,
        verify=verify,
        proxied=True,
    )
    if answer.status == 401:
        raise ConnectionTestFailed(
            "unauthorized",
            "TMDB does not accept the token.",
            "Copy the API read access token anew from your settings at themoviedb.org, API.",
        )
    if answer.status >= 500 or answer.status == 429:
        raise ConnectionTestFailed(
            "not_ready", f"TMDB does not answer now (status {answer.status}).", "Try again in a few minutes."
        )
    if "images" not in (answer.fields or {}):
        raise ConnectionTestFailed(
            "not_recognised", "What answers there is not TMDB.", f"Its address is {STANDARD_URL}, with /3."
        )
