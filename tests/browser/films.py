"""The invented library of the showroom: films and series with posters, and how far people are with them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from models.media import MediaItem, WatchState
from models.user import User
from tests.fakes.plex_server import PlexDouble
from tests.fakes.plex_server.items import Item, Version
from tests.fakes.plex_server.posters import drawn

FILMS = (
    ("Half a Sun", 2026, "Drama", "A keeper rows out each evening to light the last lamp of a drowned coast, and writes down who answers."),
    ("Lumen & Ash", 2026, "Drama", "Two sisters inherit a lamp factory that nobody has switched off for forty years."),
    ("The Paper Lions", 2024, "Animation", "A circus that folds away into a suitcase looks for somebody to open it."),
    ("Eleven Doors North", 2025, "Thriller", "Each door of the hotel leads to the same room, an hour later."),
    ("The Quiet Mile", 2023, "Documentary", "A road in the north is closed for one winter, and four people walk along it."),
    ("Salt Meridian", 2025, "Adventure", "A map maker follows a line across the desert that only she can see."),
    ("Nightferry", 2025, "Crime", "The last ferry of the season leaves with one passenger too many."),
    ("Tidewright", 2026, "Adventure", "Who builds with the tide has six hours a day, and no drawing survives."),
)  # fmt: skip
SHOWS = (
    ("Kestrel Nine", 3, "Science Fiction", "The last crew of a listening station at the edge of the charts hears something answer."),
    ("Wintergreen Accounts", 1, "Comedy", "An office high above the snow line books what nobody has ordered."),
    ("Orchard & Daughters", 2, "Drama", "Four sisters run an orchard, and none of them likes apples."),
    ("Low Orbit Radio", 1, "Comedy", "A night programme for those who are awake because they float."),
)  # fmt: skip
_NAMES = ("Docking", "The Long Shift", "Eleven Steps", "Quiet Hours", "A Letter Down", "Relief")
_DAY = 86_400
_SINCE = 1_795_000_000  # the newest film was added then, in seconds of Unix; each other one a day before


def fill_library(plex: PlexDouble) -> None:
    """Put them on the server."""
    plex.picture_of = _picture
    films = plex.library.add_section("movie", "Films", "/media/films")
    shows = plex.library.add_section("show", "Series", "/media/series")
    for number, (title, year, genre, summary) in enumerate(FILMS):
        added = {"added_at": _SINCE - number * _DAY, "updated_at": _SINCE}
        file = f"/media/films/{title} ({year})/{title}"
        versions = [_version(f"{file}.mkv", "1080", 98 + number * 4)]
        if number == 0:
            versions.append(_version(f"{file} 4k.mkv", "4k", 98))
        plex.library.add_film(
            films, title, year, summary=summary, Genre=[genre], rating=7.2 + number % 3 * 0.6, contentRating="PG-13",
            studio="Workshop Nine", imdb=f"tt{9_000_000 + number}", tmdb=900_000 + number, versions=versions, **added,
        )  # fmt: skip
    for number, (title, seasons, genre, summary) in enumerate(SHOWS):
        added = {"added_at": _SINCE - (number + 2) * _DAY, "updated_at": _SINCE}
        show = plex.library.add_show(
            shows, title, 2024, summary=summary, Genre=[genre], rating=8.4, contentRating="TV-14", **added
        )
        for season in range(1, seasons + 1):
            for episode, name in enumerate(_NAMES, 1):
                file = f"/media/series/{title}/Season {season:02}/{title} - S{season:02}E{episode:02}.mkv"
                about = f"The {('first', 'second', 'third')[season - 1]} winter: {summary[0].lower()}{summary[1:]}"
                plex.library.add_episode(
                    show, season, episode, name, summary=about, versions=[_version(file, "1080", 48)], **added
                )


def fill_watching(db: Session, people: Mapping[str, User]) -> None:
    """Note how far people are: in the middle of four, through with some."""
    for role in ("super_admin", "user"):
        begun = [
            _item(db, "movie", "Salt Meridian"),
            _episode(db, "Kestrel Nine", 3, 4),
            _episode(db, "Wintergreen Accounts", 1, 2),
            _episode(db, "Orchard & Daughters", 2, 5),
        ]
        for number, item in enumerate(begun):
            share = (0.4, 0.58, 0.12, 0.86)[number]
            _watch(db, people[role], item, hours=number * 9 + 2, offset=round((item.duration or 0) * share))
        done = [_episode(db, "Kestrel Nine", season, number) for season in (1, 2) for number in range(1, 7)]
        done += [_episode(db, "Kestrel Nine", 3, number) for number in range(1, 4)]
        for item in [*done, _item(db, "movie", "The Quiet Mile")]:
            _watch(db, people[role], item, hours=100, views=1)


def _picture(item: Item, wide: bool, width: int, height: int) -> bytes:
    """The poster or background of a title; a still of each episode."""
    title = item.root.title
    number = [name for name, *_ in (*FILMS, *SHOWS)].index(title)
    still = item.kind == "episode" and not wide
    look = number + (item.index or 0) if still else number
    return drawn(look, number, width, round(width * 9 / 16) if wide or still else height)


def _version(file: str, resolution: str, minutes: int) -> Version:
    return Version(
        [file],
        resolution=resolution,
        video_codec="hevc" if resolution == "4k" else "h264",
        audio_codec="eac3",
        duration=minutes * 60_000,
        bitrate=24_000 if resolution == "4k" else 9_000,
        size=minutes * (180_000_000 if resolution == "4k" else 67_000_000),
        languages=("eng", "deu"),
    )


def _item(db: Session, kind: str, title: str) -> MediaItem:
    return db.scalars(select(MediaItem).where(MediaItem.type == kind, MediaItem.title == title)).one()


def _episode(db: Session, show: str, season: int, number: int) -> MediaItem:
    query = select(MediaItem).where(MediaItem.type == "episode", MediaItem.show_title == show)
    return db.scalars(query.where(MediaItem.parent_index == season, MediaItem.item_index == number)).one()


def _watch(
    db: Session, user: User, item: MediaItem, *, hours: int, offset: int | None = None, views: int = 0
) -> None:
    at = func.clock_timestamp() - timedelta(hours=hours)
    state = {"view_count": views, "view_offset": offset, "last_viewed_at": at, "updated_at": at}
    db.add(WatchState(user_id=user.id, item_id=item.id, **state))
