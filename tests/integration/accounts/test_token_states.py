"""Tokens through any sequence of what may happen to them: what was ended once is never accepted again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from door import API, PASSWORD, Door, hashed_password
from factories import make_user
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, update

from models.login import Login
from models.user import User

JUST_OVER_THE_GRACE = timedelta(seconds=11)


@dataclass
class Session:
    """What is known of a session from outside: every token it ever had, and whether it should hold.

    The grace is over where `in_grace` is False: then only the last refresh token is good.
    """

    user: str
    email: str
    id: str
    access: list[str]
    refresh: list[str]
    alive: bool = True
    in_grace: bool = False


class Tokens(RuleBasedStateMachine):
    """Two people, any number of sessions of theirs, and everything that ends one."""

    sessions = Bundle("sessions")
    door: Door

    def __init__(self) -> None:
        super().__init__()
        self.known: list[Session] = []
        with self.door.runtime.unit_of_work() as db:
            rows = [make_user(db, password_hash=hashed_password()) for _ in range(2)]
            self.people = {row.email: row.id for row in rows}
        self.disabled: set[str] = set()

    def post(self, path: str, token: str | None = None, method: str = "POST", **body: Any) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        client = self.door.stranger()
        return client.open(API + path, method=method, json=body or None, headers=headers)

    def change(self, model: type[Login | User], row_id: str, **values: Any) -> None:
        with self.door.runtime.unit_of_work() as db:
            db.execute(update(model).where(model.id == row_id).values(**values))

    @initialize(target=sessions, who=st.integers(0, 1))
    def begin(self, who: int) -> Session:
        session = self.sign_in(who)
        self.refresh(session)
        return session

    @rule(target=sessions, who=st.integers(0, 1))
    def sign_in(self, who: int) -> Session:
        email = list(self.people)[who]
        answer = self.post("/auth/login", email=email, password=PASSWORD)
        if self.people[email] in self.disabled:
            assert answer.status_code == 401
            return Session(self.people[email], email, "", [], [], alive=False)
        data = answer.get_json()["data"]
        listed = self.post("/auth/sessions", data["token"], method="GET").get_json()["data"]["items"]
        [mine] = [each["id"] for each in listed if each["current"]]
        found = Session(self.people[email], email, mine, [data["token"]], [data["refreshToken"]])
        self.known.append(found)
        return found

    @rule(session=sessions)
    def refresh(self, session: Session) -> None:
        if not session.refresh:
            return
        answer = self.post("/auth/refresh", refreshToken=session.refresh[-1])
        assert answer.status_code == (200 if self.holds(session) else 401)
        if self.holds(session):
            data = answer.get_json()["data"]
            session.access.append(data["token"])
            session.refresh.append(data["refreshToken"])
            session.in_grace = True

    @rule(session=sessions, which=st.integers(0, 10))
    def replay(self, session: Session, which: int) -> None:
        """Use a refresh token that has been exchanged: the last one of them within the grace, or theft."""
        old = session.refresh[:-1]
        if not old:
            return
        used = old[which % len(old)]
        answer = self.post("/auth/refresh", refreshToken=used)
        if self.holds(session) and session.in_grace and used == old[-1]:
            assert answer.get_json()["data"]["refreshToken"] == session.refresh[-1]
            return
        assert answer.status_code == 401
        if self.holds(session):
            session.alive = False

    @rule(session=sessions)
    def replay_after_the_grace(self, session: Session) -> None:
        if session.id:
            self.change(Login, session.id, rotated_at=func.now() - JUST_OVER_THE_GRACE)
            session.in_grace = False
        self.replay(session, len(session.refresh) - 2)

    @rule(session=sessions)
    def sign_out(self, session: Session) -> None:
        if session.access:
            assert self.post("/auth/logout", session.access[0]).status_code == (
                200 if self.holds(session) else 401
            )
            self.end(lambda each: each is session, if_asked_by=session)

    @rule(session=sessions)
    def sign_out_everywhere_else(self, session: Session) -> None:
        if session.access:
            self.post("/auth/sessions", session.access[-1], method="DELETE")
            self.end(lambda each: each.user == session.user and each is not session, if_asked_by=session)

    @rule(asking=sessions, other=sessions)
    def end_one(self, asking: Session, other: Session) -> None:
        if asking.access and other.id:
            answer = self.post(f"/auth/sessions/{other.id}", asking.access[-1], method="DELETE")
            mine = asking.user == other.user
            expected = 401 if not self.holds(asking) else 200 if mine and self.holds(other) else 404
            assert answer.status_code == expected
            self.end(lambda each: each is other and mine, if_asked_by=asking)

    @rule(session=sessions)
    def expire(self, session: Session) -> None:
        if session.id:
            self.change(Login, session.id, expires_at=func.now() - timedelta(seconds=1))
            session.alive = False

    @rule(who=st.integers(0, 1))
    def disable_or_enable(self, who: int) -> None:
        user_id = list(self.people.values())[who]
        enabled = user_id in self.disabled
        self.change(User, user_id, disabled_at=None if enabled else func.now())
        self.disabled ^= {user_id}

    @invariant()
    def only_what_holds_is_accepted(self) -> None:
        for session in self.known:
            expected = 200 if self.holds(session) else 401
            for token in session.access[-1:] if session.alive else session.access[:1]:
                assert self.post("/auth/session", token, method="GET").status_code == expected

    def holds(self, session: Session) -> bool:
        return session.alive and session.user not in self.disabled

    def end(self, which: Callable[[Session], bool], *, if_asked_by: Session) -> None:
        if self.holds(if_asked_by):
            for each in self.known:
                if which(each):
                    each.alive = False


@pytest.mark.parametrize("histories", [10, pytest.param(60, marks=pytest.mark.long)])
def test_what_was_ended_is_never_accepted_again(door: Door, histories: int) -> None:
    run_state_machine_as_test(
        type("TokensAtTheDoor", (Tokens,), {"door": door}),
        settings=settings(
            max_examples=histories,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
