"""Who is signed in, and the frame of their pages: places to go to, counts, language and theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from api.pages.look.shell import Flash, NavLink, Shell, Theme
from api.pages.look.words import gettext as _
from engine.accounts import users
from engine.downloads.shown import listing
from engine.identity.sessions import Identity
from engine.media_requests import listing as requests
from engine.notifications import notifications
from engine.permissions import Permission


@dataclass(frozen=True)
class Visitor:
    """The user who is signed in.

    Attributes:
        id: of the user.
        name: of the user.
        language: that they chose; None: their browser's.
        theme: that they chose.
        permissions: what they may do.
        moving: their downloads that are not finished.
        unread: their notifications that were not read.
        undecided: requests that wait for a decision; 0 for who may not decide.
    """

    id: str
    name: str
    language: str | None
    theme: Theme
    permissions: frozenset[Permission]
    moving: int
    unread: int
    undecided: int = 0

    def may(self, permission: Permission) -> bool:
        """Whether they have a permission."""
        return permission in self.permissions


def visitor_of(db: Session, identity: Identity) -> Visitor:
    """Who a session belongs to."""
    user = users.get(db, identity.user_id)
    theme: Theme = "light" if user.theme == "light" else "dark" if user.theme == "dark" else "system"
    return Visitor(
        id=user.id,
        name=user.name,
        language=user.language,
        theme=theme,
        permissions=identity.permissions,
        moving=listing.active_count(db, user.id),
        unread=notifications.unread_count(db, user.id),
        undecided=requests.undecided(db) if Permission.REQUESTS_MANAGE in identity.permissions else 0,
    )


def shell_of(visitor: Visitor, proof: str, here: str, told: Sequence[Flash]) -> Shell:
    """The frame of a page.

    Args:
        visitor: who sees it.
        proof: CSRF token.
        here: the path of the place that the page belongs to.
        told: messages to be shown.
    """
    return Shell(
        name=visitor.name,
        csrf_token=proof,
        here=here,
        places=_places(visitor),
        admin=[place for permission, place in _admin(visitor) if visitor.may(permission)],
        account=_account(visitor),
        unread=visitor.unread,
        theme=visitor.theme,
        flashes=told,
    )


def _places(visitor: Visitor) -> Sequence[NavLink]:
    activity = NavLink(_("Activity"), "activity", "downloads", visitor.moving, _("moving"))
    return (
        NavLink(_("Home"), "home", ""),
        NavLink(_("Discover"), "discover", "discover"),
        NavLink(_("Library"), "library", "library"),
        *([activity] if visitor.may(Permission.MEDIA_REQUEST) else []),
        NavLink(_("You"), "you", "account"),
    )


def _account(visitor: Visitor) -> Sequence[NavLink]:
    keys = NavLink(_("API keys"), "key", "account/keys")
    asked = NavLink(_("Requests"), "inbox", "requests")
    return (
        NavLink(visitor.name, "you", "account"),
        *([asked] if visitor.may(Permission.MEDIA_REQUEST) else []),
        *([keys] if visitor.may(Permission.PROFILE_EDIT) else []),
    )


def _admin(visitor: Visitor) -> Sequence[tuple[Permission, NavLink]]:
    return (
        (Permission.OPERATIONS_VIEW, NavLink(_("Overview"), "gauge", "admin")),
        (
            Permission.REQUESTS_MANAGE,
            NavLink(
                _("Requests"),
                "inbox",
                "requests",
                visitor.undecided,
                _("to decide"),
                urgent=bool(visitor.undecided),
            ),
        ),
        (Permission.REQUESTS_MANAGE, NavLink(_("Downloads of all"), "jobs", "admin/downloads")),
        (Permission.USERS_MANAGE, NavLink(_("Users"), "users", "admin/users")),
        (Permission.INTEGRATIONS_CONFIGURE, NavLink(_("Integrations"), "plug", "admin/integrations")),
        (Permission.SETTINGS_MANAGE, NavLink(_("Settings"), "sliders", "admin/settings")),
    )
