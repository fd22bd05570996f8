"""The application as a web server finds it: `api.wsgi:app`, set by the environment."""

from __future__ import annotations

from api.app import create_app
from config.settings import Settings

app = create_app(Settings.load())
