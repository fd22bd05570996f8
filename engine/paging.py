"""Pages of long lists, and totals that cost the same for a thousand rows and for a million."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import text
from sqlalchemy.orm import Session

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list; `page` counts from 1, `total` is the number of rows on all pages."""

    items: Sequence[T]
    page: int
    limit: int
    total: int

    @property
    def total_pages(self) -> int:
        """How many pages there are; 0 for an empty list."""
        return -(-self.total // self.limit)

    @property
    def has_next(self) -> bool:
        """Whether there is a page behind this one."""
        return self.page < self.total_pages

    @property
    def has_prev(self) -> bool:
        """Whether there is a page before this one."""
        return self.page > 1


def compact_counts(db: Session) -> int:
    """Add up the changes in `row_counts`; returns how many rows that removed.

    One statement, so a reader sees the parts or their sum and never neither; two at once are kept apart by the
    rows they delete.
    """
    removed = db.execute(
        text(
            """
            WITH gone AS (
                DELETE FROM row_counts WHERE id IN (SELECT id FROM row_counts FOR UPDATE SKIP LOCKED)
                RETURNING table_name, owner_id, status, n
            ), sums AS (
                INSERT INTO row_counts (table_name, owner_id, status, n)
                SELECT table_name, owner_id, status, sum(n) FROM gone GROUP BY 1, 2, 3 HAVING sum(n) <> 0
                RETURNING 1
            )
            SELECT (SELECT count(*) FROM gone) - (SELECT count(*) FROM sums)
            """
        )
    ).scalar_one()
    return int(removed)
