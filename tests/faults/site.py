"""The hostile video site in a process of its own."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from functools import cache

import requests

from tests.stack import ROOT, eventually


class Site:
    """`tests/fakes/video_site.py`, steered over HTTP."""

    def __init__(self) -> None:
        command = [sys.executable, str(ROOT / "tests" / "fakes" / "video_site.py"), "--port", "0"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().rpartition("/direct/")[0]
        self.digest = cache(self._digest)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def release(self, gate: str) -> None:
        """Let all that waits at a gate pass."""
        requests.post(f"{self.url}/control/release/{gate}", timeout=20)

    def held(self, gate: str) -> int:
        """How many requests wait at a gate."""
        return int(requests.get(f"{self.url}/control/held/{gate}", timeout=20).json()["held"])

    def wait_held(self, gate: str, count: int = 1) -> None:
        eventually(lambda: self.held(gate) >= count, 40, what=f"{count} at gate {gate}")

    def _digest(self, path: str) -> str:
        """The SHA-256 of what the site serves there when it is not hostile."""
        answer = requests.get(self.url + path, timeout=60)
        answer.raise_for_status()
        return hashlib.sha256(answer.content).hexdigest()
