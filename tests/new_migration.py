"""`make migration ABOUT="..."`: the next migration, written from what the models have and the migrations do not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from cli.embedded import EmbeddedPostgres
from models.migrate import alembic_config, upgrade_on
from models.revision import newest


def main(about: str) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="mn-") as folder,
        EmbeddedPostgres(Path(folder) / "pg", durable=False).running() as url,
    ):
        engine = create_engine(url)
        with engine.begin() as connection:
            upgrade_on(connection)
            number = f"{int(newest()) + 1:04}"
            command.revision(alembic_config(connection), message=about, autogenerate=True, rev_id=number)
        engine.dispose()


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or sys.exit("say what it is about: make migration ABOUT='Reminders'"))
