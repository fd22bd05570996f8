"""What an older version stored of Plex is mended by the migration."""

from __future__ import annotations

import psycopg
from alembic import command
from sqlalchemy import create_engine

from models.migrate import alembic_config, upgrade

OLD = """
INSERT INTO plex_servers (id, name, url, seen_at, failures) VALUES ('s', 'Box', 'http://plex.test', now(), 0);
INSERT INTO users (id, name, role) VALUES ('u', 'Ann', 'user');
INSERT INTO media_items (id, server_id, section_key, rating_key, type, title, sort_title, hash, listed_hash, guid,
    added_at, year, duration, rating, tvdb_id)
VALUES
    ('fine', 's', '1', '1', 'movie', 'A', 'a', 1, 1, 'plex://movie/1', now(), 1999, 5, 7.5, NULL),
    ('odd', 's', '1', '2', 'movie', 'B', 'b', 1, 1, 'local://2', now() + interval '2 days', 0, -1, -1, NULL),
    ('old', 's', '2', '3', 'show', 'C', 'c', 1, 1, 'com.plexapp.agents.thetvdbdvdorder://78914', NULL, NULL, NULL, NULL, NULL),
    ('known', 's', '2', '4', 'show', 'D', 'd', 1, 1, 'com.plexapp.agents.thetvdb://1', NULL, NULL, NULL, NULL, '1');
INSERT INTO watch_states (user_id, item_id, view_count, last_viewed_at, updated_at)
VALUES ('u', 'fine', 1, '9999-12-31', now());
INSERT INTO plex_activities (id, event, title, media_type, at)
VALUES ('a', 'play', 'Preroll', 'clip', now()), ('b', 'play', 'Heat', 'movie', now()), ('c', 'play', '?', NULL, now());
"""


def test_what_is_stored_is_mended(postgres: str) -> None:
    server = postgres.replace("+psycopg", "")
    url = postgres.replace("/medianest?", "/mend_me?")
    with psycopg.connect(server.replace("/medianest?", "/postgres?"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE mend_me")
        try:
            engine = create_engine(url)
            with engine.begin() as held:
                command.upgrade(alembic_config(held), "0006")
            engine.dispose()
            with psycopg.connect(url.replace("+psycopg", "")) as before:
                before.execute(OLD)
            upgrade(url)
            with psycopg.connect(url.replace("+psycopg", "")) as after:
                items = after.execute(
                    "SELECT id, added_at IS NULL, year, duration, rating, hash, listed_hash FROM media_items ORDER BY id"
                ).fetchall()
                assert items == [
                    ("fine", False, 1999, 5, 7.5, 1, 1), ("known", True, None, None, None, 1, 1),
                    ("odd", True, None, None, None, 0, None), ("old", True, None, None, None, 1, None),
                ]  # fmt: skip
                assert after.execute("SELECT last_viewed_at FROM watch_states").fetchall() == [(None,)]
                assert after.execute("SELECT id FROM plex_activities ORDER BY id").fetchall() == [
                    ("b",),
                    ("c",),
                ]
        finally:
            connection.execute("DROP DATABASE mend_me WITH (FORCE)")
