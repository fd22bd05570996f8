"""Suggestions of titles while a user types: of the catalogue and of their own downloads, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Select, cast, func, literal, literal_column, null, select
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.plex.catalogue import current
from engine.plex.catalogue.current import Catalogue
from engine.plex.catalogue.filters import beginnings, matching
from models.base import TITLE_BEGIN
from models.download import TITLE_WORDS, Download
from models.media import MediaItem

MOST = 8
_LONGEST = 200  # characters that are looked at
_CONSIDERED = 100  # rows of a look-up that are put into order; more would take longer than to type on
_BEGIN: ColumnElement[str] = literal_column(TITLE_BEGIN)
_LAST = "\U0010ffff"  # sorts behind every character
# Constants, not parameters: there are indexes of these alone.
_TOPS = literal_column("type IN ('movie', 'show')", Boolean)
_EPISODES = literal_column("type = 'episode'", Boolean)


@dataclass(frozen=True)
class Suggestion:
    """A title.

    Attributes:
        kind: of what `id` is.
        type: movie, show or episode; of downloads video.
    """

    id: str
    kind: Literal["library", "download"]
    type: str
    title: str
    year: int | None


def suggest(db: Session, settings: Settings, query: str, *, downloads_of: str | None) -> list[Suggestion]:
    """Up to `MOST` titles that have a word for each word of the query, which it begins; case and accents don't count.

    Films, shows and downloads come before episodes. Of either first titles that are the query, then those that begin
    with it, then the others; shorter ones first. Libraries that are hidden in Plex are left out. Few rows are read,
    however many titles fit: of those whose words fit somewhere, any 100 are put into order.

    Args:
        db: a session.
        settings: of this moment.
        query: as it was typed so far; anything.
        downloads_of: the user whose downloads are suggested; None: no downloads.
    """
    typed = " ".join(query[:_LONGEST].replace("\0", " ").split())
    typed = (db.scalar(select(func.folded(typed))) or "")[:_LONGEST].strip()
    if not typed:
        return []
    found: dict[str, Any] = {}
    sources = _sources(db, settings, typed, downloads_of)
    for last, look_up in product((False, True), (_beginning, _having_words)):
        if len(found) < MOST:  # else what would come now is no better
            for source in sources:
                if source.last is last:
                    found |= {row.id: row for row in db.execute(look_up(source, typed))}
    best = sorted(found.values(), key=lambda row: _order(row, typed))[:MOST]
    return [Suggestion(row.id, row.kind, row.type, row.title, row.year) for row in best]


class _TitledRows(NamedTuple):
    """Rows to suggest, of one type.

    Attributes:
        rows: SELECT of the columns of a suggestion, and `folded`, the title without case and accents.
        fit: whether words of a row begin with those that were typed.
        last: they come behind all that are not.
    """

    rows: Select[Any]
    fit: ColumnElement[bool]
    last: bool = False


def _sources(db: Session, settings: Settings, typed: str, downloads_of: str | None) -> list[_TitledRows]:
    found = [] if downloads_of is None else [_downloads(downloads_of, typed)]
    catalogue = current.find(db, settings)
    if catalogue is None:
        return found
    keys = [section.key for section in current.sections(db, catalogue) if not section.hidden]
    return [
        _items(catalogue, keys, _TOPS, typed),
        _items(catalogue, keys, _EPISODES, typed, last=True),
        *found,
    ]


def _items(
    catalogue: Catalogue, keys: Sequence[str], kinds: ColumnElement[bool], typed: str, *, last: bool = False
) -> _TitledRows:
    title = func.folded(MediaItem.title)
    columns = (
        MediaItem.id,
        literal("library").label("kind"),
        MediaItem.type,
        MediaItem.title,
        MediaItem.year,
    )
    rows = select(*columns, title.label("folded")).where(
        MediaItem.server_id == catalogue.server_id,
        MediaItem.section_key.in_(keys),
        MediaItem.deleted_at.is_(None),
        kinds,
    )
    return _TitledRows(rows, matching(typed), last)


def _downloads(user_id: str, typed: str) -> _TitledRows:
    title = func.folded(Download.title)
    columns = (Download.id, literal("download").label("kind"), literal("video").label("type"), Download.title)
    rows = select(*columns, null().label("year"), title.label("folded")).where(
        Download.user_id == user_id, Download.title.is_not(None)
    )
    own = beginnings(typed).op("&&")(cast(f"'={user_id}'", TSQUERY))
    return _TitledRows(rows, literal_column(TITLE_WORDS).op("@@", is_comparison=True)(own))


def _beginning(source: _TitledRows, typed: str) -> Select[Any]:
    """The first titles that begin with what was typed, in the order of their index: an equal one is the first."""
    title = _BEGIN.collate("C")
    begins = source.rows.where(title >= typed, title < typed + _LAST)
    return begins.order_by(title).limit(_CONSIDERED)


def _having_words(source: _TitledRows, typed: str) -> Select[Any]:
    """Some of the titles with fitting words.

    Materialized: planned as if all were wanted, by the index of words, and read no further than the limit.
    """
    hits = source.rows.where(source.fit).cte("hits").prefix_with("MATERIALIZED", dialect="postgresql")
    some = select(hits).limit(_CONSIDERED)
    if not source.last:
        return some
    # The words of an episode are those of its show too, whose name alone would suggest all of them.
    each = some.subquery()
    words = func.to_tsvector(literal_column("'simple'"), each.c.folded)
    return select(each).where(words.op("@@", is_comparison=True)(beginnings(typed)))


def _order(row: Any, typed: str) -> tuple[bool, int, int, str, str]:
    fit = 0 if row.folded == typed else 1 if row.folded.startswith(typed) else 2
    return row.type == "episode", fit, len(row.title), row.folded, row.id
