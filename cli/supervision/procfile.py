"""Reads the Procfile: which processes there are, one command each."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from cli.errors import CommandError

RELEASE = "release"  # run once before the others, as a PaaS does
FLOWER = "flower"  # left out where FLOWER_PORT is 0
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*=\S*"
# Without a second command in it: no list, pipe, redirection or command substitution; arithmetic is none of these.
_ONE_PYTHON_MODULE = re.compile(rf"(?:env (?:{_VARIABLE} )*)?python -m (?!.*\$\((?!\())[^;|&<>`]+")


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


def python_command(command: str, env: Mapping[str, str]) -> tuple[list[str], dict[str, str]] | None:
    """Read a line that runs one Python module: `python -m ...`, perhaps behind `env NAME=value ...`.

    Args:
        command: as in the file.
        env: what `$VARIABLES` stand for.

    Returns:
        The module with its arguments, as the shell expands them, and the variables that the line sets; None where
        the line is of another kind, or the shell can't expand it.
    """
    if _ONE_PYTHON_MODULE.fullmatch(command) is None:
        return None
    expanded = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\0' {command}"], env=env, capture_output=True, check=False
    )
    if expanded.returncode != 0:
        return None
    words = expanded.stdout.decode(errors="surrogateescape").split("\0")[:-1]
    python = words.index("python")
    variables, module = words[1:python], words[python + 2 :]
    if not module or not all(
        "=" in word for word in variables
    ):  # a $VARIABLE stood for none or for several words
        return None
    return module, dict(word.split("=", 1) for word in variables)
