"""What answers of Overseerr, or Seerr, mean: errors, requests and titles, whatever of them is missing or unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Progress = Literal["pending", "approved", "declined", "failed", "available", "partial", "deleted", "unknown"]
_OF_REQUEST: Mapping[int, Progress] = {
    1: "pending",
    2: "approved",
    3: "declined",
    4: "failed",
    5: "available",
}
_OF_MEDIA: Mapping[int, Progress] = {4: "partial", 5: "available"}
_LOOKED_FOR = (3, 4, 5)
_DELETED = 7  # of media


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


@dataclass(frozen=True)
class UpstreamTitle:
    """A film or series there.

    Attributes:
        name, year: as it is shown there.
        tvdb_id: by which Sonarr is asked for a series; without one it can't be.
        requests: of it, the newest first.
        looked_for, looked_for_4k: it says that it has it, has some of it, or looks for it.
    """

    name: str
    year: int | None
    tvdb_id: str | None
    requests: tuple[UpstreamRequest, ...]
    looked_for: bool
    looked_for_4k: bool


def check(status: int, found: Any) -> None:
    """Raise the error that a status stands for; nothing where it is one of success."""
    if 200 <= status < 300:
        return
    said = object_of(found).get("message") or object_of(found).get("error")
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


def request_of(entry: Any, media: Mapping[str, Any] | None = None) -> UpstreamRequest | None:
    """A request of an answer; None where it names no title."""
    found = object_of(entry)
    media = object_of(found.get("media")) or media or {}
    number, tmdb_id = found.get("id"), media.get("tmdbId")
    kind = found.get("type") or media.get("mediaType")
    if not isinstance(number, int) or not isinstance(tmdb_id, int) or kind not in ("movie", "tv"):
        return None
    is_4k = found.get("is4k") is True
    user = object_of(found.get("requestedBy"))
    names = (user.get(name) for name in ("displayName", "plexUsername", "username", "jellyfinUsername"))
    seasons = (object_of(season).get("seasonNumber") for season in list_of(found.get("seasons")))
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
    """An approved one is as far as its title, and a completed one may have vanished; the rest says the request."""
    found = _OF_REQUEST.get(of_request, "unknown") if isinstance(of_request, int) else "unknown"
    if found == "approved" and isinstance(of_media, int):
        return _OF_MEDIA.get(of_media, found)
    return "deleted" if found == "available" and of_media == _DELETED else found


def title_of(found: Any) -> UpstreamTitle:
    """A title of an answer.

    Raises:
        OverseerrGarbled: it names none.
    """
    body = object_of(found)
    ids, info = object_of(body.get("externalIds")), object_of(body.get("mediaInfo"))
    name = body.get("title") or body.get("name")
    if not isinstance(name, str) or not name.strip():
        raise OverseerrGarbled("Overseerr's answer describes no title.")
    date = str(body.get("releaseDate") or body.get("firstAirDate") or "")[:4]
    number = ids.get("tvdbId") or info.get("tvdbId")
    requests = [
        one for entry in list_of(info.get("requests")) if (one := request_of(entry, info)) is not None
    ]
    return UpstreamTitle(
        name=name.strip()[:500],
        year=int(date) if len(date) == 4 and date.isascii() and date.isdecimal() else None,
        tvdb_id=str(number) if isinstance(number, int) and number > 0 else None,
        requests=tuple(sorted(requests, key=lambda one: -int(one.id))),
        looked_for=info.get("status") in _LOOKED_FOR,
        looked_for_4k=info.get("status4k") in _LOOKED_FOR,
    )


def number_of(text: str) -> str:
    """A number for a path.

    Raises:
        OverseerrGone: it is none, so nothing has it.
    """
    if not (text.isascii() and text.isdecimal()):
        raise OverseerrGone("Overseerr has no such thing.")
    return text


def object_of(value: Any) -> Mapping[str, Any]:
    """It, if it is an object; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: Any) -> Sequence[Any]:
    """It, if it is a list; else an empty one."""
    return value if isinstance(value, list) else []
