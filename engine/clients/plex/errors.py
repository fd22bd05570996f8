"""What can go wrong with plex.tv and Plex servers: one family of errors, whatever library carried the request."""

from __future__ import annotations

from engine.clients.http import HttpFailure
from engine.errors import UpstreamFailed


class PlexError(UpstreamFailed):
    """A call failed; `kind` is a word for programs, the text is for people and never holds a token or address."""

    kind = "unreachable"


class PlexUnreachable(PlexError):
    """There is no answer, or none that can be used: what was asked stays unknown for now."""

    code, status = "PLEX_UNREACHABLE", 503


class PlexOutage(PlexUnreachable):
    """No answer at all, or one that speaks of trouble at the other end: further calls would fail as well.

    Attributes:
        reason: for the log.
        transient: asking again at once may help.
    """

    def __init__(
        self, who: str, reason: str, *, transient: bool = False, retry_after: int | None = None
    ) -> None:
        super().__init__(unreachable(who), reason, retry_after=retry_after)
        self.reason = reason
        self.transient = transient


class PlexBreakerOpen(PlexUnreachable):
    """The last calls found nobody, so the server is not asked at the moment; `retry_after` says for how long."""

    def __init__(self, seconds: int) -> None:
        message = "The Plex server does not answer and is left alone for a moment: try again later."
        super().__init__(message, retry_after=seconds)


class PlexTls(PlexUnreachable):
    """A server answers, but its certificate is not valid for this address."""

    kind = "tls"


class PlexUnauthorized(PlexError):
    """The token is not good (any more)."""

    kind = "unauthorized"


class TokenRefused(PlexUnauthorized):
    """plex.tv says that a person's token holds no longer; nothing else means that."""

    def __init__(self) -> None:
        super().__init__("plex.tv does not accept the token.")


class PlexGone(PlexError):
    """It has no such thing."""

    kind = "gone"


class PinGone(PlexGone):
    """plex.tv does not know the PIN, or it has expired."""

    def __init__(self) -> None:
        super().__init__("plex.tv does not know the PIN.")


class PlexGarbled(PlexError):
    """It answers something that is no answer of Plex."""

    kind = "garbled"


def of_failure(failure: HttpFailure) -> PlexError:
    """The error of a server that gave no whole answer."""
    match failure.kind:
        case "tls":
            return PlexTls("The server's certificate is not valid for this address.")
        case "timeout":
            return PlexUnreachable("The server does not answer in time.")
        case "too_large":
            return PlexGarbled("The server's answer is too long.")
        case "garbled":
            return PlexGarbled("The server's answer is no answer of Plex.")
    return PlexUnreachable("The server can't be reached.")


def raise_for_status(status: int) -> None:
    """Do nothing for an answer of a server with status 200.

    Raises:
        PlexError: for any other.
    """
    if status in {401, 403}:
        raise PlexUnauthorized("The server does not accept the token.")
    if status == 404:
        raise PlexGone("The server has no such thing.")
    if status >= 500:
        raise PlexUnreachable(f"The server is not ready (status {status}).")
    if status != 200:
        raise PlexGarbled(f"The server refuses (status {status}).")


def unreachable(who: str) -> str:
    """What people are told who wanted to sign in; `who` is plex.tv or the server."""
    return f"{who} can't be reached at the moment: try again in a minute. Passwords work meanwhile."
