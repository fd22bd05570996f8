"""Re-encrypts the sealed values of the database with the current secret key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography.fernet import InvalidToken
from sqlalchemy import column, func, select, table, text, update
from sqlalchemy.orm import Session

from config.settings import Settings
from engine.errors import Conflict
from engine.secrets import secret_box

# Every column that `secret_box.sealed` writes to, with the one that names its row.
SEALED = (
    ("secrets", "name", "value"),
    ("stored_settings", "name", "value"),
    ("mails", "id", "details"),
    ("integrations", "name", "token"),
    ("notification_channels", "id", "url"),
)


class UnreadableSecrets(Conflict):
    """Sealed values that none of the keys decrypts; `names` says which."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"No known key opens {', '.join(names)}.")
        self.names = names


def lock(db: Session) -> None:
    """Lock all writes of secrets, and other rotations, until the unit of work ends."""
    tables = ", ".join(place for place, _, _ in _present(db))
    db.execute(text(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE"))


def check(db: Session, settings: Settings) -> None:
    """Check that every sealed value can be decrypted.

    Raises:
        Unreadable: a text that none of the keys opens.
    """
    closed = []
    for place, _, name, token in _sealed(db):
        try:
            secret_box.resealed(settings, token)
        except InvalidToken:
            closed.append(f"{place} {name}")
    if closed:
        raise UnreadableSecrets(closed)


def reseal(db: Session, settings: Settings) -> int:
    """Re-encrypt everything with the current key; returns how many values there are. Call `check` first."""
    count = 0
    for place, (key, value), name, token in list(_sealed(db)):
        target = table(place, column(key), column(value))
        fresh = {value: secret_box.resealed(settings, token)}
        db.execute(update(target).where(target.c[key] == name).values(fresh))
        count += 1
    return count


def _sealed(db: Session) -> Iterator[tuple[str, tuple[str, str], str, str]]:
    """What is sealed: table, columns, name of the row, token."""
    for place, key, value in _present(db):
        target = table(place, column(key), column(value))
        rows = db.execute(select(target).where(target.c[value].is_not(None))).all()
        for name, token in rows:
            if place != "stored_settings" or Settings.is_secret(name):
                yield place, (key, value), name, token


def _present(db: Session) -> Sequence[tuple[str, str, str]]:
    """Those that the schema has: it may be older than this version."""
    return [each for each in SEALED if db.scalar(func.to_regclass(each[0])) is not None]
