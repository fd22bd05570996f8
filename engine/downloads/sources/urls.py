"""Validates users' URLs and normalises them, so that equal videos have equal URLs."""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit, urlunsplit

import idna

from config.settings import Settings
from config.settings_downloads import YOUTUBE_HOSTS
from engine.errors import ValidationFailed

MAX_LENGTH = 2000
YOUTUBE = "youtube"

_VIDEO_ID = re.compile(r"[0-9A-Za-z_-]{11}")
_PORTS = {"http": 80, "https": 443}
_VIDEO_PATHS = ("shorts", "embed", "live", "v", "e")
_LISTS = {"playlist", "channel", "c", "user", "results", "feed", "hashtag"}
_PRIVATE_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost")
# Characters that are not percent-encoded: they have a meaning, or sites may treat the two forms differently.
_UNTOUCHED = "/%:@!$&'()*+,;=~-._[]"
_PLACE_IN_A_PAGE = re.compile(r"[A-Za-z]+(?:[-_.:][A-Za-z]+)*")  # #comments, #related-videos
_PLACE_IN_A_VIDEO = re.compile(r"(?:t|xywh)=[^&]*(?:&(?:t|xywh)=[^&]*)*")  # W3C Media Fragments: #t=10,20
_SMUGGLED = "__youtubedl_smuggle"  # yt-dlp's notes to itself, which it keeps in fragments


@dataclass(frozen=True)
class SourceUrl:
    """An accepted URL.

    Attributes:
        normal: the normal form, equal for all spellings of the same video; this is what is fetched.
        budget: the name its concurrency limit counts under: `youtube`, or the host.
    """

    normal: str
    budget: str

    @property
    def key(self) -> str:
        """SHA-256 of the normal form, as 64 hex digits: what rows of the same video share."""
        return hashlib.sha256(self.normal.encode()).hexdigest()


def accept(url: str, settings: Settings) -> SourceUrl:
    """Validate a user's URL by its text alone, without DNS or network.

    Raises:
        ValidationFailed: not http(s), malformed, with credentials, a host that is not allowed, a private address
            while those are not allowed, or a YouTube page that holds no single video.
    """
    parts, host = _split(url)
    if not _allowed(host, settings):
        hosts = ", ".join(settings.download_allowed_hosts)
        raise _wrong(f"Downloads from {host} are not allowed. Allowed hosts: {hosts}.")
    if not settings.download_allow_private_networks and _is_private(host):
        raise _wrong("Addresses of private networks are not allowed.")
    return _meant(parts, host)


def meaning(url: str) -> SourceUrl:
    """Parse a URL that was accepted before, without checking the allowed hosts again.

    Raises:
        ValidationFailed: it would not be accepted in any installation.
    """
    return _meant(*_split(url))


def _meant(parts: SplitResult, host: str) -> SourceUrl:
    if _belongs_to(host, YOUTUBE_HOSTS) and parts.port in {None, _PORTS[parts.scheme.lower()]}:
        return SourceUrl(_normal_youtube(parts, host), YOUTUBE)
    return SourceUrl(_normal(parts, host, _route(parts.fragment)), host)


def _wrong(text: str) -> ValidationFailed:
    return ValidationFailed("The URL is not accepted.", url=text)


def _split(url: str) -> tuple[SplitResult, str]:
    if len(url) > MAX_LENGTH:
        raise _wrong(f"Must be at most {MAX_LENGTH} characters.")
    if url != url.strip() or any(c.isspace() or not c.isprintable() for c in url) or "\\" in url:
        raise _wrong("Must not contain spaces, control characters or backslashes.")
    try:
        parts = urlsplit(url)
        port, name = parts.port, parts.hostname
    except ValueError:
        raise _wrong("Is not a URL.") from None
    if parts.scheme.lower() not in {"http", "https"} or not name or port == 0:
        raise _wrong("Must be a URL that starts with http:// or https://.")
    if parts.username is not None or parts.password is not None:
        raise _wrong("Must not contain a user name or a password.")
    return parts, _host(name)


def _host(name: str) -> str:
    """The host in lower case ASCII (IDNA), as it is sent to a resolver."""
    if ":" in name:
        return str(ipaddress.ip_address(name.partition("%")[0]))
    try:
        # As browsers and `requests` do: straße.example is a host of its own, not strasse.example.
        named = name if name.isascii() else idna.encode(name, uts46=True).decode()
        host = named.encode("idna").decode().lower().rstrip(".")
    except UnicodeError:
        raise _wrong("Its host is not a host name.") from None
    if not host:
        raise _wrong("Its host is missing.")
    return host


def _allowed(host: str, settings: Settings) -> bool:
    return "*" in settings.download_allowed_hosts or _belongs_to(host, settings.download_allowed_hosts)


def _belongs_to(host: str, names: tuple[str, ...]) -> bool:
    return any(host == name or host.endswith("." + name) for name in names)


def _is_private(host: str) -> bool:
    """Whether the host is a non-public IP address in any notation a resolver accepts, or a local name."""
    if host in _PRIVATE_NAMES or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        try:
            address = ipaddress.ip_address(socket.inet_aton(host))  # also 2130706433, 0x7f.1, 0177.0.0.1
        except OSError:
            return False
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global


def _normal(parts: SplitResult, host: str, fragment: str = "") -> str:
    """Normalise only what no site can tell apart (RFC 3986, 6.2).

    Kept: case, order and repetition of parameters, `+` and `%20`, `%2F` and `/`, a trailing slash, tracking parameters.
    Normalised: the host's spelling, a default port, characters that are sent percent-encoded anyway; an empty query and
    the host's trailing dot are dropped.
    """
    scheme = parts.scheme.lower()
    shown = f"[{host}]" if ":" in host else host
    place = shown if parts.port in {None, _PORTS[scheme]} else f"{shown}:{parts.port}"
    path = quote(parts.path or "/", safe=_UNTOUCHED)
    return urlunsplit((scheme, place, path, quote(parts.query, safe=_UNTOUCHED + "?"), fragment))


def _route(fragment: str) -> str:
    """A fragment that a site's scripts use as a route, such as `#/watch/1`; otherwise `""`.

    Anchors in a page, media fragments (`#t=10`) and text fragments (`:~:text=`) are dropped.
    """
    kept = fragment.partition(":~:")[0]
    places = (_PLACE_IN_A_PAGE, _PLACE_IN_A_VIDEO)
    if _SMUGGLED in unquote(fragment) or any(place.fullmatch(kept) for place in places):
        return ""
    return quote(kept, safe=_UNTOUCHED + "?")  # a second # is encoded too: it has no meaning


def _normal_youtube(parts: SplitResult, host: str) -> str:
    """`https://www.youtube.com/watch?v=<id>` for all known forms of a video's URL; unknown forms pass as they are."""
    segments = [segment for segment in parts.path.split("/") if segment]
    query = parse_qs(parts.query)
    first = segments[0] if segments else ""
    video = None
    if host.endswith("youtu.be"):
        video = first
    elif first in _VIDEO_PATHS and len(segments) > 1:
        video = segments[1]
    elif "v" in query:
        video = query["v"][0]
    if video and video != "videoseries" and _VIDEO_ID.fullmatch(video[:11]):
        return f"https://www.youtube.com/watch?v={video[:11]}"
    holds_many = "list" in query or not first or first in _LISTS or first[:1] == "@"
    if holds_many and segments[-1:] != ["live"]:  # a channel's /live is the one stream that runs there
        raise _wrong("Is a list of videos. Give the URL of one video.")
    return _normal(parts, host)
