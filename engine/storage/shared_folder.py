"""Checks whether two hosts share DOWNLOAD_DIR: one creates a probe file there, the other looks for it."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from config.settings import Settings
from engine.storage.layout import STAGING

TIMEOUT = 1.5  # seconds; a network file system whose server is down hangs forever


def probe_path(settings: Settings, token: str) -> Path:
    """The path of the probe file, in a folder that Plex ignores.

    Raises:
        ValueError: the token is not 32 hexadecimal digits.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        raise ValueError("a token is 32 hexadecimal digits")
    return settings.download_dir / STAGING / f"doctor-{token}"


def sees(settings: Settings, token: str) -> bool | None:
    """Whether the probe file is in this host's DOWNLOAD_DIR; None if the file system does not answer in time."""
    path = probe_path(settings, token)
    answers: list[bool] = []
    looking = threading.Thread(target=lambda: answers.append(path.exists()), daemon=True, name="sees")
    looking.start()
    looking.join(TIMEOUT)
    return answers[0] if answers else None
