"""`medianest up`: the whole product with one command, on a machine that has nothing but Python."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from cli.embedded import EmbeddedPostgres, EmbeddedRedis, EmbeddedServer
from cli.errors import CommandError
from cli.processes import signal_when_parent_dies, spawn
from cli.supervision.console import Console
from cli.supervision.forking import NAME as PRELOAD
from cli.supervision.forking import START_SECONDS, ForkServer
from cli.supervision.leftovers import end_leftovers, mark, sole_owner
from cli.supervision.procfile import FLOWER, RELEASE, read_procfile
from cli.supervision.readiness import local_address, missing
from cli.supervision.supervisor import Child, StopRequested, Supervisor
from config.settings import Settings

PROCFILE = Path(__file__).parent.parent / "Procfile"
DATABASE_SECONDS = 60.0  # a recovery after a crash included
READY_SECONDS = 30.0
ADMINISTRATOR_SECONDS = 5.0

READY = """\
MediaNest is ready after {seconds:.1f} s: {address} (API: {address}/api/v1/docs)
{first}To stop: Ctrl-C, or kill {pid}"""
FIRST = """\
First time? Open {address}/welcome{proof}
  or, at a terminal: {command} setup --server {address}
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--procfile", type=Path, default=PROCFILE, help="the processes to run (default: %(default)s)"
    )
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when the process that started us ends"
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run until a signal comes; returns 0 after a stop that was asked for.

    Raises:
        SettingsError: a folder that is set can't be used.
        CommandError: the data is in use, the port is taken, a database or the migration fails.
    """
    began = time.monotonic()
    if args.with_parent:
        signal_when_parent_dies(signal.SIGTERM)
    commands = read_procfile(args.procfile)
    settings.check_folders()
    with sole_owner(settings.data_dir):
        servers = _embedded_servers(settings)
        console = Console(sys.stdout, [*(server.name for server in servers), PRELOAD, *commands])
        if count := end_leftovers(settings.data_dir):
            console.say(f"ended {count} process{'es' * (count > 1)} that an earlier run had left")
        _check_port(settings)
        try:
            with Supervisor(console) as supervisor:
                try:
                    administrator = _start(supervisor, settings, servers, commands)
                    _report(supervisor, settings, began, administrator)
                    supervisor.run_until(lambda: False, pause=60.0)
                except StopRequested:
                    console.say("stopping; Ctrl-C again kills at once")
        finally:
            console.say("everything has ended")
    return 0


def _embedded_servers(settings: Settings) -> list[EmbeddedServer]:
    servers: list[EmbeddedServer] = []
    if not settings.database_url:
        servers.append(EmbeddedPostgres(settings.data_dir))
    if not settings.redis_url:
        servers.append(EmbeddedRedis(settings.data_dir))
    return servers


def _check_port(settings: Settings) -> None:
    family = socket.AF_INET6 if ":" in settings.listen_host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.listen_host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                problem = "is taken: stop what listens there, or set PORT to another"
            else:
                problem = f"cannot be used: {error.strerror}"
            raise CommandError(f"port {settings.port} on {settings.listen_host} {problem}") from None


def _start(
    supervisor: Supervisor, settings: Settings, servers: list[EmbeddedServer], commands: dict[str, str]
) -> Child:
    """Databases, then the release step, then everything else; returns who looks for an administrator."""
    marked = dict(os.environ) | mark(settings.data_dir)
    for server in servers:
        server.prepare()
        for notice in server.notices:
            supervisor.console.say(notice)
    env = marked | _environment(settings, servers)
    left_out = {FLOWER} if settings.flower_port == 0 else set()
    commands = {name: command for name, command in commands.items() if name not in left_out}
    forks = ForkServer(supervisor.console, env)
    preload = Child(PRELOAD, forks.spawn)
    if any(map(forks.serves, commands.values())):
        supervisor.add(preload)  # beside the databases: each takes a second
    _start_databases(supervisor, marked, servers)
    supervisor.run_until(lambda: forks.is_ready() or preload.process is None, START_SECONDS)

    if (release := commands.pop(RELEASE, None)) is not None:
        code = supervisor.run_once(RELEASE, partial(forks.start, RELEASE, release))
        if code != 0:
            raise CommandError(f"the release step failed: {release}")
    for name, command in commands.items():
        supervisor.add(Child(name, partial(forks.start, name, command)))
    looking = [sys.executable, "-m", "cli.bootstrapped"]
    administrator = Child("setup", partial(spawn, looking, env=env, output=subprocess.DEVNULL), once=True)
    supervisor.add(administrator)
    return administrator


def _start_databases(supervisor: Supervisor, env: dict[str, str], servers: list[EmbeddedServer]) -> None:
    for server in servers:
        start = partial(server.spawn, env)
        supervisor.add(
            Child(server.name, start, stop_signal=server.stop_signal, database=True, is_ready=server.is_ready)
        )
    if not supervisor.run_until(lambda: all(server.is_ready() for server in servers), DATABASE_SECONDS):
        late = "; ".join(
            f"{server.name}: {server.last_words()}" for server in servers if not server.is_ready()
        )
        raise CommandError(f"not ready after {DATABASE_SECONDS:.0f} s: {late}")


def _environment(settings: Settings, servers: list[EmbeddedServer]) -> dict[str, str]:
    """What the processes need to know beyond the environment that we were given."""
    urls = {server.name: server.url for server in servers}
    return {
        "DATABASE_URL": urls.get(EmbeddedPostgres.name, settings.database_url),
        "REDIS_URL": urls.get(EmbeddedRedis.name, settings.redis_url),
        "DATA_DIR": str(settings.data_dir),
        "PORT": str(settings.port),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
    }


def _report(supervisor: Supervisor, settings: Settings, began: float, administrator: Child) -> None:
    """Wait until the product answers, then say where it is and, before there is an administrator, what comes first."""
    address = local_address(settings)
    if not supervisor.run_until(lambda: not missing(address), READY_SECONDS, pause=0.2):
        absent = ", ".join(missing(address)) or "nothing any more"
        supervisor.console.say(f"not ready after {READY_SECONDS:.0f} s, still trying; missing: {absent}")
        supervisor.run_until(lambda: not missing(address), pause=1.0)
    supervisor.run_until(lambda: administrator.exit_code is not None, ADMINISTRATOR_SECONDS)
    first = "" if administrator.exit_code == 0 else _first_step(settings, address)
    seconds = time.monotonic() - began
    supervisor.console.say(READY.format(seconds=seconds, address=address, first=first, pid=os.getpid()))


def _first_step(settings: Settings, address: str) -> str:
    proof = (
        ""
        if settings.development
        else f" (it asks for the setup token: SETUP_TOKEN, or what {settings.data_dir}/setup.token holds)"
    )
    return FIRST.format(proof=proof, address=address, command=sys.argv[0])
