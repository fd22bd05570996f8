"""`/parts`: every part in every state, for developers; on development servers only."""

from __future__ import annotations

import math

from flask import Response

from api.operations.blueprint import Blueprint
from api.operations.call import Call
from api.operations.declaration import ANY_QUERY, FILE, PUBLIC
from api.pages.look.rendering import page
from api.pages.look.shell import NavLink, Shell

blueprint = Blueprint(
    "parts", "", "The pages' parts: exists only with APP_ENV=development.", root=True, limit=None
)

_SHELL = Shell(
    name="Ines Aalto",
    csrf_token="",
    here="downloads",
    places=(
        NavLink("Home", "home", ""),
        NavLink("Discover", "discover", "discover"),
        NavLink("Library", "library", "library"),
        NavLink("Activity", "activity", "downloads", 3, "moving"),
        NavLink("You", "you", "account"),
    ),
    admin=(
        NavLink("Overview", "gauge", "admin"),
        NavLink("Requests", "inbox", "requests", 4, "to decide", urgent=True),
        NavLink("Users", "users", "admin/users"),
        NavLink("Jobs", "jobs", "admin/jobs"),
        NavLink("Integrations", "plug", "admin/integrations"),
        NavLink("Settings", "sliders", "admin/settings"),
    ),
    account=(NavLink("Ines Aalto", "you", "account"), NavLink("API keys", "key", "account")),
    unread=2,
)


def _wave(low: float, high: float, length: float) -> list[float]:
    """72 figures that go up and down between two bounds, one turn in `length` of them."""
    middle, swing = (low + high) / 2, (high - low) / 2
    turn = 2 * math.pi / length
    return [
        middle + swing * (0.7 * math.sin(at * turn) + 0.3 * math.sin(at * turn * 3.7)) for at in range(72)
    ]


@blueprint.operation("GET", "/parts", PUBLIC, FILE, ANY_QUERY, own_units=True)
def parts_page(call: Call) -> Response:
    """Every part in every state."""
    return page(
        "parts.html",
        shell=_SHELL,
        speed=_wave(18, 62, 31),
        median=_wave(22, 34, 40),
        high=_wave(60, 90, 24),
        highest=_wave(95, 150, 35),
        failing=[*(abs(value) for value in _wave(-0.3, 0.4, 9)[:60]), 0.6, 1.1, 1.7, 2.1, 1.9, 1.2, 0.7, 0.3],
    )
