"""Who is told of what concerns not one user but those who look after something: the holders of a permission."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.notifications.notifications import notify
from engine.permissions import ROLES, Permission, permissions_of
from models.user import User


def holders(db: Session, permission: Permission) -> Sequence[User]:
    """The users whose role has a permission and who may sign in, oldest first."""
    roles = [role for role in ROLES if permission in permissions_of(role)]
    query = select(User).where(User.role.in_(roles), User.disabled_at.is_(None), User.deleted_at.is_(None))
    return db.scalars(query.order_by(User.id)).all()


def notify_holders(
    db: Session,
    permission: Permission,
    *,
    type: str,  # noqa: A002 - the name that clients see
    title: str,
    message: str,
    subject: tuple[str, str],
    dedupe_key: str | None = None,
    by: str | None = None,
) -> int:
    """`notify` each holder of a permission; returns how many of them had not been told before."""
    told = [
        notify(
            db,
            user.id,
            type=type,
            title=title,
            message=message,
            subject=subject,
            dedupe_key=dedupe_key,
            by=by,
        )
        for user in holders(db, permission)
    ]
    return sum(row is not None for row in told)
