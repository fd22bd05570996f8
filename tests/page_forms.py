"""A browser without scripts: opens pages, and sends their forms with what is hidden in them."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urljoin

from door import Door
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

_HTML = {"Accept": "text/html"}


class PlainBrowser:
    """One browser, with its cookies.

    Attributes:
        client: that sends its requests.
        page: the last answer, redirects followed.
    """

    def __init__(self, door: Door) -> None:
        self.client: FlaskClient = door.browser()
        self.page: TestResponse

    @property
    def text(self) -> str:
        """What the page says, without its marks."""
        main = self.page.text[self.page.text.index("<main") :]
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())

    @property
    def path(self) -> str:
        """Where it is, with its query."""
        request = self.page.request
        query = request.query_string.decode()
        return f"{request.path}?{query}" if query else request.path

    def open(self, path: str) -> TestResponse:
        """Go to a page."""
        return self._follow(self.client.get(f"/{path}", headers=_HTML))

    def send(self, action: str, **fields: Any) -> TestResponse:
        """Send the form of the page that leads to a path, with its hidden fields and these."""
        data = {**self.hidden(action), **fields}
        return self._follow(self.client.post(f"/{action}", data=data, headers=_HTML))

    def hidden(self, action: str) -> dict[str, str]:
        """The hidden fields of the form that leads to a path."""
        form = next(
            found[2]
            for found in re.finditer(r'<form[^>]* action="([^"]*)"[^>]*>(.*?)</form>', self.page.text, re.S)
            if found[1].lstrip("./") == action
        )
        return {
            name: html.unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
        }

    def _follow(self, answer: TestResponse) -> TestResponse:
        """Redirects, which are relative: werkzeug's client does not resolve their dots."""
        while answer.status_code == 303:
            where = urljoin(answer.request.path, answer.headers["Location"])
            answer = self.client.get(where, headers=_HTML)
        self.page = answer
        return answer
