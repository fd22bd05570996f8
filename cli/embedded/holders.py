"""Who holds the data of an embedded server: found by its folder; its environment lies under its title."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

from cli.embedded.postgres import home

_PROGRAMS = ("redis-server", "postgres")
_DRIFT = 60.0  # seconds that a clock may have been set by since a server noted its start


def holders(data_dir: Path) -> set[psutil.Process]:
    """The embedded servers, with all their processes, that still run on `data_dir`, whoever started them."""
    cluster = home(data_dir) / "data"
    folders = {str((data_dir / "redis").resolve()), str(cluster.resolve())}
    found = set(_postmaster(cluster))
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            # Both work in the folder of their data, for as long as they live.
            if Path(process.exe()).name.startswith(_PROGRAMS) and process.cwd() in folders:
                found.add(process)
    return found


def _postmaster(cluster: Path) -> list[psutil.Process]:
    """The server that the cluster's pid file names; root without its powers can't see a folder of another user's."""
    with suppress(OSError, ValueError, IndexError, psutil.Error):
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        if process.name().startswith("postgres") and abs(process.create_time() - float(lines[2])) < _DRIFT:
            return [process, *process.children(recursive=True)]
    return []
