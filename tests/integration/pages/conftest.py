"""People at the pages."""

from __future__ import annotations

import pytest
from door import Door
from page_visits import PageVisits


@pytest.fixture
def as_admin(door: Door) -> PageVisits:
    return PageVisits(door, "admin")


@pytest.fixture
def as_chief(door: Door) -> PageVisits:
    return PageVisits(door, "super_admin")
