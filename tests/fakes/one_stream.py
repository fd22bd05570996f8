"""One stream of a `PieceSite`, fetched in this process as an attempt fetches it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.clients.fetch_errors import FetchError
from engine.clients.fetch_signals import FetchSpec
from engine.clients.promises import Promise
from engine.clients.ytdlp import streams as ytdlp_streams
from engine.clients.ytdlp.classify import classify
from engine.clients.ytdlp.extract import youtube_dl
from tests.fakes.piece_site import PieceSite, playlist
from tests.fakes.video_site import Seen


class Stream:
    """One stream of the site and the folder it is fetched into."""

    def __init__(self, site: PieceSite, folder: Path) -> None:
        self.site, self.target = site, folder / "film.media"
        self.told: list[dict[str, Any]] = []

    def __call__(self, path: str, **more: Any) -> Promise:
        """Fetch it, as an attempt does; a failure is classified."""
        url = self.site.url + path
        spec = FetchSpec(
            url=url, quality="best", format="mp4", work_dir=self.target.parent, ffmpeg="", socket_timeout=2
        )
        hls = {"protocol": "m3u8_native"} if ".m3u8" in path else {}
        try:
            with youtube_dl(spec) as ydl:
                return ytdlp_streams.download(
                    ydl, {"url": url, **hls, **more}, self.target, lambda s: self.told.append(dict(s))
                )
        except FetchError:
            raise
        except Exception as error:
            raise classify(error) from error

    def playlist(self, *lines: str, name: str = "film", ended: bool = True) -> str:
        """The path of a playlist of these lines."""
        path = f"/pieces/ts/{self.target.parent.name}-{name}/index.m3u8"
        self.site.playlists[path] = playlist(*lines, ended=ended)
        return path

    def fails(self, path: str, **more: Any) -> str:
        """The kind of failure."""
        with pytest.raises(FetchError) as failed:
            self(path, **more)
        return failed.value.kind

    @property
    def body(self) -> bytes:
        return self.target.read_bytes()

    def requests(self, path: str) -> list[Seen]:
        return self.site.asked(path.partition("?")[0])
