"""Alembic's entry point: runs migrations on the connection from `models.migrate`."""

from alembic import context

from models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
