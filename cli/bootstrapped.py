"""Tells by its exit code whether there is an administrator; the supervisor is spared the database driver by that."""

from __future__ import annotations

import sys

from config.settings import Settings
from engine.accounts import users
from models.session import Database


def main() -> None:
    """End with 0 where there is one, else, or where nobody can tell, with another code."""
    database = Database(Settings.of_process().database_url, pool_size=1)
    with database.reading() as db:
        sys.exit(0 if users.is_bootstrapped(db) else 1)


if __name__ == "__main__":
    sys.tracebacklimit = 0  # a database that can't be asked has said so elsewhere
    main()
