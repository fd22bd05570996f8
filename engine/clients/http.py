"""HTTP to other systems: one policy for time, size, redirects, proxies, certificates, encodings and secrets.

Every client of this package but those of downloads asks through `HttpSession`. What it decides, once for all:

* Time and size are bounded (`Limits`), also for a body that comes in drops, and for one that grows when it is unpacked.
* No redirect is followed: a token would follow it.
* The proxies of the environment are for what lies in the internet (`proxied`), never for a server in the local network.
* Certificates are checked, against `REQUESTS_CA_BUNDLE` or `CURL_CA_BUNDLE` where one is set; unless `verify=False`.
* Addresses that are never asked (link-local, metadata of clouds) are refused when the connection is made.
* User and password come from the URL alone, never from `~/.netrc`.
* An error names its kind and nothing else: no address, token, header or part of an answer.
"""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import requests
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, SSLError
from urllib3.exceptions import TimeoutError as ReadTimeout

from engine.clients.typed_addresses import NeverAsked, TypedAddressAdapter

FailureKind = Literal[
    "unknown_host", "never_asked", "refused", "closed", "timeout", "tls", "too_large", "garbled"
]

_CHUNK = 1 << 17
_GZIP = zlib.MAX_WBITS | 16


class HttpFailure(Exception):
    """No whole answer within the limits.

    Attributes:
        kind: `unknown_host`, `never_asked`, `refused` (nobody listens), `closed` (the connection ended before the
            answer did), `timeout`, `tls`, `too_large`, `garbled` (an encoding that is not what it is called).
    """

    def __init__(self, kind: FailureKind) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request may cost.

    Attributes:
        connect: seconds until a connection stands.
        silence: seconds without a byte.
        total: seconds until the whole body is there; None: as long as bytes come.
        size: bytes of a body, also when it is unpacked.
        error_bodies: whether the body of another status than 2xx is read; without it such a body is empty.
    """

    connect: float
    silence: float
    total: float | None
    size: int
    error_bodies: bool = False


class HttpSession(requests.Session):
    """A session of requests that keeps to the policy of this module; not for several threads at once.

    Args:
        limits: of each request that does not bring its own.
        headers: sent with every request.
        verify: whether certificates are checked.
        proxied: whether the proxies of the environment are used.
        public_only: whether addresses of private networks are refused too.
    """

    def __init__(
        self,
        limits: Limits,
        headers: Mapping[str, str],
        *,
        verify: bool = True,
        proxied: bool = False,
        public_only: bool = False,
    ) -> None:
        super().__init__()
        self.limits, self.verify, self._proxied = limits, verify, proxied
        self.auth = _credentials_of_url
        self.headers.update({"User-Agent": "MediaNest", "Accept-Encoding": "gzip", **headers})
        for scheme in ("http://", "https://"):
            self.mount(scheme, TypedAddressAdapter(public_only=public_only))

    def request(
        self, method: str | bytes, url: str | bytes, *args: Any, limits: Limits | None = None, **options: Any
    ) -> requests.Response:
        """The answer, its body read; also called by requests' own `get` and the like.

        Raises:
            HttpFailure: there is none within the limits.
        """
        limits = limits or self.limits
        ends = float("inf") if limits.total is None else time.monotonic() + limits.total
        options.update(stream=True, timeout=(limits.connect, limits.silence))
        content = b""
        try:
            with super().request(method, url, *args, **options) as answer:
                if limits.error_bodies or 200 <= answer.status_code < 300:
                    content = _read(answer, limits.size, ends)
                    answer._content_consumed = True  # type: ignore[attr-defined]
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            raise HttpFailure(_kind(error)) from None
        answer._content = content
        return answer

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests takes no answer for a redirect, so it neither follows it nor reads its body without bounds."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """Called by requests; without its rule that a bundle in the environment beats `verify=False`."""
        chosen = self.verify if verify is None else verify
        found = super().merge_environment_settings(url, proxies, stream, chosen, cert)
        if not self._proxied:
            found["proxies"] = {}
        return found


def trust_environment(context: ssl.SSLContext) -> None:
    """Have a TLS context of another protocol trust the bundle of the environment too, a file or a folder."""
    with requests.Session() as session:
        found = session.merge_environment_settings("", {}, None, None, None)["verify"]
    if isinstance(found, str):
        context.load_verify_locations(**{"capath" if Path(found).is_dir() else "cafile": found})


def _read(answer: requests.Response, most: int, ends: float) -> bytes:
    """The body as it comes, so that neither a flood nor a trickle keeps us."""
    parts, size = list[bytes](), 0
    while part := answer.raw.read1(_CHUNK, decode_content=False):
        size += len(part)
        if size > most:
            raise HttpFailure("too_large")
        if time.monotonic() > ends:
            raise HttpFailure("timeout")
        parts.append(part)
    body = b"".join(parts)
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"} or not body:
        return body
    if encoding not in {"gzip", "x-gzip"}:
        raise HttpFailure("garbled")
    return _unpacked(body, most)


def _unpacked(body: bytes, most: int) -> bytes:
    unpack = zlib.decompressobj(_GZIP)
    try:
        found = unpack.decompress(body, most + 1)
    except zlib.error:
        raise HttpFailure("garbled") from None
    if len(found) > most:
        raise HttpFailure("too_large")
    if not unpack.eof:
        raise HttpFailure("closed")
    return found


def _kind(error: Exception) -> FailureKind:
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    if isinstance(error, requests.exceptions.SSLError | SSLError):
        return "tls"
    if isinstance(error, requests.exceptions.Timeout | ReadTimeout):
        return "timeout"
    if isinstance(reason, NameResolutionError) or isinstance(
        error, UnicodeError | requests.exceptions.InvalidURL
    ):
        return "unknown_host"
    if isinstance(reason, NeverAsked):
        return "never_asked"
    return "refused" if isinstance(reason, NewConnectionError) else "closed"


def _credentials_of_url(request: requests.PreparedRequest) -> requests.PreparedRequest:
    user, password = get_auth_from_url(request.url or "")
    return HTTPBasicAuth(user, password)(request) if user else request
