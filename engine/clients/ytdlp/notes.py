"""Lets the notes that yt-dlp writes into URLs for itself ("smuggled" data) count only where it wrote them.

A note says which Referer to send, which id to take, what to skip. Written by a user, a redirect or a page, it would be
obeyed. So each note is marked with a word that only this process and its children know.
"""

from __future__ import annotations

import secrets
import sys
from typing import Any

from yt_dlp.utils import _utils  # type: ignore[import-untyped]

_BEGINS = "#__youtubedl_smuggle"
_MARK = f"&medianest={secrets.token_hex(16)}"
_written, _read = _utils.smuggle_url, _utils.unsmuggle_url


def _smuggle_url(url: str, data: dict[str, Any]) -> str:
    return f"{_written(url, data)}{_MARK}"


def _unsmuggle_url(url: str, default: Any = None) -> tuple[str, Any]:
    if url.endswith(_MARK):
        found: tuple[str, Any] = _read(url.removesuffix(_MARK), default)
        return found
    return url.partition(_BEGINS)[0], default


def install() -> None:
    """Have all of yt-dlp write and read notes this way, the modules that it loads later too."""
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "yt_dlp"]:
        for name, ours in (("smuggle_url", _smuggle_url), ("unsmuggle_url", _unsmuggle_url)):
            if name in vars(module):
                setattr(module, name, ours)
