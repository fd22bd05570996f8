"""Settings of what describes and fetches films and series: TMDB, and Overseerr or Seerr."""

from __future__ import annotations

from dataclasses import dataclass

from config.setting import named_by_fields, setting
from config.variables import integer, seconds, url


@dataclass(frozen=True, kw_only=True)
@named_by_fields
class MediaSettings:
    """Settings of what describes and fetches films and series: TMDB, and Overseerr or Seerr."""

    tmdb_url: str = setting(url("http", "https"), "", "TMDB's address, with /3; absent: its own")
    tmdb_token: str = setting(str, "", "API read access token of TMDB, or an API key", secret=True)
    tmdb_image_url: str = setting(
        url("http", "https"), "https://image.tmdb.org/t/p", "where TMDB's pictures are"
    )
    tmdb_requests_per_second: int = setting(
        integer(1, 1000), 20, "requests to TMDB in any second, of all processes together"
    )
    tmdb_list_seconds: float = setting(
        seconds(1, 604800),
        21600.0,
        "how long an answer of TMDB to a search or list counts as fresh",
        live=True,
    )
    tmdb_details_seconds: float = setting(
        seconds(1, 2592000), 86400.0, "how long TMDB's details of a title count as fresh", live=True
    )
    tmdb_keep_days: int = setting(
        integer(1, 180), 180, "days that what TMDB told is kept; its terms allow 180", live=True
    )
    overseerr_url: str = setting(url("http", "https"), "", "Overseerr or Seerr, without /api/v1")
    overseerr_api_key: str = setting(str, "", "API key of Overseerr or Seerr", secret=True)
