"""One MediaNest server over HTTP: a call gives its data, a failure one line for a person."""

from __future__ import annotations

import argparse
import http.client
import json
import platform
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from api.wire.unversioned_paths import PREFIX
from cli.about import VERSION
from cli.errors import CommandError
from cli.terminal import clean

SECONDS = 40.0  # beyond the longest answer, a metadata preview

USER_AGENT = f"medianest/{VERSION} ({platform.node()})"


class Unreachable(CommandError):
    """No answer came."""


class Refused(CommandError):
    """The server answered with an error; `code` is of the API's table, `""` where it is not ours."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(clean(text))
        self.status, self.code = status, code


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET, and the token at a stranger's."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def server_url(text: str) -> str:
    """Read the value of `--server`; for argparse."""
    parts = urlsplit(text)
    try:
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or not text.isascii() or clean(text) != text or " " in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL such as http://127.0.0.1:4000")
    return text.rstrip("/")


def one(kind: str, identifier: str) -> str:
    """The path of one object, whatever a person typed as its id."""
    return f"{kind}/{quote(identifier, safe='')}"


@dataclass(frozen=True)
class ApiServer:
    """A server by its URL, without a slash at the end."""

    url: str

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        token: str | None = None,
    ) -> dict[str, Any]:
        """Make one request below `/api/v1` and return the `data` of its answer.

        Raises:
            Unreachable: nobody answers, or somebody else does.
            Refused: the answer is an error.
        """
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.url}{PREFIX}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        # The scheme is http or https: `server_url` lets no other pass.
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
        try:
            with _opener.open(request, timeout=SECONDS) as answer:
                return self._data(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error) from None
        except urllib.error.URLError as error:
            raise self._unreachable(error.reason) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._unreachable(error) from None

    def _data(self, payload: bytes) -> dict[str, Any]:
        try:
            return dict(json.loads(payload)["data"])
        except (ValueError, KeyError, TypeError):
            raise Unreachable(f"what answers at {self.url} is not MediaNest") from None

    def _refusal(self, answer: urllib.error.HTTPError) -> CommandError:
        location, retry_after = answer.headers.get("Location"), answer.headers.get("Retry-After", "")
        if location and answer.code < 400:
            return Unreachable(clean(f"{self.url} points to {location}: name that server with --server"))
        try:
            error = json.loads(answer.read())["error"]
            words, code = _words(error), str(error["code"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return Refused(answer.code, "", f"{self.url} answers {answer.code} {answer.reason}")
        if answer.code == 429 and retry_after.isdecimal():
            words += f" Try again in {retry_after} s."
        return Refused(answer.code, code, words)

    def _unreachable(self, reason: object) -> Unreachable:
        words = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        return Unreachable(
            f"no MediaNest answers at {self.url} ({clean(words) or type(reason).__name__}): "
            "start it with `medianest up`, or name another with --server"
        )


def _words(error: Mapping[str, Any]) -> str:
    """The message, and what it does not say yet of the fields at fault."""
    message, details = str(error["message"]), error.get("details")
    if error["code"] != "VALIDATION_ERROR" or not isinstance(details, dict):
        return message
    for name, texts in details.items():
        for text in texts if isinstance(texts, list) else [texts]:
            if str(text) not in message:
                message += f" {name}: {text}"
    return message
