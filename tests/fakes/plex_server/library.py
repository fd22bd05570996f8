"""What the doubled server has: accounts, sections, items, versions, collections, watch state, folders to be scanned.

Everything here is Python and knows no HTTP. Changes go through the methods of `Library`, which move `updatedAt` and
`contentChangedAt` as Plex does and tell `heard` what happened. Thread-safe: hold `library.lock` for several steps.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from tests.fakes.plex_server.items import Account, Item, NoSuchItem, Section, Version, Watch, plex_guid

_AGENTS = {
    "movie": ("tv.plex.agents.movie", "Plex Movie"),
    "show": ("tv.plex.agents.series", "Plex TV Series"),
    "artist": ("tv.plex.agents.music", "Plex Music"),
    "photo": ("com.plexapp.agents.none", "Plex Photo Scanner"),
}


class Library:
    """The state of one server."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.sections: dict[int, Section] = {}
        self.items: dict[int, Item] = {}
        self.gone: dict[int, Item] = {}  # what was removed, by the rating key that it had
        self.accounts = {1: Account(1, "owner", "owner-token-0123456789")}
        self.history: list[tuple[Account, Item, int]] = []
        self.prefs: dict[str, Any] = {
            "FriendlyName": "Double",
            "allowMediaDeletion": True,
            "ScheduledLibraryUpdatesEnabled": False,
        }
        self.prepared: list[tuple[int, str, str, dict[str, Any]]] = []
        self.touches_parents = True  # a new episode moves `updatedAt` of its season and show
        self.clock: Callable[[], int] = lambda: int(time.time())
        self.heard: Callable[[str, Item], None] = lambda change, item: None
        self._changes = 9_173_960  # contentChangedAt counts changes of the whole database; it is not a time
        self._ids = 0
        self._media_ids = 40_000

    # -- looking -------------------------------------------------------------------------------------------------------

    @property
    def owner(self) -> Account:
        """Account 1."""
        return self.accounts[1]

    def account_of(self, token: str | None) -> Account | None:
        """Whose token it is."""
        return next((account for account in self.accounts.values() if token and account.token == token), None)

    def section(self, key: int | str | Section) -> Section:
        """The section of that key or title."""
        if isinstance(key, Section):
            return key
        for section in self.sections.values():
            if str(key) in {str(section.key), section.title}:
                return section
        raise NoSuchItem(f"no section {key}")

    def item(self, key: int | str | Item) -> Item:
        """The item of that rating key."""
        try:
            return key if isinstance(key, Item) else self.items[int(key)]
        except (KeyError, ValueError):
            raise NoSuchItem(f"no item {key}") from None

    def titled(self, title: str, kind: str | None = None) -> Item:
        """The first item of that title."""
        with self.lock:
            for item in self.items.values():
                if item.title == title and kind in {None, item.kind}:
                    return item
        raise NoSuchItem(f"nothing is called {title!r}")

    # -- accounts and sections -----------------------------------------------------------------------------------------

    def add_account(self, name: str, token: str | None = None, account_id: int | None = None) -> Account:
        """Somebody whom the owner shares the server with; a watch state of his own."""
        with self.lock:
            number = account_id or 1000 + len(self.accounts)
            self.accounts[number] = Account(number, name, token or f"token-of-{name}-{number}")
            return self.accounts[number]

    def add_section(
        self,
        kind: str,
        title: str,
        *paths: str,
        agent: str | None = None,
        hidden: int = 0,
        key: int | None = None,
    ) -> Section:
        """A library of `movie`, `show`, `artist` or `photo`."""
        with self.lock:
            number = key or max(self.sections, default=0) + 1
            now, (usual, scanner) = self.clock(), _AGENTS[kind]
            digest = hashlib.md5(f"{number}/{title}".encode()).hexdigest()
            uuid = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
            section = Section(
                number,
                kind,
                title,
                list(paths) or [f"/media/{title.lower()}"],
                uuid,
                agent or usual,
                scanner,
                hidden=hidden,
            )
            section.created_at = section.updated_at = section.scanned_at = now
            self.sections[number] = section
            self._moved(section)
            return section

    def remove_section(self, section: Section | int | str) -> None:
        """The section disappears with everything in it, without a word on the socket."""
        with self.lock:
            section = self.section(section)
            del self.sections[section.key]
            for kind in section.items.values():
                for number in kind:
                    self.items.pop(number, None)

    # -- adding --------------------------------------------------------------------------------------------------------

    def add_film(
        self, section: Section | int | str, title: str, year: int | None = None, **more: Any
    ) -> Item:
        """A film; see `_place` for what else may be said. Without `versions` it has one file in a folder of its own."""
        section = self.section(section)
        named = f"{title} ({year})" if year else title
        more.setdefault("file", f"{section.paths[0]}/{named}/{named}.mkv")
        return self._place(section, "movie", None, title=title, year=year, **more)

    def add_show(
        self, section: Section | int | str, title: str, year: int | None = None, **more: Any
    ) -> Item:
        """A show without seasons."""
        return self._place(self.section(section), "show", None, title=title, year=year, index=1, **more)

    def add_season(self, show: Item | int, number: int, **more: Any) -> Item:
        """A season without episodes; 0 are the specials."""
        show = self.item(show)
        more.setdefault("title", f"Season {number}" if number else "Specials")
        return self._place(show.section, "season", show, index=number, **more)

    def add_episode(
        self, show: Item | int, season: int, number: int, title: str | None = None, **more: Any
    ) -> Item:
        """An episode; its season is made where it is missing."""
        show = self.item(show)
        within = next((child for child in show.children if child.index == season), None) or self.add_season(
            show, season
        )
        name = f"{show.title} - S{season:02}E{number:02}"
        more.setdefault("file", f"{show.section.paths[0]}/{show.title}/Season {season:02}/{name}.mkv")
        return self._place(
            show.section, "episode", within, title=title or f"Episode {number}", index=number, **more
        )

    def add_artist(self, section: Section | int | str, title: str, **more: Any) -> Item:
        """An artist without albums."""
        return self._place(self.section(section), "artist", None, title=title, index=1, **more)

    def add_album(self, artist: Item | int, title: str, year: int | None = None, **more: Any) -> Item:
        """An album without tracks."""
        artist = self.item(artist)
        return self._place(artist.section, "album", artist, title=title, year=year, index=1, **more)

    def add_track(self, album: Item | int, number: int, title: str, **more: Any) -> Item:
        """A track."""
        album = self.item(album)
        more.setdefault(
            "file", f"{album.section.paths[0]}/{album.root.title}/{album.title}/{number:02} {title}.flac"
        )
        return self._place(album.section, "track", album, title=title, index=number, **more)

    def add_photo(self, section: Section | int | str, title: str, **more: Any) -> Item:
        """A photo."""
        section = self.section(section)
        more.setdefault("file", f"{section.paths[0]}/{title}.jpg")
        return self._place(section, "photo", None, title=title, **more)

    def add_collection(
        self,
        section: Section | int | str,
        title: str,
        members: Iterable[Item | int] = (),
        *,
        smart: bool = False,
        **more: Any,
    ) -> Item:
        """A collection; its members name it in `Collection`, unless it is smart."""
        with self.lock:
            section = self.section(section)
            chosen = [self.item(member) for member in members]
            digest = hashlib.md5(f"{section.key}/{title}".encode()).hexdigest()
            uuid = "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))
            more.setdefault("guid", f"collection://{uuid}")
            fields = {"subtype": section.type, "summary": "", **({"smart": True} if smart else {}), **more}
            return self._place(section, "collection", None, title=title, members=chosen, **fields)

    def add(self, what: str, *args: Any, **more: Any) -> Item:
        """`add("film", ...)` is `add_film(...)`, and so on; for the control port."""
        made: Item = getattr(self, f"add_{what}")(*args, **more)
        return made

    def _place(self, section: Section, kind: str, parent: Item | None, **said: Any) -> Item:
        """Make an item.

        Besides Plex's own field names (`summary`, `contentRating`, `Genre=["Drama"]`, `editionTitle`, ...; None hides one):
        `imdb`, `tmdb`, `tvdb` (external ids), `style` (of the guid: plex, imdb, themoviedb, thetvdb, hama, local, none),
        `guid`, `guids`, `file`, `versions` (of `Version` or dicts), `members`, `added_at`, `updated_at`, `quiet` (nothing on the socket).
        """
        with self.lock:
            self._ids += 1
            now = self.clock()
            ids = {name: said.pop(name) for name in ("imdb", "tmdb", "tvdb") if said.get(name) is not None}
            style, quiet, file = said.pop("style", "plex"), said.pop("quiet", False), said.pop("file", None)
            guid, guids = said.pop("guid", None), said.pop("guids", None)
            added = said.pop("added_at", now)
            updated, versions, members = (
                said.pop("updated_at", now),
                said.pop("versions", None),
                said.pop("members", []),
            )
            if versions is None:
                versions = [Version([file])] if file else []
            item = Item(
                self._ids,
                kind,
                section,
                said,
                "",
                parent=parent,
                added_at=added,
                updated_at=updated,
            )
            item.guid = guid or self._guid(item, style, ids)
            item.guids = (
                [f"{name}://{value}" for name, value in ids.items()] if guids is None else list(guids)
            )
            if style != "plex":
                item.guids = []
            for version in versions:
                self._give_version(item, version)
            self._enter(item)
            self._gather(item, members)
            if parent is not None and self.touches_parents and not quiet:
                for above in parent.line():
                    above.updated_at = max(above.updated_at, now)
                self._stale(parent.root)
            if not quiet:
                self.heard("created", item)
            return item

    def _give_version(self, item: Item, version: Version | dict[str, Any]) -> None:
        made = Version(**version) if isinstance(version, dict) else replace(version)
        self._media_ids += 1
        made.id = self._media_ids
        made.part_ids = [self._media_ids * 10 + at for at, _ in enumerate(made.files)]
        item.versions.append(made)

    def _enter(self, item: Item) -> None:
        self.items[item.id] = item
        item.section.items.setdefault(item.kind, {})[item.id] = item
        if item.parent is not None:
            item.parent.children.append(item)
            item.parent.children.sort(key=lambda child: child.index)
        self._moved(item.section, item)

    def _guid(self, item: Item, style: str, ids: dict[str, Any]) -> str:
        """The guid in the manner of the agent; that of an item that comes back is what it was."""
        above = item.parent
        if above is not None and not above.guid.startswith("plex://"):
            stem, _, query = above.guid.partition("?")
            if not stem.startswith(("local://", "com.plexapp.agents.none://")):
                return f"{stem}/{item.index}?{query}"
            style = "local" if stem.startswith("local") else "none"
        agents = "com.plexapp.agents"
        match style:
            case "imdb":
                return f"{agents}.imdb://{ids.get('imdb', f'tt{item.id:07}')}?lang=en"
            case "themoviedb":
                return f"{agents}.themoviedb://{ids.get('tmdb', item.id)}?lang=en"
            case "thetvdb":
                return f"{agents}.thetvdb://{ids.get('tvdb', item.id)}?lang=en"
            case "hama":
                return f"{agents}.hama://anidb-{ids.get('tvdb', item.id)}?lang=en"
            case "local":
                return f"local://{item.id}"
            case "none":
                return f"{agents}.none://{hashlib.md5(item.title.encode()).hexdigest()}?lang=xn"
        place = [str(step.index) for step in item.line() if step.kind in {"season", "episode", "track"}]
        return plex_guid(item.kind, item.root.title, item.root.fields.get("year"), item.title, *place)

    # -- changing ------------------------------------------------------------------------------------------------------

    def change(self, item: Item | int, *, quiet: bool = False, touch: bool = True, **fields: Any) -> Item:
        """New metadata; `updatedAt` moves unless `touch` is False or it is given. Takes what `_place` takes, but no ids."""
        with self.lock:
            item = self.item(item)
            if touch:
                item.updated_at = max(self.clock(), item.updated_at)
            if "versions" in fields:
                item.versions = []
                for version in fields.pop("versions"):
                    self._give_version(item, version)
            if "members" in fields:
                self._gather(item, [self.item(one) for one in fields.pop("members")])
            for name in {"guid", "guids", "added_at", "updated_at"} & set(fields):
                setattr(item, name, fields.pop(name))
            item.fields.update(fields)
            self._moved(item.section, item)
            self._stale(item)
            if not quiet:
                self.heard("changed", item)
            return item

    def remove(self, item: Item | int, *, quiet: bool = False) -> None:
        """The item goes with all below it, and so does a season or show that it leaves empty."""
        with self.lock:
            item = self.item(item)
            self._leave(item, quiet=quiet)
            above = item.parent
            if above is not None:
                above.children.remove(item)
                if not above.children:
                    self.remove(above, quiet=quiet)

    def _leave(self, item: Item, *, quiet: bool) -> None:
        """Out of all lists; the links to parent and children stay, so that it can come back whole."""
        for child in item.children:
            self._leave(child, quiet=quiet)
        del self.items[item.id], item.section.items[item.kind][item.id]
        self.gone[item.id] = item
        for group in item.section.of("collection"):
            if item in group.members:
                self._gather(group, [member for member in group.members if member is not item])
        for member in item.members:
            member.groups = [group for group in member.groups if group is not item]
            member.encoded.clear()
        self._moved(item.section, item)
        if not quiet:
            self.heard("deleted", item)

    def add_again(
        self, item: Item | int, section: Section | int | str | None = None, *, quiet: bool = False
    ) -> Item:
        """What was removed comes back with all below it: the same guids and files, new rating keys, never watched."""
        with self.lock:
            item = self.gone[item] if isinstance(item, int) else item
            where = self.section(section) if section is not None else item.section
            return self._again(item, where, self._standing(item.parent, where, quiet), quiet)

    def _again(self, item: Item, where: Section, parent: Item | None, quiet: bool) -> Item:
        fields = {**item.fields, "guid": item.guid, "guids": item.guids, "versions": item.versions}
        fields["members"] = [member for member in item.members if member.id in self.items]
        back = self._place(where, item.kind, parent, **fields, quiet=quiet)
        for child in item.children:
            self._again(child, where, back, quiet)
        return back

    def _standing(self, parent: Item | None, where: Section, quiet: bool) -> Item | None:
        """The parent, or one like it where it went away too."""
        if parent is None or parent.id in self.items:
            return parent
        fields = {**parent.fields, "guid": parent.guid, "guids": parent.guids}
        return self._place(
            where, parent.kind, self._standing(parent.parent, where, quiet), **fields, quiet=quiet
        )

    def move(self, item: Item | int, section: Section | int | str) -> Item:
        """Into another section: for Plex a removal and an addition, so the rating key is new."""
        with self.lock:
            item = self.item(item)
            self.remove(item)
            return self.add_again(item, section)

    def move_files(self, item: Item | int, folder: str) -> Item:
        """To another folder of the same section: Plex keeps the rating key, only the paths change."""
        with self.lock:
            item = self.item(item)
            for version in item.versions:
                version.files = [f"{folder}/{file.rsplit('/', 1)[-1]}" for file in version.files]
            return self.change(item)

    def merge(self, item: Item | int, into: Item | int) -> Item:
        """Two entries become one: versions, seasons and episodes go to `into`, the other rating key goes away."""
        with self.lock:
            item, into = self.item(item), self.item(into)
            for child in list(item.children):
                twin = next((one for one in into.children if one.index == child.index), None)
                if twin is not None:
                    self.merge(child, twin)
                else:
                    self._adopt(child, into)
            into.versions.extend(item.versions)
            if item.id in self.items:  # else it went with the last of its children
                self.remove(item)
            return self.change(into)

    def _adopt(self, child: Item, parent: Item) -> None:
        """A child changes its parent and keeps its rating key."""
        if child.parent is not None:
            child.parent.children.remove(child)
        child.parent = parent
        parent.children.append(child)
        parent.children.sort(key=lambda one: one.index)
        for above in parent.line():
            above.seen_by |= child.seen_by
        self._stale(parent.root)

    def _gather(self, group: Item, members: list[Item]) -> None:
        """From now on the collection has these members."""
        for member in {*group.members, *members}:
            member.groups = [one for one in member.groups if one is not group]
            if member in members and not group.fields.get("smart"):
                member.groups.append(group)
            member.encoded.clear()
        group.members = members
        group.encoded.clear()

    def _moved(self, section: Section, item: Item | None = None) -> None:
        self._changes += 1
        section.content_changed_at = self._changes
        section.orders.clear()
        for above in item.line() if item else ():
            above.encoded.clear()

    def _stale(self, item: Item) -> None:
        """What lies below names the item's title and picture, so its bytes are to be made anew."""
        item.encoded.clear()
        for below in (*item.children, *item.members):
            self._stale(below)

    # -- watching ------------------------------------------------------------------------------------------------------

    def watch(
        self,
        item: Item | int,
        account: Account | int = 1,
        *,
        count: int | None = None,
        offset: int | None = None,
        at: int | None = None,
    ) -> Watch:
        """Set what an account did with an item; nothing else of the item changes."""
        with self.lock:
            item = self.item(item)
            account = self.accounts[account] if isinstance(account, int) else account
            state = item.watched.setdefault(account.id, Watch())
            state.count = state.count if count is None else count
            state.offset = state.offset if offset is None else offset
            state.last_at = at or self.clock()
            for above in item.line():
                above.seen_by.add(account.id)
                above.encoded.clear()
            return state

    def scrobble(self, item: Item | int, account: Account | int = 1) -> None:
        """Seen to the end (with everything below): one more view, nothing in progress, a line in the history."""
        with self.lock:
            account = self.accounts[account] if isinstance(account, int) else account
            for leaf in self.item(item).leaves():
                seen = leaf.watched.get(account.id, Watch())
                self.watch(leaf, account, count=seen.count + 1, offset=0)
                self.history.append((account, leaf, self.clock()))

    def unscrobble(self, item: Item | int, account: Account | int = 1) -> None:
        """Never seen."""
        with self.lock:
            account = self.accounts[account] if isinstance(account, int) else account
            for leaf in self.item(item).leaves():
                leaf.watched.pop(account.id, None)
                for above in leaf.line():
                    above.encoded.clear()

    # -- scanning ------------------------------------------------------------------------------------------------------

    def prepare(self, section: Section | int | str, folder: str, what: str, **said: Any) -> None:
        """What a scan of this folder (or of the whole section) will find: `add(what, **said)` happens then."""
        with self.lock:
            self.prepared.append((self.section(section).key, folder.rstrip("/"), what, said))

    def found(self, section: Section, folder: str | None) -> list[Item]:
        """Add what lies in that folder, or everything prepared for the section."""
        with self.lock:
            inside = [one for one in self.prepared if one[0] == section.key and _lies_in(one[1], folder)]
            self.prepared = [one for one in self.prepared if one not in inside]
            section.scanned_at = self.clock()
            return [self._found(section, what, said) for _, _, what, said in inside]

    def _found(self, section: Section, what: str, said: dict[str, Any]) -> Item:
        if what == "episode":
            named, year = said.pop("show"), said.pop("year", None)
            shows = [show for show in section.of("show") if show.title == named]
            return self.add_episode(shows[0] if shows else self.add_show(section, named, year), **said)
        return self.add(what, section, **said)


def _lies_in(folder: str, scanned: str | None) -> bool:
    """Whether a scan of `scanned` reaches `folder`."""
    return scanned is None or folder == scanned.rstrip("/") or folder.startswith(scanned.rstrip("/") + "/")
