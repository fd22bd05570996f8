"""What stands around a page: the places to go to, who is signed in, and what they are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["done", "failed", "degraded", "waiting"]
Theme = Literal["system", "light", "dark"]


@dataclass(frozen=True)
class NavLink:
    """A link of the navigation.

    Attributes:
        label: its words.
        icon: a symbol of `static/icons.svg`.
        path: below the root of the site, without a leading slash.
        count: shown beside it unless zero.
        counted: what is counted, in words, for screen readers.
        urgent: the count asks for something to be done.
    """

    label: str
    icon: str
    path: str
    count: int = 0
    counted: str = ""
    urgent: bool = False


@dataclass(frozen=True)
class Flash:
    """A message about what was just done, shown once.

    Attributes:
        kind: of `parts/status.html`.
        text: a sentence.
    """

    kind: Kind
    text: str


@dataclass(frozen=True)
class Shell:
    """What `layout.html` needs.

    Attributes:
        name: of the user.
        csrf_token: sent with every form.
        here: the path of the place that the page belongs to.
        places: for everybody; five at most have room on a phone.
        admin: places for those who look after the installation; empty for others.
        account: places in the account's menu.
        unread: notifications.
        theme: the account's choice.
        flashes: messages, each shown once.
    """

    name: str
    csrf_token: str
    here: str
    places: Sequence[NavLink]
    admin: Sequence[NavLink] = ()
    account: Sequence[NavLink] = ()
    unread: int = 0
    theme: Theme = "system"
    flashes: Sequence[Flash] = ()

    @property
    def initials(self) -> str:
        """One or two letters that stand for the user."""
        words = self.name.split()
        return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper()
