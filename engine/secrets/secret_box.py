"""Secrets encrypted in the database (Fernet); the key is derived from `SECRET_KEY`, which is never stored there.

Values sealed with an older key are decrypted as well; only the current one encrypts. See `engine/secrets/rotation.py`.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.errors import ServiceUnavailable
from engine.secrets import keys
from models.secret import Secret

_PURPOSE = "medianest secrets at rest"
_PASSING = "medianest forms"


def put(db: Session, settings: Settings, name: str, value: str) -> None:
    """Store a secret under a name, replacing the former one."""
    values = {"value": sealed(settings, value), "updated_at": func.clock_timestamp()}
    query = insert(Secret).values(name=name, **values)
    db.execute(query.on_conflict_do_update(index_elements=["name"], set_=values))


def take(db: Session, settings: Settings, name: str) -> str | None:
    """A decrypted secret; None where there is none.

    Raises:
        ServiceUnavailable: it was written with another `SECRET_KEY`.
    """
    row = db.get(Secret, name)
    return None if row is None else opened(settings, name, row.value)


def sealed(settings: Settings, text: str) -> str:
    """A text, encrypted for a column."""
    return _box(settings).encrypt(text.encode()).decode()


def resealed(settings: Settings, token: str) -> str:
    """The same, encrypted with the current key.

    Raises:
        InvalidToken: no key that we know opens it.
    """
    return _box(settings).rotate(token.encode()).decode()


def opened(settings: Settings, name: str, token: str) -> str:
    """The decrypted text; `name` is for the error message.

    Raises:
        ServiceUnavailable: it was written with another `SECRET_KEY`.
    """
    try:
        return _box(settings).decrypt(token.encode()).decode()
    except InvalidToken:
        raise ServiceUnavailable(
            f"The stored secret {name} was written with another SECRET_KEY: store it anew."
        ) from None


def lent(settings: Settings, purpose: str, text: str) -> str:
    """A text, encrypted for a client that brings it back; never good for a column, nor for another purpose."""
    return _box(settings, f"{_PASSING}: {purpose}").encrypt(text.encode()).decode()


def returned(settings: Settings, purpose: str, token: str, within: timedelta) -> str | None:
    """The text that a client was lent; None where it is not ours, or older than `within`."""
    try:
        return (
            _box(settings, f"{_PASSING}: {purpose}")
            .decrypt(token.encode(), int(within.total_seconds()))
            .decode()
        )
    except InvalidToken:
        return None


def kept_since(db: Session, name: str) -> datetime | None:
    """When a secret was written, without opening it."""
    row = db.get(Secret, name)
    return None if row is None else row.updated_at


def drop(db: Session, name: str) -> bool:
    """Forget a secret; whether there was one."""
    return db.execute(delete(Secret).where(Secret.name == name).returning(Secret.name)).first() is not None


def _box(settings: Settings, purpose: str = _PURPOSE) -> MultiFernet:
    return _box_of(keys.candidates(settings, purpose))


@lru_cache(maxsize=8)
def _box_of(candidates: tuple[bytes, ...]) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(candidate)) for candidate in candidates])
