"""Reads the Procfile: which processes there are, one command each."""

from __future__ import annotations

import re
from pathlib import Path

from cli.errors import CommandError

RELEASE = "release"  # run once before the others, as a PaaS does
FLOWER = "flower"  # left out where FLOWER_PORT is 0


def read_procfile(path: Path) -> dict[str, str]:
    """The commands by name, in the order of the file; blank lines and comments are skipped.

    Raises:
        CommandError: the file cannot be read or a line is not `name: command`.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}") from None
    commands: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9_-]+):\s*(\S.*)", line.strip())
        if match is None or match[1] in commands:
            raise CommandError(f"{path}, line {number}: not a new `name: command`")
        commands[match[1]] = match[2]
    return commands


def shell_command(command: str) -> list[str]:
    """How a line is run: by the shell, for `$VARIABLES`, which it then replaces, so that signals reach it."""
    return ["/bin/sh", "-c", f"exec {command}"]
