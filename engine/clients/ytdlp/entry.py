"""Entry points to yt-dlp: import it on first use only, and install the egress guard before anything is fetched."""

from __future__ import annotations

from engine.clients import egress_guard
from engine.clients.fetch_signals import Emit, Fetched, FetchSpec, PreviewResult
from engine.clients.media.binaries import ffmpeg_path

# Importing yt-dlp takes 40 MB and half a second: only download workers do it, once, before they fork.


def fetch(spec: FetchSpec, emit: Emit) -> Fetched:
    """See `engine.clients.ytdlp.fetch`; call it in a process of its own, as the egress guard can't be removed again."""
    from engine.clients.ytdlp import fetch as ytdlp  # noqa: PLC0415 - see above

    egress_guard.install(allow_private=spec.allow_private, programs=(spec.ffmpeg, ytdlp.javascript_runtime()))
    return ytdlp.fetch(spec, emit)


def preview(
    url: str, *, timeout: float, generic: bool, allow_private: bool, cookies: str | None = None
) -> PreviewResult:
    """See `engine.clients.ytdlp.fetch.preview`; call it in a process of its own, as `fetch`."""
    from engine.clients.ytdlp import fetch as ytdlp  # noqa: PLC0415 - see above

    egress_guard.install(allow_private=allow_private, programs=(ytdlp.javascript_runtime(),))
    return ytdlp.preview(url, timeout=timeout, generic=generic, cookies=cookies)


def warm_up() -> None:
    """Import and build everything a fetch needs, so that processes forked later share it."""
    from engine.clients.ytdlp import fetch as ytdlp  # noqa: PLC0415 - see above

    ytdlp.warm_up()
    ffmpeg_path()
