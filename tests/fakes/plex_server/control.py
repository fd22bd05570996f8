"""Steers a double from another process: JSON posted to `/__control/<verb>` on a port of its own, which no fault reaches.

The arguments are those of the Python methods; items are named by rating key, sections by key or title. Verbs: those of
`Library` and `PlexDouble` listed in `_LIBRARY` and `_SERVER`, and populate, warm, fault, clear_faults, drop_sockets, listening,
notify, sent, set, describe, webhook.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.fakes.plex_server.encoding import fragment
from tests.fakes.plex_server.faults import Fault
from tests.fakes.plex_server.items import Account, Item, Section, Watch
from tests.fakes.plex_server.library import Library
from tests.fakes.plex_server.populating import populate
from tests.fakes.plex_server.server import PlexDouble, Seen, Session
from tests.fakes.plex_server.webhooks import send_webhook, webhook

ROOT = Path(__file__).resolve().parents[3]
_LIBRARY = frozenset(
    [
        "add",
        "add_section",
        "remove_section",
        "add_account",
        "add_collection",
        "change",
        "remove",
        "add_again",
        "move",
        "move_files",
        "merge",
        "watch",
        "scrobble",
        "unscrobble",
        "prepare",
    ]
)
_SERVER = frozenset(["scan", "play", "start", "stop", "restart", "forget", "counts", "asked"])
_SETTABLE = frozenset({"machine_id", "name", "version", "plex_pass", "scan_delay", "picture_padding"})
_PUSHED = frozenset({"silent", "numeric_ids"})


def warm(library: Library) -> int:
    """Make the JSON of every item now, so that the first listing costs no encoding; the number of bytes."""
    with library.lock:
        return sum(len(fragment(one, library.owner, True, False, True)) for one in library.items.values())


def call(plex: PlexDouble, verb: str, said: dict[str, Any]) -> Any:
    """Do what a verb says; what it returns can be written as JSON."""
    if verb in _LIBRARY:
        return _plain(getattr(plex.library, verb)(**said))
    if verb in _SERVER:
        return _plain(getattr(plex, verb)(**said))
    match verb:
        case "populate":
            return populate(plex.library, **said)
        case "warm":
            return warm(plex.library)
        case "fault":
            return _plain(plex.faults.add(said.pop("kind"), **said))
        case "clear_faults":
            return plex.faults.clear(**said)
        case "drop_sockets":
            return plex.notifications.drop()
        case "listening":
            return plex.notifications.count
        case "notify":
            return plex.notifications.send(said["kind"], *said["entries"])
        case "sent":
            return plex.notifications.sent
        case "webhook":
            url, thumb = said.pop("url"), said.pop("thumb", None)
            return send_webhook(url, webhook(plex, **said), thumb=thumb)
        case "set":
            for name, value in said.items():
                if name not in _SETTABLE | _PUSHED:
                    raise LookupError(f"nothing to set: {name}")
                setattr(plex if name in _SETTABLE else plex.notifications, name, value)
            return None
        case "describe":
            return _described(plex)
    raise LookupError(f"no such verb: {verb}")


def _described(plex: PlexDouble) -> dict[str, Any]:
    sections = [
        {"key": one.key, "title": one.title, **{kind: one.count(kind) for kind in one.items}}
        for one in plex.library.sections.values()
    ]
    accounts = [asdict(one) for one in plex.library.accounts.values()]
    return {
        "url": plex.url,
        "token": plex.token,
        "machine_id": plex.machine_id,
        "sections": sections,
        "accounts": accounts,
    }


def _plain(value: Any) -> Any:
    match value:
        case Item():
            return {
                "ratingKey": value.rating_key,
                "type": value.kind,
                "title": value.title,
                "guid": value.guid,
                "updatedAt": value.updated_at,
            }
        case Section():
            return {"key": value.key, "title": value.title, "uuid": value.uuid}
        case Account() | Watch() | Seen():
            return asdict(value)
        case Session():
            return {"sessionKey": value.key, "state": value.state}
        case Fault():
            return {"kind": value.kind, "path": value.path}
        case PlexDouble():
            return None
        case list():
            return [_plain(one) for one in value]
    return value


class Control:
    """The control port of a running double."""

    def __init__(self, plex: PlexDouble, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = _ControlServer((host, port), _ControlHandler)
        self._server.plex = plex
        self.url = f"http://{host}:{self._server.server_address[1]}/__control"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """No more control."""
        self._server.shutdown()
        self._server.server_close()


class _ControlServer(ThreadingHTTPServer):
    daemon_threads = True
    plex: PlexDouble


class _ControlHandler(BaseHTTPRequestHandler):
    server: _ControlServer

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            result, status = (
                call(self.server.plex, self.path.rpartition("/")[2], json.loads(said or b"{}")),
                200,
            )
        except (LookupError, TypeError, ValueError) as failure:
            result, status = {"error": f"{type(failure).__name__}: {failure}"}, 400
        body = json.dumps(result).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing to write down."""


class Remote:
    """A double in another process: `remote.call("change", item=7, title="Other")`."""

    def __init__(self, url: str, token: str, control: str) -> None:
        self.url, self.token, self.control = url, token, control

    def call(self, verb: str, **said: Any) -> Any:
        """What the verb returned; LookupError where the double refused it."""
        address, _, path = self.control.removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(address, timeout=120)
        try:
            connection.request("POST", f"/{path}/{verb}", json.dumps(said))
            answer = connection.getresponse()
            result = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise LookupError(result["error"])
        return result


@contextmanager
def running(
    *, films: int = 0, shows: int = 0, episodes_per_show: int = 30, seed: int = 1
) -> Iterator[Remote]:
    """A double in a process of its own, filled and warm, until the block ends."""
    sizes = [
        "--films",
        str(films),
        "--shows",
        str(shows),
        "--episodes-per-show",
        str(episodes_per_show),
        "--seed",
        str(seed),
    ]
    command = [sys.executable, "-m", "tests.fakes.plex_server", "--port", "0", "--control-port", "0", *sizes]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Remote(said["url"], said["token"], said["control"])
        finally:
            process.terminate()
