"""How one item, section or account looks in an answer: plain dicts in the shapes and types that Plex's JSON has."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.fakes.plex_server.items import MAIN_KIND, TYPES, Account, Item, Section, Version
from tests.fakes.plex_server.library import Library
from tests.fakes.plex_server.queries import tag_id

_TAGS = ("Genre", "Country", "Director", "Writer", "Role", "Producer", "Collection", "Label")
_GROUPS = ("show", "season", "artist", "album", "collection")
_LANGUAGES = {
    "eng": ("English", "en"),
    "nld": ("Nederlands", "nl"),
    "fra": ("Français", "fr"),
    "jpn": ("日本語", "ja"),
    "deu": ("Deutsch", "de"),
}
_CHANNELS = {"aac": 2, "ac3": 6, "eac3": 6, "dca": 6, "flac": 2}


def item(one: Item, account: Account, *, guids: bool = False, detail: bool = False) -> dict[str, Any]:
    """An item of a list; with `detail` as `/library/metadata/{key}` has it: its section, streams, ids of tags."""
    said = {**_head(one), **_section_of(one, detail), **_body(one, account), **_pictures(one)}
    said["addedAt"], said["updatedAt"] = one.added_at, one.updated_at
    said |= {name: value for name, value in one.fields.items() if name not in _TAGS}
    if one.versions:
        said["Media"] = [_media(version, one.added_at, detail) for version in one.versions]
    for name in _TAGS:
        if tags := one.tags(name):
            said[name] = [_tag(name, tag, detail) for tag in tags]
    if one.guids and (guids or detail):
        said["Guid"] = [{"id": guid} for guid in one.guids]
    return {name: value for name, value in said.items() if value is not None}


def _path(one: Item) -> str:
    return f"/library/{'collections' if one.kind == 'collection' else 'metadata'}/{one.id}"


def _head(one: Item) -> dict[str, Any]:
    above = one.parent
    said: dict[str, Any] = {
        "ratingKey": one.rating_key,
        "key": _path(one) + ("/children" if one.kind in _GROUPS else ""),
    }
    for prefix, step in _above(one):
        said[f"{prefix}RatingKey"] = step.rating_key
    said["guid"] = one.guid
    for prefix, step in _above(one):
        said[f"{prefix}Guid"] = step.guid
    if one.kind == "season" and above is not None and above.fields.get("studio"):
        said["parentStudio"] = above.fields["studio"]
    return {**said, "type": one.kind, "title": one.title}


def _above(one: Item) -> list[tuple[str, Item]]:
    """What it lies in, by the prefix of those fields."""
    if one.parent is None:
        return []
    return [("parent", one.parent), *([("grandparent", one.parent.parent)] if one.parent.parent else [])]


def _section_of(one: Item, detail: bool) -> dict[str, Any]:
    if not detail:
        return {}
    section = one.section
    return {
        "librarySectionTitle": section.title,
        "librarySectionID": section.key,
        "librarySectionKey": f"/library/sections/{section.key}",
    }


def _body(one: Item, account: Account) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for prefix, step in _above(one):
        said[f"{prefix}Key"] = _path(step)
        said[f"{prefix}Title"] = step.title
        said[f"{prefix}Thumb"] = f"/library/metadata/{step.id}/thumb/{step.updated_at}"
    if one.parent is not None:
        said["parentIndex"] = one.parent.index
        if one.kind == "season":
            said["parentYear"] = one.parent.fields.get("year")
    if one.kind in {"show", "season"}:
        said["leafCount"] = sum(1 for _ in one.leaves())
        said["viewedLeafCount"] = one.viewed_leaves(account)
    if one.kind == "show":
        said["childCount"] = len(one.children)
    if one.kind == "collection":
        years = [int(member.fields["year"]) for member in one.members if member.fields.get("year")]
        said["childCount"] = str(len(one.members))  # text, unlike a show's
        if years:
            said["maxYear"], said["minYear"] = str(max(years)), str(min(years))
    return {**said, **_watched(one, account), **_length(one)}


def _watched(one: Item, account: Account) -> dict[str, Any]:
    seen = one.watched.get(account.id)
    if seen is None:
        if account.id not in one.seen_by or one.kind not in {"show", "season"}:
            return {}
        below = [leaf.watched[account.id] for leaf in one.leaves() if account.id in leaf.watched]
        last = max((state.last_at or 0 for state in below), default=0)
        return {"viewCount": sum(state.count for state in below) or None, "lastViewedAt": last or None}
    return {"viewCount": seen.count or None, "viewOffset": seen.offset or None, "lastViewedAt": seen.last_at}


def _length(one: Item) -> dict[str, Any]:
    return {"duration": one.versions[0].duration} if one.versions and one.kind != "photo" else {}


def _pictures(one: Item) -> dict[str, Any]:
    if one.kind == "collection":
        return {"thumb": f"/library/collections/{one.id}/composite/{one.updated_at}?width=400&height=600"}
    said = {"thumb": f"/library/metadata/{one.id}/thumb/{one.updated_at}"}
    root = one.root
    if root.kind in {"show", "movie"} or one.kind == "track":
        said["art"] = f"/library/metadata/{root.id}/art/{root.updated_at}"
        if one.kind in {"episode", "track"}:
            said["grandparentArt"] = said["art"]
    return said


def _tag(name: str, tag: str, detail: bool) -> dict[str, Any]:
    if not detail:
        return {"tag": tag}
    number = tag_id(tag)
    said = {"id": number, "filter": f"{'actor' if name == 'Role' else name.lower()}={number}", "tag": tag}
    if name in {"Role", "Director", "Writer", "Producer"}:  # people are known to Plex's cloud
        said["tagKey"] = hashlib.md5(tag.encode()).hexdigest()[:24]
    return {**said, "role": "Self"} if name == "Role" else said


def _media(version: Version, added_at: int, detail: bool) -> dict[str, Any]:
    if version.container == "jpg":
        parts = [
            {
                "id": version.id,
                "key": f"/library/parts/{version.id}/{added_at}/file.jpg",
                "file": file,
                "size": version.size,
                "container": "jpg",
            }
            for file in version.files
        ]
        return {
            "id": version.id,
            "width": 4000,
            "height": 3000,
            "aspectRatio": 1.33,
            "container": "jpeg",
            "Part": parts,
        }
    width, height = version.frame
    said: dict[str, Any] = {"id": version.id, "duration": version.duration, "bitrate": version.bitrate}
    sound = {"audioChannels": _CHANNELS.get(version.audio_codec, 2), "audioCodec": version.audio_codec}
    if version.container == "flac":
        said |= {**sound, "container": "flac"}
    else:
        picture = {"videoCodec": version.video_codec, "videoResolution": version.resolution}
        said |= {
            "width": width,
            "height": height,
            "aspectRatio": 1.78,
            **sound,
            **picture,
            "container": version.container,
        }
        said |= {"videoFrameRate": "24p", "audioProfile": "lc", "videoProfile": "main"}
    return _without_none(
        {**said, "Part": [_part(version, at, added_at, detail) for at in range(len(version.files))]}
    )


def _part(version: Version, at: int, added_at: int, detail: bool) -> dict[str, Any]:
    number = version.part_ids[at]
    said: dict[str, Any] = {
        "id": number,
        "key": f"/library/parts/{number}/{added_at}/file.{version.container}",
        "duration": version.duration,
        "file": version.files[at],
        "size": version.size // len(version.files),
        "container": version.container,
    }
    if version.container != "flac":
        said |= {"audioProfile": "lc", "videoProfile": "main"}
    if detail:
        said["Stream"] = _streams(version, number)
    return _without_none(said)


def _streams(version: Version, part: int) -> list[dict[str, Any]]:
    width, height = version.frame
    streams: list[dict[str, Any]] = []
    if version.container != "flac":
        name = f"{'4K' if version.resolution == '4k' else f'{height}p'} ({version.video_codec.upper()})"
        streams.append(
            {
                "id": part * 10,
                "streamType": 1,
                "default": True,
                "codec": version.video_codec,
                "index": 0,
                "bitrate": version.bitrate,
            }
            | {
                "bitDepth": 8,
                "frameRate": 23.976,
                "height": height,
                "width": width,
                "displayTitle": name,
                "extendedDisplayTitle": name,
            }
        )
    for at, (kind, code) in enumerate(
        [(2, code) for code in version.languages] + [(3, code) for code in version.subtitles], 1
    ):
        language, tag = _LANGUAGES.get(code, (code, code[:2]))
        codec = version.audio_codec if kind == 2 else "srt"
        stream = {
            "id": part * 10 + at,
            "streamType": kind,
            "codec": codec,
            "index": at,
            "language": language,
            "languageTag": tag,
            "languageCode": code,
        }
        if kind == 2:
            stream |= {"selected": at == 1, "channels": _CHANNELS.get(codec, 2), "samplingRate": 48_000}
        streams.append(
            {
                **stream,
                "displayTitle": f"{language} ({codec.upper()})",
                "extendedDisplayTitle": f"{language} ({codec.upper()})",
            }
        )
    return streams


def _without_none(said: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


def section(one: Section) -> dict[str, Any]:
    """A library as `/library/sections` lists it."""
    return {
        "allowSync": True,
        "art": f"/:/resources/{one.type}-fanart.jpg",
        "composite": f"/library/sections/{one.key}/composite/{one.scanned_at}",
        "filters": True,
        "refreshing": one.refreshing,
        "thumb": f"/:/resources/{one.type}.png",
        "key": str(one.key),
        "type": one.type,
        "title": one.title,
        "agent": one.agent,
        "scanner": one.scanner,
        "language": one.language,
        "uuid": one.uuid,
        "updatedAt": one.updated_at,
        "createdAt": one.created_at,
        "scannedAt": one.scanned_at,
        "content": True,
        "directory": True,
        "contentChangedAt": one.content_changed_at,
        "hidden": one.hidden,
        "Location": [{"id": one.key * 10 + at, "path": path} for at, path in enumerate(one.paths)],
    }


def section_head(one: Section, kind: str) -> dict[str, Any]:
    """What the container of a section's list says of the section."""
    names = {
        "movie": "Movies",
        "show": "Shows",
        "season": "Seasons",
        "episode": "Episodes",
        "artist": "Artists",
        "album": "Albums",
        "track": "Tracks",
        "photo": "Photos",
        "collection": "Collections",
    }
    return {
        "allowSync": True,
        "art": f"/:/resources/{one.type}-fanart.jpg",
        "identifier": "com.plexapp.plugins.library",
        "librarySectionID": one.key,
        "librarySectionTitle": one.title,
        "librarySectionUUID": one.uuid,
        "mediaTagPrefix": "/system/bundle/media/flags/",
        "mediaTagVersion": 1_734_362_201,
        "nocache": True,
        "thumb": f"/:/resources/{one.type}.png",
        "title1": one.title,
        "title2": f"All {names[kind]}",
        "viewGroup": kind,
        "viewMode": 65_592,
    }


def children_head(one: Item, view: str) -> dict[str, Any]:
    """What the container of an item's children says of the item."""
    said = section_head(one.section, view) | {
        "key": one.rating_key,
        "title2": one.title,
        "parentTitle": one.title,
    }
    said["thumb"] = f"/library/metadata/{one.id}/thumb/{one.updated_at}"
    if "index" in one.fields:
        said["parentIndex"] = one.index
    if one.kind in {"show", "artist"}:
        said |= {"summary": one.fields.get("summary") or "", "parentYear": one.fields.get("year")}
    if one.kind == "season" and one.parent is not None:
        show = one.parent
        said |= {
            "title1": show.title,
            "grandparentRatingKey": show.id,
            "grandparentTitle": show.title,
        }  # a number, here
        said |= {
            "grandparentContentRating": show.fields.get("contentRating"),
            "grandparentStudio": show.fields.get("studio"),
        }
        said["grandparentThumb"] = f"/library/metadata/{show.id}/thumb/{show.updated_at}"
    return _without_none(said)


def filtering(one: Section) -> dict[str, Any]:
    """`Meta`: which filters, sorts and fields a section knows; plexapi asks before it builds a query."""
    kinds = {"show": ("show", "season", "episode"), "artist": ("artist", "album", "track")}.get(
        one.type, (MAIN_KIND[one.type],)
    )
    dates, numbers = ("addedAt", "updatedAt", "lastViewedAt"), ("year", "viewCount", "duration", "rating")

    def known(kind: str) -> dict[str, Any]:
        sorts = ("titleSort", "year", "originallyAvailableAt", "rating", "duration", *dates)
        fields = [
            ("title", "string"),
            ("studio", "string"),
            *[(name, "integer") for name in numbers],
            *[(name, "date") for name in dates],
        ]
        return {
            "key": f"/library/sections/{one.key}/all?type={TYPES[kind]}",
            "type": kind,
            "title": kind.title() + "s",
            "active": kind == kinds[0],
            "Filter": [
                {
                    "filter": "genre",
                    "filterType": "string",
                    "key": f"/library/sections/{one.key}/genre",
                    "title": "Genre",
                    "type": "filter",
                }
            ],
            "Sort": [
                {
                    "default": "asc",
                    "defaultDirection": "asc",
                    "descKey": f"{name}:desc",
                    "key": name,
                    "title": name,
                }
                for name in sorts
            ],
            "Field": [
                {"key": f"{kind}.{name}", "title": name, "type": of}
                for name, of in [*fields, ("genre", "tag"), ("unwatched", "boolean")]
            ],
        }

    operators = {
        "tag": ("=", "!="),
        "integer": ("=", "!=", ">>=", "<<=", ">=", "<="),
        "string": ("=", "!=", "==", "!==", "<=", ">="),
        "boolean": ("=", "!="),
        "date": ("=", "!=", ">>=", "<<="),
    }
    return {
        "Type": [known(kind) for kind in (*kinds, "collection")],
        "FieldType": [
            {"type": name, "Operator": [{"key": key, "title": key} for key in keys]}
            for name, keys in operators.items()
        ],
    }


def account(one: Account) -> dict[str, Any]:
    """An account as `/accounts` lists it."""
    said = {
        "id": one.id,
        "key": f"/accounts/{one.id}",
        "name": one.name,
        "defaultAudioLanguage": "en",
        "autoSelectAudio": True,
    }
    return {**said, "defaultSubtitleLanguage": "en", "subtitleMode": 1, "thumb": ""}


def person(one: Account) -> dict[str, Any]:
    """An account beside a session."""
    return {
        "id": str(one.id),
        "thumb": f"https://plex.tv/users/{hashlib.md5(one.name.encode()).hexdigest()[:16]}/avatar",
        "title": one.name,
    }


def history_line(number: int, who: Account, one: Item, at: int) -> dict[str, Any]:
    """One line of the history."""
    said: dict[str, Any] = {
        "historyKey": f"/status/sessions/history/{number}",
        "key": _path(one),
        "ratingKey": one.rating_key,
    }
    said["librarySectionID"] = str(one.section.key)
    for prefix, step in _above(one):
        said |= {
            f"{prefix}Key": _path(step),
            f"{prefix}Title": step.title,
            f"{prefix}Thumb": f"/library/metadata/{step.id}/thumb/{step.updated_at}",
        }
    said |= {
        "title": one.title,
        "type": one.kind,
        "thumb": f"/library/metadata/{one.id}/thumb/{one.updated_at}",
    }
    said |= {
        name: one.fields[name]
        for name in ("index", "originallyAvailableAt")
        if one.fields.get(name) is not None
    }
    if one.parent is not None:
        said["parentIndex"] = one.parent.index
    return {**said, "viewedAt": at, "accountID": who.id, "deviceID": 1}


def settings(library: Library) -> list[dict[str, Any]]:
    """The preferences."""

    def one(name: str, value: Any) -> dict[str, Any]:
        kind = {bool: "bool", int: "int"}.get(type(value), "text")
        return {
            "id": name,
            "label": name,
            "summary": "",
            "type": kind,
            "default": value,
            "value": value,
            "hidden": False,
            "advanced": False,
            "group": "general",
        }

    return [one(name, value) for name, value in library.prefs.items()]
