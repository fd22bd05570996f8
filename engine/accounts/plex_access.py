"""Access to our Plex server, checked at plex.tv at sign-in and once a day after that."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson
from sqlalchemy import false, func, select, update
from sqlalchemy.dialects.postgresql import insert

from engine import installation
from engine.accounts import plex_accounts
from engine.accounts.plex_accounts import Admitted
from engine.clients.plex import identity as plex
from engine.clients.plex.http import PRODUCT, PlexOutage
from engine.clients.plex.tv import SECONDS, Account, PlexTv, Server, TokenRefused
from engine.errors import Forbidden, PlexUnreachable, ServiceUnavailable
from engine.plex.server import connection, user_tokens
from engine.plex.server.connection import Address
from engine.runtime import Runtime
from engine.secrets import secret_box
from models.secret import Secret
from models.setting import Fact
from models.user import User

SERVER_FACT = "plex.server"
DECIDING_FACT = "plex.deciding_server"
SERVER_AGE = timedelta(days=1)  # after which the server is asked again who it is
SETTLING = timedelta(days=1)  # for so long another server than before takes nobody's access
_DOUBTED_AGE = timedelta(minutes=1)  # the same, where somebody would be refused

BATCH = 25  # people a run
RUN_SECONDS = 8.0  # the worker has other things to do
_CALL_SECONDS = 5.0
_OUTAGES = 3  # in a row end a run
_NO_ACCESS = "no access to the server"

_now = func.clock_timestamp


class AccessRefused(Forbidden):
    """A Plex account may not use our server, by plex.tv or by what we know.

    Attributes:
        account: whose sign-in this was, as far as that is known.
    """

    def __init__(self, message: str, account: Account | None = None) -> None:
        super().__init__(message)
        self.account = account


def client_identifier(runtime: Runtime) -> str:
    """The `X-Plex-Client-Identifier` of this installation."""
    with runtime.reading() as db:
        return installation.client_identifier(db)


def conversation(runtime: Runtime, *, device_name: str | None = None, seconds: float = SECONDS) -> PlexTv:
    """A client of plex.tv for some requests; hold no transaction meanwhile."""
    return PlexTv.at(
        runtime.settings.plex_tv_url,
        client_identifier(runtime),
        device_name=device_name or PRODUCT,
        seconds=seconds,
        places=max(1, runtime.settings.web_threads // 4),  # the other threads are for other requests
    )


def server_identifier(runtime: Runtime, *, older_than: timedelta | None = None) -> str:
    """The `machineIdentifier` of our server: the one that an admin chose, else whichever is at the address.

    The latter is remembered; while the server is down that counts.

    Args:
        runtime: with a server configured.
        older_than: ask the server again where what we remember is older.

    Raises:
        PlexUnreachable: nothing is remembered of this address, and it gives no answer.
    """
    where = _our_server(runtime)
    if where is None:
        raise PlexUnreachable(connection.NOT_CONFIGURED)
    if where.machine_id is not None:
        return where.machine_id
    known = _remembered(runtime, where.url, older_than)
    if known is not None and not known.old:
        return known.identifier
    try:
        found = plex.identity(where.url, client_identifier(runtime))
        if not found.claimed:
            raise PlexUnreachable("The Plex server does not belong to an account at plex.tv.")
    except PlexUnreachable:
        if known is None:
            raise
        return known.identifier
    _remember(runtime, where.url, found.machine_identifier)
    return found.machine_identifier


def admit(runtime: Runtime, tv: PlexTv, token: str, *, before_setup: bool = False) -> Admitted:
    """Find out whose token this is and whether that account may use our server.

    Args:
        runtime: for settings and units of work; none is open meanwhile.
        tv: to ask.
        token: of somebody.
        before_setup: let them pass while no server is configured: it is to be found through their account.

    Raises:
        AccessRefused: it may not, or the token is not valid any more; the text says which.
        PlexUnreachable: that can't be found out now.
    """
    configured = _our_server(runtime) is not None
    if not configured and not before_setup:
        raise AccessRefused("Nobody can sign in with Plex here: no Plex server is configured (PLEX_URL).")
    try:
        account = tv.account(token)
        if not configured:
            return Admitted(account, False, token)
        entry = server_entry(runtime, tv, token)
    except TokenRefused:
        raise AccessRefused("plex.tv does not accept this sign-in any more: begin again.") from None
    if entry is None:
        message = "This Plex account has no access to our Plex server: ask its owner to share it."
        raise AccessRefused(message, account)
    return Admitted(account, entry.owned, token, entry.identifier)


def server_entry(runtime: Runtime, tv: PlexTv, token: str) -> Server | None:
    """Our server among those that somebody may use; None: plex.tv says that it is not.

    Raises:
        TokenRefused: the token holds no longer.
        PlexUnreachable: that can't be found out now.
    """
    ours = server_identifier(runtime)
    servers = tv.servers(token)
    found = _pick(servers.known, ours)
    if found is None:  # a server that was set up anew at the same URL has another identifier
        found = _pick(servers.known, server_identifier(runtime, older_than=_DOUBTED_AGE))
    if found is None and not servers.whole:
        raise PlexUnreachable("plex.tv's list of servers could not be read.")
    return found


def check_due(runtime: Runtime) -> None:
    """Check people whose last check is a day old, the longest ago first; ends early when plex.tv is down.

    Nobody is checked on the day after another server became ours: those who may not use that one have the time to be
    given access, or whoever connected it by mistake the time to notice.
    """
    if _our_server(runtime) is None:
        return
    try:
        if not _settled(runtime, server_identifier(runtime, older_than=SERVER_AGE)):
            return
    except PlexUnreachable:
        return
    ends, outages = time.monotonic() + RUN_SECONDS, 0
    for user_id in _due(runtime):
        if outages == _OUTAGES or time.monotonic() > ends:
            return
        try:
            check(runtime, user_id)
            outages = 0
        except PlexOutage:
            outages += 1
        except PlexUnreachable:
            continue  # an answer about this one that nobody understands says nothing about the others


def check(runtime: Runtime, user_id: str) -> None:
    """Ask plex.tv whether a user may still use our server, and do what follows from it.

    Raises:
        PlexUnreachable: plex.tv says neither yes nor no; nothing has changed.
    """
    try:
        with runtime.reading() as db:
            token = secret_box.take(db, runtime.settings, user_tokens.secret_name(user_id))
    except ServiceUnavailable:  # written with a key that is lost
        return
    if token is None:
        return
    entry = None
    with conversation(runtime, seconds=_CALL_SECONDS) as tv:
        try:
            entry = server_entry(runtime, tv, token)
            why = _NO_ACCESS if entry is None else None
        except TokenRefused:
            why = "token refused"
    if why == _NO_ACCESS and not _settled(runtime, server_identifier(runtime)):
        return  # the server has just turned out to be another
    with runtime.unit_of_work() as db:
        if entry is not None:
            plex_accounts.confirm(db, user_id, entry.identifier, owner=entry.owned)
        elif (
            why is not None
            and secret_box.take(db, runtime.settings, user_tokens.secret_name(user_id)) == token
        ):
            plex_accounts.end_access(db, user_id, why)  # else they have just signed in anew


def _our_server(runtime: Runtime) -> Address | None:
    with runtime.reading() as db:
        return connection.address(db, runtime.settings)


def _settled(runtime: Runtime, identifier: str) -> bool:
    """Whether this server has been ours for a day, or has always been; notes since when where it is another."""
    with runtime.unit_of_work() as db:
        first = insert(Fact).values(name=DECIDING_FACT, value=identifier, updated_at=_now() - SETTLING)
        db.execute(first.on_conflict_do_nothing())
        changed = update(Fact).where(Fact.name == DECIDING_FACT, Fact.value != identifier)
        db.execute(changed.values(value=identifier, updated_at=_now()))
        settled = select(Fact.updated_at <= _now() - SETTLING).where(Fact.name == DECIDING_FACT)
        return bool(db.scalar(settled))


def _due(runtime: Runtime) -> Sequence[str]:
    """A batch, in any order: one whom plex.tv gives no clear answer about must not hold up all others."""
    age = timedelta(seconds=runtime.settings.plex_check_seconds)
    query = (
        select(User.id)
        .join(Secret, Secret.name == user_tokens.SECRET_PREFIX + User.id)
        .where(User.plex_id.is_not(None), User.disabled_at.is_(None), User.deleted_at.is_(None))
        .where(func.coalesce(User.plex_checked_at < _now() - age, True))
        .order_by(User.plex_checked_at.asc().nulls_first(), User.id)
        .limit(BATCH)
    )
    with runtime.reading() as db:
        batch = list(db.scalars(query))
    random.shuffle(batch)
    return batch


def _pick(servers: Sequence[Server], identifier: str) -> Server | None:
    return next((each for each in servers if each.identifier == identifier), None)


@dataclass(frozen=True)
class _Remembered:
    identifier: str
    old: bool


def _remembered(runtime: Runtime, url: str, older_than: timedelta | None) -> _Remembered | None:
    old = Fact.updated_at < _now() - older_than if older_than is not None else false()
    with runtime.reading() as db:
        row = db.execute(select(Fact.value, old.label("old")).where(Fact.name == SERVER_FACT)).first()
    if row is None:
        return None
    fact = orjson.loads(row.value)
    return _Remembered(fact["id"], row.old) if fact["url"] == url else None


def _remember(runtime: Runtime, url: str, identifier: str) -> None:
    values = {"value": orjson.dumps({"url": url, "id": identifier}).decode(), "updated_at": _now()}
    query = insert(Fact).values(name=SERVER_FACT, **values)
    with runtime.unit_of_work() as db:
        db.execute(query.on_conflict_do_update(index_elements=["name"], set_=values))
