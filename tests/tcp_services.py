"""PostgreSQL and Redis on TCP with a password, as a platform or a host of one's own offers them."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import psycopg
import redis

from cli.embedded import EmbeddedPostgres, EmbeddedRedis

PASSWORD = "p4ss-w0rd"


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


class TcpPostgres(EmbeddedPostgres):
    """Listens on one address and asks for a password there; `url` is spelled as platforms spell it."""

    def __init__(self, data_dir: Path, host: str = "127.0.0.1") -> None:
        super().__init__(data_dir, durable=False)
        self.host, self.port = host, free_port(host)

    def prepare(self) -> None:
        super().prepare()
        self._rules = self.data_dir / "pg_hba.conf"
        self._rules.write_text("local all all trust\nhost all all all scram-sha-256\n")
        self._rules.chmod(0o644)

    @property
    def url(self) -> str:
        return f"postgres://product:{PASSWORD}@{self.host}:{self.port}/product"

    def command(self) -> list[str]:
        changed = {"listen_addresses": self.host, "port": str(self.port), "hba_file": str(self._rules)}
        return [
            *super().command(),
            *(part for key, value in changed.items() for part in ("-c", f"{key}={value}")),
        ]

    def is_ready(self) -> bool:
        command = [self._bin / "pg_isready", "-q", "-t", "2", "-h", self.host, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def start(self, timeout: float = 60.0) -> str:
        """Start it, and make the role and the database that `url` names."""
        super().start(timeout)
        local = f"host={self._socket_folder} port={self.port} user=medianest dbname=postgres"
        with psycopg.connect(local, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE product LOGIN PASSWORD '{PASSWORD}'")  # type: ignore[arg-type]
            connection.execute("CREATE DATABASE product OWNER product")
        return self.url


class TcpRedis(EmbeddedRedis):
    """Listens on one address and asks for a password."""

    def __init__(self, data_dir: Path, host: str = "127.0.0.1") -> None:
        super().__init__(data_dir, durable=False)
        self.host, self.port = host, free_port(host)

    @property
    def url(self) -> str:
        return f"redis://:{PASSWORD}@{self.host}:{self.port}/0"

    def command(self) -> list[str]:
        return [*super().command(), "--port", str(self.port), "--bind", self.host, "--requirepass", PASSWORD]

    def is_ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
