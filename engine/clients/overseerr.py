"""Overseerr or Seerr: whether it is there, and takes our key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.clients import connection_test
from engine.clients.connection_test import Answer, Failed
from engine.clients.foreign_json import NotJson, decoded


def examine(url: str, key: str, *, verify: bool = True) -> None:
    """Ask for what is open, then with the key for how many requests there are.

    Raises:
        Failed: it is not what it should be.
    """
    base = url.rstrip("/") + "/api/v1"
    public = connection_test.get(
        f"{base}/settings/public", headers={"Accept": "application/json"}, verify=verify
    )
    if "initialized" not in _object(public):
        raise _not_recognised()
    count = connection_test.get(
        f"{base}/request/count", headers={"Accept": "application/json", "X-Api-Key": key}, verify=verify
    )
    if count.status in {401, 403}:
        raise Failed(
            "unauthorized",
            "Overseerr does not accept the key.",
            "Copy the API key anew from its settings, General.",
        )
    _object(count)


def _object(answer: Answer) -> Mapping[str, Any]:
    if answer.status >= 500:
        raise Failed(
            "not_ready",
            f"It answers that it is not ready (status {answer.status}).",
            "Look at its log, and try again in a few minutes.",
        )
    try:
        found = decoded(answer.body) if answer.status == 200 else None
    except NotJson:
        found = None
    if not isinstance(found, Mapping):
        raise _not_recognised()
    return found


def _not_recognised() -> Failed:
    return Failed(
        "not_recognised",
        "What answers there is neither Overseerr nor Seerr.",
        "Give its address without /api/v1, such as http://192.168.1.20:5055.",
    )
