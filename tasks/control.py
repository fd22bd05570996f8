"""What a worker answers at once, however busy its pool is: Celery's remote control, asked by `medianest doctor`."""

from __future__ import annotations

from typing import Any

from celery.worker.control import inspect_command

from engine.storage import shared_folder
from tasks.app import settings


@inspect_command(args=[("token", str)], signature="<token>")
def sees(state: Any, token: str) -> dict[str, Any]:
    """Whether the file that the asker has laid into DOWNLOAD_DIR lies in ours."""
    return {"sees": shared_folder.sees(settings, token), "folder": str(settings.download_dir)}
