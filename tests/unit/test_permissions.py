"""The matrix of roles and permissions, against the table that people read."""

from __future__ import annotations

import pytest

from engine.permissions import LOWEST_ROLE, ROLES, Permission, permissions_of

TABLE = {
    "guest": "media.read profile.read",
    "user": "profile.edit media.request media.upload integrations.view",
    "admin": "media.delete requests.manage users.manage integrations.configure webhooks.manage operations.view",
    "super_admin": "media.manage_all settings.manage",
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_its_own_permissions_and_those_below(role: str) -> None:
    below = ROLES[: ROLES.index(role) + 1]

    assert permissions_of(role) == {word for lower in below for word in TABLE[lower].split()}


def test_every_permission_belongs_to_a_role() -> None:
    assert set(LOWEST_ROLE) == set(Permission)


def test_an_unknown_role_has_no_permissions_to_ask_for() -> None:
    with pytest.raises(KeyError):
        permissions_of("owner")
