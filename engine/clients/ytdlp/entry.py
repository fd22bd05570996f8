"""The door to yt-dlp: costs nothing before it is used, and puts the guard on before anything is fetched."""

from __future__ import annotations

from engine.clients import egress_guard
from engine.clients.fetch_signals import Emit, Fetched, FetchSpec, PreviewResult
from engine.clients.media.binaries import ffmpeg_path

# yt-dlp takes 40 MB and half a second. Only the workers that fetch pay for it, once, before they fork.


def fetch(spec: FetchSpec, emit: Emit) -> Fetched:
    """See `engine.clients.ytdlp.fetch`; to be called in a process of its own, which is guarded from then on."""
    from engine.clients.ytdlp import fetch as ytdlp  # noqa: PLC0415 - see above

    egress_guard.install(allow_private=spec.allow_private, programs=(spec.ffmpeg, ytdlp.javascript_runtime()))
    return ytdlp.fetch(spec, emit)


def preview(
    url: str, *, timeout: float, generic: bool, allow_private: bool, cookies: str | None = None
) -> PreviewResult:
    """See `engine.clients.ytdlp.fetch.preview`; to be called in a process of its own, which is guarded from then on."""
    from engine.clients.ytdlp import fetch as ytdlp  # noqa: PLC0415 - see above

    egress_guard.install(allow_private=allow_private, programs=(ytdlp.javascript_runtime(),))
    return ytdlp.preview(url, timeout=timeout, generic=generic, cookies=cookies)


def warm_up() -> None:
    """Load all that a fetch needs; what is forked from here on shares it."""
    from engine.clients.ytdlp import fetch as ytdlp  # noqa: PLC0415 - see above

    ytdlp.warm_up()
    ffmpeg_path()
