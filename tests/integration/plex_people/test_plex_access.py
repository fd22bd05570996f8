"""The daily check: who lost access to the Plex server goes, whoever else stays, and a silent plex.tv changes nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from factories import make_user
from fakes.plextv import FakeAccount, FakePlexServer, FakePlexTv
from sqlalchemy import delete, func, select, text, update
from stack import Stack, eventually, running

from config.settings import Settings
from engine.accounts import plex_access, plex_accounts, plex_sign_in
from engine.accounts.plex_accounts import Admitted
from engine.clients.gate import gate_of
from engine.clients.plex.errors import PlexUnreachable
from engine.clients.plex.tv_answers import Account
from engine.identity import api_keys, sessions
from engine.identity.sessions import Device, Identity
from engine.permissions import Permission, permissions_of
from engine.plex.server import user_tokens
from engine.runtime import Runtime
from engine.secrets import secret_box
from models.audit import AuditEntry
from models.base import new_id
from models.integration import Integration
from models.invitation import Invitation
from models.login import Login
from models.password_reset import PasswordReset
from models.plex_pin import PlexPin
from models.setting import Fact
from models.user import User

SERVER = "our-server"
LONG_AGO = func.now() - text("interval '25 hours'")


@pytest.fixture
def settings(settings: Settings, plextv: FakePlexTv, plex_server: FakePlexServer) -> Settings:
    return dataclasses.replace(settings, plex_tv_url=plextv.url, plex_url=plex_server.url)


def enter(runtime: Runtime, account: FakeAccount, **values: object) -> str:
    """Somebody who signed in with Plex the day before yesterday, and is signed in still."""
    with runtime.unit_of_work() as db:
        defaults = {"plex_id": str(account.id), "email": None, "plex_checked_at": LONG_AGO}
        user = make_user(db, **{**defaults, **values})
        secret_box.put(db, runtime.settings, user_tokens.secret_name(user.id), account.token)
        if user.disabled_at is None:
            sessions.start(db, runtime.settings, user, remember_me=False, device=Device("test", None))
        return user.id


def user(runtime: Runtime, user_id: str) -> User:
    with runtime.reading() as db:
        return db.get_one(User, user_id)


def checked(runtime: Runtime, user_id: str) -> bool:
    """Whether plex.tv confirmed their access in this test."""
    with runtime.reading() as db:
        fresh = User.plex_checked_at > func.now() - text("interval '1 hour'")
        return bool(db.scalar(select(fresh).where(User.id == user_id)))


def live_sessions(runtime: Runtime, user_id: str) -> int:
    with runtime.reading() as db:
        query = select(func.count()).where(Login.user_id == user_id, Login.revoked_at.is_(None))
        return db.scalar(query) or 0


def token(runtime: Runtime, user_id: str) -> str | None:
    with runtime.reading() as db:
        return secret_box.take(db, runtime.settings, user_tokens.secret_name(user_id))


def actions(runtime: Runtime, user_id: str) -> list[str]:
    query = select(AuditEntry).where(AuditEntry.subject_id == user_id).order_by(AuditEntry.id)
    with runtime.reading() as db:
        rows = list(db.scalars(query))
    assert {row.actor_id for row in rows} <= {None}
    return [row.action for row in rows]


def test_who_has_access_is_noted_and_left_alone(runtime: Runtime, plextv: FakePlexTv) -> None:
    bob = enter(runtime, plextv.account("bob", servers={SERVER}))

    plex_access.check_due(runtime)

    assert checked(runtime, bob)
    assert live_sessions(runtime, bob) == 1
    assert actions(runtime, bob) == []
    plextv.seen.clear()
    plex_access.check_due(runtime)
    assert plextv.seen == [], "once a day is enough"


@pytest.mark.parametrize("account", [{"servers": {"another"}}, {"token_status": 401}, {"token_status": 498}])
@pytest.mark.parametrize("values", [{}, {"password_hash": "x", "email": "eve@example.com"}])
def test_who_lost_access_goes_with_a_password_or_without(
    runtime: Runtime, plextv: FakePlexTv, account: dict[str, object], values: dict[str, object]
) -> None:
    eve = enter(runtime, plextv.account("eve", **account), **values)

    plex_access.check_due(runtime)

    row = user(runtime, eve)
    assert row.disabled_at is not None
    assert row.disabled_reason == "plex"
    assert live_sessions(runtime, eve) == 0
    assert token(runtime, eve) is None
    assert actions(runtime, eve) == ["auth.plex_refused", "user.disabled"]


@pytest.mark.parametrize("values", [{"role": "admin"}, {"role": "super_admin"}])
def test_who_looks_after_the_others_stays(
    runtime: Runtime, plextv: FakePlexTv, values: dict[str, object]
) -> None:
    ann = enter(runtime, plextv.account("ann"), **values)

    plex_access.check_due(runtime)

    assert user(runtime, ann).disabled_at is None
    assert live_sessions(runtime, ann) == 1
    assert token(runtime, ann) is None
    assert actions(runtime, ann) == ["auth.plex_refused"]
    plextv.seen.clear()
    plex_access.check_due(runtime)
    assert plextv.seen == []


def test_nothing_that_acted_for_them_comes_back_with_them(
    runtime: Runtime, plextv: FakePlexTv, settings: Settings
) -> None:
    account = plextv.account("eve")
    eve = enter(runtime, account)
    with runtime.unit_of_work() as db:
        owner = Identity(eve, "ses-1", "user", permissions_of("user"))
        _, key = api_keys.create(db, owner, name="k", permissions=[Permission.PROFILE_READ])
        later = func.now() + text("interval '1 day'")
        row = Invitation(
            id=new_id("inv"),
            email="x@example.com",
            role="user",
            invited_by=eve,
            token_hash="x",
            expires_at=later,
        )
        db.add(row)
        db.add(PasswordReset(id=new_id("rst"), user_id=eve, token_hash="y", expires_at=later))

    plex_access.check_due(runtime)
    admitted = Admitted(Account(str(account.id), "eve", "Eve", None, None), False, account.token)
    with runtime.unit_of_work() as db:
        again = plex_accounts.of_admitted(db, settings, admitted, None)
        assert (again.id, again.disabled_at) == (eve, None)

    with runtime.unit_of_work() as db:
        assert api_keys.find(db, key) is None
        assert db.scalars(select(Invitation.revoked_at)).one() is not None
        assert db.scalar(select(PasswordReset.id)) is None


def connect(runtime: Runtime, machine_id: str) -> Runtime:
    """An admin connects a server: the runtime that has it."""
    with runtime.unit_of_work() as db:
        db.execute(delete(Integration))
        options = {"machineIdentifier": machine_id}
        db.add(Integration(name="plex", url="http://192.0.2.1:32400", options=options, updated_at=func.now()))
    return Runtime(dataclasses.replace(runtime.settings, plex_url=""), runtime.redis, lambda job: None)


def age(runtime: Runtime, hours: int) -> None:
    """Let time pass since our server became another."""
    earlier = func.now() - text(f"interval '{hours} hours'")
    with runtime.unit_of_work() as db:
        db.execute(update(Fact).where(Fact.name == plex_access.DECIDING_FACT).values(updated_at=earlier))


def test_another_server_takes_nobodys_access_on_its_first_day(runtime: Runtime, plextv: FakePlexTv) -> None:
    eve = enter(runtime, plextv.account("eve", servers={SERVER}))
    plex_access.check_due(runtime)
    with runtime.unit_of_work() as db:
        db.execute(update(User).values(plex_checked_at=LONG_AGO))
    there = connect(runtime, "another-server")

    plex_access.check_due(there)
    age(runtime, 23)
    plex_access.check_due(there)
    assert user(runtime, eve).disabled_at is None
    assert live_sessions(runtime, eve) == 1
    age(runtime, 25)
    plex_access.check_due(there)
    there.database.close()

    assert user(runtime, eve).disabled_reason == "plex"


def test_nor_does_one_that_turns_out_to_be_another_in_the_middle_of_a_check(
    runtime: Runtime, plextv: FakePlexTv, plex_server: FakePlexServer
) -> None:
    account = plextv.account("eve", servers={SERVER})
    eve = enter(runtime, account)
    plex_access.check_due(runtime)
    account.servers.clear()  # as plex.tv forgets what was set up anew, and it is not shared yet
    plex_server.identifier = "set-up-anew"
    with runtime.unit_of_work() as db:
        db.execute(update(User).values(plex_checked_at=LONG_AGO))
        an_hour_ago = func.now() - text("interval '1 hour'")
        db.execute(update(Fact).where(Fact.name == plex_access.SERVER_FACT).values(updated_at=an_hour_ago))

    plex_access.check_due(runtime)

    assert user(runtime, eve).disabled_at is None
    assert live_sessions(runtime, eve) == 1


@pytest.mark.parametrize("how", ["503", "429", "reset", "html", "odd", "empty"])
def test_a_plextv_in_trouble_changes_nothing(runtime: Runtime, plextv: FakePlexTv, how: str) -> None:
    people = [enter(runtime, plextv.account(f"eve{number}")) for number in range(5)]
    plextv.fail(how)

    plex_access.check_due(runtime)

    for eve in people:
        assert user(runtime, eve).disabled_at is None
        assert live_sessions(runtime, eve) == 1
        assert actions(runtime, eve) == []
        assert not checked(runtime, eve)
    if how in {"503", "429", "reset"}:
        assert len(plextv.seen) <= 6, "somebody who is in trouble is not asked on and on"
    plextv.fail(None)
    gate_of.cache_clear()  # else it is left alone for seconds more
    plex_access.check_due(runtime)
    assert {user(runtime, eve).disabled_reason for eve in people} == {"plex"}


def test_one_answer_that_nobody_understands_does_not_hold_up_the_others(
    runtime: Runtime, plextv: FakePlexTv
) -> None:
    odd = enter(runtime, plextv.account("odd", token_status=418))
    bob = enter(runtime, plextv.account("bob", servers={SERVER}))

    plex_access.check_due(runtime)

    assert checked(runtime, bob)
    assert not checked(runtime, odd)
    assert user(runtime, odd).disabled_at is None


def test_a_server_that_is_down_is_remembered_and_an_unknown_one_condemns_nobody(
    runtime: Runtime, plextv: FakePlexTv, plex_server: FakePlexServer
) -> None:
    eve = enter(runtime, plextv.account("eve"))
    plex_server.fail("503")
    plex_access.check_due(runtime)
    assert user(runtime, eve).disabled_at is None

    plex_server.fail(None)
    plex_access.server_identifier(runtime)
    plex_server.fail("reset")
    plex_access.check_due(runtime)
    assert user(runtime, eve).disabled_reason == "plex"


def test_a_server_that_belongs_to_nobody_yet_condemns_nobody(
    runtime: Runtime, plextv: FakePlexTv, plex_server: FakePlexServer
) -> None:
    plex_server.claimed, plex_server.identifier = False, "set-up-anew"
    eve = enter(runtime, plextv.account("eve", servers={SERVER}))

    plex_access.check_due(runtime)

    assert user(runtime, eve).disabled_at is None
    with pytest.raises(PlexUnreachable):
        plex_access.server_identifier(runtime)


@pytest.mark.parametrize("off", [{"plex_enabled": False}, {"plex_url": ""}])
def test_nothing_is_checked_where_plex_is_off(
    runtime: Runtime, plextv: FakePlexTv, off: dict[str, Any]
) -> None:
    eve = enter(runtime, plextv.account("eve"))
    without = Runtime(dataclasses.replace(runtime.settings, **off), runtime.redis, lambda job: None)

    plex_access.check_due(without)
    without.database.close()

    assert user(runtime, eve).disabled_at is None
    assert plextv.seen == []


def test_who_signs_in_meanwhile_is_not_thrown_out(runtime: Runtime, plextv: FakePlexTv) -> None:
    eve = plextv.account("eve", token_status=401)
    user_id = enter(runtime, eve)
    well = plextv.answer

    def sign_in_meanwhile(seen: object) -> object:
        with runtime.unit_of_work() as db:
            secret_box.put(db, runtime.settings, user_tokens.secret_name(user_id), "a-new-token")
        return well(seen)  # type: ignore[arg-type]

    plextv.answer = sign_in_meanwhile  # type: ignore[method-assign, assignment]
    plex_access.check_due(runtime)

    assert user(runtime, user_id).disabled_at is None
    assert token(runtime, user_id) == "a-new-token"


def test_the_disabled_and_the_deleted_are_not_asked_about(runtime: Runtime, plextv: FakePlexTv) -> None:
    enter(runtime, plextv.account("a"), disabled_at=func.now(), disabled_reason="admin")
    enter(runtime, plextv.account("b"), disabled_at=func.now(), deleted_at=func.now())

    plex_access.check_due(runtime)

    assert plextv.seen == []


def test_a_batch_is_bounded_and_begins_with_those_whose_check_is_longest_ago(
    runtime: Runtime, plextv: FakePlexTv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plex_access, "BATCH", 2)
    ages = [None, func.now() - text("interval '3 days'"), LONG_AGO]
    people = [
        enter(runtime, plextv.account(f"p{number}", servers={SERVER}), plex_checked_at=age)
        for number, age in enumerate(ages)
    ]

    plex_access.check_due(runtime)
    assert [checked(runtime, person) for person in people] == [True, True, False]
    plex_access.check_due(runtime)
    assert checked(runtime, people[2])


def test_old_pins_are_dropped(runtime: Runtime) -> None:
    with runtime.unit_of_work() as db:
        for name, age in (("1", "2 hours"), ("2", "1 minute")):
            at = func.now() - text(f"interval '{age}'")
            db.add(PlexPin(id=name, nonce_hash="x", expires_at=at))
    with runtime.unit_of_work() as db:
        plex_sign_in.forget_old(db)
    with runtime.reading() as db:
        assert list(db.scalars(select(PlexPin.id))) == ["2"]


def test_beat_and_a_worker_do_it(
    short_tmp: Path,
    database_url: str,
    redis_url: str,
    runtime: Runtime,
    plextv: FakePlexTv,
    plex_server: FakePlexServer,
) -> None:
    where = {"PLEX_TV_URL": plextv.url, "PLEX_URL": plex_server.url, "PLEX_CHECK_SECONDS": "2"}
    eve = enter(runtime, plextv.account("eve"))
    bob = enter(runtime, plextv.account("bob", servers={SERVER}))
    folder = short_tmp / "accounts"
    folder.mkdir()
    with running(Stack(folder, database_url, redis_url, **where)) as stack:
        stack.start_maintenance()
        stack.start_beat()
        eventually(lambda: user(runtime, eve).disabled_reason == "plex", 30)
        eventually(lambda: checked(runtime, bob), 30)
        with runtime.unit_of_work() as db:
            db.execute(update(User).where(User.id == bob).values(plex_checked_at=LONG_AGO))
        eventually(lambda: checked(runtime, bob), 30, what="the next run")
        assert plextv.accounts[0].token not in stack.log("worker")
