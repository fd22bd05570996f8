"""The floor of the API: Flask, a verified JWT, one psycopg statement, orjson; nothing else."""

from __future__ import annotations

import secrets
import threading
from typing import Any

import jwt
import orjson
import psycopg
import redis
from flask import Flask, Response, request
from psycopg.rows import dict_row

from config.settings import Settings
from engine.secrets import keys

settings = Settings.load()
app = Flask("bare")
_key = keys.key(settings, keys.ACCESS_TOKENS)
_mine = threading.local()

LIST = "SELECT * FROM downloads WHERE user_id = %s ORDER BY id DESC LIMIT %s OFFSET %s"
INSERT = (
    "INSERT INTO downloads (id, user_id, status, url, url_key, host, quality, format, folder)"
    " VALUES (%s, %s, 'queued', %s, %s, '127.0.0.1', 'best', 'mp4', '') ON CONFLICT DO NOTHING RETURNING *"
)

STORE = (
    "INSERT INTO webhooks (id, status, source, event, digest, payload, received_at)"
    " VALUES (%s, 'received', 'plex', '', %s, %s, now())"
)


def _database() -> psycopg.Connection[dict[str, Any]]:
    """This thread's connection, in autocommit mode."""
    if not hasattr(_mine, "database"):
        url = settings.database_url.replace("+psycopg", "")
        _mine.database = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        _mine.redis = redis.Redis.from_url(settings.redis_url)
    return _mine.database  # type: ignore[no-any-return]


def _user() -> str:
    token = request.headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, _key, algorithms=["HS256"], audience="medianest", issuer="medianest")
    return str(claims["sub"])


def _answer(data: Any) -> Response:
    return Response(orjson.dumps(data), mimetype="application/json")


@app.get("/health")
def health() -> Response:
    return _answer({})


@app.get("/downloads")
def listing() -> Response:
    limit, page = int(request.args.get("limit", 20)), int(request.args.get("page", 1))
    rows = _database().execute(LIST, (_user(), limit, (page - 1) * limit)).fetchall()
    return _answer({"success": True, "data": {"items": rows}})


@app.post("/download")
def create() -> Response:
    url = request.get_json()["url"]
    key = secrets.token_hex(16)
    row = _database().execute(INSERT, (f"dl-{key}", _user(), url, key)).fetchone()
    _mine.redis.lpush("bare-bell", key)
    return _answer({"success": True, "data": row})


@app.post("/webhook")
def webhook() -> Response:
    key, payload = secrets.token_hex(16), request.form["payload"]
    orjson.loads(payload)
    _database().execute(STORE, (f"wh-{key}", key, payload))
    _mine.redis.lpush("bare-bell", key)
    return _answer({"success": True, "data": {"id": key}})
