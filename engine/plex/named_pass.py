"""Single items in one sync, as Plex or a webhook named them, with the shows they belong to."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.plex.parsing import Metadata, Row, Unreadable, fingerprint, row_of
from engine.plex.section_pass import ALWAYS_REMOVED, SHRINKS_BY, Asking, Outcome, Report, live_count
from engine.plex.staging import Prints
from models.media import MediaItem


def look(asking: Asking, keys: Sequence[str]) -> Outcome:
    """Ask for the items and stage what differs.

    Raises:
        PlexError: the server; nothing has been written.
    """
    items = asking.items(keys)
    have = {str(item.get("ratingKey")) for item in items}
    parents = {
        str(item[name])
        for item in items
        for name in ("parentRatingKey", "grandparentRatingKey")
        if item.get(name) and str(item[name]) not in have
    }
    items += asking.items(sorted(parents))
    report = Report("", "", "", mode="items", listed=len(items))
    outcome = Outcome(report)
    known = asking.prints(MediaItem.rating_key.in_([*keys, *parents]))
    for section_key, rows in _by_section(items).items():
        printed = [(row, fingerprint(section_key, row)) for row in rows]
        changed = [
            (row, (print_, None)) for row, print_ in printed if not _same(known.get(row.rating_key), print_)
        ]
        asking.stage.add(section_key, changed)
    missing = _believed(asking, report, [key for key in keys if key in known and key not in have])
    replaced = asking.replaced({*have, *parents, *keys})
    outcome.missing = [*missing, *(entry.rating_key for entry in replaced)]
    return outcome


def _same(known: Prints | None, print_: int) -> bool:
    return known is not None and known[0] == print_


def _believed(asking: Asking, report: Report, missing: Sequence[str]) -> list[str]:
    """What may be removed: nothing of a library that would shrink much; the next sync looks at all of it."""
    where = _sections_of(asking, missing)
    with Session(asking.stage.connection) as db:
        held = {
            section
            for section, count in Counter(where.values()).items()
            if count > max(ALWAYS_REMOVED, SHRINKS_BY * live_count(db, asking.server_id, section))
        }
    report.held_back = sum(where[key] in held for key in missing)
    if report.held_back:
        report.note = f"{report.held_back} items are gone: so many that only full syncs may remove them."
    return [key for key in missing if where[key] not in held]


def _sections_of(asking: Asking, keys: Collection[str]) -> Mapping[str, str]:
    if not keys:
        return {}
    query = select(MediaItem.rating_key, MediaItem.section_key).where(
        MediaItem.server_id == asking.server_id,
        MediaItem.rating_key.in_(keys),
        MediaItem.deleted_at.is_(None),
    )
    with asking.stage.connection.begin():
        return dict(asking.stage.connection.execute(query).all())


def _by_section(items: Sequence[Metadata]) -> Mapping[str, list[Row]]:
    found: defaultdict[str, dict[str, Row]] = defaultdict(dict)
    for item in items:
        try:
            row = row_of(item)
        except Unreadable:
            continue
        if row is not None and item.get("librarySectionID") is not None:
            found[str(item["librarySectionID"])][row.rating_key] = row
    return {section: list(rows.values()) for section, rows in found.items()}
