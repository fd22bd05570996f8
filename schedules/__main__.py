"""`python -m schedules`: runs beat. Celery's own command line would import 15 MB of other commands too."""

from __future__ import annotations

from schedules.beat import app

if __name__ == "__main__":
    app.Beat(quiet=True).run()
