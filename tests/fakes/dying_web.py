"""The API with a bell that dies: the process is killed between the commit and the message."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import api.app
from config.settings import Settings


def _dying_bell(_: object) -> Callable[[object], None]:
    def ring(_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return ring


api.app.make_bell = _dying_bell
app = api.app.create_app(Settings.load())
