"""The embedded PostgreSQL: where it lives, whom it runs as, how it is set."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from cli.embedded.binaries import postgres_binaries
from cli.embedded.folders import EmbeddedError, fallback_folder, fits_socket, may_enter, private_folder
from cli.embedded.server import EmbeddedServer
from cli.processes import run_as
from config import private_folders

NAME = "medianest"  # of the database and its role
SOCKET = ".s.PGSQL.5432"
LOCATION = "postgres.location"  # in DATA_DIR: where the folder went

# For one household: little memory when idle, a recovery of seconds, no planner surprises.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "jit": "off",
    "io_method": "sync",
    "max_worker_processes": "4",
    "max_logical_replication_workers": "0",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "wal_buffers": "4MB",
    "checkpoint_timeout": "10min",
    "log_checkpoints": "off",
    "log_min_messages": "log",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FAST_AND_UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def home(data_dir: Path) -> Path:
    """The folder of cluster and socket: below `data_dir`, or where that was closed to the server's user."""
    note = data_dir / LOCATION
    return Path(note.read_text().strip()) if note.exists() else data_dir / "postgres"


class EmbeddedPostgres(EmbeddedServer):
    """PostgreSQL on a unix socket alone, in a folder that only its user may enter.

    No TCP and no password: whoever can open the socket could read the data files beside it too.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown: sessions are ended, data is written

    def prepare(self) -> None:
        """Choose user and folder, find the binaries, make the cluster and its database where missing.

        Raises:
            EmbeddedError: no place, no binaries, or data of another major version.
        """
        self.notices = []
        private_folders.make(self.data_dir)
        folder = self._settle()
        self._bin = postgres_binaries(self.account, self._fallback)
        self._cluster = folder / "data"
        self._socket_folder = folder
        if not fits_socket(folder / SOCKET):
            self._socket_folder = self._fallback()
            self.notices.append(
                f"the path of {folder} is too long for a socket: it lies in {self._socket_folder}"
            )
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        self._remove_stale_lock()

    @property
    def url(self) -> str:
        """A SQLAlchemy URL for psycopg."""
        return f"postgresql+psycopg://{NAME}@/{NAME}?host={quote(str(self._socket_folder))}"

    def command(self) -> list[str]:
        """The foreground server; everything is set here, nothing in the cluster's files."""
        # Quoted, since this setting is a list and a folder's name may hold a comma.
        settings = SETTINGS | {
            "unix_socket_directories": '"' + str(self._socket_folder).replace('"', '""') + '"'
        }
        if not self.durable:
            settings |= FAST_AND_UNSAFE
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self._cluster), *options]

    def is_ready(self) -> bool:
        """Whether a session can be opened; refused while recovery after a crash goes on."""
        asked = subprocess.run(
            [self._bin / "pg_isready", "-q", "-t", "2", "-h", self._socket_folder, "-U", NAME, "-d", NAME],
            check=False,
        )
        return asked.returncode == 0

    def _fallback(self) -> Path:
        return fallback_folder(self.data_dir, self.name, self.account)

    def _settle(self) -> Path:
        """The folder of cluster and socket, and `account`: the server refuses to run as root.

        Where the folder went is kept in DATA_DIR, so that a later start never begins with an empty database.
        """
        usual, note = home(self.data_dir), self.data_dir / LOCATION
        if note.exists() and not usual.is_dir():
            raise EmbeddedError(
                f"the database folder {usual} is gone; delete {note} to begin with an empty one"
            )
        if os.geteuid() == 0:
            self.account = _account_for(usual)
        if not may_enter(usual.parent, self.account):
            usual = private_folder(self._fallback() / "postgres", self.account)
            note.write_text(f"{usual}\n")
        if note.exists():
            user = self.account.pw_name if self.account else "our user"
            self.notices.append(
                f"{self.data_dir} is closed to user {user}: PostgreSQL keeps its data in {usual}"
            )
        return private_folder(usual, self.account)

    def _initialise(self) -> None:
        """A fresh cluster under a passing name, renamed when whole: a start may be interrupted."""
        fresh = self._cluster.with_name("data.new")
        self._run("rm", "-rf", str(fresh))
        self._run(
            str(self._bin / "initdb"), "--pgdata", str(fresh), "--username", NAME, "--auth=trust",
            "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C",
            "--data-checksums", "--no-instructions", *([] if self.durable else ["--no-sync"]),
        )  # fmt: skip
        self._run(
            str(self._bin / "postgres"),
            "--single",
            "-D",
            str(fresh),
            "postgres",
            text=f"CREATE DATABASE {NAME}",
        )
        fresh.rename(self._cluster)

    def _run(self, *command: str, text: str = "") -> None:
        done = subprocess.run(
            command,
            input=text,
            text=True,
            capture_output=True,
            cwd="/",
            check=False,
            **run_as(self.account),
        )
        if (
            done.returncode != 0 or "ERROR" in done.stderr
        ):  # `postgres --single` ends with 0 after an error too
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise EmbeddedError(f"{Path(command[0]).name} failed: {reason}")

    def _check_version(self) -> None:
        made_by = (self._cluster / "PG_VERSION").read_text().strip()
        brought = subprocess.run(
            [self._bin / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        major = brought.stdout.split()[-1].split(".")[0]
        if made_by != major:
            raise EmbeddedError(
                f"{self._cluster} was made by PostgreSQL {made_by}, this is {major}: "
                "restore a dump into an empty DATA_DIR, or set DATABASE_URL"
            )

    def _remove_stale_lock(self) -> None:
        """Remove the pid file of a killed server when its number now belongs to another program."""
        lock = self._cluster / "postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            pid = int(lock.read_text().splitlines()[0])
            with suppress(psutil.NoSuchProcess):
                if psutil.Process(pid).name().startswith("postgres"):
                    return
            lock.unlink()


def _account_for(folder: Path) -> pwd.struct_passwd:
    """Whom the server runs as under root: the owner of existing data, else `postgres`, else `nobody`."""
    with suppress(OSError, KeyError):
        owner = folder.stat().st_uid
        if owner != 0:
            return pwd.getpwuid(owner)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`; set DATABASE_URL"
    )
