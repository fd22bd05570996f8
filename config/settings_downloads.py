"""Settings of downloads and previews: where to, from where, how many, how large, how long."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.setting import named_by_fields, setting
from config.variables import boolean, hosts, integer, path, seconds

YOUTUBE_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")


@dataclass(frozen=True, kw_only=True)
@named_by_fields
class DownloadSettings:
    """Settings of downloads and previews: where to, from where, how many, how large, how long."""

    download_dir: Path = setting(
        path,
        Path("data/downloads").absolute(),
        "finished files; shared by all download workers and Plex (absent: `downloads` below DATA_DIR)",
    )
    work_dir: Path = setting(
        path,
        Path("data/work").absolute(),
        "unfinished files; local to each host (absent: `work` below DATA_DIR)",
    )
    download_allowed_hosts: tuple[str, ...] = setting(
        hosts,
        YOUTUBE_HOSTS,
        "hosts (with their subdomains) that a download may name; * for any public host",
        live=True,
        guarded=True,
    )
    download_allow_private_networks: bool = setting(
        boolean, False, "true: loopback and private addresses may be named too"
    )
    download_concurrency: int = setting(integer(1, 32), 3, "downloads at once a worker")
    download_host_limit: int = setting(integer(1, 64), 4, "downloads at once from one host", live=True)
    download_youtube_limit: int = setting(integer(1, 16), 1, "downloads at once from YouTube", live=True)
    download_attempts: int = setting(integer(1, 20), 5, "attempts before a download fails", live=True)
    download_retry_seconds: float = setting(
        seconds(0, 86400), 30.0, "pause after the first failed attempt; doubles each time", live=True
    )
    download_retry_max_seconds: float = setting(
        seconds(0, 86400), 3600.0, "the longest pause between attempts", live=True
    )
    download_throttle_seconds: float = setting(
        seconds(0, 86400), 900.0, "pause after a host said it had enough of us", live=True
    )
    disk_reserve_bytes: int = setting(
        integer(0, 1 << 50), 2 << 30, "bytes that downloads leave free on the disk", live=True
    )
    disk_reserve_percent: int = setting(
        integer(0, 99), 5, "share of the disk that downloads leave free, where that is more", live=True
    )
    download_embed: bool = setting(
        boolean, True, "write metadata, thumbnail and chapters into the file", live=True
    )
    extract_stall_seconds: float = setting(
        seconds(1, 3600), 180.0, "extracting without a sign of life: stuck"
    )
    download_stall_seconds: float = setting(seconds(1, 3600), 120.0, "downloading without a byte: stuck")
    process_stall_seconds: float = setting(seconds(1, 7200), 600.0, "ffmpeg without a sign of life: stuck")
    preview_seconds: float = setting(
        seconds(1, 120), 30.0, "the longest wait for a metadata preview", live=True
    )
    preview_cache_seconds: float = setting(
        seconds(0, 86400), 300.0, "how long a metadata preview is reused", live=True
    )
    download_max_bytes: int = setting(
        integer(0, 1 << 50),
        100 << 30,
        "bytes of one download; a stream without an end is ended here (0: any size)",
        live=True,
    )
    download_max_seconds: float = setting(
        seconds(0, 31_536_000),
        86400.0,
        "transfer of one attempt; one that drips is ended here and goes on in the next (0: any time)",
        live=True,
    )
    download_memory_limit: int = setting(
        integer(256 << 20, 1 << 50),
        4 << 30,
        "bytes of main memory that one attempt may take with its programs; more ends it",
        live=True,
    )
    download_attempt_seconds: float = setting(
        seconds(0, 31_536_000),
        2 * 86400.0,
        "one attempt as a whole, from the look at the page to ffmpeg's last byte (0: any time)",
        live=True,
    )
    download_turn_seconds: float = setting(
        seconds(1, 86400),
        60.0,
        "how long a user without a running download waits before one of another user's makes room",
        live=True,
    )
    download_slow_speed: int = setting(
        integer(0, 1 << 40),
        50 << 10,
        "bytes a second; a download that is slower makes room as soon as others wait (0: none does)",
        live=True,
    )
    preview_concurrency: int = setting(integer(1, 32), 2, "metadata previews at once a worker")
    preview_user_limit: int = setting(integer(1, 100), 2, "metadata previews at once of one user", live=True)
