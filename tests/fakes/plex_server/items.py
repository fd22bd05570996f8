"""What the doubled server's library is made of: accounts, sections, items, versions, what was watched."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

TYPES = {
    "movie": 1,
    "show": 2,
    "season": 3,
    "episode": 4,
    "artist": 8,
    "album": 9,
    "track": 10,
    "photo": 13,
    "collection": 18,
}
MAIN_KIND = {"movie": "movie", "show": "show", "artist": "artist", "photo": "photo"}
LEAVES = {"show": "episode", "season": "episode", "artist": "track", "album": "track"}
_CHILD = {"show": "season", "season": "episode", "artist": "album", "album": "track"}
_HEIGHTS = {"sd": (720, 404), "480": (854, 480), "720": (1280, 720), "1080": (1920, 1080), "4k": (3840, 2160)}


@dataclass
class Account:
    """Somebody with a token; 1 is the owner."""

    id: int
    name: str
    token: str

    @property
    def owner(self) -> bool:
        """Whether the server is this account's."""
        return self.id == 1


@dataclass(slots=True)
class Watch:
    """What one account did with one item: milliseconds and Unix seconds."""

    count: int = 0
    offset: int = 0
    last_at: int | None = None


@dataclass(slots=True)
class Version:
    """One `Media` of an item: a film in 4k beside the same in 1080 are two; several files are `Part`s of one."""

    files: list[str]
    resolution: str = "1080"
    video_codec: str = "h264"
    audio_codec: str = "aac"
    container: str = "mkv"
    duration: int | None = 6_000_000
    bitrate: int = 5_000
    size: int = 4_000_000_000
    languages: tuple[str, ...] = ("eng",)
    subtitles: tuple[str, ...] = ()
    id: int = 0
    part_ids: list[int] = field(default_factory=list)

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height."""
        return _HEIGHTS.get(self.resolution, (1920, 1080))


@dataclass
class Section:
    """A library in Plex's words. `hidden` is 0, 1 (home) or 2 (home and search)."""

    key: int
    type: str
    title: str
    paths: list[str]
    uuid: str
    agent: str
    scanner: str
    language: str = "en-US"
    hidden: int = 0
    created_at: int = 0
    updated_at: int = 0
    scanned_at: int = 0
    content_changed_at: int = 0
    refreshing: bool = False
    items: dict[str, dict[int, Item]] = field(default_factory=dict)
    orders: dict[tuple[str, str], list[Item]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Item]:
        """The items of a kind in the order in which they were added."""
        return list(self.items.get(kind, {}).values())

    def count(self, kind: str) -> int:
        """How many items of a kind there are."""
        return len(self.items.get(kind, {}))


@dataclass(eq=False, slots=True)
class Item:
    """Anything with a rating key. `fields` bear Plex's own names; a value of None hides that field from answers."""

    id: int
    kind: str
    section: Section
    fields: dict[str, Any]
    guid: str
    guids: list[str] = field(default_factory=list)
    added_at: int = 0
    updated_at: int = 0
    versions: list[Version] = field(default_factory=list)
    parent: Item | None = None
    children: list[Item] = field(default_factory=list)
    members: list[Item] = field(default_factory=list)
    groups: list[Item] = field(default_factory=list)  # the collections that it is in
    watched: dict[int, Watch] = field(default_factory=dict)
    seen_by: set[int] = field(default_factory=set)
    encoded: dict[tuple[Any, ...], bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id} {self.title!r}>"

    @property
    def title(self) -> str:
        """Its title."""
        return str(self.fields.get("title") or "")

    @property
    def rating_key(self) -> str:
        """Its id as answers spell it."""
        return str(self.id)

    @property
    def sort_title(self) -> str:
        """What it is sorted by."""
        return str(self.fields.get("titleSort") or self.title).casefold()

    @property
    def index(self) -> int:
        """Its number among its siblings."""
        return int(self.fields.get("index") or 0)

    @property
    def root(self) -> Item:
        """The show of an episode, the artist of a track, else the item itself."""
        return self.parent.root if self.parent else self

    def tags(self, name: str) -> list[str]:
        """Its genres, people, collections and so on, by Plex's name of the list."""
        said = list(self.fields.get(name) or ())
        return said + [group.title for group in self.groups] if name == "Collection" else said

    def leaves(self) -> Iterator[Item]:
        """The episodes or tracks below it; itself where it has no children."""
        if self.kind not in _CHILD:
            yield self
        for child in self.children:
            yield from child.leaves()

    def viewed_leaves(self, account: Account) -> int:
        """How many of its leaves that account has seen to the end."""
        if account.id not in self.seen_by:
            return 0
        return sum(1 for leaf in self.leaves() if leaf.watched.get(account.id, Watch()).count)

    def line(self) -> Iterator[Item]:
        """The item and what it lies in, up to the show."""
        yield self
        if self.parent:
            yield from self.parent.line()


def plex_guid(kind: str, *of: object) -> str:
    """A guid of the new agents, always the same for the same words."""
    return f"plex://{kind}/{hashlib.sha1('/'.join(map(str, of)).encode()).hexdigest()[:24]}"


class NoSuchItem(LookupError):
    """There is no item, section or account of that key."""
