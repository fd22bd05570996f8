"""Who is signed in where, kept in a file that only its owner can read."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from cli.errors import CommandError


def login_file() -> Path:
    """Where the login is: `~/.config/medianest/client.json`."""
    return Path.home() / ".config" / "medianest" / "client.json"


@dataclass(frozen=True)
class SavedLogin:
    """A server, and the tokens of a session there."""

    server: str
    email: str
    token: str
    refresh_token: str

    @classmethod
    def of(cls, server: str, signed_in: Mapping[str, Any]) -> Self:
        """What to keep of the answer of login, refresh or bootstrap."""
        user = signed_in["user"]
        return cls(server, user["email"], signed_in["token"], signed_in["refreshToken"])

    @classmethod
    def load(cls) -> Self | None:
        """The saved login; None where there is none, or none that can be understood."""
        try:
            return cls(**json.loads(login_file().read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        except OSError as error:
            raise _unusable(error) from None

    def save(self) -> None:
        """Replace the file at once: who reads it sees the old login or the new one."""
        path = login_file()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, fresh = tempfile.mkstemp(prefix=".client.", dir=path.parent)  # its mode is 0600
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump(asdict(self), file)
                Path(fresh).replace(path)
            except BaseException:
                Path(fresh).unlink()
                raise
        except OSError as error:
            raise _unusable(error) from None

    @staticmethod
    def forget() -> None:
        """Remove the file."""
        try:
            login_file().unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(error) from None


@contextmanager
def sole_renewer() -> Iterator[None]:
    """Hold the folder: of several clients whose token has expired one refreshes it, the others use what it got.

    A refresh token that is used twice ends the session (`engine.identity.sessions.renew`).
    """
    try:
        descriptor = os.open(login_file().parent, os.O_RDONLY)
    except OSError as error:
        raise _unusable(error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unusable(error: OSError) -> CommandError:
    return CommandError(f"{login_file()} can't be used: {error.strerror}")
