"""Reads one item of Plex into a row that fits the catalogue's columns and indexes."""

from __future__ import annotations

from operator import attrgetter

import structlog

from engine.plex.answers.parsing import Metadata, Row, Unreadable, fingerprint, row_of

log = structlog.get_logger(__name__)

LONGEST_INDEXED = 600  # characters: with four bytes each they fit into an entry of an index

_KEYS = ("rating_key", "parent_key", "grandparent_key")
_MARKS = ("guid", "file", "imdb_id", "tmdb_id", "tvdb_id")
_PATH_BYTES = 2400
_indexed = attrgetter(*_KEYS, *_MARKS, "sort_title")


def read(section_key: str, item: Metadata) -> tuple[Row, int] | None:
    """The row of an item and its fingerprint; None for anything but a film, show, season or episode.

    Titles are cut to what an index entry holds; paths and guids that are too long for one are not indexed.

    Raises:
        Unreadable: a required field is missing or of the wrong type.
    """
    try:
        row = row_of(item)
        if row is None:
            return None
        row = _bounded(row)
        return row, fingerprint(section_key, row)
    except Exception as error:
        log.info("plex.item_unreadable", key=str(item.get("ratingKey"))[:100], error=type(error).__name__)
        raise Unreadable(str(item.get("ratingKey"))) from error


def _bounded(row: Row) -> Row:
    if max(map(len, filter(None, _indexed(row)))) <= LONGEST_INDEXED:
        return row
    if any(len(getattr(row, name) or "") > LONGEST_INDEXED for name in _KEYS):
        raise Unreadable(row.rating_key)
    if len(row.sort_title) > LONGEST_INDEXED:
        row = row._replace(sort_title=row.sort_title[:LONGEST_INDEXED])
    if any(_is_endless(getattr(row, name)) for name in _MARKS):
        told = row._asdict()
        row = Row(**told | {name: None for name in _MARKS if _is_endless(told[name])})
    return row


def _is_endless(text: str | None) -> bool:
    return text is not None and len(text) > LONGEST_INDEXED and len(text.encode()) > _PATH_BYTES
