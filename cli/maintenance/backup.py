"""`medianest backup`: the database and what belongs to it in one file, taken while everything runs."""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from cli.about import VERSION
from cli.errors import CommandError
from cli.maintenance import archive, postgres_client
from cli.maintenance.installation import reachable_database
from config.settings import Settings
from models.session import Database

# They name the servers of this very machine, with their passwords.
_LEFT_OUT = {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "SECRET_KEY_PREVIOUS"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Media files are not in it: back up DOWNLOAD_DIR like the rest of your library."
    parser.add_argument("file", type=Path, help="to be written; must not exist")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Write the backup; one moment of the database, however busy it is.

    Raises:
        CommandError: no database, nothing in it, or the file can't be written.
    """
    path: Path = args.file.absolute()
    if path.exists():
        raise CommandError(f"{path} exists already: choose another name")
    if not os.access(path.parent, os.W_OK):
        raise CommandError(f"{path.parent} can't be written to")
    with (
        tempfile.TemporaryDirectory(dir=path.parent, prefix=".medianest-backup-") as name,
        reachable_database(settings) as url,
    ):
        folder, made_at = Path(name), datetime.now(UTC)
        revision = _revision(url)
        keys = settings.secret_keys()
        dump = folder / archive.DATABASE
        postgres_client.run(
            "pg_dump", url, "--format=plain", "--no-owner", "--no-privileges", "--compress=gzip",
            "--schema=public", f"--file={dump}",
        )  # fmt: skip
        # Of both moments: whatever key was rotated or dropped meanwhile, one of these opens what was dumped.
        keys = tuple(dict.fromkeys((*settings.secret_keys(), *keys)))
        (folder / archive.SECRET_KEY).write_text("\n".join(keys))
        kept = _settings_set()
        (folder / archive.SETTINGS).write_text(
            "".join(f"{name}={shlex.quote(value)}\n" for name, value in kept.items())
        )
        manifest = {
            "version": VERSION,
            "revision": revision,
            "made_at": made_at.isoformat(timespec="seconds"),
            "host": platform.node(),
        }
        names = (archive.DATABASE, archive.SECRET_KEY, archive.SETTINGS)
        archive.write(path, manifest, {name: folder / name for name in names}, keys[0])
    print(
        f"{path}: database (schema {revision}), secret key, {len(kept)} variables of this environment, "
        f"{path.stat().st_size / 1e6:.1f} MB"
    )
    print(_told(kept))
    print("Keep it where only you can read it. Media files are not in it: back up DOWNLOAD_DIR too.")
    return 0


def _revision(url: str) -> str:
    database = Database(url, pool_size=1)
    try:
        with database.reading() as db:
            if db.scalar(text("SELECT to_regclass('alembic_version')")) is None:
                raise CommandError("the database is empty: there is nothing to back up yet")
            return str(db.scalar(text("SELECT version_num FROM alembic_version")))
    except SQLAlchemyError as error:
        reason = (str(getattr(error, "orig", error)).strip().splitlines() or ["no reason given"])[0]
        raise CommandError(f"the database can't be reached: {reason}") from None
    finally:
        database.close()


def _settings_set() -> dict[str, str]:
    """The variables that are set here."""
    return {name: value for name, value in Settings.given().items() if name not in _LEFT_OUT}


def _told(kept: Mapping[str, str]) -> str:
    """Which settings came along; a timer's environment is often not the server's."""
    if kept:
        return f"Variables: {', '.join(sorted(kept))}. What admins have set is in the database."
    return (
        "No variable of MediaNest is set here, so none was saved (what admins have set is in the database). If the "
        "server has some, run this with the same environment."
    )
