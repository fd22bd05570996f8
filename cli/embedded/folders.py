"""Where an embedded server may keep its data and its socket, without touching anybody else's folders."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from cli.errors import CommandError
from cli.processes import run_as

# sun_path takes 108 bytes with its final NUL on Linux, 104 on macOS and the BSDs.
SOCKET_PATH_LIMIT = 103


class EmbeddedError(CommandError):
    """An embedded server cannot run; the text is one line that says why and what to do."""


def fits_socket(path: Path) -> bool:
    """Whether a unix socket may have this path."""
    return len(os.fsencode(path)) <= SOCKET_PATH_LIMIT


def may_enter(folder: Path, account: pwd.struct_passwd | None) -> bool:
    """Whether `account` (None: ourselves) can reach what lies in `folder`."""
    if account is None:
        return os.access(folder, os.X_OK)
    # Asked as that user: access lists and mount options count too, which mode bits do not show.
    probe = subprocess.run(
        ["/bin/sh", "-c", 'test -x "$0"', str(folder)],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **run_as(account),
    )
    return probe.returncode == 0


def private_folder(path: Path, account: pwd.struct_passwd | None) -> Path:
    """Make `path` (its parent exists) a folder that only `account` (None: ourselves) may enter.

    Raises:
        EmbeddedError: it is there already and not such a folder; it is left as it is.
    """
    owner = os.geteuid() if account is None else account.pw_uid
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
    except OSError as error:
        raise EmbeddedError(f"{path} cannot be made: {error.strerror}") from None
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode) or stat.S_IMODE(status.st_mode) & 0o077:
        raise EmbeddedError(f"{path} is not a folder with mode 0700; move it away or choose another DATA_DIR")
    if account is not None and status.st_uid == os.geteuid() and not any(path.iterdir()):
        os.chown(path, account.pw_uid, account.pw_gid)  # just made, by us or by a start that was interrupted
        status = path.lstat()
    if status.st_uid != owner:
        raise EmbeddedError(
            f"{path} belongs to user {status.st_uid}, not {owner}; start as the same user as before"
        )
    return path


def fallback_folder(data_dir: Path, server: str, account: pwd.struct_passwd | None) -> Path:
    """A private folder with a short path for what `server` cannot have below `data_dir`; always the same one.

    Raises:
        EmbeddedError: neither /var/lib nor the temporary folder takes it.
    """
    name = f"medianest-{server}-{hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]}"
    problems: list[str] = []
    for parent in (Path("/var/lib"), Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - private_folder() checks
        folder = parent / name
        if not (
            os.access(parent, os.W_OK) and may_enter(parent, account) and fits_socket(folder / ("x" * 40))
        ):
            continue
        try:
            return private_folder(folder, account)
        except EmbeddedError as error:
            problems.append(str(error))
    raise EmbeddedError("; ".join(problems) or "neither /var/lib nor the temporary folder can be written to")
