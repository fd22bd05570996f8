"""Overseerr, or Seerr as it is called now: requests there, and whether it is there and takes our key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

from engine.clients import connection_test
from engine.clients.connection_test import ConnectionTestFailed, Reply
from engine.clients.foreign_json import NotJson, decoded
from engine.clients.http import HttpFailure, HttpSession, Limits

# A list asks Sonarr and Radarr inside, so it may be slow.
_LIMITS = Limits(connect=5.0, silence=20.0, total=40.0, size=16 << 20, error_bodies=True)
_PAGE = 50
_MOST_PAGES = 400

Progress = Literal["pending", "approved", "declined", "failed", "available", "partial", "unknown"]
_OF_REQUEST: Mapping[int, Progress] = {
    1: "pending",
    2: "approved",
    3: "declined",
    4: "failed",
    5: "available",
}
_OF_MEDIA: Mapping[int, Progress] = {4: "partial", 5: "available"}


class OverseerrError(Exception):
    """It gave no usable answer; the text is for people."""

    kind = "failed"


class OverseerrAway(OverseerrError):
    """It can't be reached, or says that it is not well; it may be there again soon."""

    kind = "unreachable"


class OverseerrRefused(OverseerrError):
    """It does not allow it: a wrong key, a quota of its own, or a title on its blocklist."""

    kind = "refused"


class OverseerrGone(OverseerrError):
    """It has no such thing."""

    kind = "gone"


class OverseerrExists(OverseerrError):
    """The same is asked for there already."""

    kind = "exists"


class OverseerrNothingLeft(OverseerrError):
    """It answers 202: nothing of it is left to be asked for, and no request was made."""

    kind = "nothing_left"


class OverseerrGarbled(OverseerrError):
    """What answers is not Overseerr as we know it, or it does not take the question."""

    kind = "garbled"


@dataclass(frozen=True)
class UpstreamRequest:
    """A request there.

    Attributes:
        id: its number there, as text.
        progress: how far it is, of the request and of its title together; `unknown` for numbers of newer versions.
        plex_id: of who asked, where they signed in there with Plex. name: as it is shown there.
        seasons: numbers, of a series.
    """

    id: str
    media_type: Literal["movie", "tv"]
    tmdb_id: str
    progress: Progress
    is_4k: bool
    seasons: tuple[int, ...]
    plex_id: str | None
    name: str | None
    tvdb_id: str | None


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
        made = _request(found)
        if made is None:
            raise OverseerrGarbled("Overseerr's answer describes no request.")
        return made

    def get(self, reference: str) -> UpstreamRequest:
        """One request.

        Raises:
            OverseerrGone: there is none any more.
            OverseerrError: another of its kinds.
        """
        found = _request(self._ask("GET", f"/request/{_number(reference)}")[1])
        if found is None:
            raise OverseerrGarbled("Overseerr's answer describes no request.")
        return found

    def of_title(self, media_type: str, tmdb_id: str) -> list[UpstreamRequest]:
        """The requests of a title, the newest first.

        Raises:
            OverseerrError: one of its kinds.
        """
        found = self._ask("GET", f"/{'movie' if media_type == 'movie' else 'tv'}/{_number(tmdb_id)}")[1]
        info = _object(_object(found).get("mediaInfo"))
        requests = [_request(one, info) for one in _list(info.get("requests"))]
        return sorted((one for one in requests if one is not None), key=lambda one: -int(one.id))

    def tvdb_id(self, tmdb_id: str) -> str | None:
        """The id at TVDB that it knows of a series; without one it can't ask Sonarr.

        Raises:
            OverseerrError: one of its kinds.
        """
        found = _object(self._ask("GET", f"/tv/{_number(tmdb_id)}")[1])
        ids, info = _object(found.get("externalIds")), _object(found.get("mediaInfo"))
        number = ids.get("tvdbId") or info.get("tvdbId")
        return str(number) if isinstance(number, int) and number > 0 else None

    def title(self, media_type: str, tmdb_id: str) -> tuple[str, int | None]:
        """Name and year of a title.

        Raises:
            OverseerrError: one of its kinds.
        """
        found = _object(
            self._ask("GET", f"/{'movie' if media_type == 'movie' else 'tv'}/{_number(tmdb_id)}")[1]
        )
        name = found.get("title") or found.get("name")
        if not isinstance(name, str) or not name.strip():
            raise OverseerrGarbled("Overseerr's answer describes no title.")
        date = str(found.get("releaseDate") or found.get("firstAirDate") or "")[:4]
        return name.strip()[:500], int(date) if date.isascii() and date.isdecimal() and len(
            date
        ) == 4 else None

    def decide(self, reference: str, decision: Literal["approve", "decline"]) -> None:
        """Approve or decline a request.

        Raises:
            OverseerrError: one of its kinds.
        """
        self._ask("POST", f"/request/{_number(reference)}/{decision}")

    def delete(self, reference: str) -> None:
        """Delete a request; one that is gone is no error.

        Raises:
            OverseerrError: one of its kinds.
        """
        try:
            self._ask("DELETE", f"/request/{_number(reference)}")
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
            page = _object(self._ask("GET", "/request", params=query)[1])
            results, total = page.get("results"), _object(page.get("pageInfo")).get("results")
            if not isinstance(results, list) or not isinstance(total, int):
                raise OverseerrGarbled("Overseerr's list has no results.")
            yield from (one for entry in results if (one := _request(entry)) is not None)
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
            page = _object(self._ask("GET", "/user", params={"take": _PAGE, "skip": taken})[1])
            results = _list(page.get("results"))
            for one in results:
                user = _object(one)
                if str(user.get("plexId")) == plex_id and isinstance(user.get("id"), int):
                    return int(user["id"])
            taken += len(results)
            if not results or taken >= int(_object(page.get("pageInfo")).get("results") or 0):
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
        _check(status, found)
        if found is None:
            raise OverseerrGarbled("What answers is not Overseerr.")
        return status, found


def _check(status: int, found: Any) -> None:
    if 200 <= status < 300:
        return
    said = _object(found).get("message") or _object(found).get("error")
    words = f" It says: {said[:200]}" if isinstance(said, str) and said else ""
    if status in {401, 403}:
        raise OverseerrRefused(f"Overseerr does not allow it.{words}")
    if status == 404:
        raise OverseerrGone("Overseerr has no such thing.")
    if status == 409:
        raise OverseerrExists("It is asked for there already.")
    if status == 429 or status >= 500:
        raise OverseerrAway(f"Overseerr is not well (status {status}).{words}")
    raise OverseerrGarbled(f"Overseerr does not take the question (status {status}).{words}")


def _request(entry: Any, media: Mapping[str, Any] | None = None) -> UpstreamRequest | None:
    """A request of an answer; None where it names no title."""
    found = _object(entry)
    media = _object(found.get("media")) or media or {}
    number, tmdb_id = found.get("id"), media.get("tmdbId")
    kind = found.get("type") or media.get("mediaType")
    if not isinstance(number, int) or not isinstance(tmdb_id, int) or kind not in {"movie", "tv"}:
        return None
    is_4k = found.get("is4k") is True
    user = _object(found.get("requestedBy"))
    names = (user.get(name) for name in ("displayName", "plexUsername", "username", "jellyfinUsername"))
    seasons = (_object(season).get("seasonNumber") for season in _list(found.get("seasons")))
    plex_id, tvdb_id = user.get("plexId"), media.get("tvdbId")
    return UpstreamRequest(
        id=str(number),
        media_type=kind,
        tmdb_id=str(tmdb_id),
        progress=_progress(found.get("status"), media.get("status4k" if is_4k else "status")),
        is_4k=is_4k,
        seasons=tuple(sorted({season for season in seasons if isinstance(season, int)})),
        plex_id=str(plex_id) if isinstance(plex_id, int) else None,
        name=next((name[:100] for name in names if isinstance(name, str) and name), None),
        tvdb_id=str(tvdb_id) if isinstance(tvdb_id, int) and tvdb_id > 0 else None,
    )


def _progress(of_request: Any, of_media: Any) -> Progress:
    """An approved one is as far as its title; everything else says its request."""
    found = _OF_REQUEST.get(of_request, "unknown") if isinstance(of_request, int) else "unknown"
    if found == "approved" and isinstance(of_media, int):
        return _OF_MEDIA.get(of_media, found)
    return found


def _number(text: str) -> str:
    if not (text.isascii() and text.isdecimal()):
        raise OverseerrGone("Overseerr has no such thing.")
    return text


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def examine(url: str, key: str, *, verify: bool = True) -> None:
    """Ask for what is open, then with the key for how many requests there are.

    Raises:
        ConnectionTestFailed: it is not what it should be.
    """
    base = url.rstrip("/") + "/api/v1"
    accepting = {"Accept": "application/json"}
    public = connection_test.get(f"{base}/settings/public", headers=accepting, verify=verify)
    if "initialized" not in _fields(public):
        raise _not_recognised()
    proving = accepting | {"X-Api-Key": key}
    count = connection_test.get(f"{base}/request/count", headers=proving, verify=verify)
    if count.status in {401, 403}:
        raise ConnectionTestFailed(
            "unauthorized",
            "Overseerr does not accept the key.",
            "Copy the API key anew from its settings, General.",
        )
    _fields(count)


def _fields(answer: Reply) -> Mapping[str, Any]:
    if answer.status >= 500:
        raise ConnectionTestFailed(
            "not_ready",
            f"It answers that it is not ready (status {answer.status}).",
            "Look at its log, and try again in a few minutes.",
        )
    if answer.fields is None:
        raise _not_recognised()
    return answer.fields


def _not_recognised() -> ConnectionTestFailed:
    return ConnectionTestFailed(
        "not_recognised",
        "What answers there is neither Overseerr nor Seerr.",
        "Give its address without /api/v1, such as http://192.168.1.20:5055.",
    )
