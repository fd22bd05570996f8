"""The workers' app with a pool child that dies or freezes at the step of publishing that its URL names.

`?die=<step>` or `?freeze=<step>` in the first attempt, `?freeze2=<step>` in the second. The steps in their order:
`bringing`, `brought`, `named`, `linked`, `completing`, `completed`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from engine.downloads import publishing
from engine.jobs.runner import Attempt
from tasks.app import app

_stage, _sync_folder = publishing._stage, publishing._sync_folder
_write, _complete = Attempt.write, Attempt.complete
_current: dict[str, Attempt[Any]] = {}


def reach(step: str) -> None:
    """Meet the fate that the URL has for this step."""
    row = _current["attempt"].row
    fate = parse_qs(urlsplit(row.url).query)
    for name, number in (("die", signal.SIGKILL), ("freeze", signal.SIGSTOP)):
        if [step] == fate.get(name if row.attempt == 1 else f"{name}{row.attempt}"):
            os.kill(os.getpid(), number)


def bring(attempt: Attempt[Any], source: Path, staged: Path) -> None:
    _current["attempt"] = attempt
    reach("bringing")
    _stage(attempt, source, staged)
    reach("brought")


def write(self: Attempt[Any], **values: Any) -> None:
    _write(self, **values)
    if values.get("publishing"):
        _current["attempt"] = self
        reach("named")


def sync_folder(folder: Path) -> None:
    reach("linked")
    _sync_folder(folder)


def complete(self: Attempt[Any], **values: Mapping[str, Any]) -> None:
    if "file" not in values:
        return _complete(self, **values)
    _current["attempt"] = self
    reach("completing")
    _complete(self, **values)
    return reach("completed")


publishing._stage = bring
publishing._sync_folder = sync_folder
Attempt.write = write  # type: ignore[method-assign]
Attempt.complete = complete  # type: ignore[method-assign]

__all__ = ["app"]
