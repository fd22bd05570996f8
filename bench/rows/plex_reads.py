"""Reads of a catalogue of 57,000 items: pages, deep pages, search, recently added, and conditional requests (304)."""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from bench.installation import created_admin, installation, services
from bench.report import Figure, Target, percentile

ROW = "plexreads"
SERVER = "bench-server"
MILLISECONDS = 50.0  # target of each, with a single client

LIBRARIES = """
INSERT INTO plex_servers (id, name, url, seen_at, synced_at, failures)
VALUES (%(server)s, 'Bench', 'http://127.0.0.1:1', now(), now(), 0);
INSERT INTO plex_sections (server_id, key, title, type, hidden, position, locations, count)
VALUES (%(server)s, '1', 'Films', 'movie', false, 0, '[]', 0), (%(server)s, '2', 'Shows', 'show', false, 1, '[]', 0);
"""

# Films, shows, seasons and episodes as a sync writes them; titles from a small vocabulary.
ITEMS = """
INSERT INTO media_items (
    id, server_id, section_key, rating_key, type, parent_key, grandparent_key, imdb_id, tmdb_id, title, sort_title,
    show_title, year, item_index, parent_index, summary, rating, duration, genres, thumb, art, leaf_count, resolution,
    size, file, files, added_at, updated_at, hash)
SELECT 'med-' || lpad(kind.number::text || n::text, 26, '0'), %(server)s, kind.section, kind.name || n, kind.name,
    CASE kind.name WHEN 'season' THEN 'show' || (n + 2) / 3 WHEN 'episode' THEN 'season' || (n + 9) / 10 END,
    CASE kind.name WHEN 'episode' THEN 'show' || (n + 29) / 30 END,
    'tt' || kind.number || n, (kind.number * 1000000 + n)::text, words.title, lower(words.title),
    CASE WHEN kind.name IN ('season', 'episode') THEN 'Show ' || (n + 29) / 30 END,
    1950 + n %% 70, n %% 10, n %% 3, repeat(md5(n::text) || ' ', 12), (n %% 100) / 10.0, 6000000 + n,
    ARRAY[(ARRAY['Drama', 'Comedy', 'Crime', 'Animation'])[1 + n %% 4]], '/library/metadata/' || n || '/thumb/1',
    '/library/metadata/' || n || '/art/1', CASE kind.name WHEN 'show' THEN 30 WHEN 'season' THEN 10 END,
    (ARRAY['1080', '720', '4k'])[1 + n %% 3], 4000000000, '/films/' || n || '.mkv',
    jsonb_build_array(jsonb_build_object('resolution', '1080', 'parts', '[]'::jsonb)),
    now() - n * interval '7 min', now(), n
FROM (VALUES (1, 'movie', '1', 17000), (2, 'show', '2', 1250), (3, 'season', '2', 3750), (4, 'episode', '2', 35000))
        AS kind (number, name, section, amount),
    LATERAL generate_series(1, kind.amount / %(parts)s) AS n,
    LATERAL (SELECT (ARRAY['Silent', 'Golden', 'Broken', 'Hidden', 'The Last', 'Winter', 'Paper'])[1 + n %% 7] || ' '
        || (ARRAY['Harbour', 'River', 'Letter', 'Garden', 'Engine', 'Window', 'Road', 'Bridge', 'Archive'])[1 + n %% 9]
        || ' ' || left(md5(n::text), 4) AS title) AS words
"""

WATCHED = """
INSERT INTO watch_states (user_id, item_id, view_count, last_viewed_at, updated_at)
SELECT %(user)s, id, 1, now() - random() * interval '1 year', now() FROM media_items
WHERE type IN ('movie', 'episode') ORDER BY md5(id) LIMIT 3000
"""

PATHS = {
    "a page of 50 films": "/plex/libraries/1/items?limit=50",
    "page 300 of them": "/plex/libraries/1/items?limit=50&page=300",
    "page 700 of episodes": "/plex/libraries/2/items?type=episode&limit=50&page=700",
    "films by year": "/plex/libraries/1/items?limit=50&sort=year",
    "films by what was watched last": "/plex/libraries/1/items?limit=50&sort=lastViewedAt",
    "shows not watched": "/plex/libraries/2/items?limit=50&unwatched=true",
    "the catalogue over all libraries": "/media?limit=50",
    "search, one word": "/plex/search?query=harb",
    "search, two words": "/plex/search?query=golden%20riv",
    "recently added": "/plex/recently-added",
    "libraries": "/plex/libraries",
}


def run(quick: bool) -> Iterator[Figure]:
    """A single client, so that the figures are latencies without queueing."""
    rounds = 5 if quick else 60
    environment = {"PLEX_URL": "http://127.0.0.1:1", "PLEX_TOKEN": "none"}
    with services() as found, installation(found, **environment) as stack:
        stack.start_web()
        client, user_id = created_admin(stack)
        items = fill(stack.database_url, user_id, 20 if quick else 1)
        reader = _Reader(stack.port, client.token)
        for what, path in PATHS.items():
            yield _figure(f"{what}, {items:,} items", reader, path, None, rounds)
        path = PATHS["a page of 50 films"]
        yield _figure("the same page again: 304", reader, path, reader.tag(path), rounds)


class _Reader:
    """A keep-alive connection of a signed-in user."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"}

    def tag(self, path: str) -> str:
        """The ETag of an answer."""
        return str(self.request(path, None)[1])

    def request(self, path: str, tag: str | None) -> tuple[int, str | None]:
        """Status and ETag of an answer, after reading its body."""
        headers = self._headers | ({"If-None-Match": tag} if tag else {})
        self._connection.request("GET", "/api/v1" + path, headers=headers)
        answer = self._connection.getresponse()
        answer.read()
        assert answer.status in {200, 304}, answer.status
        return answer.status, answer.headers["ETag"]


def fill(url: str, user_id: str, parts: int) -> int:
    """Fill the catalogue, and what a user has watched of it; 1/`parts` of everything. Returns the number of items."""
    parameters: dict[str, Any] = {"server": SERVER, "user": user_id, "parts": parts}
    with psycopg.connect(
        url.replace("+psycopg", ""), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as connection:
        for statement in (LIBRARIES, ITEMS, WATCHED):
            connection.execute(statement, parameters)
        connection.execute("VACUUM ANALYZE media_items")
        connection.execute("ANALYZE")
        row = connection.execute("SELECT count(*) FROM media_items").fetchone()
    return int(row[0]) if row else 0


def _figure(what: str, reader: _Reader, path: str, tag: str | None, rounds: int) -> Figure:
    """The median time of an answer, with p95 in the description."""
    reader.request(path, tag)
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        reader.request(path, tag)
        times.append((time.perf_counter() - began) * 1000)
    shown = f"{what} (p95 {percentile(times, 0.95):.0f} ms)"
    return Figure(ROW, shown, statistics.median(times), "ms", None, Target(MILLISECONDS))
