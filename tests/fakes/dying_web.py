"""The API with a bell that dies: the process is killed between the commit and the message."""

from __future__ import annotations

import os
import signal
from typing import Any

from api.app import create_app
from config import celery
from config.settings import Settings


def _dying_bell(_: Any) -> Any:
    def ring(__: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    return ring


celery.make_bell = _dying_bell
import api.app  # noqa: E402

if hasattr(api.app, "make_bell"):
    api.app.make_bell = _dying_bell

app = create_app(Settings.load())
