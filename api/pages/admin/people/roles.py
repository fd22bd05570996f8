"""The words for users: their roles, tiers and states."""

from __future__ import annotations

from collections.abc import Sequence

from api.pages.look.words import gettext as _
from api.pages.look.words import marked
from engine.accounts.users import TIERS
from engine.identity.sessions import Identity
from engine.permissions import ROLES, roles_within
from models.user import User

ROLE_NAMES = {
    "guest": marked("Guest"),
    "user": marked("User"),
    "admin": marked("Admin"),
    "super_admin": marked("Super admin"),
}
_TIER_NAMES = {"standard": marked("Standard"), "premium": marked("Premium")}


def roles_below(identity: Identity, among: Sequence[str] = ROLES) -> list[tuple[str, str]]:
    """The roles that a user may assign, with their words: none with permissions that they lack.

    Args:
        identity: the user.
        among: only these.
    """
    mine = roles_within(identity.permissions)
    return [(role, _(ROLE_NAMES[role])) for role in filter(mine.__contains__, among)]


def tiers() -> list[tuple[str, str]]:
    """The tiers with their words."""
    return [(tier, _(_TIER_NAMES[tier])) for tier in TIERS]


def state_of(user: User) -> tuple[str, str]:
    """The kind of status of an account, and its word."""
    if user.disabled_at is None:
        return "done", _("Active")
    return "denied", _("No access to Plex any more") if user.disabled_reason == "plex" else _("Disabled")
