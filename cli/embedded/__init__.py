"""A laptop's PostgreSQL and Redis: binaries out of wheels, data below DATA_DIR, run as our children."""

from cli.embedded.folders import EmbeddedError
from cli.embedded.postgres import EmbeddedPostgres
from cli.embedded.redis import EmbeddedRedis
from cli.embedded.server import EmbeddedServer

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedRedis", "EmbeddedServer"]
