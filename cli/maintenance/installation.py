"""Where this installation's database and Redis are: the ones of the settings, or the embedded ones below DATA_DIR."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cli.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedServer
from cli.errors import CommandError
from cli.supervision.leftovers import sole_owner
from config.settings import Settings


class NotRunning(CommandError):
    """An embedded server that is not running, or does not answer."""


def database_url(settings: Settings) -> str:
    """The URL of the database, for psycopg.

    Raises:
        NotRunning: it is the embedded one, and it does not run.
        CommandError: it can't be used by this user.
    """
    return settings.database_url or _running(EmbeddedPostgres(settings.data_dir))


def redis_url(settings: Settings) -> str:
    """The URL of Redis.

    Raises:
        NotRunning, CommandError: as `database_url`.
    """
    return settings.redis_url or _running(EmbeddedRedis(settings.data_dir))


@contextmanager
def reachable_database(settings: Settings) -> Iterator[str]:
    """The URL of the database; the embedded one is started for as long, where it does not run.

    Raises:
        CommandError: it can't be started, or is just being started by somebody else.
    """
    try:
        url = database_url(settings)
    except NotRunning:
        with sole_owner(settings.data_dir), EmbeddedPostgres(settings.data_dir).running() as started:
            yield started
        return
    yield url


@contextmanager
def idle_database(settings: Settings) -> Iterator[str]:
    """As `reachable_database`, but refuses an embedded one that is in use: MediaNest must not be running.

    Raises:
        CommandError: as there, or MediaNest runs on DATA_DIR.
    """
    if settings.database_url:
        yield settings.database_url
        return
    with sole_owner(settings.data_dir), EmbeddedPostgres(settings.data_dir).running() as started:
        yield started


def _running(server: EmbeddedServer) -> str:
    if not server.was_made():
        raise NotRunning(f"the embedded {server.name} does not exist yet")
    server.prepare()
    if not server.is_ready():
        raise NotRunning(f"the embedded {server.name} does not answer")
    return server.url
