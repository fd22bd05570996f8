"""The identity of this installation towards other systems; constant over restarts."""

from __future__ import annotations

import uuid

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from models.setting import Fact

_CLIENT_IDENTIFIER = "plex.client_identifier"


def client_identifier(db: Session) -> str:
    """The `X-Plex-Client-Identifier` of this installation; created once, by the first process that asks."""
    query = select(Fact.value).where(Fact.name == _CLIENT_IDENTIFIER)
    found = db.scalar(query)
    if found is not None:
        return found
    fresh = insert(Fact).values(
        name=_CLIENT_IDENTIFIER, value=str(uuid.uuid4()), updated_at=func.clock_timestamp()
    )
    db.execute(fresh.on_conflict_do_nothing())
    return db.execute(query).scalar_one()
