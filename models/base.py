"""The declarative base, prefixed sortable ids, and the column types every table shares."""

from __future__ import annotations

import secrets
import threading
import time
from datetime import datetime, timedelta
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, MetaData, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: texts sort like the numbers
_RANDOM_BITS = 80

_lock = threading.Lock()
_last = 0


def new_id(prefix: str) -> str:
    """Create an opaque id such as `dl-01jd3q…`: 48 bits of milliseconds and 80 random bits (the layout of a ULID).

    Ids sort by the time of creation: within a process exactly, between processes to the millisecond.
    """
    global _last
    with _lock:
        fresh = (time.time_ns() // 1_000_000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
        _last = fresh if fresh >> _RANDOM_BITS > _last >> _RANDOM_BITS else _last + 1
        number = _last
    return _written(prefix, number)


def first_id(prefix: str, age: timedelta) -> str:
    """The smallest id of rows that are younger than `age`, for queries that need not read older ones."""
    return _written(prefix, round((time.time() - age.total_seconds()) * 1000) << _RANDOM_BITS)


def _written(prefix: str, number: int) -> str:
    return f"{prefix}-" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


# How a title begins, without case and accents, as PostgreSQL writes it. An index holds no more than some 2,700 bytes.
TITLE_BEGIN = '"left"(folded(title), 200)'


class Base(DeclarativeBase):
    """The base of every table; constraints get fixed names, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        str: Text(),
        int: BigInteger(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
    }


CreatedAt = Annotated[datetime, mapped_column(server_default=func.clock_timestamp())]


class Timestamps:
    """`created_at`: when the row was inserted, on the database's clock."""

    created_at: Mapped[CreatedAt]
