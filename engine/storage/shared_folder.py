"""Tells whether two hosts see the same DOWNLOAD_DIR: one lays a file there, the other looks for it."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from config.settings import Settings
from engine.storage.layout import STAGING

PATIENCE = 1.5  # seconds; a network file system whose server is away hangs for ever


def probe_path(settings: Settings, token: str) -> Path:
    """Where the file of `token` lies: in a folder that Plex ignores.

    Raises:
        ValueError: no token of ours, which is 32 hexadecimal digits.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        raise ValueError("a token is 32 hexadecimal digits")
    return settings.download_dir / STAGING / f"doctor-{token}"


def sees(settings: Settings, token: str) -> bool | None:
    """Whether the file of `token` lies in our DOWNLOAD_DIR; None where the folder does not answer in time."""
    path = probe_path(settings, token)
    answers: list[bool] = []
    looking = threading.Thread(target=lambda: answers.append(path.exists()), daemon=True, name="sees")
    looking.start()
    looking.join(PATIENCE)
    return answers[0] if answers else None
