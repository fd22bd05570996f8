"""Fills a library with as many films and shows as a bench asks for: the same seed, the same library, byte for byte."""

from __future__ import annotations

import random
from typing import Any

from tests.fakes.plex_server.items import Item, Section, Version
from tests.fakes.plex_server.library import Library

_FIRST = [
    "Silent",
    "Golden",
    "Broken",
    "Hidden",
    "Distant",
    "Crimson",
    "Paper",
    "Winter",
    "Northern",
    "Hollow",
    "Electric",
    "Last",
    "Borrowed",
    "Quiet",
    "Second",
    "Iron",
]
_SECOND = [
    "Harbour",
    "Lighthouse",
    "Orchard",
    "Station",
    "River",
    "Letter",
    "Garden",
    "Mountain",
    "Engine",
    "Window",
    "Island",
    "Parade",
    "Archive",
    "Bridge",
    "Summer",
    "Road",
]
_GENRES = ("Drama", "Comedy", "Thriller", "Documentary", "Science Fiction", "Animation", "Crime", "Adventure")
_COUNTRIES = ("Netherlands", "France", "United States of America", "Japan", "Iceland")
_RATINGS = ("G", "PG", "PG-13", "R", "NR")
_STUDIOS = ("Northern Light Pictures", "Blender Foundation", "Three Bridges", "Paper Moon Films")
_NAMES = [
    "Anna",
    "Boris",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kaya",
    "Liam",
    "Mina",
    "Noor",
    "Otto",
    "Pia",
    "Quinn",
    "Rosa",
]
_FAMILIES = [
    "Aalto",
    "Bakker",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fischer",
    "Garcia",
    "Hansen",
    "Ito",
    "Jansen",
    "Kowalski",
    "Lund",
    "Moreau",
    "Novak",
]
_WORDS = [
    "a",
    "the",
    "of",
    "and",
    "with",
    "harbour",
    "keeper",
    "letter",
    "winter",
    "train",
    "stranger",
    "finds",
    "returns",
    "across",
    "town",
    "river",
    "family",
    "secret",
    "long",
    "forgotten",
    "photograph",
    "daughter",
    "brother",
    "promise",
    "storm",
    "island",
    "night",
    "summer",
    "engine",
    "village",
    "music",
    "silence",
    "journey",
    "morning",
    "machine",
    "story",
]
_START = 1_500_000_000
_RESOLUTIONS = ("720", "1080", "1080", "1080", "4k", "sd")


def populate(
    library: Library,
    films: int = 0,
    shows: int = 0,
    episodes_per_show: int = 30,
    seed: int = 1,
    *,
    films_in: Section | int | str | None = None,
    shows_in: Section | int | str | None = None,
) -> None:
    """Add that many, without a word on the socket; ten episodes make a season, an item is about 2.3 KB of JSON.

    Goes into sections called "Films" and "TV Shows", made where they are missing, or into those given.
    """
    with library.lock:
        chance = random.Random(seed)
        if films:
            section = library.section(films_in or _section(library, "movie", "Films", "/media/films"))
            for number in range(films):
                _film(library, section, chance, number)
        if shows:
            section = library.section(shows_in or _section(library, "show", "TV Shows", "/media/tv"))
            for number in range(shows):
                _show(library, section, chance, number, episodes_per_show)


def _section(library: Library, kind: str, title: str, path: str) -> Section:
    found = [section for section in library.sections.values() if section.title == title]
    return found[0] if found else library.add_section(kind, title, path)


def _times(chance: random.Random, number: int) -> dict[str, int]:
    added = _START + number * 600 + chance.randrange(600)
    return {"added_at": added, "updated_at": added + chance.randrange(5_000_000)}


def _phrases() -> list[str]:
    chance = random.Random(0)
    return [" ".join(chance.choice(_WORDS) for _ in range(12)).capitalize() + "." for _ in range(300)]


_PHRASES = _phrases()


def _prose(chance: random.Random, length: int) -> str:
    said = chance.choice(_PHRASES)
    while len(said) < length:
        said += " " + chance.choice(_PHRASES)
    return said


def _people(chance: random.Random, count: int) -> list[str]:
    return [f"{chance.choice(_NAMES)} {chance.choice(_FAMILIES)}" for _ in range(count)]


def _ids(chance: random.Random, number: int) -> dict[str, Any]:
    return {
        "imdb": f"tt{1_000_000 + chance.randrange(9) * 1_000_000 + number:07}",
        "tmdb": 100 + number,
        "tvdb": 50_000 + number,
    }


def _version(chance: random.Random, file: str, minutes: int) -> Version:
    return Version(
        [file],
        resolution=chance.choice(_RESOLUTIONS),
        video_codec=chance.choice(("h264", "hevc")),
        audio_codec=chance.choice(("aac", "ac3", "eac3", "dca")),
        duration=minutes * 60_000 + chance.randrange(60_000),
        bitrate=2_000 + chance.randrange(20_000),
        size=700_000_000 + chance.randrange(9_000_000_000),
        languages=("eng",) if chance.random() < 0.7 else ("eng", "nld"),
        subtitles=() if chance.random() < 0.5 else ("eng",),
    )


def _named(chance: random.Random, number: int) -> str:
    return f"The {chance.choice(_FIRST)} {chance.choice(_SECOND)} {number + 1}"


def _shared(chance: random.Random, length: int) -> dict[str, Any]:
    return {
        "studio": chance.choice(_STUDIOS),
        "contentRating": chance.choice(_RATINGS),
        "summary": _prose(chance, length),
        "rating": round(2 + chance.random() * 8, 1),
        "audienceRating": round(2 + chance.random() * 8, 1),
        "audienceRatingImage": "themoviedb://image.rating",
    }


def _film(library: Library, section: Section, chance: random.Random, number: int) -> Item:
    title, year = _named(chance, number), 1930 + chance.randrange(95)
    folder = f"{section.paths[0]}/{title} ({year})"
    return library.add_film(
        section,
        title,
        year,
        titleSort=title.removeprefix("The "),
        tagline=_prose(chance, 50),
        originallyAvailableAt=f"{year}-{1 + chance.randrange(12):02}-{1 + chance.randrange(28):02}",
        chapterSource="media",
        ratingImage="imdb://image.rating",
        primaryExtraKey=f"/library/metadata/{9_000_000 + number}",
        Genre=chance.sample(_GENRES, 2),
        Country=[chance.choice(_COUNTRIES)],
        Director=_people(chance, 1),
        Writer=_people(chance, 2),
        Role=_people(chance, 3),
        versions=[_version(chance, f"{folder}/{title} ({year}).mkv", 70 + chance.randrange(90))],
        quiet=True,
        **_shared(chance, 620),
        **_ids(chance, number),
        **_times(chance, number),
    )


def _show(library: Library, section: Section, chance: random.Random, number: int, episodes: int) -> Item:
    title, year = _named(chance, number), 1960 + chance.randrange(65)
    show = library.add_show(
        section,
        title,
        year,
        titleSort=title.removeprefix("The "),
        duration=2_700_000,
        originallyAvailableAt=f"{year}-03-19",
        Genre=chance.sample(_GENRES, 2),
        Role=_people(chance, 3),
        quiet=True,
        **_shared(chance, 600),
        **_ids(chance, number),
        **_times(chance, number),
    )
    for at in range(episodes):
        season, place = at // 10 + 1, at % 10 + 1
        times = _times(chance, number * episodes + at)
        if place == 1:
            library.add_season(show, season, summary="", quiet=True, **times)
        file = f"{section.paths[0]}/{title}/Season {season:02}/{title} - S{season:02}E{place:02}.mkv"
        library.add_episode(
            show,
            season,
            place,
            f"{chance.choice(_FIRST)} {chance.choice(_SECOND)}",
            originallyAvailableAt=f"{year + season}-{1 + chance.randrange(12):02}-{1 + chance.randrange(28):02}",
            year=year + season,
            versions=[_version(chance, file, 20 + chance.randrange(40))],
            Director=_people(chance, 1),
            Writer=_people(chance, 2),
            Role=_people(chance, 3),
            imdb=f"tt{5_000_000 + number * episodes + at}",
            tmdb=2_000_000 + number * episodes + at,
            quiet=True,
            **{name: value for name, value in _shared(chance, 620).items() if name != "studio"},
            **times,
        )
    return show
