"""The village of requests, without and with an Overseerr."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from door import opened
from village import Village

from config.settings import Settings
from engine.titles import source
from tests.fakes.overseerr_server import OverseerrDouble
from tests.fakes.plex_server import PlexDouble
from tests.fakes.tmdb_server import TmdbDouble


@pytest.fixture
def tmdb() -> Iterator[TmdbDouble]:
    with TmdbDouble() as double:
        double.film("Heat", 1995, id=949, imdb_id="tt0113277")
        double.film("Alien", 1979, id=348, genres=[{"id": 27, "name": "Horror"}])
        double.series("Dark", 2017, id=70523, seasons={0: 2, 1: 2, 2: 3, 3: 4}, aired={3: 0}, tvdb_id=334824)
        yield double


@pytest.fixture
def overseerr() -> Iterator[OverseerrDouble]:
    with OverseerrDouble() as double:
        yield double


@pytest.fixture
def plex() -> Iterator[PlexDouble]:
    with PlexDouble() as double:
        double.library.add_section("movie", "Films")
        double.library.add_section("show", "Series")
        yield double


@pytest.fixture
def village(
    settings: Settings, plex: PlexDouble, tmdb: TmdbDouble, overseerr: OverseerrDouble
) -> Iterator[Village]:
    source._pauses.clear()
    access = {"plex_url": plex.url, "plex_token": plex.token, "tmdb_url": tmdb.url, "tmdb_token": tmdb.token}
    with opened(settings, **access) as door:
        yield Village(door, plex, tmdb, overseerr)


@pytest.fixture
def seerr_village(
    settings: Settings, plex: PlexDouble, tmdb: TmdbDouble, overseerr: OverseerrDouble
) -> Iterator[Village]:
    """One with an Overseerr that is set up."""
    source._pauses.clear()
    access = {"plex_url": plex.url, "plex_token": plex.token, "tmdb_url": tmdb.url, "tmdb_token": tmdb.token}
    upstream_access = {"overseerr_url": overseerr.url, "overseerr_api_key": overseerr.key}
    with opened(settings, **access, **upstream_access) as door:
        yield Village(door, plex, tmdb, overseerr)
