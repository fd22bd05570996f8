"""The door to yt-dlp: costs nothing before it is used."""

from __future__ import annotations

from engine.clients.ytdlp_signals import Emit, Fetched, FetchSpec, Preview

# yt-dlp takes 40 MB and half a second. Only the workers that fetch pay for it, once, before they fork.


def fetch(spec: FetchSpec, emit: Emit) -> Fetched:
    """See `engine.clients.ytdlp.fetch`."""
    from engine.clients import ytdlp  # noqa: PLC0415 - see above

    return ytdlp.fetch(spec, emit)


def preview(url: str, *, timeout: float, generic: bool) -> Preview:
    """See `engine.clients.ytdlp.preview`."""
    from engine.clients import ytdlp  # noqa: PLC0415 - see above

    return ytdlp.preview(url, timeout=timeout, generic=generic)


def warm_up() -> None:
    """Load all that a fetch needs; what is forked from here on shares it."""
    from engine.clients import ytdlp  # noqa: PLC0415 - see above

    ytdlp.warm_up()
