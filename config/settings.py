"""Typed settings: the only reader of the environment."""

from __future__ import annotations

import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

YOUTUBE_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")


class SettingsError(ValueError):
    """A variable has a wrong value; the text is one line that names it and says what it takes."""


def _boolean(text: str) -> bool:
    known = {
        "true": True,
        "1": True,
        "yes": True,
        "on": True,
        "false": False,
        "0": False,
        "no": False,
        "off": False,
    }
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def _integer(low: int, high: int) -> Callable[[str], int]:
    accepted = f"a whole number from {low} to {high}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise ValueError(accepted) from None
        if not low <= number <= high:
            raise ValueError(accepted)
        return number

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float]:
    accepted = f"seconds from {low:g} to {high:g}"

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise ValueError(accepted) from None
        if not low <= number <= high:
            raise ValueError(accepted)
        return number

    return parse


def _choice(*accepted: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in accepted:
            raise ValueError(f"one of {', '.join(accepted)}")
        return text.lower()

    return parse


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _hosts(text: str) -> tuple[str, ...]:
    """Host names; a port is ignored, an IPv6 address stands in brackets or bare."""
    hosts = []
    for word in _words(text):
        host = (urlsplit(f"//{word}").hostname if word.count(":") < 2 or "[" in word else word.lower()) or ""
        if word != "*" and ("/" in word or "*" in word or not host):
            raise ValueError("host names separated by commas, or * for any public host")
        hosts.append(host.rstrip("."))
    return tuple(hosts)


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not (parts.netloc or parts.path):
            raise ValueError(f"a URL that starts with {' or '.join(s + '://' for s in schemes)}")
        return text

    return parse


def _database_url(text: str) -> str:
    url = _url("postgresql", "postgres", "postgresql+psycopg")(text)
    try:
        urlsplit(url).port  # noqa: B018 - raises where it is none
    except ValueError:
        raise ValueError("a URL whose port is a number") from None
    if re.search(r"%(?![0-9A-Fa-f]{2})", url):
        raise ValueError("a URL in which each % is followed by two hexadecimal digits (% itself is %25)")
    return "postgresql+psycopg://" + url.split("://", 1)[1]


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(word.rstrip("/") for word in _words(text))
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
            raise ValueError("origins such as https://media.example.com, separated by commas")
    return origins


def _secret(text: str) -> str:
    if len(text) < 32:
        raise ValueError("at least 32 characters")
    return text


def _env(
    name: str, parse: Callable[[str], Any], default: Any, help_: str, *, secret: bool = False, where: str = ""
) -> Any:
    return field(
        default=default,
        repr=not secret,
        metadata={"env": name, "parse": parse, "help": help_, "where": where},
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, with a default that works on a laptop.

    Durations are seconds, sizes are bytes. `Settings.load()` reads an environment; tests build one by hand.
    """

    app_env: str = _env(
        "APP_ENV",
        _choice("development", "production", "test"),
        "development",
        "development, production or test (`NODE_ENV` where absent)",
    )
    host: str = _env("HOST", str, "", "address to listen on; 127.0.0.1 in development, 0.0.0.0 in production")
    port: int = _env("PORT", _integer(1, 65535), 4000, "port of the API and its WebSockets")
    log_level: str = _env(
        "LOG_LEVEL", _choice("debug", "info", "warn", "warning", "error"), "info", "log level"
    )
    data_dir: Path = _env(
        "DATA_DIR", _path, Path("data").absolute(), "embedded databases, secret key, work folder"
    )
    database_url: str = _env(
        "DATABASE_URL", _database_url, "", "PostgreSQL; absent: an embedded one below DATA_DIR", secret=True
    )
    redis_url: str = _env(
        "REDIS_URL",
        _url("redis", "rediss", "unix"),
        "",
        "Redis; absent: an embedded one below DATA_DIR",
        secret=True,
    )
    redis_enabled: bool = _env(
        "REDIS_ENABLED", _boolean, True, "false: nothing is cached in Redis (the queue needs it all the same)"
    )
    secret_key: str = _env(
        "SECRET_KEY", _secret, "", "signs tokens; absent: made once below DATA_DIR, mode 0600", secret=True
    )
    setup_token: str = _env(
        "SETUP_TOKEN",
        _secret,
        "",
        "proof for the bootstrap in production; absent: made once below DATA_DIR and printed by the server",
        secret=True,
    )
    frontend_url: tuple[str, ...] = _env(
        "FRONTEND_URL", _origins, (), "origins that browsers may call us from, separated by commas"
    )
    trusted_proxies: tuple[str, ...] = _env(
        "TRUSTED_PROXIES", _words, (), "addresses or networks whose X-Forwarded-For is believed"
    )
    web_processes: int = _env("WEB_CONCURRENCY", _integer(1, 64), 2, "web processes")
    web_threads: int = _env("WEB_THREADS", _integer(1, 512), 16, "requests at once in one web process")

    access_token_seconds: float = _env(
        "ACCESS_TOKEN_SECONDS", _seconds(1, 86400), 900.0, "life of an access token"
    )
    refresh_token_seconds: float = _env(
        "REFRESH_TOKEN_SECONDS", _seconds(60, 31_536_000), 7 * 86400.0, "life of a session"
    )
    remember_me_seconds: float = _env(
        "REMEMBER_ME_SECONDS", _seconds(60, 31_536_000), 30 * 86400.0, "life of a session with rememberMe"
    )

    download_dir: Path = _env(
        "DOWNLOAD_DIR",
        _path,
        Path("data/downloads").absolute(),
        "finished files; shared by all download workers and Plex (absent: `downloads` below DATA_DIR)",
    )
    work_dir: Path = _env(
        "WORK_DIR",
        _path,
        Path("data/work").absolute(),
        "unfinished files; local to each host (absent: `work` below DATA_DIR)",
    )
    download_allowed_hosts: tuple[str, ...] = _env(
        "DOWNLOAD_ALLOWED_HOSTS",
        _hosts,
        YOUTUBE_HOSTS,
        "hosts (with their subdomains) that a download may name; * for any public host",
    )
    download_allow_private_networks: bool = _env(
        "DOWNLOAD_ALLOW_PRIVATE_NETWORKS",
        _boolean,
        False,
        "true: loopback and private addresses may be named too",
    )
    download_concurrency: int = _env("DOWNLOAD_CONCURRENCY", _integer(1, 32), 3, "downloads at once a worker")
    download_host_limit: int = _env(
        "DOWNLOAD_HOST_LIMIT", _integer(1, 64), 4, "downloads at once from one host"
    )
    download_youtube_limit: int = _env(
        "DOWNLOAD_YOUTUBE_LIMIT", _integer(1, 16), 1, "downloads at once from YouTube"
    )
    download_attempts: int = _env("DOWNLOAD_ATTEMPTS", _integer(1, 20), 5, "attempts before a download fails")
    download_retry_seconds: float = _env(
        "DOWNLOAD_RETRY_SECONDS",
        _seconds(0, 86400),
        30.0,
        "pause after the first failed attempt; doubles each time",
    )
    download_retry_max_seconds: float = _env(
        "DOWNLOAD_RETRY_MAX_SECONDS", _seconds(0, 86400), 3600.0, "the longest pause between attempts"
    )
    download_throttle_seconds: float = _env(
        "DOWNLOAD_THROTTLE_SECONDS", _seconds(0, 86400), 900.0, "pause after a host said it had enough of us"
    )
    disk_reserve_bytes: int = _env(
        "DISK_RESERVE_BYTES", _integer(0, 1 << 50), 2 << 30, "bytes that downloads leave free on the disk"
    )
    disk_reserve_percent: int = _env(
        "DISK_RESERVE_PERCENT",
        _integer(0, 99),
        5,
        "share of the disk that downloads leave free, where that is more",
    )
    download_embed: bool = _env(
        "DOWNLOAD_EMBED", _boolean, True, "write metadata, thumbnail and chapters into the file"
    )
    extract_stall_seconds: float = _env(
        "EXTRACT_STALL_SECONDS", _seconds(1, 3600), 180.0, "extracting without a sign of life: stuck"
    )
    download_stall_seconds: float = _env(
        "DOWNLOAD_STALL_SECONDS", _seconds(1, 3600), 120.0, "downloading without a byte: stuck"
    )
    process_stall_seconds: float = _env(
        "PROCESS_STALL_SECONDS", _seconds(1, 7200), 600.0, "ffmpeg without a sign of life: stuck"
    )
    preview_seconds: float = _env(
        "PREVIEW_SECONDS", _seconds(1, 120), 30.0, "the longest wait for a metadata preview"
    )
    preview_cache_seconds: float = _env(
        "PREVIEW_CACHE_SECONDS", _seconds(0, 86400), 300.0, "how long a metadata preview is reused"
    )

    lease_seconds: float = _env("LEASE_SECONDS", _seconds(1, 3600), 90.0, "lease of a long job")
    lease_renew_seconds: float = _env(
        "LEASE_RENEW_SECONDS", _seconds(0.2, 600), 15.0, "renewal of that lease"
    )
    short_lease_seconds: float = _env("SHORT_LEASE_SECONDS", _seconds(1, 3600), 40.0, "lease of a short job")
    short_lease_renew_seconds: float = _env(
        "SHORT_LEASE_RENEW_SECONDS", _seconds(0.2, 600), 10.0, "renewal of that lease"
    )
    reconcile_seconds: float = _env(
        "RECONCILE_SECONDS", _seconds(0.5, 300), 10.0, "how often lost jobs are looked for"
    )
    poison_crashes: int = _env("POISON_CRASHES", _integer(1, 20), 3, "crashes after which a job is given up")

    beat_schedule: Path = _env(
        "BEAT_SCHEDULE",
        _path,
        Path("celerybeat-schedule").absolute(),
        "where beat notes its last runs (below DATA_DIR where that is set)",
    )

    flower_host: str = _env(
        "FLOWER_HOST", str, "127.0.0.1", "where Flower listens, and where the web processes find it"
    )
    flower_port: int = _env("FLOWER_PORT", _integer(0, 65535), 5555, "port of Flower; 0: no Flower")

    download_max_bytes: int = _env(
        "DOWNLOAD_MAX_BYTES",
        _integer(0, 1 << 50),
        100 << 30,
        "bytes of one download; a stream without an end is ended here (0: any size)",
    )
    download_max_seconds: float = _env(
        "DOWNLOAD_MAX_SECONDS",
        _seconds(0, 31_536_000),
        86400.0,
        "transfer of one attempt; one that drips is ended here and goes on in the next (0: any time)",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the environment (`os.environ` by default).

        Raises:
            SettingsError: a value is not accepted; the text is one line, without the value of a secret.
        """
        env = dict(os.environ if environ is None else environ)
        env.setdefault("APP_ENV", env.get("NODE_ENV", ""))
        values: dict[str, Any] = {}
        for spec in fields(cls):
            name, text = spec.metadata["env"], env.get(spec.metadata["env"], "").strip()
            if not text:
                continue
            try:
                values[spec.name] = spec.metadata["parse"](text)
            except ValueError as error:
                shown = f", not {text!r}" if spec.repr else ""
                raise SettingsError(f"{name} takes {error}{shown}") from None
        data_dir = values.get("data_dir", Path("data").absolute())
        values.setdefault("data_dir", data_dir)
        if env.get("DATA_DIR"):
            values.setdefault("beat_schedule", data_dir / "celerybeat-schedule")
        values.setdefault("download_dir", data_dir / "downloads")
        values.setdefault("work_dir", data_dir / "work")
        settings = cls(**values)
        if settings.lease_renew_seconds * 2 > settings.lease_seconds:
            raise SettingsError("LEASE_RENEW_SECONDS takes at most half of LEASE_SECONDS")
        if settings.short_lease_renew_seconds * 2 > settings.short_lease_seconds:
            raise SettingsError("SHORT_LEASE_RENEW_SECONDS takes at most half of SHORT_LEASE_SECONDS")
        return settings

    @classmethod
    def given(cls) -> dict[str, str]:
        """The variables of ours that are set, as they stand in the environment."""
        names = [spec.metadata["env"] for spec in fields(cls)]
        return {name: os.environ[name] for name in names if os.environ.get(name, "").strip()}

    @classmethod
    def of_process(cls) -> Self:
        """Read the environment for a process that needs a database and Redis, or end it with one line."""
        try:
            settings = cls.load()
            for name, url in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url)):
                if not url:
                    raise SettingsError(f"{name} is needed here: only `medianest up` brings its own")
        except SettingsError as error:
            sys.exit(f"medianest: {error}")
        return settings

    @property
    def development(self) -> bool:
        """Whether conveniences that are no good idea in production are on."""
        return self.app_env in {"development", "test"}

    @property
    def listen_host(self) -> str:
        """The address to bind to."""
        return self.host or ("127.0.0.1" if self.development else "0.0.0.0")  # noqa: S104 - a PaaS routes to it

    def check_folders(self) -> None:
        """Make the folders of the downloads where they are missing.

        Raises:
            SettingsError: one can't be made, or not be written to.
        """
        for name, folder in (("DOWNLOAD_DIR", self.download_dir), ("WORK_DIR", self.work_dir)):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                probe = folder / f".medianest-{os.getpid()}-{secrets.token_hex(4)}"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise SettingsError(
                    f"{name} takes a folder that can be written to, not {folder}: {error.strerror}"
                ) from None

    def resolve_secret_key(self) -> str:
        """The signing key: from the environment, else made once in `DATA_DIR/secret.key` with mode 0600."""
        return self.secret_key or _made_once(self.data_dir / "secret.key")

    def resolve_setup_token(self) -> str:
        """The bootstrap's proof in production: from the environment, else made once in `DATA_DIR/setup.token`."""
        return self.setup_token or _made_once(self.data_dir / "setup.token")


def _made_once(path: Path) -> str:
    """Read the secret in `path`; make it first where it is missing (safe against a second process doing so)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()
