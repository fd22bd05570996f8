"""TMDB's answers as columns of `titles`: every field may be missing, null, empty or of another kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Literal, cast

Type = Literal["movie", "tv"]
TYPES: tuple[Type, ...] = ("movie", "tv")

_MOST_TEXT, _MOST_NAME, _MOST_PEOPLE, _MOST_TITLES = 5000, 500, 40, 120
_CREW = {"Director", "Writer", "Screenplay", "Story", "Creator", "Producer", "Executive Producer"}
_COUNTRIES = ("US", "GB", "DE")  # whose content rating is shown, the first that has one


def type_of(entry: Mapping[str, Any], usual: Type | None) -> Type | None:
    """Movie or tv; None for people, collections and what names no kind."""
    found = entry.get("media_type", usual)
    return cast(Type, found) if found in TYPES else None


def summary(entry: Mapping[str, Any], type_: Type, language: str) -> dict[str, Any] | None:
    """The columns that a list tells; None where it names no title."""
    number = entry.get("id")
    name = _text(entry.get("title") or entry.get("name")) or _text(
        entry.get("original_title") or entry.get("original_name")
    )
    if not isinstance(number, int) or isinstance(number, bool) or number <= 0 or name is None:
        return None
    overview = _text(entry.get("overview"), _MOST_TEXT)
    genres = entry.get("genre_ids") or [
        genre.get("id") for genre in objects(entry.get("genres")) if genre.get("id")
    ]
    return {
        "type": type_,
        "tmdb_id": str(number),
        "title": name,
        "original_title": _text(entry.get("original_title") or entry.get("original_name")),
        "names": {language: {"title": name, "overview": overview}},
        "released": _date(entry.get("release_date") or entry.get("first_air_date")),
        "overview": overview,
        "poster": picture_path(entry.get("poster_path")),
        "backdrop": picture_path(entry.get("backdrop_path")),
        "language": _text(entry.get("original_language"), 10),
        "genres": [genre for genre in _list(genres) if isinstance(genre, int)],
        "rating": _number(entry.get("vote_average"), 10),
        "popularity": _number(entry.get("popularity"), 1e9),
    }


def details(body: Mapping[str, Any], type_: Type) -> dict[str, Any]:
    """The `details` column: what an answer tells beyond the summary."""
    people = _object(body.get("credits") or body.get("aggregate_credits"))
    ids = _object(body.get("external_ids"))
    tvdb = ids.get("tvdb_id")
    last = _object(body.get("last_episode_to_air"))
    times = [time for time in _list(body.get("episode_run_time")) if isinstance(time, int) and time > 0]
    runtime = body.get("runtime") if isinstance(body.get("runtime"), int) else None
    created = [
        {"name": name, "job": "Creator", "photo": picture_path(one.get("profile_path"))}
        for one in objects(body.get("created_by"))
        if (name := _text(one.get("name")))
    ]
    return {
        "runtime": runtime or (times[0] if times else None),
        "genres": [name for one in objects(body.get("genres")) if (name := _text(one.get("name")))],
        "cast": _cast(people),
        "crew": [*created, *_crew(people)],
        "trailers": _trailers(body),
        "contentRating": _content_rating(body, type_),
        "contentRatings": _content_ratings(body, type_),
        "status": _text(body.get("status"), 60),
        "tagline": _text(body.get("tagline")),
        "imdbId": _imdb(ids.get("imdb_id") or body.get("imdb_id")),
        "tvdbId": str(tvdb) if isinstance(tvdb, int) and tvdb > 0 else None,
        "seasons": _seasons(body, last) if type_ == "tv" else [],
        "collection": _collection(body),
        "similar": similar(body, type_),
    }


def similar(body: Mapping[str, Any], type_: Type) -> list[list[str]]:
    """Keys of what TMDB recommends beside it, else of what it finds similar."""
    found = entries_of(body, "recommendations") or entries_of(body, "similar")
    keys = [(type_of(entry, type_), entry.get("id")) for entry in found]
    return [[kind, str(number)] for kind, number in keys if kind and isinstance(number, int)][:20]


def entries_of(body: Mapping[str, Any], part: str) -> Sequence[Mapping[str, Any]]:
    """The entries of an appended list."""
    return list(objects(_object(body.get(part)).get("results")))


def names(body: Mapping[str, Any]) -> dict[str, dict[str, str | None]]:
    """Title and overview by language, from the translations."""
    found = dict[str, dict[str, str | None]]()
    for one in objects(_object(body.get("translations")).get("translations")):
        language, data = _text(one.get("iso_639_1"), 10), _object(one.get("data"))
        title = _text(data.get("title") or data.get("name"))
        overview = _text(data.get("overview"), _MOST_TEXT)
        if language and (title or overview) and language not in found:
            found[language] = {"title": title, "overview": overview}
    return found


def other_titles(body: Mapping[str, Any]) -> list[str]:
    """Every title that it is known by."""
    alternative = _object(body.get("alternative_titles"))
    listed = [*objects(alternative.get("titles")), *objects(alternative.get("results"))]
    found = [_text(one.get("title")) for one in listed]
    found += [name["title"] for name in names(body).values()]
    return list(dict.fromkeys(title for title in found if title))[:_MOST_TITLES]


def objects(value: object) -> Iterable[Mapping[str, Any]]:
    """The objects of a list; nothing where it is none."""
    return (one for one in _list(value) if isinstance(one, Mapping))


def _cast(people: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for one in objects(people.get("cast")):
        roles = [_text(role.get("character")) for role in objects(one.get("roles"))]
        role = _text(one.get("character")) or next((role for role in roles if role), None)
        if name := _text(one.get("name")):
            found.append({"name": name, "role": role, "photo": picture_path(one.get("profile_path"))})
    return found[:_MOST_PEOPLE]


def _crew(people: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = dict[tuple[str, str], dict[str, Any]]()
    for one in objects(people.get("crew")):
        jobs = [_text(one.get("job")), *(_text(job.get("job")) for job in objects(one.get("jobs")))]
        name = _text(one.get("name"))
        for job in jobs:
            if name and job in _CREW:
                found[name, job] = {"name": name, "job": job, "photo": picture_path(one.get("profile_path"))}
    return list(found.values())[:_MOST_PEOPLE]


def _trailers(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for one in entries_of(body, "videos"):
        key, site = _text(one.get("key"), 40), one.get("site")
        known = key is not None and key.replace("-", "").replace("_", "").isalnum() and key.isascii()
        if known and site == "YouTube" and one.get("type") in {"Trailer", "Teaser"}:
            url = f"https://www.youtube.com/watch?v={key}"
            found.append({"name": _text(one.get("name")) or "Trailer", "url": url, "site": site})
    return found[:10]


def _content_ratings(body: Mapping[str, Any], type_: Type) -> dict[str, str]:
    found = dict[str, str]()
    for one in entries_of(body, "release_dates" if type_ == "movie" else "content_ratings"):
        country = _text(one.get("iso_3166_1"), 2)
        ratings = [_text(each.get("certification"), 20) for each in objects(one.get("release_dates"))]
        rating = _text(one.get("rating"), 20) or next((each for each in ratings if each), None)
        if country and rating:
            found[country] = rating
    return found


def _content_rating(body: Mapping[str, Any], type_: Type) -> str | None:
    found = _content_ratings(body, type_)
    return next((found[country] for country in _COUNTRIES if country in found), None) or next(
        iter(found.values()), None
    )


def _seasons(body: Mapping[str, Any], last: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = dict[int, dict[str, Any]]()
    season, episode = last.get("season_number"), last.get("episode_number")
    for one in objects(body.get("seasons")):
        number, count = one.get("season_number"), one.get("episode_count")
        if not isinstance(number, int) or number < 0 or number > 10_000:
            continue
        episodes, air_date = count if isinstance(count, int) and count >= 0 else 0, _date(one.get("air_date"))
        aired = episodes if air_date is not None and air_date <= datetime.now(UTC).date() else 0
        if number and isinstance(season, int) and isinstance(episode, int):
            aired = episodes if number < season else min(episode, episodes) if number == season else 0
        found[number] = {
            "number": number,
            "name": _text(one.get("name")) or f"Season {number}",
            "episodes": episodes,
            "aired": aired,
            "airDate": None if air_date is None else air_date.isoformat(),
            "poster": picture_path(one.get("poster_path")),
        }
    return [found[number] for number in sorted(found)]


def _collection(body: Mapping[str, Any]) -> dict[str, Any] | None:
    found = _object(body.get("belongs_to_collection"))
    name, number = _text(found.get("name")), found.get("id")
    if name is None or not isinstance(number, int):
        return None
    return {"id": str(number), "name": name, "poster": picture_path(found.get("poster_path"))}


def _text(value: object, most: int = _MOST_NAME) -> str | None:
    return value.strip()[:most] or None if isinstance(value, str) else None


def picture_path(value: object) -> str | None:
    """The path of a picture: one name, so that nothing else can be asked for with it."""
    text = _text(value, 200)
    if text is None or not text.startswith("/") or not text.isascii():
        return None
    name = text[1:].replace("-", "").replace("_", "")
    return text if name.replace(".", "", 1).isalnum() else None


def _imdb(value: object) -> str | None:
    text = _text(value, 20)
    return (
        text
        if text is not None and text[:2] == "tt" and text[2:].isascii() and text[2:].isdecimal()
        else None
    )


def _number(value: object, most: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= most else None


def _date(value: object) -> date | None:
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _list(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else []


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
