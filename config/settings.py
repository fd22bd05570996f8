"""Typed settings: the only reader of the environment."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from config import private_folders, secret_files, variables
from config.variables import Rate

_DEVELOPMENT_FACTOR = 10  # of rate limits that are not set
YOUTUBE_HOSTS = ("youtube.com", "youtu.be", "youtube-nocookie.com")


class SettingsError(ValueError):
    """A variable has a wrong value; the text is one line that names it and says what it takes."""


def _env(
    name: str,
    parse: Callable[[str], Any],
    default: Any,
    help_: str,
    *,
    secret: bool = False,
    live: bool = False,
    guarded: bool = False,
    where: str = "",
) -> Any:
    """A setting; a `live` one may be changed by an admin while everything runs.

    A `guarded` one says whom we trust, where links and mails go, or what keeps guessers out and the log whole: it takes
    a person who has lately proved to be there.
    """
    return field(
        default=default,
        repr=not secret,
        metadata={
            "env": name,
            "parse": parse,
            "help": help_,
            "live": live,
            "guarded": guarded,
            "where": where,
        },
    )


def _rate(name: str, default: str, help_: str) -> Any:
    return _env(
        name, variables.rates, variables.rates(default), f"rate limit: {help_}", live=True, guarded=True
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, with a default that works on a laptop.

    Durations are seconds, sizes are bytes. `Settings.load()` reads an environment; tests build one by hand.
    """

    app_env: str = _env(
        "APP_ENV",
        variables.choice("development", "production", "test"),
        "development",
        "development, production or test (`NODE_ENV` where absent)",
    )
    host: str = _env("HOST", str, "", "address to listen on; 127.0.0.1 in development, 0.0.0.0 in production")
    port: int = _env("PORT", variables.integer(1, 65535), 4000, "port of the API and its WebSockets")
    log_level: str = _env(
        "LOG_LEVEL", variables.choice("debug", "info", "warn", "warning", "error"), "info", "log level"
    )
    data_dir: Path = _env(
        "DATA_DIR", variables.path, Path("data").absolute(), "embedded databases, secret key, work folder"
    )
    database_url: str = _env(
        "DATABASE_URL",
        variables.database_url,
        "",
        "PostgreSQL; absent: an embedded one below DATA_DIR",
        secret=True,
    )
    redis_url: str = _env(
        "REDIS_URL",
        variables.url("redis", "rediss", "unix"),
        "",
        "Redis; absent: an embedded one below DATA_DIR",
        secret=True,
    )
    redis_enabled: bool = _env(
        "REDIS_ENABLED",
        variables.boolean,
        True,
        "false: nothing is cached in Redis (the queue needs it all the same)",
    )
    secret_key: str = _env(
        "SECRET_KEY",
        variables.secret,
        "",
        "signs tokens; absent: made once below DATA_DIR, mode 0600",
        secret=True,
    )
    setup_token: str = _env(
        "SETUP_TOKEN",
        variables.secret,
        "",
        "proof for the bootstrap in production; absent: made once below DATA_DIR and printed by the server",
        secret=True,
    )
    frontend_url: tuple[str, ...] = _env(
        "FRONTEND_URL",
        variables.origins,
        (),
        "origins that browsers may call us from, separated by commas",
        live=True,
        guarded=True,
    )
    trusted_proxies: tuple[str, ...] = _env(
        "TRUSTED_PROXIES", variables.networks, (), "addresses or networks whose X-Forwarded-For is believed"
    )
    web_processes: int = _env("WEB_CONCURRENCY", variables.integer(1, 64), 2, "web processes")
    web_threads: int = _env(
        "WEB_THREADS", variables.integer(1, 512), 16, "requests at once in one web process"
    )
    socket_address_limit: int = _env(
        "SOCKET_ADDRESS_LIMIT",
        variables.integer(0, 5000),
        20,
        "sockets of one address, not signed in, at once in one web process (0: any number)",
        live=True,
    )
    socket_user_limit: int = _env(
        "SOCKET_USER_LIMIT",
        variables.integer(0, 5000),
        50,
        "sockets of one user at once in one web process (0: any number)",
        live=True,
    )

    access_token_seconds: float = _env(
        "ACCESS_TOKEN_SECONDS", variables.seconds(1, 86400), 900.0, "life of an access token"
    )
    refresh_token_seconds: float = _env(
        "REFRESH_TOKEN_SECONDS", variables.seconds(60, 31_536_000), 7 * 86400.0, "life of a session"
    )
    remember_me_seconds: float = _env(
        "REMEMBER_ME_SECONDS",
        variables.seconds(60, 31_536_000),
        30 * 86400.0,
        "life of a session with rememberMe",
    )
    session_max_seconds: float = _env(
        "SESSION_MAX_SECONDS",
        variables.seconds(60, 315_360_000),
        90 * 86400.0,
        "life of a session in all, from sign-in, however often it is renewed",
    )
    confirmation_seconds: float = _env(
        "CONFIRMATION_SECONDS",
        variables.seconds(1, 86400),
        600.0,
        "how long the proof of a person counts, at sign-in and by POST /auth/confirm",
    )

    download_dir: Path = _env(
        "DOWNLOAD_DIR",
        variables.path,
        Path("data/downloads").absolute(),
        "finished files; shared by all download workers and Plex (absent: `downloads` below DATA_DIR)",
    )
    work_dir: Path = _env(
        "WORK_DIR",
        variables.path,
        Path("data/work").absolute(),
        "unfinished files; local to each host (absent: `work` below DATA_DIR)",
    )
    download_allowed_hosts: tuple[str, ...] = _env(
        "DOWNLOAD_ALLOWED_HOSTS",
        variables.hosts,
        YOUTUBE_HOSTS,
        "hosts (with their subdomains) that a download may name; * for any public host",
        live=True,
        guarded=True,
    )
    download_allow_private_networks: bool = _env(
        "DOWNLOAD_ALLOW_PRIVATE_NETWORKS",
        variables.boolean,
        False,
        "true: loopback and private addresses may be named too",
    )
    download_concurrency: int = _env(
        "DOWNLOAD_CONCURRENCY", variables.integer(1, 32), 3, "downloads at once a worker"
    )
    download_host_limit: int = _env(
        "DOWNLOAD_HOST_LIMIT", variables.integer(1, 64), 4, "downloads at once from one host", live=True
    )
    download_youtube_limit: int = _env(
        "DOWNLOAD_YOUTUBE_LIMIT", variables.integer(1, 16), 1, "downloads at once from YouTube", live=True
    )
    download_attempts: int = _env(
        "DOWNLOAD_ATTEMPTS", variables.integer(1, 20), 5, "attempts before a download fails", live=True
    )
    download_retry_seconds: float = _env(
        "DOWNLOAD_RETRY_SECONDS",
        variables.seconds(0, 86400),
        30.0,
        "pause after the first failed attempt; doubles each time",
        live=True,
    )
    download_retry_max_seconds: float = _env(
        "DOWNLOAD_RETRY_MAX_SECONDS",
        variables.seconds(0, 86400),
        3600.0,
        "the longest pause between attempts",
        live=True,
    )
    download_throttle_seconds: float = _env(
        "DOWNLOAD_THROTTLE_SECONDS",
        variables.seconds(0, 86400),
        900.0,
        "pause after a host said it had enough of us",
        live=True,
    )
    disk_reserve_bytes: int = _env(
        "DISK_RESERVE_BYTES",
        variables.integer(0, 1 << 50),
        2 << 30,
        "bytes that downloads leave free on the disk",
        live=True,
    )
    disk_reserve_percent: int = _env(
        "DISK_RESERVE_PERCENT",
        variables.integer(0, 99),
        5,
        "share of the disk that downloads leave free, where that is more",
        live=True,
    )
    download_embed: bool = _env(
        "DOWNLOAD_EMBED",
        variables.boolean,
        True,
        "write metadata, thumbnail and chapters into the file",
        live=True,
    )
    extract_stall_seconds: float = _env(
        "EXTRACT_STALL_SECONDS", variables.seconds(1, 3600), 180.0, "extracting without a sign of life: stuck"
    )
    download_stall_seconds: float = _env(
        "DOWNLOAD_STALL_SECONDS", variables.seconds(1, 3600), 120.0, "downloading without a byte: stuck"
    )
    process_stall_seconds: float = _env(
        "PROCESS_STALL_SECONDS", variables.seconds(1, 7200), 600.0, "ffmpeg without a sign of life: stuck"
    )
    preview_seconds: float = _env(
        "PREVIEW_SECONDS",
        variables.seconds(1, 120),
        30.0,
        "the longest wait for a metadata preview",
        live=True,
    )
    preview_cache_seconds: float = _env(
        "PREVIEW_CACHE_SECONDS",
        variables.seconds(0, 86400),
        300.0,
        "how long a metadata preview is reused",
        live=True,
    )

    lease_seconds: float = _env("LEASE_SECONDS", variables.seconds(1, 3600), 90.0, "lease of a long job")
    lease_renew_seconds: float = _env(
        "LEASE_RENEW_SECONDS", variables.seconds(0.2, 600), 15.0, "renewal of that lease"
    )
    short_lease_seconds: float = _env(
        "SHORT_LEASE_SECONDS", variables.seconds(1, 3600), 40.0, "lease of a short job"
    )
    short_lease_renew_seconds: float = _env(
        "SHORT_LEASE_RENEW_SECONDS", variables.seconds(0.2, 600), 10.0, "renewal of that lease"
    )
    reconcile_seconds: float = _env(
        "RECONCILE_SECONDS", variables.seconds(0.5, 300), 10.0, "how often lost jobs are looked for"
    )
    poison_crashes: int = _env(
        "POISON_CRASHES", variables.integer(1, 20), 3, "crashes after which a job is given up"
    )

    beat_schedule: Path = _env(
        "BEAT_SCHEDULE",
        variables.path,
        Path("celerybeat-schedule").absolute(),
        "where beat notes its last runs (below DATA_DIR where that is set)",
    )

    flower_host: str = _env(
        "FLOWER_HOST", str, "127.0.0.1", "where Flower listens, and where the web processes find it"
    )
    flower_port: int = _env("FLOWER_PORT", variables.integer(0, 65535), 5555, "port of Flower; 0: no Flower")

    download_max_bytes: int = _env(
        "DOWNLOAD_MAX_BYTES",
        variables.integer(0, 1 << 50),
        100 << 30,
        "bytes of one download; a stream without an end is ended here (0: any size)",
        live=True,
    )
    download_max_seconds: float = _env(
        "DOWNLOAD_MAX_SECONDS",
        variables.seconds(0, 31_536_000),
        86400.0,
        "transfer of one attempt; one that drips is ended here and goes on in the next (0: any time)",
        live=True,
    )

    download_memory_limit: int = _env(
        "DOWNLOAD_MEMORY_LIMIT",
        variables.integer(256 << 20, 1 << 50),
        4 << 30,
        "bytes of main memory that one attempt may take with its programs; more ends it",
        live=True,
    )
    download_attempt_seconds: float = _env(
        "DOWNLOAD_ATTEMPT_SECONDS",
        variables.seconds(0, 31_536_000),
        2 * 86400.0,
        "one attempt as a whole, from the look at the page to ffmpeg's last byte (0: any time)",
        live=True,
    )
    download_turn_seconds: float = _env(
        "DOWNLOAD_TURN_SECONDS",
        variables.seconds(1, 86400),
        60.0,
        "how long a user without a running download waits before one of another user's makes room",
        live=True,
    )
    download_slow_speed: int = _env(
        "DOWNLOAD_SLOW_SPEED",
        variables.integer(0, 1 << 40),
        50 << 10,
        "bytes a second; a download that is slower makes room as soon as others wait (0: none does)",
        live=True,
    )
    preview_concurrency: int = _env(
        "PREVIEW_CONCURRENCY", variables.integer(1, 32), 2, "metadata previews at once a worker"
    )
    preview_user_limit: int = _env(
        "PREVIEW_USER_LIMIT", variables.integer(1, 100), 2, "metadata previews at once of one user", live=True
    )

    secret_key_previous: tuple[str, ...] = _env(
        "SECRET_KEY_PREVIOUS",
        variables.keys,
        (),
        "older values of SECRET_KEY that are still accepted",
        secret=True,
    )
    public_url: str = _env(
        "PUBLIC_URL",
        variables.url("http", "https"),
        "",
        "where people reach us, for links in mails (absent: the first of FRONTEND_URL, else http://127.0.0.1:PORT)",
        live=True,
        guarded=True,
    )

    plex_enabled: bool = _env("PLEX_ENABLED", variables.boolean, True, "false: nothing of Plex")
    plex_url: str = _env("PLEX_URL", variables.url("http", "https"), "", "our Plex Media Server")
    plex_token: str = _env("PLEX_TOKEN", str, "", "token of that server's owner", secret=True)
    plex_tv_url: str = _env(
        "PLEX_TV_URL", variables.url("http", "https"), "https://plex.tv", "where people sign in with Plex"
    )
    plex_owner_is_admin: bool = _env(
        "PLEX_OWNER_IS_ADMIN",
        variables.boolean,
        False,
        "true: whoever owns the Plex server at PLEX_URL becomes an admin when they sign in with Plex",
        live=True,
        guarded=True,
    )
    plex_sync_seconds: float = _env(
        "PLEX_SYNC_SECONDS", variables.seconds(5, 86400), 900.0, "how often we get in step with Plex"
    )
    plex_full_sync_hour: int = _env(
        "PLEX_FULL_SYNC_HOUR",
        variables.integer(0, 23),
        4,
        "hour (of this server's clock) in which everything is compared, once a day",
        live=True,
    )
    plex_check_seconds: float = _env(
        "PLEX_CHECK_SECONDS",
        variables.seconds(1, 31_536_000),
        86400.0,
        "how often it is checked that those who signed in with Plex still have access to the server",
    )

    smtp_url: str = _env(
        "SMTP_URL",
        variables.url("smtp", "smtps"),
        "",
        "mail server, such as smtp://user:password@host:587 (absent: no mail; in development it goes to the log)",
        secret=True,
        live=True,
        guarded=True,
    )
    mail_from: str = _env(
        "MAIL_FROM",
        variables.mailbox,
        "MediaNest <medianest@localhost>",
        "sender of our mails",
        live=True,
        guarded=True,
    )
    reset_seconds: float = _env(
        "RESET_SECONDS", variables.seconds(60, 86400), 1800.0, "life of a password reset"
    )
    invitation_seconds: float = _env(
        "INVITATION_SECONDS", variables.seconds(60, 31_536_000), 7 * 86400.0, "life of an invitation"
    )
    audit_days: int = _env(
        "AUDIT_DAYS",
        variables.integer(30, 36500),
        365,
        "days that the audit log is kept",
        live=True,
        guarded=True,
    )

    rate_limit_enabled: bool = _env(
        "RATE_LIMIT_ENABLED", variables.boolean, True, "false: no rate limits", live=True, guarded=True
    )
    rate_limit_anonymous: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_ANONYMOUS", "10/min,100/h", "an address, not signed in"
    )
    rate_limit_user: tuple[Rate, ...] = _rate("RATE_LIMIT_USER", "100/min,1000/h", "a user")
    rate_limit_premium: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_PREMIUM", "500/min,10000/h", "a user of the tier premium"
    )
    rate_limit_admin: tuple[Rate, ...] = _rate("RATE_LIMIT_ADMIN", "1000/min", "an admin")
    rate_limit_upload: tuple[Rate, ...] = _rate("RATE_LIMIT_UPLOAD", "5/min", "uploads of a user")
    rate_limit_search: tuple[Rate, ...] = _rate("RATE_LIMIT_SEARCH", "30/min", "searches of a user")
    rate_limit_media: tuple[Rate, ...] = _rate("RATE_LIMIT_MEDIA", "100/min", "media endpoints, a user")
    rate_limit_work: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_WORK",
        "20/min",
        "what a user starts by hand: syncs, replays, tests of integrations, invitations",
    )
    rate_limit_login: tuple[Rate, ...] = _rate("RATE_LIMIT_LOGIN", "5/15min", "sign-ins from an address")
    rate_limit_poll: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_POLL",
        "60/min",
        "what browsers of an address ask again and again: is the PIN claimed, renew my tokens",
    )
    rate_limit_account: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_ACCOUNT", "10/15min", "failed sign-ins to an account, from anywhere"
    )
    rate_limit_confirm: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_CONFIRM", "5/15min", "wrong passwords given as proof in a session"
    )
    rate_limit_downloads: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_DOWNLOADS", "5/h", "downloads that a user submits or tries again"
    )
    rate_limit_invitation: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_INVITATION", "5/h", "invitations to an e-mail address"
    )
    rate_limit_password_reset: tuple[Rate, ...] = _rate(
        "RATE_LIMIT_PASSWORD_RESET", "3/h", "password resets for an e-mail address"
    )
    rate_limit_global: tuple[Rate, ...] = _rate("RATE_LIMIT_GLOBAL", "off", "everything from an address")
    rate_limit_api: tuple[Rate, ...] = _rate("RATE_LIMIT_API", "off", "everything below /api from an address")

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
        if values.get("app_env", "development") != "production":
            for spec in fields(cls):
                if spec.metadata["parse"] is variables.rates and spec.name not in values:
                    limits: tuple[Rate, ...] = getattr(cls, spec.name)
                    values[spec.name] = tuple(rate.times(_DEVELOPMENT_FACTOR) for rate in limits)
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
        found = {name: os.environ[name] for name in names if os.environ.get(name, "").strip()}
        node = os.environ.get("NODE_ENV", "").strip()
        return found if "APP_ENV" in found or not node else {"APP_ENV": node, **found}

    @classmethod
    def of_process(cls) -> Self:
        """Read the environment for a process that needs a database and Redis, or end it with one line."""
        try:
            settings = cls.load()
            for name, url in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url)):
                if not url:
                    raise SettingsError(f"{name} is needed here: only `medianest up` brings its own")
            if settings.key_file.exists():
                settings.secret_keys()  # a file that is no good is told now, and not at the first request
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
        """Make the folders of the downloads where they are missing, and close what is private of DATA_DIR.

        Raises:
            SettingsError: one can't be made, or not be written to.
        """
        for name, folder, mode in (
            ("DOWNLOAD_DIR", self.download_dir, 0o777),
            ("WORK_DIR", self.work_dir, 0o700),
        ):
            try:
                folder.mkdir(mode, parents=True, exist_ok=True)
                probe = folder / f".medianest-{os.getpid()}-{secrets.token_hex(4)}"
                probe.touch()
                probe.unlink()
            except OSError as error:
                raise SettingsError(
                    f"{name} takes a folder that can be written to, not {folder}: {error.strerror}"
                ) from None
        private_folders.close(self.data_dir)

    def overlaid(self, stored: Mapping[str, str]) -> Self:
        """These settings with the texts that an admin stored, by field; the environment wins.

        What is not live, not known or not accepted any more is left out.
        """
        given = self.given()
        values: dict[str, Any] = {}
        for spec in fields(self):
            if spec.metadata["live"] and spec.name in stored and spec.metadata["env"] not in given:
                with suppress(ValueError):
                    values[spec.name] = spec.metadata["parse"](stored[spec.name])
        return replace(self, **values) if values else self

    @classmethod
    def is_secret(cls, name: str) -> bool:
        """Whether the value of a field must not be shown; False for one that is not known."""
        return any(spec.name == name and not spec.repr for spec in fields(cls))

    @classmethod
    def is_guarded(cls, name: str) -> bool:
        """Whether a change of a field takes a person who has lately proved to be there."""
        return any(spec.name == name and spec.metadata["guarded"] for spec in fields(cls))

    @property
    def api_base(self) -> str:
        """Where other machines reach the API, without a slash at the end; a front end may stand elsewhere."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    @property
    def public_base(self) -> str:
        """Where people reach us, without a slash at the end."""
        first = next(iter(self.frontend_url), f"http://127.0.0.1:{self.port}")
        return (self.public_url or first).rstrip("/")

    @property
    def key_file(self) -> Path:
        """Where the secret keys are while `SECRET_KEY` is not set: the current one first, older ones below."""
        return _key_file(self.data_dir)

    def secret_keys(self) -> tuple[str, ...]:
        """The keys we know, the one to sign with first: the environment's, else those of the key file.

        The file is made once, with mode 0600; a change of it holds at once in all processes.

        Raises:
            SettingsError: the key file holds no keys, or can't be read or made.
        """
        if self.secret_key:
            return (self.secret_key, *self.secret_key_previous)
        return (*self.keys_in_file(), *self.secret_key_previous)

    def keys_in_file(self) -> tuple[str, ...]:
        """The keys of the key file, which is made where it is missing.

        Raises:
            SettingsError: it holds none.
        """
        return _secrets_in(self.key_file)

    def resolve_secret_key(self) -> str:
        """The key to sign with."""
        return self.secret_keys()[0]

    def resolve_setup_token(self) -> str:
        """The bootstrap's proof in production: from the environment, else made once in `DATA_DIR/setup.token`."""
        return self.setup_token or _secrets_in(self.data_dir / "setup.token")[0]


@lru_cache(maxsize=8)
def _key_file(data_dir: Path) -> Path:
    return data_dir / "secret.key"


def _secrets_in(path: Path) -> tuple[str, ...]:
    try:
        return secret_files.made_once(path)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except OSError as error:
        raise SettingsError(f"{error.filename or path}: {error.strerror}") from None
