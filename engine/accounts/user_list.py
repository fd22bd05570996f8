"""The list of users and their details, for admins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.orm import Session

from engine.accounts import users
from engine.paging import Page
from engine.permissions import ROLES
from models.api_key import ApiKey
from models.login import Login
from models.row_count import total
from models.user import User

STATUSES = ("active", "disabled")
_SORTED_BY: dict[str, ColumnElement[Any]] = {
    "createdAt": User.created_at.expression,
    "name": func.lower(User.name),
    "email": func.lower(User.email),
    "lastLoginAt": User.last_login_at.expression,
    "role": case({role: rank for rank, role in enumerate(ROLES)}, value=User.role),
}
SORTS = tuple(f"{name}{order}" for name in _SORTED_BY for order in ("", ":asc", ":desc"))

_now = func.clock_timestamp


@dataclass(frozen=True)
class Belongings:
    """Counts of a user: live sessions, API keys that are not revoked, downloads of all states."""

    sessions: int
    api_keys: int
    downloads: int


def listing(
    db: Session,
    *,
    page: int,
    limit: int,
    role: str | None = None,
    status: str | None = None,
    search: str | None = None,
    sort: str = "createdAt:desc",
) -> Page[User]:
    """Users who are not deleted.

    Args:
        db: for reading.
        page: from 1.
        limit: users a page.
        role: only of this role.
        status: only `active` or `disabled` ones.
        search: part of a name, e-mail address or Plex name, in upper or lower case; nothing in it is a wildcard.
        sort: one of `SORTS`; ascending where it does not say. Who has no such value comes last, equals by age.
    """
    query = select(User).where(User.deleted_at.is_(None))
    if role is not None:
        query = query.where(User.role == role)
    if status is not None:
        disabled = User.disabled_at.is_not(None)
        query = query.where(disabled if status == "disabled" else ~disabled)
    if search is not None:
        sought = (User.name, User.email, User.plex_username)
        query = query.where(or_(*(column.icontains(search, autoescape=True) for column in sought)))
    count = db.scalar(select(func.count()).select_from(query.subquery())) or 0
    rows = db.scalars(query.order_by(*_order(sort)).offset((page - 1) * limit).limit(limit)).all()
    return Page(rows, page, limit, count)


def details(db: Session, user_id: str) -> tuple[User, Belongings]:
    """One user, with counts of their sessions, API keys and downloads.

    Raises:
        NotFound: there is no such user, or they are deleted.
    """
    user = users.get(db, user_id)
    live = select(func.count()).where(
        Login.user_id == user_id, Login.revoked_at.is_(None), Login.expires_at > _now()
    )
    keys = select(func.count()).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    downloads = total("downloads", owned=True, filtered=False)
    counts = db.execute(
        select(live.scalar_subquery(), keys.scalar_subquery(), downloads), {"owner_id": user_id}
    )
    return user, Belongings(*counts.one())


def _order(sort: str) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    name, _, direction = sort.partition(":")
    column, age = _SORTED_BY[name], User.id.expression
    if direction == "desc":
        return column.desc().nulls_last(), age.desc()
    return column.asc().nulls_last(), age.asc()
