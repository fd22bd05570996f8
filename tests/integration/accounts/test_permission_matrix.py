"""Every operation as everybody, against the table in docs/permissions.md: who may, and whose objects."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from door import API, Door, Person, opened
from factories import make_download
from sqlalchemy import func
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from config.settings import Settings
from engine.identity import api_keys, sessions
from engine.identity.sessions import Device, Identity
from engine.media_requests import following
from engine.permissions import LOWEST_ROLE, ROLES, Permission, permissions_of
from models.base import new_id
from models.delivery import NotificationChannel
from models.media_request import MediaRequest
from models.user import User

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "permissions.md").read_text()
_CONVERTER = re.compile(r"<[^:<>]+:")
MARKS = {"✓": True, "–": False}
NOBODY = "nobody"
_films = count(1)
EVERYBODYS = "everybody's"
ONES_OWN = "one's own"
ALL_WITH = "one's own, all with "
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
WITHOUT_OWNER = {
    "sync_id",
    "user_id",
    "name",
    "invitation_id",
    "page",
    "webhook_id",
    "secret",
    "library_key",
    "collection_id",
    "item_id",
    "picture_id",
    "preview_id",
    "file",
    "tmdb_id",
    "media_type",
    "size",
    "token",
    "delivery_id",
}


def made_key(db: Session, user: User, permissions: Collection[Permission]) -> tuple[str, str]:
    """The id and the text of a key."""
    owner = Identity(user.id, None, user.role, permissions_of(user.role), key_id="key-1")
    row, text = api_keys.create(db, owner, name="program", permissions=permissions)
    return row.id, text


def failed_download(db: Session, user: User, settings: Settings) -> str:
    return make_download(db, user, status="failed", ended_at=func.now()).id


def another_session(db: Session, user: User, settings: Settings) -> str:
    return sessions.start(db, settings, user, remember_me=False, device=Device("phone", None)).login.id


def key_of(db: Session, user: User, settings: Settings) -> str:
    return made_key(db, user, {Permission.PROFILE_READ})[0]


def channel_of(db: Session, user: User, settings: Settings) -> str:
    row = NotificationChannel(id=new_id("chn"), user_id=user.id, kind="email", name="Mail", enabled=True)
    db.add(row)
    return row.id


# Ids in paths that mean an object of a person: how they get one.
def asked_for(db: Session, user: User, settings: Settings) -> str:
    """A film that they asked for."""
    row = MediaRequest(
        id=new_id("req"),
        media_type="movie",
        status="pending",
        tmdb_id=str(next(_films)),
        title="Heat",
        user_id=user.id,
        updated_at=func.clock_timestamp(),
    )
    db.add(row)
    db.flush()
    following.add(db, row.id, user.id, own=True)
    return row.id


OWNED: dict[str, Callable[[Session, User, Settings], str]] = {
    "download_id": failed_download,
    "session_id": another_session,
    "key_id": key_of,
    "channel_id": channel_of,
    "request_id": asked_for,
}


# What stands in a path where only a few values have a route.
EXISTING = {"media_type": "movie", "tmdb_id": "949"}


# What an operation must be sent, so that it looks at its object at all.
BODIES = {
    "PATCH /api/v1/media/requests/<request_id>": {"comment": "In German, please."},
    "POST /api/v1/media/requests/<request_id>/comments": {"text": "Me too!"},
}


class Row(NamedTuple):
    """An operation as the page has it; `may` by role, nobody included."""

    method: str
    path: str
    permission: str | None
    may: dict[str, bool]
    key: bool
    objects: str

    @property
    def words(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"<(\w+)>", self.path)


def rows_of_the_page() -> Iterator[Row]:
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")] if line.startswith("| `") else []
        if len(cells) >= 8 and re.match(r"`[A-Z]+ /", cells[0]):
            method, path = cells[0].strip("`").split()
            asked = None if cells[1] == "–" else cells[1].strip("`")
            may = {who: MARKS[mark] for who, mark in zip((NOBODY, *ROLES), cells[2:7], strict=True)}
            yield Row(method, path, asked, may, MARKS[cells[7]], cells[8] if len(cells) > 8 else "")


ROWS = list(rows_of_the_page())
GUARDED = [row for row in ROWS if row.permission is not None]
WITH_OBJECTS = [row for row in ROWS if set(row.words) & set(OWNED)]
by_name = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}")
guarded = pytest.mark.parametrize("row", GUARDED, ids=lambda row: f"{row.method} {row.path}")


@pytest.fixture(scope="module")
def door(door: Door) -> Iterator[Door]:
    with opened(door.runtime.settings, flower_port=0) as there:
        yield there


@pytest.fixture(scope="module")
def people(door: Door) -> dict[str, Person]:
    return {role: door.person(role) for role in ROLES}


def knock(door: Door, row: Row, headers: dict[str, str]) -> TestResponse:
    """Ask with a parameter that no operation knows: who is let in gets a 400, and changes nothing."""
    path = re.sub(r"<(\w+)>", lambda name: EXISTING.get(name[1], "nothing-0"), row.path)
    if path.startswith("/api/v1/docs/"):
        path = f"{API}/docs/swagger-ui.css"
    if path.startswith("/ws"):
        return door.stranger().get(path, headers=headers | UPGRADE)
    with door.stranger().open(
        path, method=row.method, headers=headers, query_string={"nothing": "1"}
    ) as answer:
        return answer


def let_in(answer: TestResponse) -> bool:
    return answer.status_code not in {401, 403}


def bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def test_the_page_has_every_operation_and_no_other(door: Door) -> None:
    operations = {
        f"{method} {_CONVERTER.sub('<', rule.rule)}"
        for rule in door.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = [f"{row.method} {row.path}" for row in ROWS]

    assert sorted(operations - set(told)) == [], "these have no row in docs/permissions.md"
    assert sorted(set(told) - operations) == [], "these rows have no operation"
    assert len(told) == len(set(told))


def test_the_page_says_from_which_role_each_permission_is() -> None:
    told = dict(re.findall(r"^\| `([a-z_.]+)` \| (\w+) \|", PAGE, re.MULTILINE))

    assert told == {permission.value: role for permission, role in LOWEST_ROLE.items()}


@by_name
def test_the_marks_follow_from_the_permission(row: Row) -> None:
    """So that nobody writes a role into the page that the permission does not give."""
    if row.permission is None:
        assert all(row.may.values())
    else:
        granted = {role: row.permission in permissions_of(role) for role in ROLES}
        assert row.may == {NOBODY: False, **granted}


@by_name
def test_nobody(door: Door, row: Row) -> None:
    answer = knock(door, row, {})

    if row.may[NOBODY]:
        assert let_in(answer), answer.text
    else:
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("role", ROLES)
@by_name
def test_everybody(door: Door, people: dict[str, Person], row: Row, role: str) -> None:
    answer = knock(door, row, bearer(people[role]))

    if row.may[role]:
        assert let_in(answer), answer.text
    else:
        assert answer.status_code == 403, answer.text
        assert answer.get_json()["error"]["code"] == "FORBIDDEN"


@guarded
def test_a_key(door: Door, people: dict[str, Person], row: Row) -> None:
    wanted = Permission(str(row.permission))
    with door.runtime.unit_of_work() as db:
        chief = db.get_one(User, people["super_admin"].id)
        with_it = made_key(db, chief, {wanted})
        without = made_key(db, chief, permissions_of("super_admin") - {wanted})

    allowed, refused = (knock(door, row, {"X-Api-Key": text}) for _, text in (with_it, without))

    assert refused.status_code == 403, refused.text
    assert let_in(allowed) is row.key, allowed.text
    with door.runtime.unit_of_work() as db:
        api_keys.revoke_all(db, chief.id)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.path}")
def test_every_id_in_a_path_says_whose_objects(row: Row) -> None:
    ids = [word for word in row.words if not row.path.startswith(("/flower/", f"{API}/docs/"))]

    assert set(ids) <= set(OWNED) | WITHOUT_OWNER
    if not ids:
        assert row.objects == ""
    elif set(ids) & WITHOUT_OWNER:
        assert row.objects == EVERYBODYS
    else:
        assert row.objects in {EVERYBODYS, ONES_OWN} or row.objects.startswith(ALL_WITH)


@pytest.mark.parametrize(
    ("role", "row"),
    [
        pytest.param(role, row, id=f"{row.method} {row.path}-{role}")
        for row in WITH_OBJECTS
        for role in ROLES
        if row.may[role]
    ],
)
def test_owner_and_others(door: Door, row: Row, role: str) -> None:
    """Whoever may use the operation reaches their own; another's only as the page says, and else finds nothing."""
    person, owner = door.person(role), door.person("user")

    mine, others = (ask_for_object_of(door, row, person, whose) for whose in (person, owner))

    if row.path.endswith("/picture"):  # theirs has none
        assert mine.get_json()["error"]["message"] == "There is no such picture."
    else:
        assert mine.status_code in {200, 201, 202, 303, 400, 409}, mine.text
    if row.objects == EVERYBODYS:
        reaches_all = True
    elif row.objects == ONES_OWN:
        reaches_all = False
    else:
        reaches_all = row.objects.removeprefix(ALL_WITH).strip("`") in permissions_of(role)
    if reaches_all:
        assert others.status_code == mine.status_code, others.text
    else:
        assert others.status_code == 404, others.text
        assert others.get_json()["error"] == nothing_there(door, row, person), (
            "it tells that there is something"
        )


def ask_for_object_of(door: Door, row: Row, person: Person, owner: Person) -> TestResponse:
    (word,) = row.words
    with door.runtime.unit_of_work() as db:
        found = OWNED[word](db, db.get_one(User, owner.id), door.runtime.settings)
    return door.stranger().open(
        row.path.replace(f"<{word}>", found),
        method=row.method,
        headers=bearer(person),
        json=BODIES.get(f"{row.method} {row.path}"),
    )


def nothing_there(door: Door, row: Row, person: Person) -> Any:
    path = re.sub(r"<\w+>", new_id("none"), row.path)
    sent = BODIES.get(f"{row.method} {row.path}")
    return (
        door.stranger().open(path, method=row.method, headers=bearer(person), json=sent).get_json()["error"]
    )


def test_no_operation_looks_at_a_role() -> None:
    """In the API a role is only shown: what somebody may do is asked by permission."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "api").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare | ast.BoolOp | ast.If | ast.IfExp | ast.Match)
        and any(map(_is_a_role, ast.walk(_what_decides(node))))
    ]

    assert found == []


def _what_decides(node: ast.AST) -> ast.AST:
    if isinstance(node, ast.If | ast.IfExp):
        return node.test
    return node.subject if isinstance(node, ast.Match) else node


def _is_a_role(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "role"
    return isinstance(node, ast.Name) and node.id in {"GUEST", "USER", "ADMIN", "SUPER_ADMIN", "role"}
