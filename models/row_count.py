"""Row counts: totals of long lists without count(*)."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, ScalarSelect, bindparam, func, select
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base


class RowCount(Base):
    """A change of the number of rows of an owner in a status: `+1`, `-1`, or a compacted sum.

    Triggers insert it in the transaction of the change, so its sums are exact and no transaction waits for a counter's
    row lock; `engine.paging.compact_counts` replaces many rows by their sum from time to time.
    """

    __tablename__ = "row_counts"
    __table_args__ = (Index("ix_row_counts_owner", "table_name", "owner_id", "status"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    table_name: Mapped[str]
    owner_id: Mapped[str]
    status: Mapped[str]
    n: Mapped[int]


def total(table: str, *, owned: bool, filtered: bool) -> ScalarSelect[int]:
    """A subquery for a table's number of rows: of `:owner_id` if `owned`, in `:status` if `filtered`."""
    counts = RowCount.__table__.c
    query = select(func.coalesce(func.sum(counts.n), 0).cast(BigInteger)).where(counts.table_name == table)
    if owned:
        query = query.where(counts.owner_id == bindparam("owner_id"))
    if filtered:
        query = query.where(counts.status == bindparam("status"))
    return query.scalar_subquery()
