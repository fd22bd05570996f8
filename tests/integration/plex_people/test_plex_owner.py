"""Whose the server is, is learned from plex.tv: at sign-in, and at the daily look whether somebody still has access."""

from __future__ import annotations

from engine.accounts import plex_access, plex_accounts
from engine.runtime import Runtime
from tests.fakes.plextv import FakePlexTv
from tests.integration.plex_people.test_plex_access import SERVER, enter, settings, user

__all__ = ["settings"]


def test_noted_at_sign_in(runtime: Runtime, plextv: FakePlexTv) -> None:
    boss = plextv.account("boss77", title="The Boss", owned={SERVER})
    with plex_access.conversation(runtime) as tv:
        admitted = plex_access.admit(runtime, tv, boss.token)
    with runtime.unit_of_work() as db:
        found = plex_accounts.of_admitted(db, runtime.settings, admitted, None)
        assert (found.plex_server_id, found.plex_owner) == (SERVER, True)


def test_noted_at_the_daily_look(runtime: Runtime, plextv: FakePlexTv) -> None:
    boss = enter(runtime, plextv.account("boss77", owned={SERVER}))
    friend = enter(runtime, plextv.account("friend", servers={SERVER}))
    plex_access.check_due(runtime)
    told = [(one.plex_server_id, one.plex_owner) for one in (user(runtime, boss), user(runtime, friend))]
    assert told == [(SERVER, True), (SERVER, False)]
