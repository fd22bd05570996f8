"""A Plex Media Server of our own for tests and benches: the real protocol over a socket, JSON and XML, and all its faults.

In a test::

    with PlexDouble() as plex:                     # 127.0.0.1, a free port
        films = plex.library.add_section("movie", "Films", "/media/films")
        heat = plex.library.add_film(films, "Heat", 1995, imdb="tt0113277", tmdb=949)
        plex.library.change(heat, summary="...")   # updatedAt and contentChangedAt move, the socket says so
        plex.faults.add("half_body", path=f"/library/sections/{films.key}/all", times=1)
        plex.url, plex.token, plex.requests, plex.counts()

Alone, as a process of its own: `python -m tests.fakes.plex_server --films 17000` (see `__main__`), or from Python
`with control.running(films=17_000) as plex: plex.call("add", what="film", ...)`.

library.py holds the state, made of items.py; populating.py fills it; queries.py reads what a request means; shapes.py and
encoding.py make bytes of it; answers.py knows the paths, server.py the socket, notifications.py what is pushed, faults.py
what goes wrong, webhooks.py what Plex posts elsewhere; control.py steers all that from another process. rewriting.py stands in front of one
and changes the bytes of its answers.
"""

from tests.fakes.plex_server.faults import Fault
from tests.fakes.plex_server.items import Account, Item, NoSuchItem, Section, Version, Watch
from tests.fakes.plex_server.library import Library
from tests.fakes.plex_server.populating import populate
from tests.fakes.plex_server.server import PlexDouble, Seen, Session
from tests.fakes.plex_server.webhooks import send_webhook, webhook

__all__ = [
    "Account",
    "Fault",
    "Item",
    "Library",
    "NoSuchItem",
    "PlexDouble",
    "Section",
    "Seen",
    "Session",
    "Version",
    "Watch",
    "populate",
    "send_webhook",
    "webhook",
]
