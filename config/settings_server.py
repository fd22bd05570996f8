"""Settings of the installation: its addresses, services, keys, folders, processes and jobs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.setting import named_by_fields, setting
from config.variables import (
    boolean,
    choice,
    database_url,
    integer,
    keys,
    networks,
    origins,
    path,
    seconds,
    secret,
    url,
)


@dataclass(frozen=True, kw_only=True)
@named_by_fields
class ServerSettings:
    """Settings of the installation: its addresses, services, keys, folders, processes and jobs."""

    app_env: str = setting(
        choice("development", "production", "test"),
        "development",
        "development, production or test (`NODE_ENV` where absent)",
    )
    host: str = setting(str, "", "address to listen on; 127.0.0.1 in development, 0.0.0.0 in production")
    port: int = setting(integer(1, 65535), 4000, "port of the API and its WebSockets")
    log_level: str = setting(choice("debug", "info", "warn", "warning", "error"), "info", "log level")
    data_dir: Path = setting(path, Path("data").absolute(), "embedded databases, secret key, work folder")
    database_url: str = setting(
        database_url, "", "PostgreSQL; absent: an embedded one below DATA_DIR", secret=True
    )
    redis_url: str = setting(
        url("redis", "rediss", "unix"), "", "Redis; absent: an embedded one below DATA_DIR", secret=True
    )
    redis_enabled: bool = setting(
        boolean, True, "false: nothing is cached in Redis (the queue needs it all the same)"
    )
    secret_key: str = setting(
        secret, "", "signs tokens; absent: made once below DATA_DIR, mode 0600", secret=True
    )
    setup_token: str = setting(
        secret,
        "",
        "proof for the bootstrap in production; absent: made once below DATA_DIR and printed by the server",
        secret=True,
    )
    frontend_url: tuple[str, ...] = setting(
        origins, (), "origins that browsers may call us from, separated by commas", live=True, guarded=True
    )
    trusted_proxies: tuple[str, ...] = setting(
        networks, (), "addresses or networks whose X-Forwarded-For is believed"
    )
    web_processes: int = setting(integer(1, 64), 2, "web processes", env="WEB_CONCURRENCY")
    web_threads: int = setting(integer(1, 512), 16, "requests at once in one web process")
    lease_seconds: float = setting(seconds(1, 3600), 90.0, "lease of a long job")
    lease_renew_seconds: float = setting(seconds(0.2, 600), 15.0, "renewal of that lease")
    short_lease_seconds: float = setting(seconds(1, 3600), 40.0, "lease of a short job")
    short_lease_renew_seconds: float = setting(seconds(0.2, 600), 10.0, "renewal of that lease")
    reconcile_seconds: float = setting(seconds(0.5, 300), 10.0, "how often lost jobs are looked for")
    poison_crashes: int = setting(integer(1, 20), 3, "crashes after which a job is given up")
    beat_schedule: Path = setting(
        path,
        Path("celerybeat-schedule").absolute(),
        "where beat notes its last runs (below DATA_DIR where that is set)",
    )
    flower_host: str = setting(str, "127.0.0.1", "where Flower listens, and where the web processes find it")
    flower_port: int = setting(integer(0, 65535), 5555, "port of Flower; 0: no Flower")
    secret_key_previous: tuple[str, ...] = setting(
        keys, (), "older values of SECRET_KEY that are still accepted", secret=True
    )
    public_url: str = setting(
        url("http", "https"),
        "",
        "where people reach us, for links in mails (absent: the first of FRONTEND_URL, else http://127.0.0.1:PORT)",
        live=True,
        guarded=True,
    )
