"""`python -m schedules`: beat. Celery's own command line would load 15 MB of other commands beside it."""

from __future__ import annotations

from schedules.beat import app

if __name__ == "__main__":
    app.Beat(quiet=True).run()
