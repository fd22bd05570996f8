"""Settings of the Plex server and of signing in with Plex."""

from __future__ import annotations

from dataclasses import dataclass

from config.setting import named_by_fields, setting
from config.variables import boolean, integer, seconds, url


@dataclass(frozen=True, kw_only=True)
@named_by_fields
class PlexSettings:
    """Settings of the Plex server and of signing in with Plex."""

    plex_enabled: bool = setting(boolean, True, "false: nothing of Plex")
    plex_url: str = setting(url("http", "https"), "", "our Plex Media Server")
    plex_token: str = setting(str, "", "token of that server's owner", secret=True)
    plex_tv_url: str = setting(url("http", "https"), "https://plex.tv", "where people sign in with Plex")
    plex_discover_url: str = setting(
        url("http", "https"), "https://discover.provider.plex.tv", "where Plex keeps people's watchlists"
    )
    plex_owner_is_admin: bool = setting(
        boolean,
        False,
        "true: whoever owns the Plex server at PLEX_URL becomes an admin when they sign in with Plex",
        live=True,
        guarded=True,
    )
    plex_sync_seconds: float = setting(seconds(5, 86400), 900.0, "how often we get in step with Plex")
    plex_full_sync_hour: int = setting(
        integer(0, 23),
        4,
        "hour (of this server's clock) in which everything is compared, once a day",
        live=True,
    )
    plex_check_seconds: float = setting(
        seconds(1, 31_536_000),
        86400.0,
        "how often it is checked that those who signed in with Plex still have access to the server",
    )
