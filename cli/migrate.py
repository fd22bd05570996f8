"""`medianest migrate`: the release step, run before the processes of a new version start."""

from __future__ import annotations

import argparse

from cli.errors import CommandError
from config.settings import Settings
from models.migrate import upgrade


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments: it has none."""


def run(_args: argparse.Namespace, settings: Settings) -> int:
    """Bring the database of DATABASE_URL to the newest schema."""
    if not settings.database_url:
        raise CommandError("DATABASE_URL is not set; the embedded database is migrated by `medianest up`")
    upgrade(settings.database_url)
    return 0
