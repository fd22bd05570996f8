"""Rows for tests, with everything that a test does not care about filled in."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from models.base import new_id
from models.download import Download
from models.user import User


def make_user(db: Session, **values: Any) -> User:
    number = new_id("user")
    user = User(**{"id": number, "email": f"{number}@example.com", "name": "Ann", "role": "user", **values})
    db.add(user)
    db.flush()
    return user


def make_download(db: Session, user: User, **values: Any) -> Download:
    number = new_id("dl")
    defaults = {
        "id": number,
        "user_id": user.id,
        "status": "queued",
        "url": f"http://127.0.0.1/{number}.mp4",
        "url_key": number,
        "host": "127.0.0.1",
        "quality": "best",
        "format": "mp4",
        "folder": "",
    }
    row = Download(**{**defaults, **values})
    db.add(row)
    db.flush()
    db.refresh(row)
    return row
