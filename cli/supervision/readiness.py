"""Asks the running product what it is still waiting for."""

from __future__ import annotations

import json
import urllib.request
from http.client import HTTPException

from config.settings import Settings

NEEDED = ("database", "redis", "workers")


def local_address(settings: Settings) -> str:
    """The URL at which this machine reaches the server of these settings."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.listen_host, settings.listen_host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def missing(address: str) -> list[str]:
    """What does not answer yet at `address` (such as http://127.0.0.1:4000): `web`, or services by name."""
    try:
        _get(f"{address}/health")
        services = json.loads(_get(f"{address}/api/v1/health"))["data"]["services"]
    except (OSError, HTTPException, ValueError, LookupError, TypeError):  # refused, slow, 503, or not ours
        return ["web"]
    return [name for name in NEEDED if services.get(name) not in {"online", "disabled"}]


def _get(url: str) -> bytes:
    # Without the proxies of the environment: it is this machine that is asked.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=2) as answer:
        body: bytes = answer.read()
    return body
