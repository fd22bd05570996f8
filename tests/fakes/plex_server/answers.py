"""What each path of the server answers: from the request and the account to a container, a picture or a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.fakes.plex_server import faults, pictures, shapes
from tests.fakes.plex_server.encoding import Answer
from tests.fakes.plex_server.items import LEAVES, MAIN_KIND, TYPES, Account, Item, NoSuchItem, Section
from tests.fakes.plex_server.queries import Asked, listed, ordered, tag_id

if TYPE_CHECKING:
    from tests.fakes.plex_server.server import PlexDouble

_KINDS = {number: kind for kind, number in TYPES.items()}
_SEARCHED = ("movie", "show", "season", "episode", "artist", "album", "track", "collection")
_FEATURES = "adaptive_bitrate,collections,content_filter,federated-auth,hardware_transcoding,home,pass,sync,trailers,webhooks"


@dataclass
class Plain:
    """A body that is no container: a picture, or nothing."""

    body: bytes = b""
    type: str = "text/html"


class Refused(Exception):
    """Another status than 200, with Plex's HTML."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Answers:
    """The paths of one server. Call under the library's lock."""

    def __init__(self, plex: PlexDouble) -> None:
        self._plex = plex

    def answer(
        self, method: str, asked: Asked, account: Account, hit: dict[str, faults.Fault]
    ) -> Answer | Plain:
        """The answer to an authenticated request; `Refused` where there is none."""
        try:
            made = self._routed(method, [step for step in asked.path.split("/") if step], asked, account, hit)
        except NoSuchItem:
            raise Refused(404) from None
        except ValueError:
            raise Refused(400) from None
        if isinstance(made, Answer):
            made.account = account
        return made

    def identity(self) -> Answer:
        """Which server this is; needs no token."""
        return Answer(
            {
                "size": 0,
                "claimed": True,
                "machineIdentifier": self._plex.machine_id,
                "version": self._plex.version,
            }
        )

    def _routed(
        self, method: str, steps: list[str], asked: Asked, account: Account, hit: dict[str, faults.Fault]
    ) -> Answer | Plain:
        match steps:
            case []:
                return self._root()
            case ["library", "sections", *rest]:
                return self._sections(rest, asked, account, hit)
            case ["library", "metadata" | "collections", keys, *rest]:
                return self._metadata(method, keys, rest, asked, account, hit)
            case ["library", *rest]:
                return self._library(rest, asked, account, hit)
            case ["hubs", "search"]:
                return self._hubs(asked, account)
            case ["status", *rest]:
                return self._status(rest, asked, account, hit)
            case ["accounts"]:
                return self._accounts(account)
            case ["activities"]:
                return Answer({"size": 0})
            case ["photo", ":", "transcode"]:
                return self._transcoded(asked)
            case [":", verb]:
                return self._did(verb, method, asked, account)
        raise Refused(404)

    # -- the server ----------------------------------------------------------------------------------------------------

    def _root(self) -> Answer:
        plex = self._plex
        head = {
            "size": 3,
            "allowCameraUpload": True,
            "allowChannelAccess": True,
            "allowMediaDeletion": bool(plex.library.prefs["allowMediaDeletion"]),
            "allowSharing": True,
            "allowSync": True,
            "backgroundProcessing": True,
            "certificate": True,
            "companionProxy": True,
            "countryCode": "nld",
            "diagnostics": "logs,databases,streaminglogs",
            "eventStream": True,
            "friendlyName": plex.name,
            "hubSearch": True,
            "machineIdentifier": plex.machine_id,
            "multiuser": True,
            "myPlex": True,
            "myPlexMappingState": "mapped",
            "myPlexSigninState": "ok",
            "myPlexSubscription": plex.plex_pass,
            "myPlexUsername": "owner@example.com",
            "ownerFeatures": _FEATURES if plex.plex_pass else "",
            "platform": "Linux",
            "platformVersion": "24.04 LTS (Noble Numbat)",
            "pluginHost": True,
            "streamingBrainVersion": 2,
            "sync": True,
            "transcoderActiveVideoSessions": 0,
            "transcoderVideo": True,
            "updatedAt": plex.started_at,
            "updater": True,
            "version": plex.version,
            "voiceSearch": True,
        }
        return Answer(
            head,
            {
                "Directory": [
                    {"count": 1, "key": key, "title": key} for key in ("accounts", "library", "status")
                ]
            },
        )

    def _accounts(self, account: Account) -> Answer:
        _owner_only(account)
        nobody = shapes.account(Account(0, "", ""))
        everybody = [nobody, *(shapes.account(one) for one in self._plex.library.accounts.values())]
        return Answer(
            {"size": len(everybody), "identifier": "com.plexapp.system.accounts"}, {"Account": everybody}
        )

    def _transcoded(self, asked: Asked) -> Plain:
        url = asked.get("url") or ""
        number = (
            url.removeprefix("/library/metadata/").removeprefix("/library/collections/").partition("/")[0]
        )
        item = self._plex.library.item(number)
        width, height = int(asked.get("width") or 200), int(asked.get("height") or 300)
        drawn = self._plex.picture_of and self._plex.picture_of(item, "/art/" in url, width, height)
        if drawn:
            return Plain(drawn, "image/png")
        return self._picture("png" if asked.get("format") == "png" else "jpeg", width, height)

    def _picture(self, kind: str = "jpeg", width: int = 200, height: int = 300) -> Plain:
        body = pictures.png(width, height) if kind == "png" else pictures.jpeg()
        return Plain(body + bytes(self._plex.picture_padding), f"image/{kind}")

    # -- libraries -----------------------------------------------------------------------------------------------------

    def _library(
        self, rest: list[str], asked: Asked, account: Account, hit: dict[str, faults.Fault]
    ) -> Answer | Plain:
        match rest:
            case []:
                _owner_only(account)  # plexapi falls back on /library/sections
                head = {
                    "size": 3,
                    "allowSync": False,
                    "identifier": "com.plexapp.plugins.library",
                    "title1": "Plex Library",
                }
                return Answer(
                    head,
                    {
                        "Directory": [
                            {"key": key, "title": key} for key in ("sections", "recentlyAdded", "onDeck")
                        ]
                    },
                )
            case ["all"]:
                kind = (
                    _KINDS[int(asked.get("type") or 1)] if (asked.get("type") or "1").isdigit() else "movie"
                )
                return self._paged(
                    self._everywhere([kind], asked, account),
                    {"identifier": "com.plexapp.plugins.library"},
                    asked,
                    hit,
                    detail=True,
                )
            case ["recentlyAdded"]:
                items = self._everywhere(["movie", "season", "album"], asked, account)
                recent = sorted(items, key=lambda one: one.added_at, reverse=True)
                return self._paged(
                    recent,
                    {"identifier": "com.plexapp.plugins.library", "mixedParents": True},
                    asked,
                    hit,
                    detail=True,
                )
            case ["search"]:
                found = self._found(asked, account)[: int(asked.get("limit") or 50)]
                results = [
                    {
                        "score": 0.9,
                        "Metadata": shapes.item(one, account, guids=asked.flag("includeGuids"), detail=True),
                    }
                    for one in found
                ]
                return Answer(
                    {"size": len(results), "identifier": "com.plexapp.plugins.library"},
                    {"SearchResult": results},
                )
        raise Refused(404)

    def _everywhere(self, kinds: list[str], asked: Asked, account: Account) -> list[Item]:
        library = self._plex.library
        items = [
            one
            for section in library.sections.values()
            for kind in kinds
            for one in listed(section, kind, asked, account, library.clock())
        ]
        return ordered(items, asked.get("sort"), account)

    def _found(self, asked: Asked, account: Account) -> list[Item]:
        query, section = (asked.get("query") or "").casefold(), asked.get("sectionId")
        items = [
            one
            for one in self._plex.library.items.values()
            if one.kind in _SEARCHED and query in one.title.casefold()
        ]
        return ordered([one for one in items if section in {None, str(one.section.key)}], None, account)

    def _hubs(self, asked: Asked, account: Account) -> Answer:
        found, limit = self._found(asked, account) if asked.get("query") else [], int(asked.get("limit") or 3)
        hubs = []
        for kind in _SEARCHED:
            of = [one for one in found if one.kind == kind]
            hub: dict[str, Any] = {
                "title": f"{kind.title()}s",
                "type": kind,
                "hubIdentifier": kind,
                "context": f"hub.search.{kind}",
            }
            hub |= {"size": min(len(of), limit), "more": len(of) > limit, "style": "shelf"}
            if of:
                hub["Metadata"] = [
                    shapes.item(one, account, guids=asked.flag("includeGuids"), detail=True)
                    for one in of[:limit]
                ]
            hubs.append(hub)
        return Answer({"size": len(hubs), "identifier": "com.plexapp.plugins.library"}, {"Hub": hubs})

    def _sections(
        self, rest: list[str], asked: Asked, account: Account, hit: dict[str, faults.Fault]
    ) -> Answer | Plain:
        library = self._plex.library
        if not rest:
            all_of_them = [shapes.section(one) for one in library.sections.values()]
            return Answer(
                {"size": len(all_of_them), "allowSync": False, "title1": "Plex Library"},
                {"Directory": all_of_them},
            )
        section = library.section(rest[0])
        match rest[1:]:
            case []:
                kinds = ("all", "recentlyAdded", "collections", "genre")
                head = {
                    "size": len(kinds),
                    **shapes.section_head(section, MAIN_KIND[section.type]),
                    "content": "secondary",
                }
                return Answer(head, {"Directory": [{"key": key, "title": key} for key in kinds]})
            case ["all"]:
                return self._list(section, self.kind(section, asked), asked, account, hit)
            case ["collections"]:
                return self._list(section, "collection", asked, account, hit)
            case ["recentlyAdded"]:
                kind = LEAVES.get(section.type, MAIN_KIND[section.type])
                recent = sorted(
                    listed(section, kind, asked, account, library.clock()),
                    key=lambda one: one.added_at,
                    reverse=True,
                )
                return self._paged(
                    recent,
                    shapes.section_head(section, kind) | {"title2": "Recently Added", "mixedParents": True},
                    asked,
                    hit,
                )
            case ["genre"]:
                return self._genres(section)
            case ["refresh"]:
                self._plex.scan(section, asked.get("path"))
                return Plain()
            case ["emptyTrash" | "analyze"]:
                return Plain()
        raise Refused(404)

    def kind(self, section: Section, asked: Asked) -> str:
        number = asked.get("type")
        if number is None:
            return MAIN_KIND[section.type]
        if int(number) not in _KINDS:
            raise Refused(400)
        return _KINDS[int(number)]

    def _list(
        self, section: Section, kind: str, asked: Asked, account: Account, hit: dict[str, faults.Fault]
    ) -> Answer:
        items = listed(section, kind, asked, account, self._plex.library.clock())
        made = self._paged(items, shapes.section_head(section, kind), asked, hit)
        if asked.flag("includeMeta"):
            made.lists["Meta"] = shapes.filtering(section)
        return made

    def _genres(self, section: Section) -> Answer:
        tags = sorted(
            {
                tag
                for of in section.items.values()
                for one in of.values()
                for tag in one.fields.get("Genre") or ()
            }
        )
        listed_tags = [
            {
                "fastKey": f"/library/sections/{section.key}/all?genre={tag_id(tag)}",
                "key": str(tag_id(tag)),
                "title": tag,
                "type": "genre",
            }
            for tag in tags
        ]
        return Answer({"size": len(tags), "title1": section.title}, {"Directory": listed_tags})

    def _paged(
        self,
        items: list[Item],
        head: dict[str, Any],
        asked: Asked,
        hit: dict[str, faults.Fault],
        *,
        detail: bool = False,
    ) -> Answer:
        """The part of a list that was asked for, told as Plex tells it: `offset` and `totalSize` only with a part."""
        shown, start = faults.part(items, asked.part, hit)
        total = None if start is None or "no_total" in hit else len(items)
        paging = {} if start is None else {"offset": start}
        if total is not None:
            paging |= {"totalSize": total}
        made = Answer(
            {"size": len(shown), **paging, **head},
            items=shown,
            guids=asked.flag("includeGuids"),
            detail=detail,
        )
        made.start, made.total = start, total
        return made

    # -- items ---------------------------------------------------------------------------------------------------------

    def _metadata(
        self,
        method: str,
        keys: str,
        rest: list[str],
        asked: Asked,
        account: Account,
        hit: dict[str, faults.Fault],
    ) -> Answer | Plain:
        library = self._plex.library
        if not rest and method == "DELETE":
            _owner_only(account)
            library.remove(library.item(keys))
            return Plain()
        if not rest:
            items = [library.items[int(key)] for key in keys.split(",") if int(key) in library.items]
            if not items:
                raise NoSuchItem(keys)
            return self._items(items)
        item = library.item(keys)
        match rest:
            case ["children" | "items"]:
                return self._children(item, asked, account, hit)
            case ["allLeaves"]:
                leaves = ordered(
                    [leaf for leaf in item.leaves() if leaf is not item], asked.get("sort"), account
                )
                return self._paged(
                    leaves,
                    shapes.section_head(item.section, "episode") | {"key": item.rating_key},
                    asked,
                    hit,
                )
            case ["thumb" | "art" | "banner" | "composite" | "theme", *_]:
                return self._picture()
            case ["refresh"]:
                library.change(item)
                return Plain()
        raise Refused(404)

    def _items(self, items: list[Item]) -> Answer:
        section = items[0].section
        head = {
            "size": len(items),
            "allowSync": True,
            "identifier": "com.plexapp.plugins.library",
            "librarySectionID": section.key,
        }
        head |= {"librarySectionTitle": section.title, "librarySectionUUID": section.uuid}
        return Answer(
            {**head, "mediaTagPrefix": "/system/bundle/media/flags/", "mediaTagVersion": 1_734_362_201},
            items=items,
            guids=True,
            detail=True,
        )

    def _children(self, item: Item, asked: Asked, account: Account, hit: dict[str, faults.Fault]) -> Answer:
        below = item.members if item.kind == "collection" else item.children
        view = below[0].kind if below else item.kind
        head = shapes.children_head(item, view)
        made = self._paged(below, head, asked, hit)
        if (
            item.kind == "show"
            and len(below) > 1
            and not asked.flag("excludeAllLeaves")
            and asked.part is None
        ):
            every = {
                "leafCount": sum(1 for _ in item.leaves()),
                "thumb": f"/library/metadata/{item.id}/thumb/{item.updated_at}",
            }
            every |= {
                "viewedLeafCount": item.viewed_leaves(account),
                "key": f"/library/metadata/{item.id}/allLeaves",
                "title": "All episodes",
            }
            made.lists["Directory"] = [every]
            made.head["size"] += 1
        return made

    # -- what people do ------------------------------------------------------------------------------------------------

    def _status(
        self, rest: list[str], asked: Asked, account: Account, hit: dict[str, faults.Fault]
    ) -> Answer:
        _owner_only(account)
        if rest == ["sessions"]:
            now_playing = [session.shape() for session in self._plex.sessions.values()]
            return Answer({"size": len(now_playing)}, {"Metadata": now_playing})
        if rest == ["sessions", "history", "all"]:
            lines = list(enumerate(self._plex.library.history, 1))
            who, since, of = asked.get("accountID"), asked.get("viewedAt>"), asked.get("metadataItemID")
            kept = [
                shapes.history_line(number, whose, one, at)
                for number, (whose, one, at) in lines
                if who in {None, str(whose.id)} and at >= int(since or 0) and of in {None, one.rating_key}
            ]
            kept.sort(key=lambda line: line["viewedAt"], reverse=(asked.get("sort") or "").endswith(":desc"))
            shown, start = faults.part(kept, asked.part, hit)
            paging = {} if start is None else {"offset": start, "totalSize": len(kept)}
            return Answer(
                {"size": len(shown), **paging},
                {"Metadata": shown},
                start=start,
                total=paging.get("totalSize"),
            )
        raise Refused(404)

    def _did(self, verb: str, method: str, asked: Asked, account: Account) -> Answer | Plain:
        library = self._plex.library
        match verb:
            case "prefs" if method == "PUT":
                _owner_only(account)
                library.prefs.update(
                    {name: value for name, value in asked.pairs if not name.startswith("X-Plex")}
                )
                return Plain()
            case "prefs":
                _owner_only(account)
                listed_prefs = shapes.settings(library)
                return Answer({"size": len(listed_prefs)}, {"Setting": listed_prefs})
            case "scrobble":
                library.scrobble(library.item(asked.get("key") or ""), account)
                return Plain()
            case "unscrobble":
                library.unscrobble(library.item(asked.get("key") or ""), account)
                return Plain()
            case "timeline" | "progress":
                client = asked.either("X-Plex-Client-Identifier") or "client"
                number = asked.get("ratingKey") or (asked.get("key") or "").rpartition("/")[2]
                self._plex.play(
                    number, account, asked.get("state") or "playing", int(asked.get("time") or 0), client
                )
                return Answer({"size": 0})
        raise Refused(404)


def _owner_only(account: Account) -> None:
    """People with whom the server is shared may not look here."""
    if not account.owner:
        raise Refused(403)
