"""The requests that Plex makes to its webhook, for tests at the door."""

from __future__ import annotations

import json
from typing import Any

from door import Door

from engine.webhooks import secrets


def plex_path(door: Door) -> str:
    """Where Plex posts to, as an admin copies it."""
    with door.runtime.unit_of_work() as db:
        url = secrets.plex_url(db, door.runtime.settings)
    return url.removeprefix(door.runtime.settings.public_base)


def form(payload: Any, *, thumb: bytes | None = None, boundary: str = "xyz") -> dict[str, Any]:
    """The request of Plex itself."""
    said = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    lines = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="payload"\r\n\r\n'.encode() + said + b"\r\n"
    ]
    if thumb is not None:
        head = (
            'Content-Disposition: form-data; name="thumb"; filename="thumb.jpg"\r\nContent-Type: image/jpeg'
        )
        lines.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + thumb + b"\r\n")
    body = b"".join(lines) + f"--{boundary}--\r\n".encode()
    return {"data": body, "content_type": f"multipart/form-data; boundary={boundary}"}
