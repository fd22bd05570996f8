"""yt-dlp's request handlers: over `requests`, with limits on body, headers and redirects of every answer."""

from __future__ import annotations

import http.client
import re
from typing import Any
from urllib.parse import quote, urljoin

import requests
from requests.exceptions import InvalidHeader
from urllib3.util.retry import Retry
from yt_dlp.networking import Request, Response  # type: ignore[import-untyped]
from yt_dlp.networking._requests import (  # type: ignore[import-untyped]
    RequestsHTTPAdapter,
    RequestsResponseAdapter,
    RequestsRH,
    RequestsSession,
)
from yt_dlp.networking._urllib import UrllibRH  # type: ignore[import-untyped]
from yt_dlp.networking._websockets import WebsocketsRH  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import HTTPError, RequestError  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError

BODY_LIMIT = 64 << 20  # decompressed bytes of what is read as a whole: pages, manifests, keys
_HEADERS_LIMIT = 256 << 10  # bytes of all header fields of an answer, as in browsers
_MOST_REDIRECTS = 20  # as in browsers
_BLOCK = 1 << 16
_HOST = re.compile(rb"(?:[A-Za-z][A-Za-z0-9+.-]*+:)?//[^/?#]*+")
_URL_CHARACTERS = "!#$%&'()*+,/:;=?@[]~"


class _BoundedAnswer(RequestsResponseAdapter):  # type: ignore[misc]
    """An answer whose body is limited when it is read as a whole; media is read in blocks.

    Blocks are decompressed one at a time, so a decompression bomb takes no more memory than the limit.
    """

    def _real_read(self, amt: int | None = None) -> bytes:
        if amt is not None and amt >= 0:
            return bytes(super()._real_read(amt))
        blocks, size = [], 0
        while block := super()._real_read(_BLOCK):
            blocks.append(block)
            size += len(block)
            if size > BODY_LIMIT:
                self.close()
                raise FetchError("unreadable", detail="a page without an end")
        return b"".join(blocks)


class _Adapter(RequestsHTTPAdapter):  # type: ignore[misc]
    """Refuses answers with too large header fields, as cookies would be stored and sent again."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        answer: requests.Response = super().send(request, *args, **kwargs)
        size = sum(len(name) + len(value) for name, value in answer.raw.headers.items())
        if size > _HEADERS_LIMIT:
            answer.close()
            raise InvalidHeader("the header fields of the answer are too large", response=answer)
        return answer


class _Session(RequestsSession):  # type: ignore[misc]
    """Follows redirects without reading their bodies, which could be endless."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """A redirect's target; Location may have any bytes. Overrides `requests`."""
        if not resp.is_redirect:
            return None
        resp.raw.close()
        vars(resp).update(_content=b"", _content_consumed=True)  # otherwise requests reads the body
        # http.client decodes headers as Latin-1: in a path the original bytes are percent-encoded.
        raw = resp.headers["location"].encode("latin-1")
        host = _HOST.match(raw)
        place = host[0] if host else b""
        target = place.decode("utf-8", "replace") + quote(raw[len(place) :], safe=_URL_CHARACTERS)
        return target if place.isascii() else _in_ascii(urljoin(resp.url, target))


def _in_ascii(url: str) -> str:
    """The URL with its host in IDNA form; in a redirect, `requests` would percent-encode the host.

    Raises:
        requests.exceptions.InvalidURL: the host has no IDNA form.
    """
    request = requests.PreparedRequest()
    request.prepare_url(url, None)
    return str(request.url)


class BoundedRequestsRH(RequestsRH):  # type: ignore[misc]
    """yt-dlp's `requests` handler with our session, adapter and answer classes."""

    def _create_instance(self, cookiejar: Any, legacy_ssl_support: bool | None = None) -> requests.Session:
        session = _Session()
        session.adapters.clear()
        session.headers = requests.structures.CaseInsensitiveDict()
        adapter = _Adapter(
            ssl_context=self._make_sslcontext(legacy_ssl_support=legacy_ssl_support), max_retries=Retry(False)
        )
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        session.cookies = cookiejar
        session.trust_env = False
        session.max_redirects = _MOST_REDIRECTS
        return session

    def _send(self, request: Request) -> Response:
        try:
            answer = super()._send(request)
        except HTTPError as error:
            _bound(error.response)
            raise
        except (RequestError, MemoryError):
            raise
        except (ValueError, LookupError, http.client.HTTPException, OSError) as error:
            # A site's data may raise in any library below; yt-dlp expects a RequestError.
            raise RequestError(cause=error) from error
        return _bound(answer)


def _bound(answer: Response) -> Response:
    answer.__class__ = (
        _BoundedAnswer  # a second object around the same body would not do: the first closes it when it goes
    )
    return answer


class DataRH(UrllibRH):  # type: ignore[misc]
    """For `data:` URLs only, in which extractors pass manifests; it has no limits, so it must open no other URL."""

    _SUPPORTED_URL_SCHEMES = ("data",)


# They connect through Python's sockets, and so through the egress guard; libcurl (curl_cffi) would not.
HANDLERS = (BoundedRequestsRH, DataRH, WebsocketsRH)
