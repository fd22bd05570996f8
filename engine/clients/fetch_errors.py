"""The kinds of failed downloads: message and advice for the user, and when each is retried."""

from __future__ import annotations

from typing import Literal, NamedTuple

Retry = Literal["soon", "throttled", "shortly", "later", "again_once", "never"]


class FailureKind(NamedTuple):
    """A kind's message, advice and retry class; `given_up` is the advice after the last attempt."""

    message: str
    advice: str
    retry: Retry
    given_up: str | None = None


_WAIT = "Nothing to do: it is tried again by itself."
_OTHER = "Check the address, or choose another video."
_GUEST = "Only videos that anyone can watch without signing in can be downloaded."

_THROTTLED_ADVICE = "All downloads of this site pause and go on by themselves; fewer at a time help."
_THROTTLED_GIVEN_UP = "Try it again in some hours; fewer downloads of this site at a time help."

# Retry classes. soon: with growing pauses. throttled: all downloads of the host wait. shortly: each minute, uncounted.
# later: uncounted too, with a long pause. again_once: one more attempt, which extracts the page again. never.
FAILURE_KINDS: dict[str, FailureKind] = {
    "private": FailureKind("The video is private.", _GUEST, "never"),
    "removed": FailureKind("The video is not available any more.", _OTHER, "never"),
    "geo": FailureKind(
        "The video is not available in this server's country.", "Look for another source of it.", "never"
    ),
    "age": FailureKind("The site asks for a proof of age.", _GUEST, "never"),
    "members": FailureKind("The video is for paying members or subscribers only.", _GUEST, "never"),
    "login": FailureKind("The site asks for an account.", _GUEST, "never"),
    "bot_check": FailureKind(
        "The site suspects a robot and does not answer this server for now.",
        _THROTTLED_ADVICE,
        "throttled",
        _THROTTLED_GIVEN_UP,
    ),
    "rate_limited": FailureKind(
        "The site says that this server asks too often.",
        _THROTTLED_ADVICE,
        "throttled",
        _THROTTLED_GIVEN_UP,
    ),
    "forbidden": FailureKind(
        "The site refused to hand out the video (403).",
        "If it plays in a browser without signing in, try again later.",
        "again_once",
    ),
    "not_found": FailureKind("There is nothing at this address (404).", _OTHER, "never"),
    "gone": FailureKind("The video was taken down for good (410).", _OTHER, "never"),
    "unsupported": FailureKind(
        "No video was found at this address.",
        "Give the address of the page that shows the video, or of the file itself.",
        "never",
    ),
    "playlist": FailureKind(
        "The address names several videos: a playlist, a channel, or a page with more than one.",
        "Give the address of one video.",
        "never",
    ),
    "live_not_started": FailureKind("The premiere or live stream has not begun yet.", _WAIT, "later"),
    "live_now": FailureKind(
        "This is a live stream that is still running, so it has no end to download.",
        "Try again when the stream is over.",
        "never",
    ),
    "live_ended": FailureKind(
        "The live stream is over and the site still prepares its recording.", _WAIT, "later"
    ),
    "drm": FailureKind("The video is copy-protected (DRM).", "It cannot be downloaded.", "never"),
    "network": FailureKind(
        "The connection to the site failed.", _WAIT, "soon", "Try it again when the site can be reached."
    ),
    "offline": FailureKind(
        "This server does not get through to the site: the network, or its name service, is away.",
        "Nothing to do: it is tried again each minute.",
        "shortly",
        "Try it again when this server's network works.",
    ),
    "blocked_address": FailureKind(
        "The video's site leads to an address inside a private network.",
        "Check the address. An administrator can allow private networks in the settings.",
        "never",
    ),
    "certificate": FailureKind(
        "The site's certificate is not valid, so the connection is not safe.", _OTHER, "again_once"
    ),
    "upstream": FailureKind(
        "The site has a fault of its own.", _WAIT, "soon", "Try it again when the site works again."
    ),
    "truncated": FailureKind(
        "The site ended the transfer too early.",
        _WAIT,
        "soon",
        "Try it again later, or choose a lower quality.",
    ),
    "incomplete": FailureKind(
        "Something of the video is missing in what the site sent.",
        "Try it again later, or choose another quality.",
        "again_once",
    ),
    "mismatch": FailureKind(
        "The site sent something else than it announced.",
        "Try it again later, or choose another quality.",
        "again_once",
    ),
    "not_media": FailureKind(
        "The site sent something that is neither video nor audio.",
        "If it plays in a browser without signing in, try again later.",
        "again_once",
    ),
    "unreadable": FailureKind(
        "The site answered in a way that the downloader does not understand.",
        "The site may have changed: update MediaNest (yt-dlp), then retry.",
        "again_once",
    ),
    "redirects": FailureKind(
        "The site redirects in a circle, or too often, and never shows a page.",
        "Open the address in a browser, and give the address at which it ends up.",
        "again_once",
    ),
    "malformed": FailureKind(
        "The site's answer breaks the rules of HTTP, so it cannot be read.",
        "Check the address and its port; if it opens in a browser, try again later.",
        "again_once",
    ),
    "disk_full": FailureKind(
        "The server's disk is full.", "Free some space; the download goes on by itself.", "shortly"
    ),
    "storage": FailureKind(
        "The server could not write to its work folder.", "An administrator has to look at it.", "later"
    ),
    "too_large": FailureKind("The video is larger than allowed.", "Choose a lower quality.", "never"),
    "spliced": FailureKind(
        "The stream changes its format in the middle, as inserted adverts do, so it makes no single film.",
        "Choose another quality, or look for another source of it.",
        "again_once",
    ),
    "too_slow": FailureKind(
        "The site sends so slowly that the download was ended.",
        "It goes on where it stopped; a lower quality is smaller.",
        "soon",
        "Try it again at another time, or choose a lower quality.",
    ),
    "no_format": FailureKind(
        "The site offers the video in no usable format.", "Choose another format or quality.", "again_once"
    ),
    "processing": FailureKind(
        "The downloaded streams could not be turned into the wished format.",
        "Choose another format (mkv takes nearly everything).",
        "again_once",
    ),
    "internal": FailureKind(
        "Something went wrong inside MediaNest.",
        "Tell an administrator; the logs have the details.",
        "again_once",
    ),
}


class FetchError(Exception):
    """A failed attempt to fetch a video.

    Attributes:
        kind: a key of `FAILURE_KINDS`. message: what happened, for the user. advice: what they can do.
        retry: the retry class. given_up: the advice after the last attempt.
        retry_after: seconds of the site's `Retry-After`, if it sent one.
        detail: the site's or the library's message, redacted, for the log only.
    """

    def __init__(
        self,
        kind: str,
        *,
        message: str | None = None,
        detail: str = "",
        retry_after: float | None = None,
    ) -> None:
        verdict = FAILURE_KINDS[kind]
        super().__init__(kind, message or verdict.message)
        self.kind, self.message = kind, message or verdict.message
        self.advice, self.retry = verdict.advice, verdict.retry
        self.given_up = verdict.given_up or verdict.advice
        self.detail, self.retry_after = detail, retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuilt, (self.kind, self.message, self.detail, self.retry_after))

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def _rebuilt(kind: str, message: str, detail: str, retry_after: float | None) -> FetchError:
    return FetchError(kind, message=message, detail=detail, retry_after=retry_after)
