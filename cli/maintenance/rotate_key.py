"""`medianest rotate-key`: a new secret key, and everything that is stored encrypted, encrypted with it."""

from __future__ import annotations

import argparse
import dataclasses

from sqlalchemy.exc import SQLAlchemyError

from cli.errors import CommandError
from cli.maintenance.installation import reachable_database
from config import secret_files
from config.settings import Settings
from engine import audit
from engine.secrets import rotation
from engine.secrets.rotation import UnreadableSecrets
from models.session import Database


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = (
        "Nobody is signed out, and MediaNest may run meanwhile. Where SECRET_KEY is set, see the manual."
    )
    parser.add_argument(
        "--forget-old",
        action="store_true",
        help="make no new key, but drop the older ones: tokens that they signed are void",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Rotate the key; after a failure or a crash, everything can be read as before.

    Raises:
        CommandError: the database can't be used, or holds something that none of the known keys opens.
        SettingsError: the key file holds no keys.
    """
    if settings.secret_key and args.forget_old:
        raise CommandError("SECRET_KEY is set: remove SECRET_KEY_PREVIOUS instead, and restart")
    with reachable_database(settings) as url:
        database = Database(url, pool_size=1)
        try:
            said = _forget(database, settings) if args.forget_old else _rotate(database, settings)
        except UnreadableSecrets as error:
            raise CommandError(
                f"nothing was changed: no known key opens {', '.join(error.names)}. Name the key that they were "
                "stored with in SECRET_KEY_PREVIOUS, or store them anew."
            ) from None
        except SQLAlchemyError as error:
            reason = (str(getattr(error, "orig", error)).strip().splitlines() or ["no reason given"])[0]
            raise CommandError(f"the database can't be used: {reason}") from None
        except OSError as error:
            raise CommandError(f"{error.filename or settings.key_file}: {error.strerror}") from None
        finally:
            database.close()
    print(said)
    return 0


def _rotate(database: Database, settings: Settings) -> str:
    with database.unit_of_work() as db:
        rotation.lock(db)  # a concurrent rotation waits here, and then reads what this one wrote
        rotation.check(db, settings)
        if not settings.secret_key:
            # First the file, which keeps the older keys, then the rows: whatever happens in between, all is readable.
            older = settings.keys_in_file()
            secret_files.replace(settings.key_file, (secret_files.new_secret(), *older))
        count = rotation.reseal(db, settings)
        audit.record(db, "secret_key.rotated", audit.SERVER, texts=count)
    days = f"{max(settings.remember_me_seconds, settings.refresh_token_seconds) / 86400:g}"
    if not settings.secret_key:
        return (
            f"{settings.key_file} has a new key, and {count} stored secrets are encrypted with it.\n"
            "What runs knows it already, and nobody is signed out: the older keys stay in the file, below the new "
            f"one.\nIn {days} days nothing that is still used depends on them: `medianest rotate-key --forget-old` "
            "drops them.\nOther hosts with a key file of their own need a copy of this one. Make a new backup."
        )
    if not settings.secret_key_previous:
        return (
            f"{count} stored secrets are encrypted with SECRET_KEY; there is no older key. For a new one: set "
            "SECRET_KEY to it and SECRET_KEY_PREVIOUS to the present one, restart, and run this again."
        )
    return (
        f"{count} stored secrets are encrypted with SECRET_KEY. Nothing that is stored needs SECRET_KEY_PREVIOUS any "
        f"more, but those who are signed in do. In {days} days nothing that is still used depends on it: remove it, "
        "and restart. Make a new backup."
    )


def _forget(database: Database, settings: Settings) -> str:
    with database.unit_of_work() as db:
        rotation.lock(db)
        rotation.check(db, settings)
        rotation.reseal(db, settings)
    with database.unit_of_work() as db:
        rotation.lock(db)
        current, *older = settings.keys_in_file()
        rotation.check(db, dataclasses.replace(settings, secret_key=current, secret_key_previous=()))
        secret_files.replace(settings.key_file, (current,))
        audit.record(db, "secret_key.forgotten", audit.SERVER, keys=len(older))
    return (
        f"{settings.key_file} holds the current key only; {len(older)} older ones were dropped. Whoever has not been "
        "here since the last rotation must sign in again."
    )
