"""The row of the battery about requests: asked, approved, sent on, arrived and told while workers are killed all along."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import requests

from tests.fakes.overseerr_server import OverseerrDouble
from tests.fakes.tmdb_server import TmdbDouble
from tests.faults import shares
from tests.faults.installation import PATIENCE, Installation
from tests.faults.ledger import Ledger
from tests.faults.webhook_storm import connected, killing
from tests.stack import Client, eventually

_FIRST = 9000  # ids at TMDB
_PEOPLE = ("asker", "follower")
_TOLD = (
    "SELECT u.name, n.type, r.tmdb_id FROM notifications AS n JOIN media_requests AS r ON r.id = n.subject_id "
    "JOIN users AS u ON u.id = n.user_id WHERE n.type IN ('request.approved', 'request.available')"
)
_OPEN = "SELECT count(*) FROM {} WHERE ended_at IS NULL"


def fulfilled(installation: Installation, ledger: Ledger) -> None:
    """Each film is asked for once, made once at Overseerr, available once Plex has it, and told once to each person."""
    films = [str(_FIRST + number) for number in range(int(max(12, 40 * installation.scale)))]
    with connected(installation) as plex, _upstream(installation, films) as overseerr:
        people = [shares.another(installation, name) for name in _PEOPLE]
        with killing(installation):
            ids = {film: _asked(people[0], film) for film in films}
            for film in films:
                _asked(people[1], film)
            for request_id in ids.values():
                _until_ok(installation.client, f"/media/requests/{request_id}/approve")
            eventually(
                lambda: _are(installation, "processing", len(films)), 2 * PATIENCE, what="all are sent"
            )
            for film in films:
                plex.library.add_film(1, f"Film {film}", tmdb=int(film))
            _until_ok(installation.client, "/plex/syncs")
            eventually(
                lambda: _are(installation, "available", len(films)), 2 * PATIENCE, what="all are there"
            )
        installation.make_ready()
        eventually(lambda: not _waiting(installation), 2 * PATIENCE, what="everybody is told")
        ledger.verdict.problems["lost"] += _differences(installation, overseerr, films)


@contextmanager
def _upstream(installation: Installation, films: list[str]) -> Iterator[OverseerrDouble]:
    """TMDB and Overseerr are connected meanwhile."""
    with TmdbDouble() as tmdb, OverseerrDouble() as overseerr:
        for film in films:
            tmdb.film(f"Film {film}", 1990, id=int(film))
        access = {"tmdb": (tmdb.url, tmdb.token), "overseerr": (overseerr.url, overseerr.key)}
        for name, (url, token) in access.items():
            answer = installation.client.call(
                "PUT", f"/integrations/{name}", json={"url": url, "token": token}
            )
            assert answer.status_code == 200, answer.text
        try:
            yield overseerr
        finally:
            for name in access:
                installation.client.call("DELETE", f"/integrations/{name}")


def _asked(person: Client, film: str) -> str:
    """Ask until the answer is certain; the id of the request."""
    answer = _until_ok(person, "/media/request", json={"tmdbId": film, "mediaType": "movie"})
    return str(answer.json()["data"]["id"])


def _until_ok(client: Client, path: str, **more: object) -> requests.Response:
    def answered() -> requests.Response | None:
        with contextlib.suppress(requests.RequestException):
            answer = client.call("POST", path, **(more or {"json": {}}))
            if answer.status_code in {200, 201, 202}:
                return answer
            assert answer.status_code in {429, 502, 503}, answer.text
            time.sleep(float(answer.headers.get("Retry-After", 0.2)))
        return None

    found: requests.Response = eventually(answered, PATIENCE, what=path)
    return found


def _are(installation: Installation, status: str, number: int) -> bool:
    query = "SELECT count(*) FROM media_requests WHERE status = %s"
    return bool(installation.rows(query, [status])[0][0] == number)


def _waiting(installation: Installation) -> bool:
    installation.supervise()
    tables = ("fulfilments", "request_announcements")
    return any(installation.rows(_OPEN.format(table))[0][0] for table in tables)


def _differences(installation: Installation, overseerr: OverseerrDouble, films: list[str]) -> list[str]:
    """What was made twice or never, and told twice or never."""
    made = Counter(str(one["media"]["tmdbId"]) for one in overseerr.requests.values())
    problems = [f"{film} was made {made[film]} times at Overseerr" for film in films if made[film] != 1]
    told = Counter(installation.rows(_TOLD))
    expected = product(_PEOPLE, ("request.approved", "request.available"), films)
    return problems + [
        f"{type_} of {film} was told {told[name, type_, film]} times to {name}"
        for name, type_, film in expected
        if told[name, type_, film] != 1
    ]
