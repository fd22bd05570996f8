"""The permissions and the lowest role that has each: the whole matrix, as data."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """What a route asks for; never a role."""

    MEDIA_READ = "media.read"
    PROFILE_READ = "profile.read"
    PROFILE_EDIT = "profile.edit"
    MEDIA_REQUEST = "media.request"
    MEDIA_UPLOAD = "media.upload"
    INTEGRATIONS_VIEW = "integrations.view"
    MEDIA_DELETE = "media.delete"
    REQUESTS_MANAGE = "requests.manage"
    USERS_MANAGE = "users.manage"
    INTEGRATIONS_CONFIGURE = "integrations.configure"
    WEBHOOKS_MANAGE = "webhooks.manage"
    OPERATIONS_VIEW = "operations.view"
    MEDIA_MANAGE_ALL = "media.manage_all"
    SETTINGS_MANAGE = "settings.manage"


GUEST, USER, ADMIN, SUPER_ADMIN = ROLES = ("guest", "user", "admin", "super_admin")

LOWEST_ROLE = {
    Permission.MEDIA_READ: GUEST,
    Permission.PROFILE_READ: GUEST,
    Permission.PROFILE_EDIT: USER,
    Permission.MEDIA_REQUEST: USER,
    Permission.MEDIA_UPLOAD: USER,
    Permission.INTEGRATIONS_VIEW: USER,
    Permission.MEDIA_DELETE: ADMIN,
    Permission.REQUESTS_MANAGE: ADMIN,
    Permission.USERS_MANAGE: ADMIN,
    Permission.INTEGRATIONS_CONFIGURE: ADMIN,
    Permission.WEBHOOKS_MANAGE: ADMIN,
    Permission.OPERATIONS_VIEW: ADMIN,
    Permission.MEDIA_MANAGE_ALL: SUPER_ADMIN,
    Permission.SETTINGS_MANAGE: SUPER_ADMIN,
}

_GRANTED = {
    role: frozenset(
        permission for permission, lowest in LOWEST_ROLE.items() if ROLES.index(lowest) <= ROLES.index(role)
    )
    for role in ROLES
}


def is_admin(role: str) -> bool:
    """Whether a role manages users; making and unmaking these takes step-up authentication."""
    return Permission.USERS_MANAGE in permissions_of(role)


def roles_within(permissions: frozenset[Permission]) -> tuple[str, ...]:
    """The roles that may do nothing beyond some permissions, the lowest first."""
    return tuple(role for role in ROLES if permissions_of(role) <= permissions)


def permissions_of(role: str) -> frozenset[Permission]:
    """The permissions of a role: its own and those of every role below it."""
    return _GRANTED[role]
