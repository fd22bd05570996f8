"""The pass over single items that a push or a webhook named, with their shows and contents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import structlog
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from engine.clients.plex.library import PlexGone
from engine.clients.plex.paging import key_of
from engine.plex.answers.items import read
from engine.plex.answers.parsing import Metadata, Row, Unreadable, int_of
from engine.plex.recognition.staging import Prints
from engine.plex.sync.asking import LOCAL, Asking, live
from engine.plex.sync.library_pass import ALWAYS_REMOVED, SHRINKS_BY, Outcome, Report, live_count
from models.media import MediaItem

log = structlog.get_logger(__name__)

_BELOW = {"show": ("children", "allLeaves"), "season": ("children",)}  # seasons, episodes
_COUNTS = {"season": "childCount", "episode": "leafCount"}

Told = dict[str, tuple[str, Metadata]]  # library and `listed_print` of an item, by its key


def look(asking: Asking, keys: Sequence[str]) -> Outcome:
    """Query the items and stage what differs.

    A show or season whose number of children differs from the catalogue's is queried for them too. The contents of a
    removed item are removed with it, as far as the server answers 404 for each.

    Raises:
        PlexError: the server; nothing has been written.
    """
    named = _told(asking.items(keys))
    parents = {
        str(item[name])
        for _, item in named.values()
        for name in ("parentRatingKey", "grandparentRatingKey")
        if item.get(name) and str(item[name]) not in named
    }
    told = named | _told(asking.items(sorted(parents))) | _contents(asking, named)
    report = Report("", "", "", mode="items", listed=len(told))
    outcome = Outcome(report)
    known = asking.prints(MediaItem.rating_key.in_([*keys, *told]))
    unreadable = _stage(asking, told, known)
    gone = [key for key in keys if key in known and key not in named and key not in asking.silent]
    missing = _believed(asking, report, gone)
    missing += _believed(asking, report, asking.denied(_below(asking, missing)))
    replaced = asking.replaced({*told, *keys})
    outcome.missing = [*missing, *(entry.rating_key for entry in replaced)]
    for number, words in (
        (unreadable, "could not be read and were left as they are."),
        (len(asking.silent), "got no answer and were left as they are."),
        (report.held_back, "are gone: so many that only full syncs may remove them."),
    ):
        if number:
            report.add_note(f"{number} items {words}")
    return outcome


def _told(items: Iterable[Metadata], section: str | None = None) -> Told:
    found: Told = {}
    for item in items:
        key, where = key_of(item), section or item.get("librarySectionID")
        if key is not None and where is not None:
            found[key] = str(where), item
    return found


def _stage(asking: Asking, told: Told, known: Mapping[str, Prints]) -> int:
    """Stage what differs; returns how many items could not be read."""
    changed: dict[str, list[tuple[Row, Prints]]] = {}
    unreadable = 0
    for key, (section, item) in told.items():
        try:
            found = read(section, item)
        except Unreadable:
            unreadable += 1
            continue
        before = known.get(key)
        if found is not None and (before is None or before[0] != found[1]):
            changed.setdefault(section, []).append((found[0], (found[1], None)))
    for section, rows in changed.items():
        asking.stage.add(section, rows)
    return unreadable


# Contents


def _contents(asking: Asking, named: Told) -> Told:
    """The children of shows and seasons whose number differs from the catalogue's."""
    containers = {key: item for key, (_, item) in named.items() if str(item.get("type")) in _BELOW}
    if not containers:
        return {}
    have = _have(asking, containers, named)
    found: Told = {}
    for key, item in containers.items():
        kinds = ("season", "episode") if item["type"] == "show" else ("episode",)
        if all(have[key, kind] == int_of(item.get(_COUNTS[kind])) for kind in kinds):
            continue
        for path in _BELOW[item["type"]]:
            found |= _told(_listed(asking, f"/library/metadata/{key}/{path}"), named[key][0])
    return found


def _have(asking: Asking, containers: Mapping[str, Metadata], named: Told) -> Counter[tuple[str, str]]:
    """The number of children of each container in the catalogue, plus those staged by this pass."""
    columns = (MediaItem.rating_key, MediaItem.type, MediaItem.parent_key, MediaItem.grandparent_key)
    inside = or_(MediaItem.parent_key.in_(containers), MediaItem.grandparent_key.in_(containers))
    with asking.stage.connection.begin():
        rows = asking.stage.connection.execute(select(*columns).where(*live(asking.server_id), inside)).all()
    below = {row[0]: (row[1], {str(row[2]), str(row[3])}) for row in rows}
    for key, (_, item) in named.items():
        above = {str(item.get("parentRatingKey")), str(item.get("grandparentRatingKey"))}
        below[key] = str(item.get("type")), above
    return Counter((key, kind) for kind, above in below.values() for key in containers if key in above)


def _listed(asking: Asking, path: str) -> list[Metadata]:
    pages = asking.patience.each(asking.library.pages(path, includeGuids=1))
    try:
        return [item for page in pages for item in page.items]
    except PlexGone:
        return []
    except LOCAL as error:
        asking.libraries()  # an error of this one, as long as the server answers for others
        log.warning("sync.contents_unknown", path=path, reason=str(error))
        return []


# What is gone


def _below(asking: Asking, missing: Sequence[str]) -> list[str]:
    """The keys of the contents of removed items."""
    inside = or_(MediaItem.parent_key.in_(missing), MediaItem.grandparent_key.in_(missing))
    return [key for key in asking.prints(inside) if key not in missing] if missing else []


def _believed(asking: Asking, report: Report, missing: Sequence[str]) -> list[str]:
    """The confirmed removals; none of a library that would shrink much: the next sync lists it in full."""
    where = _sections_of(asking, missing)
    with Session(asking.stage.connection) as db:
        held = {
            section
            for section, count in Counter(where.values()).items()
            if count > max(ALWAYS_REMOVED, SHRINKS_BY * live_count(db, asking.server_id, section))
        }
    report.held_back += sum(where[key] in held for key in missing)
    return [key for key in missing if where[key] not in held]


def _sections_of(asking: Asking, keys: Sequence[str]) -> Mapping[str, str]:
    if not keys:
        return {}
    query = select(MediaItem.rating_key, MediaItem.section_key)
    with asking.stage.connection.begin():
        mine = query.where(*live(asking.server_id), MediaItem.rating_key.in_(keys))
        return dict(asking.stage.connection.execute(mine).all())
