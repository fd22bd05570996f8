"""External ids (IMDb, TMDB, TVDB) read from the `Guid` list and the guids of older metadata agents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.clients.foreign_json import objects

_PROVIDERS = {"imdb": "imdb", "tmdb": "tmdb", "tvdb": "tvdb", "themoviedb": "tmdb", "thetvdb": "tvdb"}
_FORMS = {
    "imdb": re.compile(r"tt[0-9]+"),
    "tmdb": re.compile(r"[0-9]+"),
    "tvdb": re.compile(r"[0-9]+"),
}

# Prefix of an id to its site; the first value that has the form of an id counts.
_Forms = tuple[tuple[str, str], ...]
_IMDB: _Forms = (("", "imdb"),)
_TMDB: _Forms = (("", "tmdb"),)
_TVDB: _Forms = (("", "tvdb"),)
_ANIME: _Forms = (
    ("imdb-", "imdb"),
    ("tmdb-", "tmdb"),
    ("tsdb-", "tmdb"),
    *((f"tvdb{order}-", "tvdb") for order in ("", "2", "3", "4", "5", "6")),
)
_NAMED: _Forms = tuple((f"{name}-", source) for name, source in _PROVIDERS.items())
# By the last word of an agent's name. Agents that name no id of these three (AniDB, TVmaze, MyAnimeList, ...) need no
# line: whatever is not listed here has none.
_AGENTS: Mapping[str, _Forms] = {
    "imdb": _IMDB,
    "themoviedb": _TMDB,
    "tmdb": _TMDB,
    "standalone": _TMDB,
    "thetvdb": _TVDB,
    "tvdb": _TVDB,
    "thetvdbdvdorder": _TVDB,
    "thetvdbabsoluteorder": _TVDB,
    "abstvdb": _TVDB,
    "mcm": (("MCM_TV_A_", "tvdb"),),
    "hama": _ANIME,
    "hamatv": _ANIME,
    "xbmcnfo": _IMDB,
    "xbmcnfomovie": _IMDB,
    "xbmcnfotv": (*_TVDB, *_IMDB),
    "trakt": _NAMED,
}
_GUID = re.compile(r"(?:com\.plexapp|tv\.plex)\.agents\.(?:[a-z0-9_-]+\.)*([a-z0-9_-]+)", re.ASCII)
_LONGEST = 300  # characters of a guid; longer ones are none


def external_ids(guid: str | None, guids: Any) -> dict[str, str]:
    """The ids by `imdb`, `tmdb`, `tvdb`: those of `Guid`, and where it has none, that in the guid of an older agent.

    Older agents give a season or an episode the id of its series; such an id is left out, as is any malformed one.
    """
    found: dict[str, str] = {}
    for entry in objects(guids):
        provider, value = _parts(str(entry.get("id", "")))
        source = _PROVIDERS.get(provider)
        if source is not None and source not in found and _FORMS[source].fullmatch(value):
            found[source] = value
    return found or _named_by_agent(guid or "")


def _named_by_agent(guid: str) -> dict[str, str]:
    scheme, value = _parts(guid)
    agent = _GUID.fullmatch(scheme)
    for prefix, source in _AGENTS.get(agent[1] if agent else scheme, ()):
        own = value.removeprefix(prefix)
        if value.startswith(prefix) and _FORMS[source].fullmatch(own):
            return {source: own}
    return {}


def _parts(guid: str) -> tuple[str, str]:
    scheme, _, rest = guid.partition("://") if len(guid) <= _LONGEST else ("", "", "")
    return scheme.lower(), rest.partition("?")[0]
