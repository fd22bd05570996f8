"""`medianest restore`: what `medianest backup` has written, into an empty installation."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from cli.errors import CommandError
from cli.maintenance import archive, dump, loading
from cli.maintenance.installation import idle_database
from cli.terminal import clean
from config import private_folders
from config.settings import Settings
from engine.monitoring.heartbeats import FRESH
from models.download import Download
from models.heartbeat import Heartbeat
from models.revision import known, newest
from models.session import Database
from models.user import User

RESTORED_SETTINGS = "restored-settings.env"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "MediaNest must not be running. The embedded database is started for as long."
    parser.add_argument("file", type=Path, help="written by `medianest backup`")
    parser.add_argument(
        "--force", action="store_true", help="replace a database that holds something; what it holds is lost"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Replace the database, bring it to this version's schema, put the secret key back.

    The database is replaced in one transaction: after a failure it is what it was.

    Raises:
        CommandError: the file is damaged or newer, the database holds something, MediaNest runs.
    """
    try:
        private_folders.make(settings.data_dir)
        with tempfile.TemporaryDirectory(dir=settings.data_dir, prefix=".medianest-restore-") as name:
            _restore(args.file, Path(name), settings, force=args.force)
    except OSError as error:
        raise CommandError(f"{error.filename or settings.data_dir}: {error.strerror}") from None
    return 0


def _restore(file: Path, folder: Path, settings: Settings, *, force: bool) -> None:
    manifest = archive.read(file, folder)
    if manifest.revision > newest():
        raise CommandError(
            f"{file} has schema {manifest.revision}, newer than this version's {newest()}: "
            f"install MediaNest {manifest.version} or newer"
        )
    if manifest.revision not in known():
        raise CommandError(f"{file} has schema {manifest.revision}, which no version of MediaNest had")
    archive.check_proof(file, folder, manifest)
    proven = archive.is_proven(manifest, settings.secret_keys() if _has_key(settings) else ())
    rows = dump.read(folder / archive.DATABASE, folder)
    with idle_database(settings) as url:
        _check(url, force=force)
        left_out = loading.replace(url, manifest.revision, rows)
        held = _forget_the_living(url)
    print(
        f"Restored the backup of {clean(manifest.made_at)} ({clean(manifest.host)}, MediaNest "
        f"{clean(manifest.version)}): {held}"
    )
    if left_out:
        print(f"Left out, since they are no tables of MediaNest: {', '.join(left_out)}")
    if not proven:
        print(
            "It does not bear the proof of a key of this installation, so nobody but you can tell where it comes from: "
            "its administrators, settings and keys are in force here now."
        )
    _put_back_secret(folder / archive.SECRET_KEY, settings)
    _put_back_settings(folder / archive.SETTINGS, settings)
    print("Media files are not part of a backup: DOWNLOAD_DIR must be brought back by itself.")


def _has_key(settings: Settings) -> bool:
    """Whether there is one already; asking for it would make one."""
    return bool(settings.secret_key) or settings.key_file.exists()


def _check(url: str, *, force: bool) -> None:
    database = Database(url, pool_size=1)
    try:
        with database.reading() as db:
            if _has_table(db, "heartbeats"):
                alive = db.scalars(
                    select(Heartbeat.name).where(Heartbeat.seen_at > func.clock_timestamp() - FRESH)
                ).all()
                if alive:
                    raise CommandError(
                        f"MediaNest runs on this database ({', '.join(alive)}): stop it, wait half a minute"
                    )
            users = db.scalar(select(func.count()).select_from(User)) if _has_table(db, "users") else 0
            if users and not force:
                raise CommandError(
                    f"this database is not empty ({users} users): --force replaces it, and what it holds is lost"
                )
    except SQLAlchemyError as error:
        reason = (str(getattr(error, "orig", error)).strip().splitlines() or ["no reason given"])[0]
        raise CommandError(f"the database can't be used: {reason}") from None
    finally:
        database.close()


def _has_table(db: Session, name: str) -> bool:
    return db.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is not None


def _forget_the_living(url: str) -> str:
    """Drop the heartbeats, which would pass for live workers; says what the database holds now."""
    database = Database(url, pool_size=1)
    try:
        with database.unit_of_work() as db:
            db.execute(delete(Heartbeat))
            users = db.scalar(select(func.count()).select_from(User))
            downloads = db.scalar(select(func.count()).select_from(Download))
        return f"{users} users, {downloads} downloads"
    finally:
        database.close()


def _put_back_secret(file: Path, settings: Settings) -> None:
    """Put back the keys of that time, the current one and older ones; or say which ours lacks."""
    text = file.read_text()
    if not settings.secret_key:
        _write_private(settings.key_file, text)
    elif not set(text.splitlines()) <= set(settings.secret_keys()):
        kept = settings.data_dir / "restored-secret.key"
        _write_private(kept, text)
        print(
            "SECRET_KEY is not the one of the backup: everybody must sign in again, and stored secrets can't be "
            f"read. Set it to what {kept} holds, or SECRET_KEY_PREVIOUS to that, its lines separated by commas."
        )


def _put_back_settings(file: Path, settings: Settings) -> None:
    if file.is_file() and file.stat().st_size:
        kept = settings.data_dir / RESTORED_SETTINGS
        _write_private(kept, file.read_text())
        print(f"The settings of that time are in {kept}: compare them with those of this machine.")


def _write_private(path: Path, content: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())
    fresh.replace(path)
