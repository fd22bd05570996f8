"""Asks Overseerr, or Seerr as it is called now, by its HTTP API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.http import HttpFailure, HttpSession, Limits
from engine.clients.overseerr_answers import (
    OverseerrAway,
    OverseerrGarbled,
    OverseerrGone,
    OverseerrNothingLeft,
    UpstreamRequest,
    UpstreamTitle,
    check,
    list_of,
    number_of,
    object_of,
    request_of,
    title_of,
)

# A list asks Sonarr and Radarr inside, so it may be slow.
_LIMITS = Limits(connect=5.0, silence=20.0, total=40.0, size=16 << 20, error_bodies=True)
_PAGE = 50
_MOST_PAGES = 400


class OverseerrClient:
    """Asks Overseerr with its API key, which acts as its first user; not for several threads at once.

    Args:
        url: without `/api/v1`.
        key: its API key.
        verify: whether certificates are checked.
    """

    def __init__(self, url: str, key: str, *, verify: bool = True) -> None:
        self._base = url.rstrip("/") + "/api/v1"
        headers = {"Accept": "application/json", "X-Api-Key": key}
        self._session = HttpSession(_LIMITS, headers, verify=verify)

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._session.close()

    def create(
        self,
        media_type: str,
        tmdb_id: str,
        *,
        seasons: Sequence[int] = (),
        is_4k: bool = False,
        user_id: int | None = None,
        tvdb_id: str | None = None,
    ) -> UpstreamRequest:
        """Ask for a title there.

        Raises:
            OverseerrExists: it is asked for there already.
            OverseerrNothingLeft: nothing of it is left; no request was made.
            OverseerrError: another of its kinds.
        """
        body: dict[str, Any] = {"mediaType": media_type, "mediaId": int(tmdb_id), "is4k": is_4k}
        if media_type == "tv":
            body["seasons"] = list(seasons)
        if user_id is not None:
            body["userId"] = user_id
        if tvdb_id is not None:
            body["tvdbId"] = int(tvdb_id)
        status, found = self._ask("POST", "/request", json=body)
        if status == 202:
            raise OverseerrNothingLeft("Overseerr says that nothing of it is left to be asked for.")
        made = request_of(found)
        if made is None:
            raise OverseerrGarbled("Overseerr's answer describes no request.")
        return made

    def get(self, reference: str) -> UpstreamRequest:
        """One request.

        Raises:
            OverseerrGone: there is none any more.
            OverseerrError: another of its kinds.
        """
        found = request_of(self._ask("GET", f"/request/{number_of(reference)}")[1])
        if found is None:
            raise OverseerrGarbled("Overseerr's answer describes no request.")
        return found

    def title(self, media_type: str, tmdb_id: str) -> UpstreamTitle:
        """A film or series with its requests.

        Raises:
            OverseerrError: one of its kinds.
        """
        kind = "movie" if media_type == "movie" else "tv"
        return title_of(self._ask("GET", f"/{kind}/{number_of(tmdb_id)}")[1])

    def takes_4k(self, media_type: str) -> bool:
        """Whether a server for 4K is set up there; what is asked for in 4K otherwise is fetched by nobody.

        Raises:
            OverseerrError: one of its kinds.
        """
        found = object_of(self._ask("GET", "/settings/public")[1])
        return found.get("movie4kEnabled" if media_type == "movie" else "series4kEnabled") is True

    def decide(self, reference: str, decision: Literal["approve", "decline", "retry"]) -> None:
        """Approve or decline a request; or have one that failed handed to Radarr or Sonarr again.

        Raises:
            OverseerrError: one of its kinds.
        """
        self._ask("POST", f"/request/{number_of(reference)}/{decision}")

    def delete(self, reference: str) -> None:
        """Delete a request; one that is gone is no error.

        Raises:
            OverseerrError: one of its kinds.
        """
        try:
            self._ask("DELETE", f"/request/{number_of(reference)}")
        except OverseerrGone:
            return

    def requests(self) -> Iterator[UpstreamRequest]:
        """All requests, page by page.

        Raises:
            OverseerrError: one of its kinds; also where the list ends before its time.
        """
        taken = 0
        for _ in range(_MOST_PAGES):
            query: dict[str, str | int] = {"take": _PAGE, "skip": taken, "filter": "all", "sort": "added"}
            page = object_of(self._ask("GET", "/request", params=query)[1])
            results, total = page.get("results"), object_of(page.get("pageInfo")).get("results")
            if not isinstance(results, list) or not isinstance(total, int):
                raise OverseerrGarbled("Overseerr's list has no results.")
            yield from (one for entry in results if (one := request_of(entry)) is not None)
            taken += len(results)
            if taken >= total:
                return
            if not results:
                raise OverseerrGarbled("Overseerr's list ended too early.")

    def user_of(self, plex_id: str) -> int | None:
        """The number of the user there who signed in with a Plex account; None where there is none.

        Raises:
            OverseerrError: one of its kinds.
        """
        taken = 0
        for _ in range(_MOST_PAGES):
            page = object_of(self._ask("GET", "/user", params={"take": _PAGE, "skip": taken})[1])
            results, total = list_of(page.get("results")), object_of(page.get("pageInfo")).get("results")
            for one in results:
                user = object_of(one)
                if str(user.get("plexId")) == plex_id and isinstance(user.get("id"), int):
                    return int(user["id"])
            taken += len(results)
            if not results or not isinstance(total, int) or taken >= total:
                return None
        return None

    def _ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        try:
            answer = self._session.request(method, self._base + path, **more)
        except HttpFailure as failure:
            if failure.kind in {"too_large", "garbled", "tls", "never_asked"}:
                raise OverseerrGarbled(f"Overseerr gives no usable answer ({failure.kind}).") from None
            raise OverseerrAway("Overseerr can't be reached.") from None
        status = answer.status_code
        if status == 204:
            return status, None
        try:
            found = decoded(answer.content)
        except NotJson:
            found = None
        check(status, found)
        if found is None:
            raise OverseerrGarbled("What answers is not Overseerr.")
        return status, found
