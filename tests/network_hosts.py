"""Hosts on one machine: each a network namespace with a name and an address of its own, on a switch whose cables
can be pulled."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")


@dataclass
class Network:
    """A switch; this machine itself is on it, at `address`."""

    number: int = field(default_factory=os.getpid)  # in names and addresses, so that two runs do not meet

    @property
    def switch(self) -> str:
        return f"mn{self.number % 10**7}"

    @property
    def address(self) -> str:
        return self._address(1)

    def hostname(self, host: int) -> str:
        return f"{self.switch}-host{host}"

    def pull_cable(self, host: int) -> None:
        _ip("link", "set", self._cable(host), "down")

    def plug_in(self, host: int) -> None:
        _ip("link", "set", self._cable(host), "up")

    def inside(self, host: int, *command: str) -> list[str]:
        """The command that runs `command` on a host, in the same process."""
        name = self.hostname(host)
        naming = ["unshare", "--uts", "/bin/sh", "-c", 'hostname "$0" && exec "$@"', name]
        return [str(shutil.which("ip")), "netns", "exec", name, *naming, *command]

    def _address(self, number: int) -> str:
        return f"10.213.{self.number % 256}.{number}"

    def _cable(self, host: int) -> str:
        return f"{self.switch}-{host}"

    def _add_switch(self, undo: ExitStack) -> None:
        _ip("link", "add", self.switch, "type", "bridge")
        undo.callback(_ip, "link", "del", self.switch)
        _ip("address", "add", f"{self.address}/24", "dev", self.switch)
        _ip("link", "set", self.switch, "up")

    def _add_host(self, host: int, undo: ExitStack) -> None:
        name, cable = self.hostname(host), self._cable(host)
        _ip("netns", "add", name)
        undo.callback(_ip, "netns", "del", name)  # and what is in it
        _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
        undo.callback(_ip, "link", "del", cable)
        _ip("link", "set", cable, "master", self.switch, "up")
        for device in ("lo", "eth0"):
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", name, "address", "add", f"{self._address(10 + host)}/24", "dev", "eth0")


@contextmanager
def network(hosts: int) -> Iterator[Network]:
    """A network with hosts 1, 2, ...; nothing of it is left afterwards.

    Raises:
        OSError: this machine lacks the tools, or does not let us.
    """
    if missing := [tool for tool in ("ip", "unshare", "hostname") if shutil.which(tool) is None]:
        raise OSError(f"no {', '.join(missing)} here (Debian: iproute2, util-linux, hostname)")
    built = Network()
    with ExitStack() as undo:
        built._add_switch(undo)
        for host in range(1, hosts + 1):
            built._add_host(host, undo)
        yield built
