"""Sockets against HTTP: whatever a credential hears on a path, it may read over HTTP, and the reverse."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import websocket
from factories import make_download
from house import House, Person, hear, hear_until

from api.sockets.endpoints import NAMESPACES
from engine.identity import api_keys, sessions
from engine.media_requests import following
from engine.notifications.notifications import notify
from engine.permissions import ROLES, Permission
from engine.plex.sync import runs as sync
from engine.readers import DATA
from models.base import new_id
from models.media_request import MediaRequest
from models.plex_activity import PlexActivity
from models.user import User

PAGE = Path(__file__).resolve().parents[3] / "docs" / "permissions.md"
ROW = re.compile(r"^\| ([a-z ]+) \| `([a-z:]+)\*` \| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)
PATHS = [path for path in NAMESPACES if path != "/ws"]
# Those that decide about a datum, each alone, and two that don't.
DECIDING = {permission for datum in DATA.values() for permission in {*datum.asks, *(datum.others or ())}}
_films = itertools.count(40_000)
EACH_ALONE = sorted({*DECIDING, Permission.PROFILE_EDIT, Permission.SETTINGS_MANAGE})


@dataclass
class Credential:
    """Who listens and reads: somebody by token, or by a key of theirs."""

    owner: Person
    headers: dict[str, str]
    permissions: frozenset[Permission]

    def get(self, house: House, path: str) -> Any:
        answer = requests.get(f"{house.stack.url}/api/v1{path}", headers=self.headers, timeout=20)
        return answer.json()["data"] if answer.status_code == 200 else None


def by_token(person: Person, permissions: frozenset[Permission]) -> Credential:
    return Credential(person, {"Authorization": f"Bearer {person.token}"}, permissions)


def by_key(house: House, person: Person, *permissions: Permission) -> Credential:
    with house.runtime.unit_of_work() as db:
        owner = sessions.find(db, person.login_id)
        assert owner is not None
        _, text = api_keys.create(db, owner, name="program", permissions=permissions)
    return Credential(person, {"X-Api-Key": text}, frozenset(permissions))


class Facts:
    """One of each datum, of a person and of nobody: the row that HTTP shows, and the event that tells of it."""

    def __init__(self, house: House, owner: Person) -> None:
        self.house, self.owner = house, owner
        with house.runtime.unit_of_work() as db:
            user = db.get_one(User, owner.id)
            self.download = make_download(db, user, status="cancelled", ended_at=datetime.now(UTC)).id
            note = notify(db, owner.id, type="x", title="x", message="x")
            assert note is not None
            self.notification = note.id
            run = sync.start(db, full=False, trigger="manual")[0]
            self.sync = sync.cancel(db, run.id).id
            asked = MediaRequest(
                id=new_id("req"), media_type="movie", status="pending", tmdb_id=str(next(_films)), title="Heat",
                user_id=owner.id, updated_at=datetime.now(UTC),
            )  # fmt: skip
            db.add(asked)
            db.flush()
            following.add(db, asked.id, owner.id, own=True)
            self.request = asked.id
            self.watched, self.strange = (self.activity(db, user_id) for user_id in (owner.id, None))

    def activity(self, db: Any, user_id: str | None) -> str:
        row = PlexActivity(
            id=new_id("act"), server_id="s", event="play", title="T", media_type="movie", user_id=user_id,
            at=datetime.now(UTC),
        )  # fmt: skip
        db.add(row)
        db.flush()
        return row.id

    def tell(self) -> None:
        """Publish them all, each with its id; what belongs to nobody too."""
        for name, owner, found in (
            ("download:completed", self.owner, self.download),
            ("media:added", self.owner, f"arrival of {self.download}"),
            ("notification:new", self.owner, self.notification),
            ("plex:activity", self.owner, self.watched),
            ("plex:activity", None, self.strange),
            ("request:updated", self.owner, self.request),
            ("sync:completed", None, self.sync),
            ("media:added", None, "catalogue"),
        ):
            self.house.tell(name, owner, id=found)

    def topics(self) -> Mapping[str, str]:
        """By id, the topic on which it is told."""
        return {
            self.download: "media",
            f"arrival of {self.download}": "media",
            self.notification: "account",
            self.watched: "media",
            self.strange: "admin",
            self.request: "media",
            self.sync: "system",
            "catalogue": "media",
        }

    def read_by(self, who: Credential) -> set[str]:
        """What of it somebody finds over HTTP."""
        found = set()
        for path, key, ids in (
            ("/youtube/downloads?limit=100", "items", {self.download}),
            ("/admin/downloads?limit=100", "items", {self.download}),
            ("/dashboard/notifications?limit=100", "items", {self.notification}),
            ("/media/requests?limit=100", "items", {self.request}),
            ("/admin/requests?limit=100", "items", {self.request}),
            ("/plex/activity?limit=100", "items", {self.watched, self.strange}),
            ("/plex/syncs?limit=100", "items", {self.sync}),
        ):
            data = who.get(self.house, path)
            if data is not None:
                found |= ids & {row["id"] for row in data[key]}
        if self.download in found:  # what Plex made of a download stands in its row
            found.add(f"arrival of {self.download}")
        if who.get(self.house, "/media?limit=1") is not None:
            found.add("catalogue")
        return found


def connect(house: House, path: str, who: Credential) -> websocket.WebSocket | None:
    header = [f"{name}: {value}" for name, value in who.headers.items()]
    try:
        return house.open(path, header=header)
    except websocket.WebSocketBadStatusException as refused:
        if refused.status_code != 403:
            raise
        return None


def heard(ws: websocket.WebSocket, path: str, last: str) -> set[str]:
    """The ids of what is told up to the mark that everybody on this path hears."""
    mark = f"{'media' if path == '/ws/media' else 'notice'}:added"
    events = hear_until(ws, lambda event: event["event"] == mark and event["data"]["id"] == last)
    return {event["data"]["id"] for event in events if not event["data"]["id"].startswith("mark-")}


def credentials(house: House) -> Iterator[tuple[str, Credential]]:
    for role in ROLES:
        person = house.person(role)
        with house.runtime.reading() as db:
            identity = sessions.find(db, person.login_id)
        assert identity is not None
        yield role, by_token(person, identity.permissions)
    chief = house.person("super_admin")
    yield (
        "key for watching",
        by_key(house, chief, Permission.PROFILE_READ, Permission.MEDIA_READ, Permission.OPERATIONS_VIEW),
    )
    for permission in EACH_ALONE:
        yield f"key {permission}", by_key(house, chief, permission)
        yield f"key {permission} with profile.read", by_key(house, chief, permission, Permission.PROFILE_READ)


def test_whatever_is_heard_may_be_read_and_the_reverse(house: House) -> None:
    other = Facts(house, house.person())
    for name, who in credentials(house):
        own = Facts(house, who.owner)
        sockets = {path: ws for path in PATHS if (ws := connect(house, path, who)) is not None}
        assert set(sockets) == {path for path in PATHS if NAMESPACES[path].permission in who.permissions}, (
            name
        )
        shown = {path: hear(ws)["data"] for path, ws in sockets.items()}
        for facts in (own, other):
            readable, last = facts.read_by(who), new_id("mark")
            facts.tell()
            for mark in ("media:added", "notice:added"):
                house.tell(mark, None, id=last)
            for path, ws in sockets.items():
                carried = {each for each, topic in facts.topics().items() if topic in NAMESPACES[path].topics}
                assert heard(ws, path, last) == readable & carried, (name, path)
                told = {facts.download, facts.request, facts.sync} & readable & carried
                assert in_snapshot(shown[path], facts) == told, (name, path)
        while house.sockets:
            house.sockets.pop().shutdown()


def test_two_sockets_of_one_person_get_each_their_own_snapshot(house: House) -> None:
    """They are taken together where they are asked for together, and differ by path."""
    admin = house.person("admin")
    sync_id = Facts(house, admin).sync
    opened = [house.open(path, admin) for path in ("/ws/media", "/ws/authenticated", "/ws/system") * 3]

    shown = [hear(ws)["data"] for ws in opened]

    assert [set(data) for data in shown] == [
        {"downloads", "requests"}, {"downloads", "requests", "syncs", "notifications"}, {"syncs"},
    ] * 3  # fmt: skip
    assert all(sync_id in [row["id"] for row in data["syncs"]] for data in shown if "syncs" in data)


def in_snapshot(data: Mapping[str, Any], facts: Facts) -> set[str]:
    rows = [row["id"] for part in ("downloads", "requests", "syncs") for row in data.get(part, ())]
    return {facts.download, facts.request, facts.sync} & set(rows)


def test_the_page_says_who_hears_what() -> None:
    told = {row[0]: row[1:] for row in ROW.findall(PAGE.read_text())}

    def word(permissions: frozenset[Permission] | None) -> str:
        return ", ".join(f"`{each}`" for each in sorted(permissions or ())) or "–"

    assert told == {
        datum.name: (
            datum.events,
            ", ".join(f"`{path}`" for path, each in NAMESPACES.items() if datum.topic in each.topics),
            word(datum.asks),
            word(datum.others),
        )
        for datum in DATA.values()
    }
