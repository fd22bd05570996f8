"""What makes the site an app on a phone: manifest, service worker, offline page, share target."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import orjson
from flask import Response, request

from api.pages.door.blueprint import PageBlueprint
from api.pages.door.visit import Visit
from api.pages.look import static_files
from api.pages.look.rendering import POLICY, static
from api.pages.look.words import gettext as _
from engine.permissions import Permission

pages = PageBlueprint("install")

_LINK = re.compile(r"https?://[^\s<>\"]+")
_SHOWN_OFFLINE = ("css/tokens.css", "css/parts.css", "js/page.js", "icons.svg", "icon.svg")


@pages.page("/manifest.webmanifest", None, limit=None, own_units=True)
def manifest(visit: Visit) -> Response:
    """The web app manifest (W3C): name, icons, and where a phone's "Share" sends links to."""
    icons = [
        {"src": static("icon.svg"), "sizes": "any", "type": "image/svg+xml"},
        *(
            {"src": static(f"icon-{size}.png"), "sizes": f"{size}x{size}", "type": "image/png"}
            for size in (192, 512)
        ),
        {"src": static("icon-maskable.png"), "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
    ]
    body = {
        "name": "MediaNest",
        "short_name": "MediaNest",
        "description": _("Ask for films, series and videos, and watch them arrive."),
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "background_color": "#f8f6f4",
        "theme_color": "#f8f6f4",
        "icons": icons,
        "share_target": {
            "action": "share",
            "method": "GET",
            "params": {"title": "title", "text": "text", "url": "url"},
        },
        "shortcuts": [
            {"name": _("Download a link"), "url": "downloads"},
            {"name": _("Library"), "url": "library"},
        ],
    }
    return _kept(Response(orjson.dumps(body), mimetype="application/manifest+json"))


@pages.page("/service-worker.js", None, limit=None, own_units=True)
def service_worker(visit: Visit) -> Response:
    """The service worker; it differs, so that browsers take it anew, whenever a static file does."""
    kept = [*map(static, _SHOWN_OFFLINE), *static_files.imported("js/page.js")]
    script = static_files.content("js/service-worker.js").replace(b"[/* files */]", orjson.dumps(kept))
    answer = _kept(Response(script, mimetype="text/javascript"))
    answer.headers["Content-Security-Policy"] = POLICY  # that of its script is the worker's own
    return answer


@pages.page("/offline", None, limit=None, own_units=True)
def offline_page(visit: Visit) -> Response:
    """What the service worker shows while the server can't be reached; nothing of anybody is on it."""
    return visit.show("offline.html")


@pages.page("/share", Permission.MEDIA_REQUEST)
def share(visit: Visit) -> Response:
    """Show the links in what was shared with the app, or sent by the bookmarklet; nothing is downloaded yet."""
    said = " ".join(request.args.get(name, "") for name in ("url", "text", "title"))
    links = list(dict.fromkeys(_LINK.findall(said)))
    if not links:
        return visit.go("downloads", _("There was no link in what was shared."), "failed")
    return visit.go(f"downloads?{urlencode({'urls': chr(10).join(links)})}")


def _kept(answer: Response) -> Response:
    """To be asked for again each time, which costs a 304 at most."""
    answer.headers["Cache-Control"] = "no-cache"
    return answer
