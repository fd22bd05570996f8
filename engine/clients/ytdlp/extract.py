"""Extracts a URL's metadata and formats: the only place that creates a `YoutubeDL`, with our options and extractors."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

# Read when the first YoutubeDL is created: no plugins are loaded.
os.environ["YTDLP_NO_PLUGINS"] = "1"

from yt_dlp import YoutubeDL  # type: ignore[import-untyped]
from yt_dlp.networking import RequestHandler, Response  # type: ignore[import-untyped]
from yt_dlp.networking._helper import make_ssl_context  # type: ignore[import-untyped]
from yt_dlp.networking.exceptions import HTTPError  # type: ignore[import-untyped]

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import FetchSpec, PreviewResult, metadata_of
from engine.clients.ytdlp import manifests
from engine.clients.ytdlp import notes as ytdlp_notes
from engine.clients.ytdlp import options as ytdlp_options
from engine.clients.ytdlp.classify import classify
from engine.clients.ytdlp.requests import HANDLERS
from engine.formats import AUDIO, CAPS

_MEMORY_LIMIT = 2 << 30  # bytes during extraction: a malicious page can take a hundred times its size
_LIVE = {"is_live": "live_now", "is_upcoming": "live_not_started", "post_live": "live_ended"}


def preview(url: str, *, timeout: float, generic: bool = True, cookies: str | None = None) -> PreviewResult:
    """Metadata and available qualities of a URL. `timeout` is for sockets, in seconds; the caller limits the whole.

    Raises:
        FetchError: also for playlists, live streams and streams that have not begun.
    """
    try:
        with TemporaryDirectory(prefix="medianest-preview-") as folder:
            # mkv takes any codec, so yt-dlp always finds a format
            spec_for_preview = FetchSpec(
                url=url, quality="best", format="mkv", work_dir=Path(folder), ffmpeg=""
            )
            with youtube_dl(
                replace(spec_for_preview, generic=generic, socket_timeout=timeout, cookies=cookies)
            ) as ydl:
                info = extract(ydl, url)
    except Exception as error:
        raise classify(error) from error
    heights = _heights(info)
    return PreviewResult(metadata=metadata_of(info), heights=heights, qualities=_qualities(info, heights))


def warm_up(*, pages: bool = False) -> None:
    """Load what every attempt needs, without network access; call it in the parent, before attempts are forked.

    `pages` also loads the extractors that look for embedded players in any site's pages (a second, 25 MB).
    """
    classes = _extractors(("default",))
    _extractors(("youtube.*",))
    for extractor in classes:
        extractor.suitable("https://localhost/warm.mp4")
    _tls_context(True, False, True, ())
    quiet = _ClosingYoutubeDL({**ytdlp_options.FIXED, "logger": ytdlp_options.Silent()})
    with _registered(quiet, classes) as ydl:
        for name in ("Youtube", "Generic", "HTML5MediaEmbed"):
            ydl.get_info_extractor(name)
        if pages:
            for extractor in classes:
                list(extractor.extract_from_webpage(ydl, "https://localhost/", "<html></html>"))


@lru_cache(maxsize=8)
def _tls_context(
    verify: bool, legacy: bool, use_certifi: bool, certificate: tuple[tuple[str, Any], ...]
) -> Any:
    return make_ssl_context(
        verify=verify, legacy_support=legacy, use_certifi=use_certifi, **dict(certificate)
    )


def _shared_tls_context(handler: RequestHandler, legacy_ssl_support: bool | None = None) -> Any:
    """One TLS context for all handlers: loading the CA certificates takes 20 ms per attempt."""
    legacy = handler.legacy_ssl_support if legacy_ssl_support is None else legacy_ssl_support
    certificate = tuple(sorted(handler._client_cert.items()))
    return _tls_context(bool(handler.verify), bool(legacy), not handler.prefer_system_certs, certificate)


RequestHandler._make_sslcontext = _shared_tls_context
ytdlp_notes.install()
manifests.install()


class _ClosingYoutubeDL(YoutubeDL):  # type: ignore[misc]
    """A YoutubeDL that closes all responses, including errors and half-read ones.

    All of yt-dlp's network access goes through `urlopen`.
    """

    def build_request_director(self, handlers: Iterable[Any], preferences: Any = None) -> Any:
        """Use only request handlers that respect the egress guard and the limits on answers."""
        return super().build_request_director(HANDLERS, preferences)

    def __init__(self, params: dict[str, Any]) -> None:
        self._answers: WeakSet[Response] = WeakSet()
        super().__init__(params, auto_init=False)

    def urlopen(self, req: Any) -> Response:
        """Open a URL or request; see `YoutubeDL.urlopen`."""
        try:
            answer = super().urlopen(req)
        except HTTPError as error:
            self._tracked(error.response)
            raise
        return self._tracked(answer)

    def _tracked(self, answer: Response) -> Response:
        self._answers.add(answer)
        return answer

    def close(self) -> None:
        """Close all connections."""
        for answer in list(self._answers):
            answer.close()
        super().close()


@contextmanager
def youtube_dl(spec: FetchSpec) -> Iterator[YoutubeDL]:
    """A new `YoutubeDL` (reuse would carry cookies and hooks over) with the extractors allowed for the URL.

    Raises:
        FetchError: the URL is not http(s).
        ValueError: unknown quality or format.
    """
    if not _is_http(spec.url):
        raise FetchError("unsupported", detail="not an http address")
    if ytdlp_options.is_youtube(spec.url):
        os.environ["DENO_DIR"] = str(spec.work_dir / "deno")  # its caches; the default is below $HOME
        os.environ["DENO_NO_UPDATE_CHECK"] = "1"  # it would contact its vendor
    options = ytdlp_options.options(
        spec.url,
        ytdlp_options.selector(spec.quality, spec.format),
        socket_timeout=spec.socket_timeout,
        ffmpeg=spec.ffmpeg or None,
        work_dir=spec.work_dir,
        cookies=spec.cookies,
    )
    classes = _extractors(ytdlp_options.allowed_extractors(spec.url, generic=spec.generic))
    with _registered(_ClosingYoutubeDL(options), classes) as ydl:
        yield ydl


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


@contextmanager
def _registered(ydl: YoutubeDL, classes: tuple[type[Any], ...]) -> Iterator[YoutubeDL]:
    with ydl:
        for extractor in classes:
            ydl.add_info_extractor(extractor)
        yield ydl


@lru_cache
def _extractors(allowed: tuple[str, ...]) -> tuple[type[Any], ...]:
    """The extractor classes by name, cached per process: the lookup is most of a YoutubeDL's 40 ms."""
    with YoutubeDL({"quiet": True, "allowed_extractors": list(allowed)}) as ydl:
        return tuple(ydl._ies.values())


def extract(ydl: YoutubeDL, url: str) -> dict[str, Any]:
    """yt-dlp's info dictionary of the URL's single video, with its formats chosen.

    Raises:
        FetchError: a playlist, a stream that is live or has not begun, or no video.
        yt_dlp.utils.DownloadError: extraction failed.
    """
    with _bounded_memory():
        info = ydl.extract_info(url, download=False)
    if info and info.get("_type", "video") != "video":
        entries = [entry for entry in info.get("entries") or () if entry]
        if not entries:
            raise FetchError("unsupported", detail="an empty list")
        if len(entries) > 1 or not entries[0].get("formats"):
            raise FetchError("playlist")
        info = entries[0]
    if not info:
        raise FetchError("unsupported", detail="nothing was extracted")
    growing = any(stream.get(manifests.LIVE) for stream in chosen_streams(info))
    status = "is_live" if info.get("is_live") or growing else str(info.get("live_status"))
    if status in _LIVE:
        raise FetchError(_LIVE[status])
    return dict(info)


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Limit RLIMIT_DATA, so that too much memory raises `MemoryError`, here and in programs started meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [limit for limit in (soft, hard, _MEMORY_LIMIT) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def chosen_streams(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The chosen formats: one, or video and audio separately; each merged with the info dictionary."""
    common = {key: value for key, value in info.items() if key not in {"requested_formats", "formats"}}
    return [{**common, **chosen} for chosen in info.get("requested_formats") or [{}]]


def _heights(info: Mapping[str, Any]) -> tuple[int, ...]:
    """The available heights in pixels, largest first; of upright videos the width counts."""
    sizes = set()
    for offered in info.get("formats") or ():
        sides = [side for side in (offered.get("height"), offered.get("width")) if side]
        if sides and offered.get("vcodec") != "none" and offered.get("ext") != "mhtml":
            sizes.add(int(min(sides)))
    return tuple(sorted(sizes, reverse=True))


def _qualities(info: Mapping[str, Any], heights: tuple[int, ...]) -> tuple[str, ...]:
    """Those of our qualities that give different files: the caps up to the largest height, and audio."""
    offered = info.get("formats") or [{}]
    caps = [name for name, cap in CAPS.items() if cap is None or (heights and cap <= heights[0])]
    moving = any(each.get("vcodec") != "none" for each in offered)
    sound = any(each.get("acodec") != "none" for each in offered)
    return (*(caps if moving else ()), *((AUDIO,) if sound else ()))
