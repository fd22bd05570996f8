"""PostgreSQL's own client programs, run against a database of ours."""

from __future__ import annotations

import subprocess
import tempfile
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cli.embedded.binaries import client_program
from cli.errors import CommandError


def run(program: str, database_url: str, *arguments: str) -> None:
    """Run a program such as `pg_dump` on the database of a `postgresql+psycopg://` URL.

    Raises:
        CommandError: it is missing or fails; with its own words.
    """
    parts: dict[str, Any] = conninfo_to_dict(database_url.replace("postgresql+psycopg:", "postgresql:", 1))
    password = parts.pop("password", None)
    parts = {"connect_timeout": "5", "options": "-c lock_timeout=10s"} | parts
    with tempfile.NamedTemporaryFile("w", prefix=".pgpass-") as passwords:  # mode 0600
        if password is not None:
            # Not among the arguments: other users could read it in the list of processes.
            secret = str(password).replace("\\", r"\\").replace(":", r"\:")
            passwords.write(f"*:*:*:*:{secret}\n")
            passwords.flush()
            parts["passfile"] = passwords.name
        _run(program, make_conninfo(**parts), *arguments)


def _run(program: str, conninfo: str, *arguments: str) -> None:
    try:
        done = subprocess.run(
            [client_program(program), f"--dbname={conninfo}", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise CommandError(f"{program} can't be run: {error.strerror}") from None
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        reason = next((line for line in words if "error" in line.lower()), words[-1])
        raise CommandError(f"{program} failed: {reason}")
