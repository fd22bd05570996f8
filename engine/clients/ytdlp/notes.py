"""Authenticates the data that yt-dlp smuggles in URL fragments, so that only data it wrote itself is used.

Smuggled data sets the Referer, ids and extractor options; yt-dlp would also use data that a user, redirect or page put
into a URL. So it is marked with a random token of this process (shared with its children), and ignored without it.
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
    """Patch `smuggle_url` and `unsmuggle_url` in all loaded modules of yt-dlp, and so in those loaded later."""
    for module in [module for name, module in sys.modules.items() if name.partition(".")[0] == "yt_dlp"]:
        for name, ours in (("smuggle_url", _smuggle_url), ("unsmuggle_url", _unsmuggle_url)):
            if name in vars(module):
                setattr(module, name, ours)
