"""Somebody who looks at pages without scripts: sees what they say, and sends their forms."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

from door import PASSWORD, Door
from sqlalchemy import func, update
from werkzeug.test import TestResponse

from models.login import Login


class PageVisits:
    """A person of a role at the pages, with the messages that wait in a cookie.

    Args:
        door: whose pages.
        role: of a new person.
    """

    def __init__(self, door: Door, role: str) -> None:
        self.door = door
        self.person = door.person(role)
        self._client = door.browser()
        self._headers = {"Authorization": f"Bearer {self.person.token}", "Accept": "text/html"}

    def get(self, path: str) -> TestResponse:
        """The answer for a page."""
        return self._client.get(f"/{path}", headers=self._headers)

    def see(self, path: str) -> str:
        """What a page says, without markup."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return words_of(answer)

    def send(self, path: str, fields: Mapping[str, Any] | None = None) -> TestResponse:
        """Send a form; the answer is the page that comes after it, or the form again."""
        answer = self._client.post(f"/{path}", data=fields or {}, headers=self._headers)
        if answer.status_code != 303:
            return answer
        return self.get(urljoin(f"/{path}", answer.headers["Location"]).lstrip("/"))

    def told(self, path: str, fields: Mapping[str, Any] | None = None) -> str:
        """Send a form that is accepted; returns what the next page says."""
        answer = self.send(path, fields)
        assert answer.status_code == 200, answer.text
        return words_of(answer)

    def let_the_proof_grow_old(self) -> None:
        """From now on what takes a person asks for the password."""
        with self.door.runtime.unit_of_work() as db:
            before = func.clock_timestamp() - timedelta(minutes=1)
            db.execute(update(Login).where(Login.user_id == self.person.id).values(proven_until=before))

    def confirm(self, asked: TestResponse, path: str) -> TestResponse:
        """Give the password that a page asks for."""
        form = asked.text[asked.text.index('id="confirm"') :]
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
        kept = {name: html.unescape(value) for name, value in hidden}
        return self.send(path, {**kept, "confirmPassword": PASSWORD})


def words_of(answer: TestResponse) -> str:
    """The text of a page in one line."""
    text = re.sub(r"<[^>]+>", " ", answer.text)
    return " ".join(html.unescape(text).split())


def title_of(answer: TestResponse) -> str:
    """The sentence on top of a page."""
    found = re.search(r"<h1[^>]*>(.*?)</h1>", answer.text, re.DOTALL)
    assert found is not None, answer.text
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found[1])).split())
