"""plex.tv: the PINs with which people prove who they are, their account, and the servers they may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from engine.clients.foreign_json import NotJson, decoded
from engine.clients.gate import gate_of
from engine.clients.plex.http import PRODUCT, Answer, PlexHttp

SECONDS = 7.0  # of a conversation
PLACES = 4  # conversations of a process that wait for an answer at once
WHO = "plex.tv"
_LINK_PAGE = "https://plex.tv/link/"
_AUTH_PAGE = "https://app.plex.tv/auth"
_LONGEST_NAME = 100
_LONGEST_LIFE = 86400 * 30  # seconds
_LONGEST_TOKEN = 4096

T = TypeVar("T")


class PinGone(Exception):
    """plex.tv does not know the PIN, or it has expired."""


class TokenRefused(Exception):
    """The token holds no longer; nothing else means that."""


@dataclass(frozen=True)
class Pin:
    """A fresh PIN; its life is what plex.tv says.

    Attributes:
        expires_in: seconds.
        expires_at: by the clock of plex.tv.
    """

    id: str
    code: str
    expires_in: int
    expires_at: datetime


@dataclass(frozen=True)
class Account:
    """A person at plex.tv; `id` is the only thing that identifies him."""

    id: str
    username: str
    title: str
    email: str | None
    avatar: str | None


@dataclass(frozen=True)
class Server:
    """A server that somebody may use."""

    identifier: str
    owned: bool


@dataclass(frozen=True)
class Servers:
    """The servers that somebody may use; not `whole` where an entry could not be read, which may be any of them."""

    known: Sequence[Server]
    whole: bool = True


class Malformed(Exception):
    """An answer does not hold what it should."""


@dataclass(frozen=True)
class PlexTv:
    """A conversation with plex.tv; every call raises `PlexUnreachable` where there is no usable answer."""

    http: PlexHttp = field(repr=False)

    @classmethod
    def at(
        cls,
        base: str,
        identifier: str,
        *,
        device_name: str = PRODUCT,
        seconds: float = SECONDS,
        places: int = PLACES,
    ) -> Self:
        """Begin one, of which `places` may wait for an answer at once; for the other arguments see `PlexHttp`."""
        return cls(
            PlexHttp(
                base,
                who=WHO,
                identifier=identifier,
                seconds=seconds,
                device_name=device_name,
                gate=gate_of(base, places),
            )
        )

    def __enter__(self) -> Self:
        """Use it as a context."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.http.close()

    def make_pin(self, *, strong: bool) -> Pin:
        """A new PIN: of four characters for plex.tv/link, or a `strong` one for `auth_url`."""
        answer = self.http.post("/api/v2/pins", {"strong": "true"} if strong else None)
        return self._read(answer, pin_of, usual=(201, 200))

    def claimed(self, pin_id: str) -> str | None:
        """The token of whoever claimed a PIN; None while nobody has.

        Raises:
            PinGone: unknown or expired.
        """
        answer = self.http.get(f"/api/v2/pins/{quote(pin_id, safe='')}")
        if answer.status == 404 and _names_errors(answer):
            raise PinGone
        return self._read(answer, lambda document: _claim_of(document, pin_id), usual=(200, 201))

    def account(self, token: str) -> Account:
        """Whose token this is.

        Raises:
            TokenRefused: it does not hold.
        """
        return self._read(self._as(token, "/api/v2/user"), account_of)

    def servers(self, token: str) -> Servers:
        """The servers that a person may use, their own and shared ones, whether they run or not.

        Raises:
            TokenRefused: the token does not hold.
        """
        return self.resources(token, servers_of)

    def resources(self, token: str, parse: Callable[[Any], T]) -> T:
        """What `parse` makes of the servers and players of a person; it may raise `Malformed`.

        Raises:
            TokenRefused: the token does not hold.
        """
        answer = self._as(token, "/api/v2/resources", {"includeHttps": "1", "includeRelay": "1"})
        return self._read(answer, parse)

    def _as(self, token: str, path: str, params: Mapping[str, str] | None = None) -> Answer:
        answer = self.http.get(path, params, token)
        if answer.status in {401, 498}:
            raise TokenRefused
        return answer

    def _read(self, answer: Answer, parse: Callable[[Any], T], *, usual: tuple[int, ...] = (200,)) -> T:
        if answer.status not in usual:
            raise self.http.unusable(f"HTTP {answer.status}")
        try:
            return parse(decoded(answer.body))
        except (NotJson, Malformed):
            raise self.http.unusable("an answer that is not understood") from None


def link_url(code: str) -> str:
    """Where a PIN of four characters is typed in, for a QR code."""
    return f"{_LINK_PAGE}?{urlencode({'pin': code})}"


def auth_url(identifier: str, code: str, forward_url: str) -> str:
    """Where a browser goes with a strong PIN, and from where it comes back to `forward_url`."""
    parameters = {
        "clientID": identifier,
        "code": code,
        "context[device][product]": PRODUCT,
        "forwardUrl": forward_url,
    }
    return f"{_AUTH_PAGE}#?{urlencode(parameters, quote_via=quote)}"


def pin_of(document: Any) -> Pin:
    """Read a new PIN.

    Raises:
        Malformed: something is missing.
    """
    fields = _object(document)
    life = fields.get("expiresIn")
    if isinstance(life, bool) or not isinstance(life, int) or not 0 < life <= _LONGEST_LIFE:
        raise Malformed("expiresIn")
    code = fields.get("code")
    if not isinstance(code, str) or not code.isascii() or not code.isalnum() or len(code) > _LONGEST_NAME:
        raise Malformed("code")
    return Pin(_number(fields.get("id")), code, life, _time(fields.get("expiresAt")))


def _claim_of(document: Any, pin_id: str) -> str | None:
    fields = _object(document)
    if _number(fields.get("id")) != pin_id:
        raise Malformed("id")
    return token_of(fields)


def token_of(document: Any) -> str | None:
    """Read the token of a PIN; None while it is not claimed.

    Raises:
        Malformed: it is not what a header can carry.
    """
    token = _object(document).get("authToken")
    if token is None or token == "":
        return None
    if not isinstance(token, str) or len(token) > _LONGEST_TOKEN:
        raise Malformed("authToken")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Malformed("authToken")
    return token


def account_of(document: Any) -> Account:
    """Read an account; members of a Plex Home may lack a username and an address.

    Raises:
        Malformed: it has no id.
    """
    fields = _object(document)
    account_id = _number(fields.get("id"))
    username, title = _text(fields.get("username")), _text(fields.get("title"))
    fallback = f"Plex {account_id}"
    return Account(
        account_id,
        username or title or fallback,
        title or username or fallback,
        _email(fields.get("email")),
        _web_address(fields.get("thumb")),
    )


def servers_of(document: Any) -> Servers:
    """Read the servers among what somebody may use: players and other things stand there too.

    Raises:
        Malformed: it is no list.
    """
    if not isinstance(document, list):
        raise Malformed("resources")
    read = [each for each in document if _described(each)]
    known = [
        Server(each["clientIdentifier"], each.get("owned") is True)
        for each in read
        if "server" in each["provides"].split(",")
    ]
    return Servers(known, whole=len(read) == len(document))


def _described(resource: Any) -> bool:
    names = ("provides", "clientIdentifier")
    return isinstance(resource, dict) and all(isinstance(resource.get(name), str) for name in names)


def _names_errors(answer: Answer) -> bool:
    """Whether an error is plex.tv's own, not one of something on the way."""
    try:
        document = decoded(answer.body)
    except NotJson:
        return False
    return isinstance(document, dict) and isinstance(document.get("errors"), list)


def _object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise Malformed("object")
    return document


def _number(value: Any) -> str:
    """An id, which is a number, as text."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20:
        return value
    raise Malformed("id")


def _text(value: Any) -> str:
    """A name, without what can't be printed."""
    if not isinstance(value, str):
        return ""
    return "".join(each for each in value if each.isprintable()).strip()[:_LONGEST_NAME]


def _email(value: Any) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text if "@" in text and len(text) <= 254 and text.isprintable() else None


def _web_address(value: Any) -> str | None:
    if not isinstance(value, str) or len(value) > 1000 or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in {"http", "https"} and parts.hostname else None


def _time(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise Malformed("expiresAt") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
