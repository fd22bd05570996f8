"""Whether what answers at an address is Overseerr, or Seerr, and takes our key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.clients import connection_test
from engine.clients.connection_test import ConnectionTestFailed, Reply


def examine(url: str, key: str, *, verify: bool = True) -> None:
    """Ask for what is open, then with the key for how many requests there are.

    Raises:
        ConnectionTestFailed: it is not what it should be.
    """
    base = url.rstrip("/") + "/api/v1"
    accepting = {"Accept": "application/json"}
    public = connection_test.get(f"{base}/settings/public", headers=accepting, verify=verify)
    if "initialized" not in _fields(public):
        raise _not_recognised()
    proving = accepting | {"X-Api-Key": key}
    count = connection_test.get(f"{base}/request/count", headers=proving, verify=verify)
    if count.status in {401, 403}:
        raise ConnectionTestFailed(
            "unauthorized",
            "Overseerr does not accept the key.",
            "Copy the API key anew from its settings, General.",
        )
    _fields(count)


def _fields(answer: Reply) -> Mapping[str, Any]:
    if answer.status >= 500:
        raise ConnectionTestFailed(
            "not_ready",
            f"It answers that it is not ready (status {answer.status}).",
            "Look at its log, and try again in a few minutes.",
        )
    if answer.fields is None:
        raise _not_recognised()
    return answer.fields


def _not_recognised() -> ConnectionTestFailed:
    return ConnectionTestFailed(
        "not_recognised",
        "What answers there is neither Overseerr nor Seerr.",
        "Give its address without /api/v1, such as http://192.168.1.20:5055.",
    )
