"""A download as the client knows it, from an answer, a snapshot or an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cli.client.session.account import SavedAccount
from cli.client.session.server import one
from cli.terminal import clean

_ENDED = frozenset({"completed", "failed", "cancelled"})


@dataclass(frozen=True, kw_only=True)
class DownloadState:
    """What there is to show of a download.

    Attributes:
        label: its title, or its URL as long as it has none; clean.
        progress: per cent.
        done, total: bytes, as far as known.
        speed, eta: in words, as far as known.
        retryable: of a failure, whether trying again may help.
        path: of the finished file, relative to DOWNLOAD_DIR; `size` in bytes.
    """

    id: str
    status: str
    label: str
    progress: float
    done: int | None
    total: int | None
    speed: str | None
    eta: str | None
    attempt: int
    error: str | None
    retryable: bool
    path: str | None
    size: int | None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Read a row of the API or the data of an event."""
        error, file = data["error"] or {}, data["file"] or {}
        words = " ".join(filter(None, (error.get("message"), error.get("advice"))))
        return cls(
            id=data["id"],
            status=data["status"],
            label=clean(data["title"] or data["url"]),
            progress=data["progress"],
            done=data["downloadedBytes"],
            total=data["totalBytes"],
            speed=data["speed"],
            eta=data["eta"],
            attempt=data["attempt"],
            error=clean(words) or None,
            retryable=bool(error.get("retryable")),
            path=file.get("path"),
            size=file.get("size"),
        )

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.status in _ENDED

    @property
    def phase(self) -> str:
        """What it is at, in a word."""
        if self.status == "queued":
            return "waiting"
        if self.status == "downloading" and self.done is None:
            return "preparing"
        return self.status


def find(account: SavedAccount, download_id: str) -> DownloadState:
    """Ask for one download.

    Raises:
        CommandError: there is none.
    """
    return DownloadState.of(account.call("GET", one("/youtube/downloads", download_id)))
