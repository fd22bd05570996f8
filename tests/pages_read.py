"""Pages as somebody has them, and what stands on them."""

from __future__ import annotations

import re
from html import unescape

from door import Door, Person
from sqlalchemy import select

from models.media import MediaItem


def raw_page(person: Person, path: str, status: int = 200) -> str:
    """The HTML of a page."""
    headers = {"Accept": "text/html", "Authorization": f"Bearer {person.token}"}
    answer = person.client.get(path, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.text


def page(person: Person, path: str, status: int = 200) -> str:
    """The HTML of a page, with its texts as they are read."""
    return unescape(raw_page(person, path, status))


def heading(html: str) -> str:
    """The sentence on top."""
    found = re.search(r"<h1>(.*?)</h1>", html, re.S)
    assert found is not None
    return found[1].strip()


def titles(html: str) -> list[str]:
    """The titles of cards that lead to pages of the catalogue, in their order."""
    return re.findall(r'<a class="cover" href="[^"]*item/med-[^"]*">(.*?)</a>', html)


def item_id(door: Door, title: str) -> str:
    """The id of an item by its title."""
    with door.runtime.reading() as db:
        return db.scalars(select(MediaItem.id).where(MediaItem.title == title)).one()
